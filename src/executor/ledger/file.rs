//! The ledger's file, and the lock on its folder.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use super::OpenError;

/// How often, and after what pause, the lock is tried.
const LOCK_TRIES: usize = 20;
const LOCK_PAUSE: Duration = Duration::from_millis(20);

/// A file that is appended to.
#[derive(Debug)]
pub(super) struct Writer {
    pub(super) file: File,
    /// How long the file is, and how much of that is needed.
    pub(super) length: u64,
    pub(super) live: u64,
    /// How many lines the ledger has ever been given.
    pub(super) given: u64,
    /// Told of each call that begins; `None` as long as nobody has seen to what an unknown ledger lacks.
    pub(super) witness: Option<File>,
    pub(super) broken: bool,
}

/// Whether a line must survive a power cut before anything else happens.
#[derive(Clone, Copy)]
pub(super) enum Sync {
    Yes,
    No,
}

impl Writer {
    /// Appends, and syncs if asked to. A line that could not be written is taken back; after a failed sync nobody knows what is on disk.
    pub(super) fn append(&mut self, line: &[u8], sync: Sync) -> io::Result<()> {
        let written = self
            .file
            .seek(SeekFrom::Start(self.length))
            .and_then(|_| self.file.write_all(line));
        if let Err(error) = written {
            self.broken = self.file.set_len(self.length).is_err();
            return Err(error);
        }
        self.length += line.len() as u64;
        self.given += 1;
        match sync {
            Sync::Yes => self.file.sync_data().inspect_err(|_| self.broken = true),
            Sync::No => Ok(()),
        }
    }
}

pub(super) fn private(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
}

/// A file with these bytes in the place of another; its folder is not synced yet.
pub(super) fn put(path: &Path, bytes: &[u8]) -> io::Result<File> {
    let fresh = path.with_extension("new");
    let mut file = private(&fresh)?;
    file.set_len(0)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&fresh, path)?;
    Ok(file)
}

pub(super) fn sync_folder(of: &Path) -> io::Result<()> {
    of.parent()
        .map_or(Ok(()), |folder| File::open(folder)?.sync_all())
}

/// The text of a small file, made durably where it is missing.
pub(in crate::executor) fn read_or_make(
    path: &Path,
    make: impl FnOnce() -> String,
) -> io::Result<String> {
    match fs::read_to_string(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let text = make();
            put(path, text.as_bytes())?;
            sync_folder(path)?;
            Ok(text)
        }
        read => read,
    }
}

/// Locks a state folder for as long as the file is open.
pub(super) fn lock(state_dir: &Path) -> Result<File, OpenError> {
    let path = state_dir.join("lock");
    let failed = |source| OpenError::State {
        path: path.clone(),
        source,
    };
    let mut file = private(&path).map_err(failed)?;
    if !locked_in_time(&file).map_err(failed)? {
        return Err(OpenError::InUse {
            path: state_dir.to_owned(),
            by: owner(&mut file),
        });
    }
    // Only to be named in somebody else's error.
    let _named = file
        .set_len(0)
        .and_then(|()| write!(file, "{}", std::process::id()));
    Ok(file)
}

/// An executor that has just been dropped may still be writing its last record.
fn locked_in_time(file: &File) -> io::Result<bool> {
    for _ in 0..LOCK_TRIES {
        match file.try_lock() {
            Ok(()) => return Ok(true),
            Err(TryLockError::WouldBlock) => std::thread::sleep(LOCK_PAUSE),
            Err(TryLockError::Error(source)) => return Err(source),
        }
    }
    Ok(false)
}

fn owner(file: &mut File) -> String {
    let mut text = String::new();
    match file.take(20).read_to_string(&mut text) {
        Ok(1..) => format!(" (process {})", text.trim()),
        _ => String::new(),
    }
}
