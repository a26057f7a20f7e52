//! The tools an executor offers: files and folders under one root, and a shell.
//!
//! A tool is prepared first, which reads its arguments and does nothing, and run then. Everything that touches a file goes through
//! [`Workspace`], which no path leaves; the shell is described in [`shell`].

mod edit_file;
mod file_tool;
mod glob;
mod grep;
mod limits;
mod lines;
mod list_dir;
mod listing;
mod pattern;
mod read_file;
mod schema;
pub mod shell;
mod swap;
mod walk;
mod workspace;
mod write_file;

use std::sync::Arc;
use std::time::Duration;

use actors::model::ToolSpec;
use actors::model::executor::{CallError, CallErrorCode};
use futures_util::future::BoxFuture;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

pub use limits::{Limits, ShellLimits};
pub use workspace::{Workspace, WorkspaceError};

/// Takes output to be watched while a call runs, or gives it back where nobody can take it at present.
pub type Watch = Box<dyn FnMut(String) -> Result<(), String> + Send>;

/// What a call is given besides its arguments.
pub struct Context {
    /// Told when the call is to end.
    pub stop: CancellationToken,
    /// How long it may take.
    pub timeout: Duration,
    /// Where its output may be watched.
    pub watch: Watch,
}

/// A call whose arguments have been read and which has not begun. Dropping its future ends what it started.
pub type Job =
    Box<dyn FnOnce(Context) -> BoxFuture<'static, Result<String, CallError>> + Send + Sync>;

/// One thing an executor can do.
pub trait LocalTool: Send + Sync {
    /// Its name, arguments and effect class.
    fn spec(&self) -> ToolSpec;

    /// Reads the arguments. Nothing has happened when this returns.
    ///
    /// # Errors
    /// [`CallErrorCode::BadArguments`] with what is wrong.
    fn prepare(&self, args: Value) -> Result<Job, CallError>;
}

/// The tools that work on files, in the order they are offered.
#[must_use]
pub fn file_tools(workspace: &Arc<Workspace>) -> Vec<Box<dyn LocalTool>> {
    vec![
        read_file::TOOL.on(workspace),
        write_file::TOOL.on(workspace),
        edit_file::TOOL.on(workspace),
        list_dir::TOOL.on(workspace),
        glob::TOOL.on(workspace),
        grep::TOOL.on(workspace),
    ]
}

/// All tools that executors offer, as they are told of where there is no executor yet: on which machine they will work is not known.
#[must_use]
pub fn specs(limits: &Limits) -> Vec<ToolSpec> {
    vec![
        read_file::TOOL.spec(),
        write_file::TOOL.spec(),
        edit_file::TOOL.spec(),
        list_dir::TOOL.spec(),
        glob::TOOL.spec(),
        grep::TOOL.spec(),
        shell::spec(&limits.shell, shell::ANYWHERE),
    ]
}

/// `1 line`, `2 lines`.
pub(crate) fn count(number: usize, of: &str) -> String {
    match number {
        1 => format!("1 {of}"),
        more => format!("{more} {of}s"),
    }
}

/// A name that nothing else has: 16 digits drawn by chance.
pub(crate) fn nonce() -> String {
    use std::hash::{BuildHasher, Hasher};
    let drawn = std::collections::hash_map::RandomState::new();
    format!("{:016x}", drawn.build_hasher().finish())
}

pub(crate) fn failed(message: impl Into<String>) -> CallError {
    error(CallErrorCode::Failed, message)
}

pub(crate) fn bad_arguments(message: impl Into<String>) -> CallError {
    error(CallErrorCode::BadArguments, message)
}

pub(crate) fn error(code: CallErrorCode, message: impl Into<String>) -> CallError {
    CallError {
        code,
        message: message.into(),
    }
}
