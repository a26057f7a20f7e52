//! A process that hosts an executor and can be killed: this test program once more, running only the test below.

use std::io::{BufRead, Write};
use std::process::Stdio;
use std::sync::Arc;

use actors::model::executor::{FromExecutor, ToExecutor};
use impresario::executor::{Executor, Options, Point};
use rustix::process::{Pid, Signal, getpid, kill_process};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::mpsc::channel;

use super::stage::{PATIENCE, Stage, run};

const ORDERS: &str = "IMPRESARIO_TEST_HOST";

/// What the hosting process is to do.
#[derive(Serialize, Deserialize)]
struct Orders {
    root: std::path::PathBuf,
    state: std::path::PathBuf,
    namespaces: bool,
    landlock: bool,
    die_at: Option<String>,
}

/// The other side of [`Host`]; nothing to do where nobody ordered it.
#[test]
fn hosts_an_executor_when_told_to() {
    let Ok(orders) = std::env::var(ORDERS) else {
        return;
    };
    let orders: Orders = serde_json::from_str(&orders).unwrap();
    let executor = Executor::open(options(&orders)).unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let (to, inbound) = channel(8);
        let (outbound, mut from) = channel(8);
        std::thread::spawn(move || {
            for line in std::io::stdin().lock().lines() {
                let frame = serde_json::from_str(&line.unwrap()).unwrap();
                to.blocking_send(frame).unwrap();
            }
        });
        let tell = async {
            while let Some(frame) = from.recv().await {
                let line = serde_json::to_string(&frame).unwrap();
                writeln!(std::io::stdout(), "\n{line}").unwrap();
            }
        };
        let (served, ()) = tokio::join!(executor.serve(inbound, outbound), tell);
        served.unwrap();
    });
}

fn options(orders: &Orders) -> Options {
    let mut options = Options::new(&orders.root, &orders.state);
    options.shell.supervisor = Some(env!("CARGO_BIN_EXE_impresario").into());
    options.shell.namespaces = orders.namespaces;
    options.shell.landlock = orders.landlock;
    options.limits.tools.shell.grace = std::time::Duration::from_millis(500);
    let die_at = orders.die_at.clone();
    options.observer = Some(Arc::new(move |point: Point, _: &_| {
        if die_at.as_ref() == Some(&format!("{point:?}")) {
            kill_process(getpid(), Signal::KILL).unwrap();
            std::thread::park();
        }
    }));
    options
}

/// A process that hosts an executor.
pub(crate) struct Host {
    process: Child,
    to: ChildStdin,
    from: Lines<BufReader<ChildStdout>>,
}

impl Host {
    /// Starts one on a stage; it kills itself with SIGKILL where it is told to.
    pub(crate) fn start(
        stage: &Stage,
        (namespaces, landlock): (bool, bool),
        die_at: Option<Point>,
    ) -> Self {
        let orders = Orders {
            root: stage.root(),
            state: stage.state(),
            namespaces,
            landlock,
            die_at: die_at.map(|point| format!("{point:?}")),
        };
        let mut process = Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "executor::host::hosts_an_executor_when_told_to",
                "--nocapture",
            ])
            .env(ORDERS, serde_json::to_string(&orders).unwrap())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        Self {
            to: process.stdin.take().unwrap(),
            from: BufReader::new(process.stdout.take().unwrap()).lines(),
            process,
        }
    }

    pub(crate) async fn send(&mut self, frame: &ToExecutor) {
        let line = serde_json::to_string(frame).unwrap() + "\n";
        self.to.write_all(line.as_bytes()).await.unwrap();
    }

    /// The next frame; nothing when the process has gone.
    pub(crate) async fn next(&mut self) -> Option<FromExecutor> {
        loop {
            let line = tokio::time::timeout(PATIENCE, self.from.next_line()).await;
            let line = line.expect("a line in time").unwrap()?;
            if let Ok(frame) = serde_json::from_str(&line) {
                return Some(frame);
            }
        }
    }

    pub(crate) async fn output_with(&mut self, text: &str) {
        let mut seen = String::new();
        while !seen.contains(text) {
            if let FromExecutor::Output { chunk, .. } = self.next().await.expect("a frame") {
                seen += &chunk;
            }
        }
    }

    pub(crate) fn pid(&self) -> Pid {
        Pid::from_raw(self.process.id().unwrap().cast_signed()).unwrap()
    }

    pub(crate) async fn kill(&mut self) {
        self.process.kill().await.unwrap();
    }

    /// Waits until it has killed itself.
    pub(crate) async fn killed(&mut self) {
        use std::os::unix::process::ExitStatusExt;
        let status = self.process.wait().await.unwrap();
        assert_eq!(status.signal(), Some(9), "{status}");
    }
}

#[test]
fn the_host_speaks_the_frames_as_json() {
    let stage = Stage::new();
    run(async {
        let mut host = Host::start(&stage, (true, true), None);
        assert!(matches!(
            host.next().await,
            Some(FromExecutor::Hello { .. })
        ));
        let args = serde_json::json!({"path": "a", "content": "b"});
        host.send(&super::stage::call("a", 1, "write_file", args))
            .await;
        assert!(matches!(
            host.next().await,
            Some(FromExecutor::Started { .. })
        ));
        assert!(matches!(
            host.next().await,
            Some(FromExecutor::Result { .. })
        ));
        drop(host.to);
        assert!(host.process.wait().await.unwrap().success());
    });
}
