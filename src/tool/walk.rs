//! Walking the workspace in a fixed order, without following symbolic links.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use actors::model::executor::CallError;

use super::file_tool::Stop;
use super::workspace::{Entry, Kind, Workspace};

/// How deep folders may lie in each other.
const DEEPEST: usize = 128;

/// How a walk ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Walked {
    /// All was seen, or enough.
    Done,
    /// There were more entries than a walk looks at.
    TooMany,
}

/// Where a visitor stands: the path as it is shown and used, and what is there.
pub(super) struct Visit<'a> {
    pub(super) path: &'a Path,
    pub(super) kind: Kind,
}

/// Shows `visit` everything below `base`, folder by folder in the order of names. What `.git` holds is passed over unless `base`
/// lies in it, and so are folders that cannot be read.
pub(super) fn walk(
    workspace: &Workspace,
    base: &Path,
    stop: &Stop,
    mut visit: impl FnMut(Visit<'_>) -> Result<ControlFlow<()>, CallError>,
) -> Result<Walked, CallError> {
    let mut left = workspace.limits().entries;
    let mut waiting = below(base, workspace.entries(base)?);
    while let Some((path, kind)) = waiting.pop() {
        stop.check()?;
        if left == 0 {
            return Ok(Walked::TooMany);
        }
        left -= 1;
        let shown = visit(Visit { path: &path, kind })?;
        if shown.is_break() {
            return Ok(Walked::Done);
        }
        if kind == Kind::Folder && is_entered(&path) {
            waiting.extend(below(&path, workspace.entries(&path).unwrap_or_default()));
        }
    }
    Ok(Walked::Done)
}

/// The entries of a folder, the first one last.
fn below(folder: &Path, entries: Vec<Entry>) -> Vec<(PathBuf, Kind)> {
    let folder = folder.strip_prefix(".").unwrap_or(folder);
    entries
        .into_iter()
        .rev()
        .map(|entry| (folder.join(entry.name), entry.kind))
        .collect()
}

fn is_entered(folder: &Path) -> bool {
    folder.file_name().is_none_or(|name| name != ".git") && folder.components().count() < DEEPEST
}

/// The note that a walk ended early.
pub(super) fn note(walked: &Walked, workspace: &Workspace) -> String {
    match walked {
        Walked::Done => String::new(),
        Walked::TooMany => format!(
            "[stopped after {} entries: give a folder as `path` to look in less]\n",
            workspace.limits().entries
        ),
    }
}
