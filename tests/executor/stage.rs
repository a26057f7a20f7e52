//! What the tests of the executor stand on: folders, an executor in them, and a node at the other end of its link.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use actors::model::CallId;
use actors::model::executor::{CallError, CallErrorCode, CallOutcome, FromExecutor, ToExecutor};
use impresario::executor::{Executor, Options};
use serde_json::Value;
use tempfile::TempDir;
use tokio::sync::mpsc::{Receiver, Sender, channel};

/// How long anything here may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// How long a call may take that does not say.
pub(crate) const TIMEOUT_MS: u64 = 20_000;

/// Numbers for calls that are to be known from all others.
static ASKED: AtomicUsize = AtomicUsize::new(0);

/// A root and a state folder.
pub(crate) struct Stage {
    dir: TempDir,
}

impl Stage {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("root")).unwrap();
        Self { dir }
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn root(&self) -> PathBuf {
        self.dir.path().join("root")
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.dir.path().join("state")
    }

    pub(crate) fn write(&self, path: &str, content: &str) {
        let path = self.root().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }

    pub(crate) fn read(&self, path: &str) -> String {
        std::fs::read_to_string(self.root().join(path)).unwrap_or_default()
    }

    pub(crate) fn options(&self) -> Options {
        let mut options = Options::new(self.root(), self.state());
        options.shell.supervisor = Some(env!("CARGO_BIN_EXE_impresario").into());
        options.limits.tools.shell.grace = Duration::from_millis(500);
        options
    }

    pub(crate) fn open(&self) -> Executor {
        Executor::open(self.options()).unwrap()
    }
}

/// The node's end of a link.
pub(crate) struct Node {
    pub(crate) to: Sender<ToExecutor>,
    pub(crate) from: Receiver<FromExecutor>,
}

pub(crate) fn id(name: &str) -> CallId {
    CallId(name.to_owned())
}

pub(crate) fn call(name: &str, epoch: u64, tool: &str, args: Value) -> ToExecutor {
    ToExecutor::Call {
        call_id: id(name),
        epoch,
        tool: tool.to_owned(),
        args,
        timeout_ms: TIMEOUT_MS,
    }
}

impl Node {
    pub(crate) async fn send(&self, frame: ToExecutor) {
        self.to.send(frame).await.unwrap();
    }

    pub(crate) async fn next(&mut self) -> FromExecutor {
        let next = tokio::time::timeout(PATIENCE, self.from.recv());
        next.await
            .expect("no frame in time")
            .expect("the link is closed")
    }

    /// Waits for the result of a call; other frames are passed over.
    pub(crate) async fn result(&mut self, name: &str) -> CallOutcome {
        loop {
            if let FromExecutor::Result { call_id, outcome } = self.next().await
                && call_id == id(name)
            {
                return outcome;
            }
        }
    }

    /// Waits until the output of calls has shown `text`, and returns it all.
    pub(crate) async fn output_with(&mut self, text: &str) -> String {
        let mut seen = String::new();
        while !seen.contains(text) {
            match self.next().await {
                FromExecutor::Output { chunk, .. } => seen += &chunk,
                FromExecutor::Result { outcome, .. } => panic!("ended: {outcome:?}"),
                _ => {}
            }
        }
        seen
    }

    /// Asks for a call and waits for its result.
    pub(crate) async fn ask(&mut self, name: &str, tool: &str, args: Value) -> CallOutcome {
        self.send(call(name, 1, tool, args)).await;
        self.result(name).await
    }

    /// Asks for a call of its own, waits for its result and acknowledges it.
    pub(crate) async fn once(&mut self, tool: &str, args: Value) -> CallOutcome {
        let name = format!("once-{}", ASKED.fetch_add(1, Ordering::Relaxed));
        let outcome = self.ask(&name, tool, args).await;
        self.send(ToExecutor::Ack { call_id: id(&name) }).await;
        outcome
    }

    /// Asks for a call that is to work.
    pub(crate) async fn done(&mut self, tool: &str, args: Value) -> String {
        text(self.once(tool, args).await)
    }

    /// Asks for a call that is not to work.
    pub(crate) async fn refused(&mut self, tool: &str, args: Value) -> (CallErrorCode, String) {
        let error = error(self.once(tool, args).await);
        (error.code, error.message)
    }
}

pub(crate) fn error(outcome: CallOutcome) -> CallError {
    match outcome {
        CallOutcome::Error(error) => error,
        CallOutcome::Ok(text) => panic!("it worked: {text}"),
    }
}

/// Serves a link on `executor` while `body` is the node. The future of the link is dropped when `body` is done.
pub(crate) async fn linked<T>(executor: &Executor, body: impl AsyncFnOnce(&mut Node) -> T) -> T {
    let (to, inbound) = channel(64);
    let (outbound, from) = channel(64);
    let mut node = Node { to, from };
    tokio::select! {
        served = executor.serve(inbound, outbound) => panic!("the link ended: {served:?}"),
        done = async {
            assert!(matches!(node.next().await, FromExecutor::Hello { .. }));
            body(&mut node).await
        } => done,
    }
}

/// Runs a test on a runtime of its own.
pub(crate) fn run<T>(test: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async { tokio::time::timeout(PATIENCE, test).await.expect("in time") })
}

/// Waits for a condition on something outside of this process, which nobody tells us about.
pub(crate) async fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let mut looks = tokio::time::interval(Duration::from_millis(5));
    for _ in 0..2000 {
        if condition() {
            return;
        }
        looks.tick().await;
    }
    panic!("not in time: {what}");
}

pub(crate) fn text(outcome: CallOutcome) -> String {
    match outcome {
        CallOutcome::Ok(text) => text,
        CallOutcome::Error(error) => panic!("{error:?}"),
    }
}
