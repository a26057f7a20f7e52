//! The file again, when it has changed or somebody asks for it: new tasks find what it says now, and a bad one changes nothing.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use supervision::{Failure, Start};
use tokio::signal::unix::{SignalKind, signal};

use crate::config::{self, Config, Loaded, Problems};
use crate::http::Api;

use super::providers;

/// How often the files are looked at.
const EVERY: Duration = Duration::from_secs(2);

/// What a file that is written anew does not have in common with the one before.
type Mark = Option<(u64, i64, i64, u64)>;

/// Loads `file` again whenever one of its files changes, and at each SIGHUP.
pub(super) fn start(api: Api, file: Option<PathBuf>, files: Vec<PathBuf>) -> Start {
    Start::worker(move || watch(api.clone(), file.clone(), files.clone()))
}

async fn watch(api: Api, file: Option<PathBuf>, mut files: Vec<PathBuf>) -> Result<(), Failure> {
    let mut asked = signal(SignalKind::hangup())?;
    let mut marks = marked(&files);
    loop {
        let is_asked = tokio::select! {
            _ = asked.recv() => true,
            () = tokio::time::sleep(EVERY) => false,
        };
        let now = marked(&files);
        if !is_asked && now == marks {
            continue;
        }
        let Some(file) = &file else {
            tracing::info!("there is no file to load again: the node was started without one");
            continue;
        };
        if let Some(read) = reload(&api, file).await {
            files = read;
        }
        // As they were before they were read: what has changed since is read again.
        marks = if files.len() == now.len() {
            now
        } else {
            marked(&files)
        };
    }
}

fn marked(files: &[PathBuf]) -> Vec<Mark> {
    let mark = |file: &PathBuf| {
        let found = std::fs::metadata(file).ok()?;
        Some((found.ino(), found.mtime(), found.mtime_nsec(), found.len()))
    };
    files.iter().map(mark).collect()
}

/// Loads the file, and puts it in force if it is good. The files that it consists of, as far as they are known.
async fn reload(api: &Api, file: &Path) -> Option<Vec<PathBuf>> {
    let path = file.to_owned();
    let loaded = tokio::task::spawn_blocking(move || config::load_all(path))
        .await
        .ok()?;
    match loaded {
        Ok(Loaded { config, files }) => {
            in_force(api, file, config);
            Some(files)
        }
        Err(problems) => {
            refused(api, file, &problems);
            None
        }
    }
}

fn in_force(api: &Api, file: &Path, config: Config) {
    match providers(&config) {
        Ok(providers) => {
            let notes = notes(&api.config.load(), &config);
            api.system.renew_providers(providers);
            api.settings.renew(config, notes.clone());
            tracing::info!(file = %file.display(), "the file was loaded again and is in force");
            for note in notes {
                tracing::warn!("{note}");
            }
        }
        Err(error) => {
            tracing::error!(file = %file.display(), "the file was loaded again and changes nothing: {error}");
            api.settings.refuse(Vec::new(), Some(error.to_string()));
        }
    }
}

fn refused(api: &Api, file: &Path, problems: &Problems) {
    tracing::error!(file = %file.display(), "the file was loaded again and changes nothing: {problems}");
    for problem in problems.list() {
        let (file, line, column) = (&problem.file, problem.line, problem.column);
        tracing::error!("{file}:{line}:{column}: {problem}");
    }
    api.settings.refuse(problems.list().to_vec(), None);
}

/// What only a start puts in force.
fn notes(old: &Config, new: &Config) -> Vec<String> {
    let (one, other) = (&old.node, &new.node);
    let changed = [
        ("node.name", one.name != other.name),
        ("node.listen", one.listen != other.listen),
        ("node.data_dir", one.data_dir != other.data_dir),
        ("node.store", one.store != other.store),
        ("node.durability", one.durability != other.durability),
        ("executor", old.executor != new.executor),
        ("faults", old.faults != new.faults),
    ];
    let changed = changed.into_iter().filter(|(_, is)| *is);
    changed
        .map(|(name, _)| {
            format!("`{name}` has changed: that takes effect when the node is started again")
        })
        .collect()
}
