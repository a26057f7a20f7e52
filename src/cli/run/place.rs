//! Where a task keeps its records and where its agents work; checked before anything is made.

use std::path::{Path, PathBuf};

use super::{Refusal, Run};
use crate::config::{Config, NodeConfig};

/// The folder for everything that is kept.
pub(super) fn data_dir(run: &Run, config: Option<&Config>) -> PathBuf {
    let said = || match config {
        Some(config) => config.node.data_dir.clone(),
        None => NodeConfig::default().data_dir,
    };
    run.data_dir.clone().unwrap_or_else(|| said().into())
}

/// The folder to work in, in full: the task is bound to it, wherever the program is started the next time.
pub(super) fn workspace(run: &Run, data_dir: &Path) -> Result<PathBuf, Refusal> {
    let given = run.workspace.clone();
    let path = given.unwrap_or_else(|| data_dir.join("workspace"));
    let path = std::path::absolute(&path)
        .map_err(|error| Refusal::Usage(format!("{}: {error}", path.display())))?;
    named(&path, "workspace")?;
    checked(&path, data_dir)?;
    Ok(path)
}

/// The folder that a task is bound to; to be told another one is a mistake, for what was done so far lies there.
pub(super) fn kept(run: &Run, pinned: PathBuf) -> Result<PathBuf, Refusal> {
    match &run.workspace {
        Some(given) if real(given) != real(&pinned) => Err(Refusal::Usage(format!(
            "the task works in {} and goes on there, not in {}: leave --workspace out, or begin anew with another --data-dir",
            pinned.display(),
            given.display(),
        ))),
        _ => Ok(pinned),
    }
}

/// What is bound to a folder is written down, which takes a name that is text.
pub(super) fn named(path: &Path, what: &str) -> Result<(), Refusal> {
    let whole = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    match whole.to_str() {
        Some(_) => Ok(()),
        None => Err(Refusal::Usage(format!(
            "the path of the {what}, {}, is not UTF-8: rename the folder or choose another one",
            whole.display()
        ))),
    }
}

/// Agents must not be able to change what decides what they have done.
pub(super) fn checked(workspace: &Path, data_dir: &Path) -> Result<(), Refusal> {
    let (shown, data) = (workspace.display(), data_dir.display());
    if workspace.exists() && !workspace.is_dir() {
        return Err(Refusal::Usage(format!(
            "the workspace {shown} is not a folder: choose another --workspace"
        )));
    }
    if real(data_dir).starts_with(real(workspace)) {
        return Err(Refusal::Usage(format!(
            "the workspace {shown} contains the data folder {data}, which agents must not change: choose another --workspace or --data-dir"
        )));
    }
    Ok(())
}

/// Where a path leads, as far as it exists.
fn real(path: &Path) -> PathBuf {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let found = path.ancestors().find_map(|above| {
        let real = above.canonicalize().ok()?;
        Some(real.join(path.strip_prefix(above).ok()?))
    });
    found.unwrap_or(path)
}
