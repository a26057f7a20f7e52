//! Whom a fault strikes.

use std::fmt;
use std::sync::Arc;

/// A pattern over paths: `*` stands for anything within one part, `**` for any number of whole parts.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Pattern(Arc<str>);

impl<S: AsRef<str>> From<S> for Pattern {
    fn from(text: S) -> Self {
        Self(text.as_ref().into())
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Pattern {
    /// Whether it has a part and none is empty.
    pub(super) fn is_valid(&self) -> bool {
        self.0.split('/').all(|part| !part.is_empty())
    }

    /// Whether it means this path.
    #[must_use]
    pub fn matches(&self, path: &str) -> bool {
        let pattern: Vec<_> = self.0.split('/').collect();
        let path: Vec<_> = path.split('/').collect();
        glob(
            &pattern,
            &path,
            |part| *part == "**",
            |one, part| {
                let (one, part): (Vec<_>, Vec<_>) = (one.chars().collect(), part.chars().collect());
                glob(&one, &part, |c| *c == '*', |one, c| one == c)
            },
        )
    }
}

/// Whether `text` is what `pattern` says, where an `any` stands for any number of items. In time of their product at most: going
/// back to the last `any` is enough.
fn glob<T>(
    pattern: &[T],
    text: &[T],
    any: impl Fn(&T) -> bool,
    same: impl Fn(&T, &T) -> bool,
) -> bool {
    let (mut p, mut t) = (0, 0);
    let mut back = None;
    while t < text.len() {
        if pattern.get(p).is_some_and(&any) {
            back = Some((p, t));
            p += 1;
        } else if pattern.get(p).is_some_and(|one| same(one, &text[t])) {
            (p, t) = (p + 1, t + 1);
        } else if let Some((last, from)) = back {
            back = Some((last, from + 1));
            (p, t) = (last + 1, from + 1);
        } else {
            return false;
        }
    }
    pattern[p..].iter().all(any)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_means_what_it_says() {
        let meant = |pattern: &str, path: &str| Pattern::from(pattern).matches(path);
        for (pattern, path) in [
            ("a/b", "a/b"),
            ("a/*", "a/b"),
            ("a/run-*", "a/run-17"),
            ("*/*-x", "a/b-y-x"),
            ("**", "a/b/c"),
            ("**/c", "a/b/c"),
            ("**/c", "c"),
            ("a/**/d", "a/b/c/d"),
            ("a/**/d", "a/d"),
            ("**/b/**/d", "a/b/b/c/d"),
        ] {
            assert!(meant(pattern, path), "{pattern} means {path}");
        }
        for (pattern, path) in [
            ("a/*", "a/b/c"),
            ("a", "a/b"),
            ("a/b", "a"),
            ("a/run-*", "a/rum-1"),
            ("**/c", "a/b"),
            ("a/**/d", "b/d"),
            ("*", ""),
        ] {
            let is_empty = path.is_empty();
            assert!(
                is_empty || !meant(pattern, path),
                "{pattern} does not mean {path}"
            );
        }
    }

    proptest::proptest! {
        #[test]
        fn a_path_means_itself_and_stars_stand_for_any_part_of_it(path in "[a-c]{1,3}(/[a-c]{1,3}){0,4}", cut in 0_usize..12) {
            proptest::prop_assert!(Pattern::from(&path).matches(&path));
            let cut = cut.min(path.len());
            let starred = format!("{}*", &path[..cut]);
            let rest_is_one_part = !path[cut..].contains('/');
            proptest::prop_assert_eq!(Pattern::from(&starred).matches(&path), rest_is_one_part);
        }
    }
}
