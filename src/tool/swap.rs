//! How a file is replaced: wholly or not at all, on disk when it returns, and with nothing left beside it. What a process that is
//! killed in the middle leaves has a name that says whose it is, and is taken away in its next life.

use std::ffi::OsStr;
use std::io::{self, Write};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};

use cap_std::fs::{Dir, File, OpenOptions, Permissions};
use rustix::fs::{AtFlags, CWD, Mode, OFlags, linkat, openat};

/// What a new content is called before it has its name, if it has to be called something.
fn passing_name(owner: &str) -> PathBuf {
    PathBuf::from(format!(".impresario-{owner}-{}.tmp", super::nonce()))
}

/// Whether this is such a name that `owner` gave.
pub(super) fn is_passing_name(name: &OsStr, owner: &str) -> bool {
    let name = name
        .to_str()
        .and_then(|name| name.strip_prefix(".impresario-"));
    let given = name.and_then(|name| name.strip_prefix(owner)?.strip_prefix('-'));
    given.is_some_and(|rest| rest.ends_with(".tmp"))
}

/// Puts `content` in the place of the file `name`, or makes it. `owner` does it.
pub(super) fn swap(
    parent: &Dir,
    name: &Path,
    owner: &str,
    content: &[u8],
    mode: Option<Permissions>,
) -> io::Result<()> {
    let fresh = passing_name(owner);
    let swapped = put(parent, (&fresh, name), content, mode).and_then(|()| sync(parent));
    if swapped.is_err() {
        let _gone_already = parent.remove_file(&fresh);
    }
    swapped
}

/// Writes a file and gives it its last name; on the way it may bear the one before.
fn put(
    parent: &Dir,
    (fresh, name): (&Path, &Path),
    content: &[u8],
    mode: Option<Permissions>,
) -> io::Result<()> {
    let is_new = mode.is_none();
    match nameless(parent) {
        // A process that is killed leaves no file without a name behind.
        Ok(mut file) => {
            write(&mut file, content, mode)?;
            if is_new && give_name(&file, parent, name).is_ok() {
                return Ok(());
            }
            give_name(&file, parent, fresh)?;
        }
        // Not every file system knows such files.
        Err(_) => write(&mut named(parent, fresh)?, content, mode)?,
    }
    parent.rename(fresh, parent, name)
}

fn nameless(parent: &Dir) -> io::Result<File> {
    let flags = OFlags::TMPFILE | OFlags::WRONLY | OFlags::CLOEXEC;
    let file = openat(parent, ".", flags, Mode::from_raw_mode(0o666))?;
    let file = File::from_std(file.into());
    // Without /proc it could never be given a name.
    match Path::new(&shown(&file)).exists() {
        true => Ok(file),
        false => Err(io::ErrorKind::Unsupported.into()),
    }
}

fn shown(file: &File) -> String {
    format!("/proc/self/fd/{}", file.as_raw_fd())
}

fn give_name(file: &File, parent: &Dir, name: &Path) -> io::Result<()> {
    Ok(linkat(
        CWD,
        shown(file),
        parent,
        name,
        AtFlags::SYMLINK_FOLLOW,
    )?)
}

fn named(parent: &Dir, path: &Path) -> io::Result<File> {
    parent.open_with(path, OpenOptions::new().write(true).create_new(true))
}

fn write(file: &mut File, content: &[u8], mode: Option<Permissions>) -> io::Result<()> {
    file.write_all(content)?;
    if let Some(mode) = mode {
        file.set_permissions(mode)?;
    }
    file.sync_all()
}

/// A folder's handle only names it; to be synced it is opened to be read.
pub(super) fn sync(dir: &Dir) -> io::Result<()> {
    dir.open(".")?.sync_all()
}
