//! An executor: the side of the link that has a file system and a shell.
//!
//! It does what a node asks for, each call once: before a tool that has an effect starts, the call is in a ledger on disk,
//! and before a result is sent it is there too. So a call id that comes again gets its recorded result, and one whose call never
//! ended, because the executor died in it, gets [`interrupted`](actors::model::executor::CallErrorCode::Interrupted) and is never run again.
//! The tools are in [`crate::tool`].

mod call;
mod connect;
mod decide;
mod ledger;
mod options;
mod outbox;
mod serve;

use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use actors::model::executor::{CallOutcome, FromExecutor, PROTOCOL};
use actors::model::{CallId, ToolSpec};

use crate::tool::shell::{Sandbox, Shell};
use crate::tool::{LocalTool, Workspace, WorkspaceError, file_tools, nonce};

pub use crate::tool::shell::main_hook;
pub use crate::tool::{Limits as ToolLimits, ShellLimits};
pub use connect::{
    Address, AddressError, ConnectError, ConnectOptions, ExecutorKey, KeyError, News,
};
use ledger::Ledger;
pub use ledger::LedgerError;
pub use options::{Limits, Observer, Options, Point};
pub use serve::{Line, ServeError};

/// Why an executor cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another executor works with this state folder.
    #[error("the state folder {path} is in use by another executor{by}; stop that one, or give this one a folder of its own", path = path.display())]
    InUse {
        /// The state folder.
        path: PathBuf,
        /// Who uses it, as far as it says so.
        by: String,
    },
    /// The root cannot be worked in.
    #[error(transparent)]
    Root(#[from] WorkspaceError),
    /// The root's path cannot be written down.
    #[error("the root's path {path} is not UTF-8; rename the folder", path = path.display())]
    RootName {
        /// The root.
        path: PathBuf,
    },
    /// What agents may change must not decide what they have done.
    #[error("the state folder {state_dir} lies inside the root {root}, where agents could change it; put it elsewhere", state_dir = state_dir.display(), root = root.display())]
    StateInsideRoot {
        /// The state folder.
        state_dir: PathBuf,
        /// The root.
        root: PathBuf,
    },
    /// The state folder cannot be used.
    #[error("cannot use the state folder {path}: {source}", path = path.display())]
    State {
        /// The folder or a file in it.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The ledger cannot be used.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

/// The tools that executors offer, for nodes to which none is connected yet; they have a shell where their machine has one.
#[must_use]
pub fn tools(limits: &Limits) -> Vec<ToolSpec> {
    crate::tool::specs(&limits.tools)
}

/// An executor in this process. Dropping it frees its state folder.
pub struct Executor {
    name: String,
    session: String,
    tools: Vec<Box<dyn LocalTool>>,
    workspace: Arc<Workspace>,
    sandbox: Arc<Sandbox>,
    ledger: Arc<Ledger>,
    limits: Limits,
    observer: Option<Observer>,
    serving: tokio::sync::Mutex<()>,
}

impl Executor {
    /// Opens an executor: locks its state folder, reads the ledger, records calls that an earlier life left unfinished as interrupted,
    /// and tries what the machine allows to keep commands in. Blocks for some milliseconds.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub fn open(options: Options) -> Result<Self, OpenError> {
        let workspace = Workspace::open(&options.root, options.limits.tools.clone())?;
        let state_dir = state_dir(&options.state_dir, workspace.root())?;
        let ledger = Arc::new(Ledger::open(
            &state_dir,
            options.witness,
            options.limits.ledger(),
        )?);
        let mark = mark(&state_dir)?;
        let workspace = Arc::new(workspace.owned_by(&mark));
        if ledger.has_unfinished() {
            workspace.tidy_up();
            ledger.interrupt_unfinished()?;
        }
        let sandbox = Arc::new(Sandbox::probe(&options.shell));
        let mut tools = file_tools(&workspace);
        if sandbox.has_shell() {
            let shell = Shell::open(&workspace, &sandbox, &options.shell, &state_dir, &mark);
            let shell = shell.map_err(|source| OpenError::State {
                path: state_dir,
                source,
            })?;
            tools.push(Box::new(Arc::new(shell)));
        }
        for line in sandbox.lines() {
            tracing::info!(executor = options.name, "{line}");
        }
        Ok(Self {
            name: options.name,
            session: format!("session_{}{}", nonce(), nonce()),
            tools,
            workspace,
            sandbox,
            ledger,
            limits: options.limits,
            observer: options.observer,
            serving: tokio::sync::Mutex::new(()),
        })
    }

    /// The first frame of a connection.
    #[must_use]
    pub fn hello(&self) -> FromExecutor {
        FromExecutor::Hello {
            protocol: PROTOCOL,
            name: self.name.clone(),
            tools: self.tools.iter().map(|tool| tool.spec()).collect(),
            root: self.workspace.root().display().to_string(),
            session: self.session.clone(),
            // One with a witness is known by its name: the witness says whether it is still the same ledger.
            ledger: self.ledger.id(),
        }
    }

    /// Whether a call of which the ledger knows nothing was never begun. Where that is not so, because the ledger was lost or cut short or
    /// is another one than its [witness](Options::witness) knows, [`Self::adopt`] what was begun before anything is asked for.
    #[must_use]
    pub fn vouches(&self) -> bool {
        self.ledger.vouches()
    }

    /// Takes calls, with their tools, that were begun in an earlier life and have no end as interrupted, as far as the ledger knows nothing
    /// of them. They are never run then, and from now on the ledger vouches for all others. Only tools that record that they start count.
    ///
    /// # Errors
    /// When the ledger or its witness cannot be written; it does not vouch then.
    pub fn adopt(
        &self,
        begun: impl IntoIterator<Item = (CallId, String)>,
    ) -> Result<(), LedgerError> {
        let records_start = |tool: &str| {
            let known = self.tool(tool);
            known.is_none_or(|(_, spec)| spec.effect.records_start())
        };
        let begun = begun.into_iter().filter(|(_, tool)| records_start(tool));
        self.ledger.adopt(begun.collect())
    }

    /// The results that have not been acknowledged, as they are sent again on a new connection.
    #[must_use]
    pub fn unacknowledged(&self) -> Vec<FromExecutor> {
        let results = self.ledger.results().into_iter();
        results
            .map(|(call_id, outcome)| FromExecutor::Result { call_id, outcome })
            .collect()
    }

    /// What keeps commands in here.
    #[must_use]
    pub fn sandbox(&self) -> &Sandbox {
        &self.sandbox
    }

    fn tool(&self, name: &str) -> Option<(&dyn LocalTool, ToolSpec)> {
        self.tools
            .iter()
            .map(|tool| (tool.as_ref(), tool.spec()))
            .find(|(_, spec)| spec.name == name)
    }

    fn at(&self, point: Point, call: &CallId) {
        if let Some(observer) = &self.observer {
            observer(point, call);
        }
    }
}

impl std::fmt::Debug for Executor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Executor")
            .field("name", &self.name)
            .field("root", &self.workspace.root())
            .finish_non_exhaustive()
    }
}

