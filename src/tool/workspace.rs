//! The folder an executor works in. Paths are resolved from its open handle, by the kernel where it can (`openat2`), so that neither
//! `..` nor an absolute path nor a symbolic link, not even one swapped in meanwhile, leads out of it.

use std::io;
use std::ops::ControlFlow;
use std::os::fd::AsRawFd;
use std::path::{Component, Path, PathBuf};

use actors::model::executor::{CallError, CallErrorCode};
use cap_std::ambient_authority;
use cap_std::fs::{Dir, File, Metadata, MetadataExt, OpenOptions, OpenOptionsExt};
use rustix::fs::OFlags;

use super::file_tool::Stop;
use super::limits::Limits;
use super::swap::{is_passing_name, swap, sync};
use super::walk::walk;
use super::{bad_arguments, error, failed, nonce};

/// How many symbolic links a path may lead through at its end.
const MOST_LINKS: usize = 32;

/// Why a folder cannot be worked in.
#[derive(Debug, thiserror::Error)]
#[error("cannot work in the folder {path}: {source}", path = path.display())]
pub struct WorkspaceError {
    /// The folder.
    pub path: PathBuf,
    /// Why not.
    pub source: io::Error,
}

/// A folder that no path leaves.
#[derive(Debug)]
pub struct Workspace {
    dir: Dir,
    root: PathBuf,
    given: PathBuf,
    limits: Limits,
    owner: String,
}

impl Workspace {
    /// Opens the folder `root`.
    ///
    /// # Errors
    /// Where it is not a folder that can be read.
    pub fn open(root: &Path, limits: Limits) -> Result<Self, WorkspaceError> {
        let failed = |source| WorkspaceError {
            path: root.to_owned(),
            source,
        };
        let canonical = root.canonicalize().map_err(failed)?;
        Ok(Self {
            dir: Dir::open_ambient_dir(&canonical, ambient_authority()).map_err(failed)?,
            root: canonical,
            given: root.to_owned(),
            limits,
            owner: nonce(),
        })
    }

    /// The same, with a name for its owner that stays: what is half done bears it, and is known in a later life.
    #[must_use]
    pub fn owned_by(self, owner: &str) -> Self {
        Self {
            owner: owner.to_owned(),
            ..self
        }
    }

