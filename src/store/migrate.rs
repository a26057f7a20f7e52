//! Which steps a schema still has to take. Pure.

use thiserror::Error;

/// One step of a schema: never changed once it was released.
#[derive(Debug, Clone, Copy)]
pub(super) struct Migration {
    /// 1, 2, 3 …
    pub(super) version: u32,
    /// What it does.
    pub(super) sql: &'static str,
}

impl Migration {
    /// What tells this text from any other.
    pub(super) fn checksum(&self) -> String {
        blake3::hash(self.sql.as_bytes()).to_hex().to_string()
    }
}

/// A step that a database says it has taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Applied {
    pub(super) version: u32,
    pub(super) checksum: String,
}

/// Why a database is left alone.
#[derive(Debug, PartialEq, Eq, Error)]
pub(super) enum Refusal {
    #[error("schema version {found} is later than {known}")]
    TooNew { found: u32, known: u32 },
    #[error("schema version {version} was made by another migration than this program's")]
    Changed { version: u32 },
    #[error("schema version {version} is missing from its list of migrations")]
    Missing { version: u32 },
}

/// The migrations of `known` that are still to be applied after `applied`, both in order.
pub(super) fn pending<'m>(
    known: &'m [Migration],
    applied: &[Applied],
) -> Result<&'m [Migration], Refusal> {
    let newest = known.last().map_or(0, |migration| migration.version);
    if let Some(found) = applied.iter().map(|it| it.version).find(|it| *it > newest) {
        let known = newest;
        return Err(Refusal::TooNew { found, known });
    }
    for (migration, applied) in known.iter().zip(applied) {
        let version = migration.version;
        if applied.version != version {
            return Err(Refusal::Missing { version });
        }
        if applied.checksum != migration.checksum() {
            return Err(Refusal::Changed { version });
        }
    }
    Ok(known.get(applied.len()..).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: &[Migration] = &[
        Migration {
            version: 1,
            sql: "one",
        },
        Migration {
            version: 2,
            sql: "two",
        },
        Migration {
            version: 3,
            sql: "three",
        },
    ];

    fn applied(versions: &[u32]) -> Vec<Applied> {
        let checksum = |version: u32| KNOWN.iter().find(|it| it.version == version);
        versions
            .iter()
            .map(|version| Applied {
                version: *version,
                checksum: checksum(*version).map_or_else(String::new, Migration::checksum),
            })
            .collect()
    }

    #[test]
    fn what_is_missing_at_the_end_is_pending() {
        for done in 0..=3 {
            let versions: Vec<_> = (1..=done).collect();
            let left = pending(KNOWN, &applied(&versions)).unwrap();
            let left: Vec<_> = left.iter().map(|it| it.version).collect();
            assert_eq!(left, (done + 1..=3).collect::<Vec<_>>());
        }
    }

    #[test]
    fn a_later_version_is_too_new() {
        for versions in [&[1, 2, 3, 4][..], &[4], &[1, 9, 2]] {
            let found = *versions.iter().find(|it| **it > 3).unwrap();
            let refusal = pending(KNOWN, &applied(versions)).unwrap_err();
            assert_eq!(refusal, Refusal::TooNew { found, known: 3 });
        }
    }

    #[test]
    fn a_changed_or_missing_step_is_refused() {
        let mut changed = applied(&[1, 2]);
        changed[1].checksum = "another".to_owned();
        let refusal = pending(KNOWN, &changed).unwrap_err();
        assert_eq!(refusal, Refusal::Changed { version: 2 });
        for (versions, version) in [(&[2][..], 1), (&[1, 3], 2), (&[0], 1)] {
            let refusal = pending(KNOWN, &applied(versions)).unwrap_err();
            assert_eq!(refusal, Refusal::Missing { version });
        }
    }
}
