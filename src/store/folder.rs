//! The folder a node keeps its data in, for one process at a time.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use actors::store::StoreError;
use rustix::fs::{FlockOperation, flock};

use super::reason;

const LOCK: &str = "lock";
const DATABASE: &str = "impresario.db";

/// How often, and after what pause, the lock is tried.
const LOCK_TRIES: usize = 40;
const LOCK_PAUSE: Duration = Duration::from_millis(25);

/// A data folder that this process holds alone, until the value is dropped or the process ends, however it ends.
#[derive(Debug)]
pub struct DataFolder {
    path: PathBuf,
    lock: File,
}

impl DataFolder {
    /// Takes the folder, making it (mode 0700) if there is none.
    ///
    /// # Errors
    /// [`StoreError::InUse`] with the process that has it; [`StoreError::Full`] or [`StoreError::Io`] if it cannot be made or
    /// written to.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        let path = std::path::absolute(&path).unwrap_or_else(|_| path.as_ref().to_owned());
        let opened = make(&path).and_then(|()| open_lock(&path));
        let mut lock = opened.map_err(|error| unusable(&path, &error))?;
        match locked_in_time(&lock) {
            Ok(true) => {}
            Ok(false) => return Err(in_use(&path, &mut lock)),
            Err(error) => return Err(unusable(&path, &error)),
        }
        sign(&mut lock).map_err(|error| unusable(&path, &error))?;
        Ok(Self { path, lock })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether it is still where it was, with its lock and its store: what is written into a folder that was deleted or replaced is lost.
    #[must_use]
    pub fn is_there(&self) -> bool {
        let same = |found: &fs::Metadata, held: &fs::Metadata| {
            (found.dev(), found.ino()) == (held.dev(), held.ino())
        };
        let (found, held) = (fs::metadata(self.path.join(LOCK)), self.lock.metadata());
        match (found, held) {
            (Ok(found), Ok(held)) => same(&found, &held),
            (Err(error), _) => error.kind() != io::ErrorKind::NotFound,
            (_, Err(_)) => true,
        }
    }

    /// The file of the store.
    #[must_use]
    pub fn database(&self) -> PathBuf {
        self.path.join(DATABASE)
    }
}

fn make(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    DirBuilder::new().recursive(true).mode(0o700).create(path)?;
    // Otherwise a power cut could take the new folder with everything in it.
    path.parent()
        .map_or(Ok(()), |parent| File::open(parent)?.sync_all())
}

fn open_lock(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path.join(LOCK))
}

/// A process that was killed holds the folder until the children it was just starting are programs of their own.
fn locked_in_time(lock: &File) -> io::Result<bool> {
    for _ in 0..LOCK_TRIES {
        match flock(lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(true),
            Err(rustix::io::Errno::WOULDBLOCK) => std::thread::sleep(LOCK_PAUSE),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(false)
}

/// Says who holds the folder; the file's time says since when.
fn sign(lock: &mut File) -> io::Result<()> {
    lock.set_len(0)?;
    lock.rewind()?;
    let (pid, version) = (std::process::id(), env!("CARGO_PKG_VERSION"));
    writeln!(lock, "process {pid} (impresario {version})")
}

fn in_use(path: &Path, lock: &mut File) -> StoreError {
    StoreError::InUse {
        place: path.display().to_string(),
        by: holder(lock).unwrap_or_else(|| "another process".to_owned()),
    }
}

fn holder(lock: &mut File) -> Option<String> {
    const LONGEST: u64 = 200;
    let mut signed = String::new();
    lock.take(LONGEST).read_to_string(&mut signed).ok()?;
    let signed = signed.trim();
    let since = lock.metadata().and_then(|it| it.modified()).ok()?;
    let since = humantime::format_rfc3339_seconds(since);
    (!signed.is_empty()).then(|| format!("{signed} since {since}"))
}

fn unusable(path: &Path, error: &io::Error) -> StoreError {
    let place = path.display().to_string();
    if error.kind() == io::ErrorKind::StorageFull {
        let detail = reason(error);
        return StoreError::Full { place, detail };
    }
    let why = reason(error);
    let what = match fs::metadata(path) {
        Ok(found) if !found.is_dir() => "is not a folder".to_owned(),
        Ok(_) => format!("cannot be written to ({why})"),
        Err(_) => format!("cannot be made ({why})"),
    };
    StoreError::Io {
        place,
        detail: format!("the data folder {what}: choose another one"),
    }
}