    /// The folder, without symbolic links.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    pub(super) fn limits(&self) -> &Limits {
        &self.limits
    }

    /// A path as a model gave it, relative to the root. Absolute paths are welcome where they begin with the root.
    pub(super) fn locate(&self, path: &str) -> Result<PathBuf, CallError> {
        if path.is_empty() {
            return Err(bad_arguments("the path is empty; the root itself is `.`"));
        }
        if path.contains('\0') {
            return Err(bad_arguments("the path contains a zero byte"));
        }
        let given = Path::new(path);
        if given.is_relative() {
            return Ok(given.to_owned());
        }
        [&self.root, &self.given]
            .into_iter()
            .find_map(|root| given.strip_prefix(root).ok())
            .map(or_dot)
            .ok_or_else(|| self.outside(path))
    }

    /// What a path is, seen through symbolic links.
    pub(super) fn metadata(&self, path: &Path) -> Result<Metadata, CallError> {
        self.dir
            .metadata(path)
            .map_err(|error| self.refusal("look at", path, &error))
    }

    /// Where a symbolic link says that it leads.
    pub(super) fn link_target(&self, path: &Path) -> Option<PathBuf> {
        self.dir.read_link_contents(path).ok()
    }

    /// A regular file, to be read. Anything else is refused before it is opened: opening a pipe would wait for its other end.
    pub(super) fn open_file(&self, path: &Path) -> Result<(File, u64), CallError> {
        regular(path, &self.metadata(path)?)?;
        let mut options = OpenOptions::new();
        options
            .read(true)
            .custom_flags((OFlags::NONBLOCK | OFlags::NOCTTY).bits().cast_signed());
        let opened = self.dir.open_with(path, &options);
        let file = opened.map_err(|error| self.refusal("read", path, &error))?;
        let found = file
            .metadata()
            .map_err(|error| self.refusal("read", path, &error))?;
        regular(path, &found)?;
        Ok((file, found.len()))
    }

    /// A folder's entries, sorted by name.
    pub(super) fn entries(&self, path: &Path) -> Result<Vec<Entry>, CallError> {
        let refused = |error: io::Error| self.refusal("list", path, &error);
        let most = self.limits.entries;
        let found = self.dir.read_dir(path).map_err(refused)?;
        let mut entries = found
            .take(most.saturating_add(1))
            .map(|entry| entry.and_then(|entry| Entry::of(&entry)))
            .collect::<io::Result<Vec<_>>>()
            .map_err(refused)?;
        if entries.is_empty() && self.is_gone() {
            return Err(self.gone());
        }
        if entries.len() > most {
            let path = path.display();
            return Err(failed(format!(
                "{path} holds more than {most} entries: list it with the shell"
            )));
        }
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(entries)
    }

    /// The absolute path of a folder inside, without symbolic links.
    pub(super) fn folder(&self, path: &Path) -> Result<PathBuf, CallError> {
        let refused = |error: io::Error| self.refusal("enter", path, &error);
        let dir = self.dir.open_dir(path).map_err(refused)?;
        let handle = dir.into_std_file();
        if self.is_gone() {
            return Err(self.gone());
        }
        let real =
            std::fs::read_link(format!("/proc/self/fd/{}", handle.as_raw_fd())).map_err(refused)?;
        match real.starts_with(&self.root) {
            true => Ok(real),
            false => Err(self.outside(&path.display().to_string())),
        }
    }

    /// Puts `content` in place of the file at `path`, wholly or not at all, also across a power cut. Folders on the way are made.
    /// Says whether there was a file before.
    pub(super) fn replace(&self, path: &Path, content: &[u8]) -> Result<bool, CallError> {
        let path = self.through_links(&self.without_detours(path))?;
        let refused = |error: io::Error| self.refusal("write", &path, &error);
        let before = match self.dir.symlink_metadata(&path) {
            Ok(found) => Some(found),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(refused(error)),
        };
        if let Some(found) = &before {
            regular(&path, found)?;
        }
        let name = file_name(&path)?;
        let parent = self.parent(&path).map_err(refused)?;
        let mode = before.as_ref().map(Metadata::permissions);
        swap(&parent, Path::new(name), &self.owner, content, mode).map_err(refused)?;
        Ok(before.is_some())
    }

    /// Takes away what an earlier life that was killed left half done, as far as a walk sees it.
    pub(crate) fn tidy_up(&self) {
        let _as_far_as_it_comes = walk(self, Path::new("."), &Stop::never(), |visit| {
            let name = visit.path.file_name().unwrap_or_default();
            if visit.kind == Kind::File && is_passing_name(name, &self.owner) {
                match self.dir.remove_file(visit.path) {
                    Ok(()) => tracing::info!("took away {}, half written", visit.path.display()),
                    Err(error) => tracing::warn!("{}: {error}", visit.path.display()),
                }
            }
            Ok(ControlFlow::Continue(()))
        });
    }

    /// Whether the folder was deleted while it was worked in; its handle then leads nowhere.
    fn is_gone(&self) -> bool {
        self.dir.dir_metadata().is_ok_and(|root| root.nlink() == 0)
    }

    fn gone(&self) -> CallError {
        failed(format!(
            "the root {} was deleted while it was worked in: nothing can be read or written there until the program is started anew on a folder that is there",
            self.root.display()
        ))
    }

    /// `path` without the folders that are not there and that it leaves again: they would be made for nothing.
    fn without_detours(&self, path: &Path) -> PathBuf {
        let (mut way, mut missing) = (PathBuf::new(), 0_usize);
        for part in path.components() {
            if part == Component::ParentDir && missing > 0 {
                way.pop();
                missing -= 1;
                continue;
            }
            way.push(part);
            let found = self.dir.symlink_metadata(&way);
            let is_missing = |error: io::Error| error.kind() == io::ErrorKind::NotFound;
            if missing > 0 || found.is_err_and(is_missing) {
                missing += 1;
            }
        }
        way
    }

    /// The folder that `path` lies in, made where it is missing and on disk then.
    fn parent(&self, path: &Path) -> io::Result<Dir> {
        let parent = or_dot(path.parent().unwrap_or(Path::new("")));
        match self.dir.open_dir(&parent) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.dir.create_dir_all(&parent)?;
                for folder in parent.ancestors() {
                    sync(&self.dir.open_dir(or_dot(folder))?)?;
                }
                self.dir.open_dir(&parent)
            }
            opened => opened,
        }
    }

    /// Follows the symbolic link that `path` may end in, so that what is replaced is the file and not the link.
    fn through_links(&self, path: &Path) -> Result<PathBuf, CallError> {
        let mut path = path.to_owned();
        for _ in 0..MOST_LINKS {
            let Ok(target) = self.dir.read_link_contents(&path) else {
                return Ok(path);
            };
            if target.is_absolute() {
                return Err(self.outside(&path.display().to_string()));
            }
            path = path.parent().unwrap_or(Path::new("")).join(target);
        }
        Err(failed(format!(
            "cannot write {}: too many symbolic links",
            path.display()
        )))
    }

    fn refusal(&self, doing: &str, path: &Path, error: &io::Error) -> CallError {
        // This is how cap-std says that a path led outside: refused, and not by the kernel.
        let led_outside =
            error.kind() == io::ErrorKind::PermissionDenied && error.raw_os_error().is_none();
        let path = path.display();
        match error.kind() {
            _ if self.is_gone() => self.gone(),
            _ if led_outside => self.outside(&path.to_string()),
            io::ErrorKind::NotFound => failed(format!(
                "there is no {path}; list_dir and glob show what there is"
            )),
            _ => failed(format!("cannot {doing} {path}: {}", plain(error))),
        }
    }

    fn outside(&self, path: &str) -> CallError {
        let message = format!(
            "`{path}` lies outside of the root {}: only paths inside it can be used; give them relative to it",
            self.root.display()
        );
        error(CallErrorCode::Confined, message)
    }
}