/// Makes the state folder, for this user alone, and sees that it lies outside of the root.
fn state_dir(given: &Path, root: &Path) -> Result<PathBuf, OpenError> {
    let failed = |source| OpenError::State {
        path: given.to_owned(),
        source,
    };
    if root.to_str().is_none() {
        return Err(OpenError::RootName {
            path: root.to_owned(),
        });
    }
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(given)
        .map_err(failed)?;
    let state_dir = given.canonicalize().map_err(failed)?;
    match state_dir.starts_with(root) {
        true => Err(OpenError::StateInsideRoot {
            state_dir,
            root: root.to_owned(),
        }),
        false => Ok(state_dir),
    }
}

/// The name by which what an executor has started or half written is known in a later life.
fn mark(state_dir: &Path) -> Result<String, OpenError> {
    let path = state_dir.join("mark");
    match ledger::read_or_make(&path, nonce) {
        Ok(mark) => Ok(mark.trim().to_owned()),
        Err(source) => Err(OpenError::State { path, source }),
    }
}

/// How a call ended, as it is recorded and sent.
fn outcome(result: Result<String, actors::model::executor::CallError>) -> CallOutcome {
    match result {
        Ok(text) => CallOutcome::Ok(text),
        Err(error) => CallOutcome::Error(error),
    }
}
