//! `shell`: a command, and the end of everything it started.
//!
//! # What holds where
//!
//! Every command has a supervisor of its own: this program once more, started with a hidden argument (see [`main_hook`]). The
//! executor holds the other end of the supervisor's standard input. Closing it, which a `kill -9` of the executor does as well, ends
//! the tree: SIGTERM, a grace time, then SIGSTOP for all, then SIGKILL until the kernel says that the supervisor has no children left.
//!
//! | where | a child that leaves its session or forks twice | a command that kills its supervisor |
//! |---|---|---|
//! | `unshare` may make a process namespace (root, or user namespaces allowed) | ends with the namespace, by the kernel | cannot: it is the first process of the namespace |
//! | else, landlock of version 6 or later (Linux 6.12) | falls to the supervisor and is ended by it | cannot: landlock keeps its signals in |
//! | else | falls to the supervisor and is ended by it | can; what it left is found by a mark in its environment, at once or when the executor is opened again, unless it removed that |
//!
//! What a command asks *another* program to start (a container's daemon, `at`, `systemd-run`) belongs to that program.
//!
//! Where the kernel has landlock, a command writes below the root, in `$HOME` and in `$TMPDIR` (both the executor's own), and reads
//! these, system folders and the folders of `PATH`; it cannot read another process's environment, and of root's capabilities it has only
//! those that concern owners of files, users and low ports. Without landlock it may do what the executor's user may. It can never gain privileges (`sudo` does not work), reaches the network, and gets a short environment in which
//! no key of the executor's process stands.

mod environment;
mod kept;
mod landlock;
mod live;
mod process;
mod program;
mod sandbox;
mod supervisor;
mod text;
mod tree;
mod wire;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use actors::model::executor::CallError;
use actors::model::{EffectClass, Place, ToolSpec};
use futures_util::FutureExt;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::limits::{Limits, ShellLimits};
use super::{Context, Job, LocalTool, Workspace, bad_arguments, failed, nonce, schema};
use process::Launch;
use wire::{Order, Rules, VERSION};

pub use sandbox::{Sandbox, ShellOptions};
pub use supervisor::main_hook;

const NAME: &str = "shell";

const DESCRIPTION: &str = "Runs a command with /bin/sh in the root, or in `cwd`, and returns its exit code and what it wrote to its \
    standard output and error. A command that fails is a result like any other: look at the exit code. Its whole process tree ends \
    with it: what it leaves in the background is ended. There is no terminal and no standard input. Of long output the beginning and \
    the end are returned. If the executor dies while a command runs, the command is not run again and its outcome is unknown.";

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Args {
    /// The command.
    command: String,
    /// How long it may take, in milliseconds; {usual} where it is left out, {most} at most.
    timeout_ms: Option<u64>,
    /// The folder to run it in, relative to the root.
    cwd: Option<String>,
}

/// The tool.
#[derive(Debug)]
pub struct Shell {
    workspace: Arc<Workspace>,
    sandbox: Arc<Sandbox>,
    limits: Limits,
    pass_env: Vec<String>,
    rules: Option<Rules>,
    home: PathBuf,
    tmp: PathBuf,
    mark: String,
}

impl Shell {
    /// Makes the shell's own folders in `state`, and ends what an earlier life of the executor may have left. `mark` names the
    /// executor across its lives.
    ///
    /// # Errors
    /// Where the folders cannot be made.
    pub fn open(
        workspace: &Arc<Workspace>,
        sandbox: &Arc<Sandbox>,
        options: &ShellOptions,
        state: &Path,
        mark: &str,
    ) -> io::Result<Self> {
        let (home, tmp) = (state.join("home"), state.join("tmp"));
        tree::sweep(&format!("{mark}."));
        if tmp.exists() {
            fs::remove_dir_all(&tmp)?;
        }
        fs::create_dir_all(&tmp)?;
        fs::create_dir_all(&home)?;
        let own = [workspace.root().to_owned(), home.clone(), tmp.clone()];
        Ok(Self {
            workspace: Arc::clone(workspace),
            rules: sandbox.landlock().map(|_| options.rules(own)),
            sandbox: Arc::clone(sandbox),
            limits: workspace.limits().clone(),
            pass_env: options.pass_env.clone(),
            home,
            tmp,
            mark: mark.to_owned(),
        })
    }

    fn launch(&self, args: &Args) -> Result<Launch, CallError> {
        let cwd = self.workspace.locate(args.cwd.as_deref().unwrap_or("."))?;
        let mark = format!("{}.{}", self.mark, nonce());
        let ours = |name: &str| std::env::var_os(name);
        let program = self.sandbox.program();
        Ok(Launch {
            program: program
                .ok_or_else(|| failed("there is no shell here"))?
                .clone(),
            environment: environment::clean(ours, &self.pass_env, &self.home, &self.tmp, &mark),
            order: Order {
                version: VERSION,
                command: args.command.clone(),
                cwd: self.workspace.folder(&cwd)?,
                grace_ms: millis(self.limits.shell.grace),
                rules: self.rules.clone(),
            },
            mark,
            output_bytes: self.limits.result_bytes,
            live_bytes: self.limits.shell.live_bytes,
            patience: self.limits.shell.patience,
        })
    }

    /// The arguments as far as they can be judged without looking at anything.
    fn checked(&self, args: Value) -> Result<(Args, Duration), CallError> {
        let args: Args = schema::read(NAME, args)?;
        let limits = &self.limits.shell;
        if args.command.contains('\0') {
            return Err(bad_arguments("the command contains a zero byte"));
        }
        if args.command.len() > limits.command_bytes {
            let most = limits.command_bytes;
            let message =
                format!("the command is longer than {most} bytes: write it to a file and run that");
            return Err(bad_arguments(message));
        }
        let timeout = args
            .timeout_ms
            .map_or(limits.default_timeout, Duration::from_millis);
        if timeout > limits.max_timeout {
            let most = millis(limits.max_timeout);
            return Err(bad_arguments(format!("timeout_ms may be {most} at most")));
        }
        Ok((args, timeout))
    }
}

impl LocalTool for Arc<Shell> {
    fn spec(&self) -> ToolSpec {
        spec(&self.limits.shell, self.sandbox.for_the_model())
    }

    fn prepare(&self, args: Value) -> Result<Job, CallError> {
        let (args, timeout) = self.checked(args)?;
        let shell = Self::clone(self);
        Ok(Box::new(move |mut context: Context| {
            context.timeout = context.timeout.min(timeout);
            async move { process::run(shell.launch(&args)?, context).await }.boxed()
        }))
    }
}

/// What a model is told of what keeps commands in where nobody knows yet.
pub(super) const ANYWHERE: &str = "Stay inside the root: what keeps it in there depends on the machine; it cannot become another user.";

/// What is said of the tool where it has these limits, and this keeps it in.
pub(super) fn spec(limits: &ShellLimits, kept_in: &str) -> ToolSpec {
    ToolSpec {
        name: NAME.to_owned(),
        description: format!("{DESCRIPTION} {kept_in}"),
        parameters: parameters(limits),
        effect: EffectClass::Once,
        place: Place::Executor,
    }
}

/// The schema of the arguments, with the limits that hold.
fn parameters(limits: &ShellLimits) -> Value {
    let mut schema = schema::parameters::<Args>();
    let timeout = &mut schema["properties"]["timeout_ms"]["description"];
    let text = timeout.as_str().unwrap_or_default();
    let text = text.replace("{usual}", &millis(limits.default_timeout).to_string());
    *timeout = text
        .replace("{most}", &millis(limits.max_timeout).to_string())
        .into();
    schema
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
