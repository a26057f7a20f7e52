//! `include`: files that a node file is put together from.
//!
//! Their tables become part of one table, in which every value knows its place in the texts one after the other. So whatever reads and
//! checks a file reads and checks all of them at once, and tells each mistake at its own place.

use std::ops::Range;
use std::path::{Path as FilePath, PathBuf};

use globset::GlobBuilder;
use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue};

use super::load::text_of;
use super::problem::{Complaint, Findings};
use super::source::quoted;

/// How many files may be included.
pub(super) const MOST_FILES: usize = 256;

/// How many entries of folders are looked at for one pattern.
const MOST_ENTRIES: usize = 10_000;

/// How deep folders are looked into.
const DEPTH: usize = 8;

/// What included files may declare.
const SECTIONS: [&str; 7] = [
    "pools",
    "providers",
    "agents",
    "teams",
    "workflows",
    "mcp_servers",
    "webhooks",
];

/// What stands in the node file alone.
const ALONE: [&str; 5] = ["node", "limits", "executor", "hooks", "faults"];

/// A file that is included.
#[derive(Debug)]
pub(super) struct Included {
    pub(super) path: PathBuf,
    pub(super) text: String,
}

/// Reads the files that a file includes. What cannot be found or read is reported where it is named.
pub(super) fn read(
    root: &DeTable<'_>,
    own: Option<&FilePath>,
    base_dir: &FilePath,
    findings: &mut Findings,
) -> Vec<Included> {
    let own = own.and_then(|own| own.canonicalize().ok());
    let mut files = Vec::<Included>::new();
    for (pattern, span) in patterns(root) {
        let found = match found(&pattern, base_dir, own.as_deref()) {
            Ok(found) => found,
            Err(complaint) => {
                findings.add(span, complaint);
                continue;
            }
        };
        for path in found {
            if files.iter().any(|file| file.path == path) {
                continue;
            }
            if files.len() == MOST_FILES {
                let message = format!("more than {MOST_FILES} files are included");
                findings.add(span, Complaint::new(message));
                return files;
            }
            match text_of(&path) {
                Ok(text) => files.push(Included { path, text }),
                Err(reason) => {
                    let name = path.display().to_string();
                    let message = format!("cannot include {}: {reason}", quoted(&name));
                    findings.add(span.clone(), Complaint::new(message));
                }
            }
        }
    }
    files
}

/// What stands in `include`; what is no string is reported by the reader.
fn patterns(root: &DeTable<'_>) -> Vec<(String, Range<usize>)> {
    let Some(DeValue::Array(list)) = root.get("include").map(Spanned::get_ref) else {
        return Vec::new();
    };
    let text = |value: &Spanned<DeValue<'_>>| {
        let text = value.get_ref().as_str()?;
        Some((text.to_owned(), value.span()))
    };
    list.iter().filter_map(text).collect()
}

/// The files that a name or a pattern means, in the order of their names; never the file itself.
fn found(
    pattern: &str,
    base_dir: &FilePath,
    own: Option<&FilePath>,
) -> Result<Vec<PathBuf>, Complaint> {
    let is_own = |path: &PathBuf| own.is_some() && path.canonicalize().ok().as_deref() == own;
    if !pattern.contains(['*', '?', '[', '{']) {
        let path = base_dir.join(pattern);
        return match is_own(&path) {
            true => Err(Complaint::new("the file includes itself").help("remove it here")),
            false => Ok(vec![path]),
        };
    }
    let files: Vec<_> = matching(pattern, base_dir)?
        .into_iter()
        .filter(|path| !is_own(path))
        .collect();
    match files.is_empty() {
        true => {
            let message = format!("{} means no file", quoted(pattern));
            let help = "the pattern is relative to the folder of this file; `*` does not go over a `/`, `**` does";
            Err(Complaint::new(message).help(help))
        }
        false => Ok(files),
    }
}

