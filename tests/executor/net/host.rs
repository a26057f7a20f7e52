//! A process that connects to a node and can be killed at a point of a call: this test program once more, running only the test below.

use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use impresario::executor::{Executor, Options, Point};
use rustix::process::{Signal, getpid, kill_process};
use serde::{Deserialize, Serialize};
use tokio::process::{Child, Command};
use tokio_util::sync::CancellationToken;

use super::super::stage::Stage;
use super::cut::options;

const ORDERS: &str = "IMPRESARIO_TEST_NET_HOST";

/// What the process is to do.
#[derive(Serialize, Deserialize)]
struct Orders {
    url: String,
    root: PathBuf,
    state: PathBuf,
    /// At which point, and the how manieth time it comes there.
    die_at: Option<(String, usize)>,
}

/// The other side of [`start`]; nothing to do where nobody ordered it.
#[test]
fn connects_when_told_to() {
    let Ok(orders) = std::env::var(ORDERS) else {
        return;
    };
    let orders: Orders = serde_json::from_str(&orders).unwrap();
    let mut given = Options::new(&orders.root, &orders.state);
    given.shell.supervisor = Some(env!("CARGO_BIN_EXE_impresario").into());
    let (die_at, passed) = (orders.die_at.clone(), AtomicUsize::new(0));
    given.observer = Some(Arc::new(move |point: Point, _: &_| {
        let Some((at, nth)) = &die_at else { return };
        let is_it = *at == format!("{point:?}");
        if is_it && passed.fetch_add(1, Ordering::SeqCst) + 1 == *nth {
            kill_process(getpid(), Signal::KILL).unwrap();
            std::thread::park();
        }
    }));
    let executor = Executor::open(given).unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let work = executor.connect(options(&orders.url), CancellationToken::new(), |_| {});
    runtime.block_on(work).unwrap();
}

/// Starts such a process on a stage; it kills itself with SIGKILL where it is told to.
pub(crate) fn start(stage: &Stage, url: &str, die_at: Option<(Point, usize)>) -> Child {
    let orders = Orders {
        url: url.to_owned(),
        root: stage.root(),
        state: stage.state(),
        die_at: die_at.map(|(point, nth)| (format!("{point:?}"), nth)),
    };
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "executor::net::host::connects_when_told_to"])
        .env(ORDERS, serde_json::to_string(&orders).unwrap())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap()
}
