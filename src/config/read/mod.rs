//! A typed reader that goes on after a mistake: every value is read, what is wrong is reported, and a default stands in for it.

mod free;
pub(crate) mod plain;
mod table;

use std::collections::BTreeSet;
use std::ops::Range;

use toml::Spanned;
use toml::de::DeValue;

use super::path::{Path, Step};
use super::problem::{Complaint, Findings};
use super::source::quoted;

pub(crate) use table::{Table, TableReader, looks_secret, secret_in_file, table};

/// Something a file can say.
///
/// Reading is total: what cannot be read is reported and replaced by a default, which never leaves this module's users, because
/// a file with a problem is refused as a whole.
pub(crate) trait Read: Default {
    fn read(node: &Node<'_>, report: &mut Report<'_>) -> Self;
}

/// A value in the file, and the way to it.
pub(crate) struct Node<'d> {
    pub(crate) value: &'d DeValue<'d>,
    pub(crate) span: Range<usize>,
    pub(crate) path: Path,
}

impl<'d> Node<'d> {
    pub(crate) fn new(value: &'d Spanned<DeValue<'d>>, path: Path) -> Self {
        Self {
            value: value.get_ref(),
            span: value.span(),
            path,
        }
    }

    /// What kind of value it is, for a message.
    pub(crate) fn kind(&self) -> &'static str {
        match self.value {
            DeValue::String(_) => "a string",
            DeValue::Integer(_) => "an integer",
            DeValue::Float(_) => "a float",
            DeValue::Boolean(_) => "a boolean",
            DeValue::Datetime(_) => "a date or time",
            DeValue::Array(_) => "an array",
            DeValue::Table(_) => "a table",
        }
    }
}

/// The file that is being read and what was found wrong with it.
pub(crate) struct Report<'d> {
    root: &'d Spanned<DeValue<'d>>,
    findings: Findings,
    spoiled: BTreeSet<Path>,
}

impl<'d> Report<'d> {
    pub(crate) fn new(root: &'d Spanned<DeValue<'d>>, findings: Findings) -> Self {
        Self {
            root,
            findings,
            spoiled: BTreeSet::new(),
        }
    }

    /// Reports a value that could not be read. Nothing else is said about it later.
    pub(crate) fn spoil(&mut self, path: &Path, span: Range<usize>, complaint: Complaint) {
        self.spoiled.insert(path.clone());
        self.findings.add(span, complaint);
    }

    /// The same, for a value that was read.
    pub(crate) fn spoil_at(&mut self, path: &Path, complaint: Complaint) {
        self.at(path, complaint);
        self.spoiled.insert(path.clone());
    }

    /// Reports a value of the wrong type.
    pub(crate) fn expected(&mut self, node: &Node<'_>, what: &str) {
        let name = quoted(&node.path.to_string());
        let message = format!("{name} must be {what}, not {}", node.kind());
        self.spoil(&node.path, node.span.clone(), Complaint::new(message));
    }

    /// Reports a value that was read and does not make sense, unless something is wrong with it already.
    pub(crate) fn at(&mut self, path: &Path, complaint: Complaint) {
        if !self.is_spoiled(path) {
            self.findings.add(self.place(path).value, complaint);
        }
    }

    /// The same, pointing at the key.
    pub(crate) fn at_key(&mut self, path: &Path, complaint: Complaint) {
        if !self.is_spoiled(path) {
            self.findings.add(self.place(path).key, complaint);
        }
    }

    /// Whether one more complaint will be heard; if not, it is counted. For complaints that take time to make.
    pub(crate) fn has_room(&mut self) -> bool {
        let room = !self.findings.is_full();
        if !room {
            self.findings.omit();
        }
        room
    }

    /// Keeps a value out of everything that is shown.
    pub(crate) fn mask(&mut self, span: Range<usize>) {
        self.findings.mask(span);
    }

    /// Reports a secret that stands in the file, and keeps it out of everything that is shown.
    pub(crate) fn secret_at(&mut self, path: &Path, complaint: Complaint) {
        self.findings.mask(self.place(path).value);
        self.at_key(path, complaint);
    }

    /// Whether a value, or one it lies in, could not be read.
    pub(crate) fn is_spoiled(&self, path: &Path) -> bool {
        path.ancestors().any(|path| self.spoiled.contains(&path))
    }

    /// Whether the file says something there.
    pub(crate) fn says(&self, path: &Path) -> bool {
        find(self.root, path).is_some()
    }

    /// Where the key of a setting stands.
    fn header(&self, path: &Path) -> Option<Range<usize>> {
        find(self.root, path).map(|place| place.key)
    }

    /// The file that the key of a setting stands in.
    pub(crate) fn file_of(&self, path: &Path) -> &str {
        let at = self.place(path).key.start;
        self.findings.source().file(at).0
    }

    pub(crate) fn into_findings(self) -> Findings {
        self.findings
    }

    /// Where a setting stands, or the nearest thing around it that the file says.
    fn place(&self, path: &Path) -> Place {
        path.ancestors()
            .find_map(|path| find(self.root, &path))
            .unwrap_or(Place {
                key: 0..0,
                value: 0..0,
            })
    }
}

struct Place {
    key: Range<usize>,
    value: Range<usize>,
}

fn find(root: &Spanned<DeValue<'_>>, path: &Path) -> Option<Place> {
    let (mut key, mut value) = (root.span(), root);
    for step in &path.0 {
        (key, value) = match (step, value.get_ref()) {
            (Step::Key(name), DeValue::Table(table)) => {
                let (key, value) = table.get_key_value(name.as_str())?;
                (key.span(), value)
            }
            (Step::Index(index), DeValue::Array(array)) => {
                let value = array.get(*index)?;
                (value.span(), value)
            }
            _ => return None,
        };
    }
    Some(Place {
        key,
        value: value.span(),
    })
}