fn matching(pattern: &str, base_dir: &FilePath) -> Result<Vec<PathBuf>, Complaint> {
    let glob = GlobBuilder::new(pattern).literal_separator(true).build();
    let wrong = |error: &globset::Error| {
        let why = error.kind().to_string();
        Complaint::new(format!("{} is no pattern: {why}", quoted(pattern)))
    };
    let glob = glob.map_err(|error| wrong(&error))?.compile_matcher();
    let folder = match base_dir.as_os_str().is_empty() {
        true => FilePath::new("."),
        false => base_dir,
    };
    let walk = walkdir::WalkDir::new(folder)
        .max_depth(DEPTH)
        .sort_by_file_name();
    let mut files = Vec::new();
    for (seen, entry) in walk.into_iter().filter_map(Result::ok).enumerate() {
        if seen == MOST_ENTRIES {
            let message = format!("there are more than {MOST_ENTRIES} files to look at");
            return Err(Complaint::new(message).help("name a folder with fewer files in it"));
        }
        let below = entry.path().strip_prefix(folder).unwrap_or(entry.path());
        if entry.file_type().is_file() && glob.is_match(below) {
            files.push(base_dir.join(below));
        }
    }
    Ok(files)
}

/// Moves a value and all in it to its place in the texts one after the other.
pub(super) fn moved<'d>(value: Spanned<DeValue<'d>>, by: usize) -> Spanned<DeValue<'d>> {
    let span = along(value.span(), by);
    let value = match value.into_inner() {
        DeValue::Array(list) => {
            let mut all = DeArray::new();
            for value in list {
                all.push(moved(value, by));
            }
            DeValue::Array(all)
        }
        DeValue::Table(table) => DeValue::Table(moved_table(table, by)),
        other => other,
    };
    Spanned::new(span, value)
}

fn moved_table<'d>(table: DeTable<'d>, by: usize) -> DeTable<'d> {
    let entry = |(key, value): (Spanned<_>, _)| {
        let span = along(key.span(), by);
        (Spanned::new(span, key.into_inner()), moved(value, by))
    };
    table.into_iter().map(entry).collect()
}

fn along(span: Range<usize>, by: usize) -> Range<usize> {
    span.start + by..span.end + by
}

/// Makes what an included file declares part of the whole. What may not stand in one, or stands in two, is reported.
pub(super) fn merge<'d>(root: &mut DeTable<'d>, file: DeTable<'d>, findings: &mut Findings) {
    for (key, value) in file {
        let name = key.get_ref().as_ref();
        if name == "include" {
            let message = "an included file includes no further ones";
            let help = "name them in the node file's `include`";
            findings.add(key.span(), Complaint::new(message).help(help));
        } else if ALONE.contains(&name) {
            let message = format!("{} stands in the node file alone", quoted(name));
            findings.add(key.span(), Complaint::new(message).help("move it there"));
        } else if name == "task" {
            // It is for `impresario run`, with this file alone.
        } else if SECTIONS.contains(&name) && root.contains_key(name) {
            join(root, &key, value, findings);
        } else {
            root.insert(key, value);
        }
    }
}

type Key<'d> = Spanned<std::borrow::Cow<'d, str>>;

/// Two files have the same section.
fn join<'d>(
    root: &mut DeTable<'d>,
    key: &Key<'d>,
    value: Spanned<DeValue<'d>>,
    findings: &mut Findings,
) {
    let section = key.get_ref();
    let known = root.get_mut(section.as_ref()).map(Spanned::get_mut);
    let (Some(DeValue::Table(known)), DeValue::Table(more)) = (known, value.into_inner()) else {
        let message = format!("{} must be a table", quoted(section));
        return findings.add(key.span(), Complaint::new(message));
    };
    for (key, value) in more {
        match known.get_key_value(&**key.get_ref()) {
            None => drop(known.insert(key, value)),
            Some((first, _)) => {
                let (file, line) = findings.place(first.span().start);
                let name = quoted(&format!("{section}.{}", key.get_ref()));
                let complaint = Complaint::new(format!("{name} is declared twice"));
                let help =
                    format!("the other one stands in {file}, line {line}: rename one of them");
                findings.add(key.span(), complaint.help(help));
            }
        }
    }
}
