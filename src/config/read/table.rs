//! Tables with known keys.

use std::ops::Range;

use toml::de::{DeTable, DeValue};

use super::{Node, Read, Report};
use crate::config::nearest::suggestion;
use crate::config::path::Path;
use crate::config::problem::Complaint;
use crate::config::source::quoted;

/// A table whose keys are known.
pub(crate) trait Table: Read {
    /// The keys it must have.
    const REQUIRED: &'static [&'static str];
    /// The keys it may have, the required ones first.
    const KEYS: &'static [&'static str];
}

/// Makes a struct readable from a table: the keys it must have, a semicolon, the keys it may have. They are the names of its
/// fields, all of them, which the compiler checks; what the file leaves out comes from [`Default`].
macro_rules! table {
    ($type:ident { $($required:ident),* ; $($optional:ident),* $(,)? }) => {
        impl $crate::config::read::Table for $type {
            const REQUIRED: &'static [&'static str] = &[$(stringify!($required)),*];
            const KEYS: &'static [&'static str] = &[$(stringify!($required),)* $(stringify!($optional)),*];
        }

        impl $crate::config::read::Read for $type {
            fn read(
                node: &$crate::config::read::Node<'_>,
                report: &mut $crate::config::read::Report<'_>,
            ) -> Self {
                let default = Self::default();
                let Some(table) = $crate::config::read::TableReader::open::<Self>(node, report) else {
                    return default;
                };
                Self {
                    $($required: table.get(stringify!($required), default.$required, report),)*
                    $($optional: table.get(stringify!($optional), default.$optional, report),)*
                }
            }
        }
    };
}
pub(crate) use table;

/// A table that is being read.
pub(crate) struct TableReader<'d> {
    table: &'d DeTable<'d>,
    path: Path,
}

impl<'d> TableReader<'d> {
    /// Begins to read a table: what is not a table, unknown keys and missing ones are reported.
    pub(crate) fn open<T: Table>(node: &Node<'d>, report: &mut Report<'_>) -> Option<Self> {
        let DeValue::Table(table) = node.value else {
            report.expected(node, "a table");
            return None;
        };
        let reader = Self {
            table,
            path: node.path.clone(),
        };
        reader.report_unknown(T::KEYS, report);
        reader.report_missing(T::REQUIRED, &node.span, report);
        Some(reader)
    }

    /// The value of a key, or `default` where the table does not have it.
    pub(crate) fn get<T: Read>(&self, key: &str, default: T, report: &mut Report<'_>) -> T {
        match self.table.get(key) {
            Some(value) => T::read(&Node::new(value, self.path.then(key)), report),
            None => default,
        }
    }

    fn report_unknown(&self, known: &[&str], report: &mut Report<'_>) {
        for (key, value) in self.table {
            let name = key.get_ref().as_ref();
            if known.contains(&name) || !report.has_room() {
                continue;
            }
            let complaint = if looks_secret(name) {
                report.mask(value.span());
                secret_in_file(name, known)
            } else {
                unknown_key(name, &self.path, known)
            };
            report.spoil(&self.path.then(name), key.span(), complaint);
        }
    }

    fn report_missing(&self, required: &[&str], span: &Range<usize>, report: &mut Report<'_>) {
        for &key in required {
            if self.table.get(key).is_some() {
                continue;
            }
            let name = quoted(&self.path.to_string());
            let complaint = Complaint::new(format!("{name} has no {}", quoted(key)));
            let complaint = complaint.help(format!("add `{key} = …`"));
            let span = report.header(&self.path).unwrap_or_else(|| span.clone());
            report.spoil(&self.path.then(key), span, complaint);
        }
    }
}

fn unknown_key(name: &str, within: &Path, known: &[&str]) -> Complaint {
    let place = match within.to_string() {
        path if path.is_empty() => "at the top of the file".to_owned(),
        path => format!("in {}", quoted(&path)),
    };
    Complaint::new(format!("unknown key {} {place}", quoted(name)))
        .help(suggestion(name, "keys", known))
}

/// Whether a key's name says that its value is a secret.
pub(crate) fn looks_secret(key: &str) -> bool {
    let key = key.to_lowercase().replace('-', "_");
    let ends = [
        "api_key",
        "apikey",
        "token",
        "secret",
        "password",
        "passwd",
        "credential",
        "credentials",
    ];
    ends.iter().any(|end| key.ends_with(end))
}

/// The complaint about a secret that stands in the file.
pub(crate) fn secret_in_file(key: &str, known: &[&str]) -> Complaint {
    let variable = known.iter().find(|key| key.ends_with("_env"));
    let complaint = Complaint::new(format!("secrets never stand in the file: {}", quoted(key)));
    match variable {
        Some(variable) => complaint.help(format!(
            "put it into an environment variable and name that: `{variable} = \"NAME_OF_THE_VARIABLE\"`"
        )),
        None => complaint.help("put it into an environment variable of the program and remove it here"),
    }
}