/// An entry of a folder.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) name: std::ffi::OsString,
    pub(super) kind: Kind,
}

/// What an entry is, symbolic links not followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    File,
    Folder,
    Link,
    Other,
}

impl Entry {
    fn of(entry: &cap_std::fs::DirEntry) -> io::Result<Self> {
        let found = entry.file_type()?;
        let kind = match () {
            () if found.is_file() => Kind::File,
            () if found.is_dir() => Kind::Folder,
            () if found.is_symlink() => Kind::Link,
            () => Kind::Other,
        };
        Ok(Self {
            name: entry.file_name(),
            kind,
        })
    }
}

fn or_dot(path: &Path) -> PathBuf {
    match path.as_os_str().is_empty() {
        true => PathBuf::from("."),
        false => path.to_owned(),
    }
}

fn regular(path: &Path, found: &Metadata) -> Result<(), CallError> {
    let path = path.display();
    if found.is_dir() {
        return Err(failed(format!("{path} is a folder; list_dir shows it")));
    }
    match found.is_file() {
        true => Ok(()),
        false => Err(failed(format!("{path} is neither a file nor a folder"))),
    }
}

fn file_name(path: &Path) -> Result<&std::ffi::OsStr, CallError> {
    match path.components().next_back() {
        Some(Component::Normal(name)) => Ok(name),
        _ => Err(failed(format!(
            "{} is not the name of a file",
            path.display()
        ))),
    }
}

/// What an error says, without its number.
pub(super) fn plain(error: &io::Error) -> String {
    let text = error.to_string();
    let said = text.split(" (os error").next().unwrap_or_default();
    said.to_lowercase()
}
