//! What becomes of payments when the program that makes them is killed, at any moment one can name?
//!
//! ```text
//! cargo run --example payments -- DIR                          from the beginning to the end
//! cargo run --example payments -- DIR --kill effect:2:after    the process ends itself there with SIGKILL
//! cargo run --example payments -- DIR                          and goes on
//! ```
//!
//! With `--store URL` the journal is kept there, as in `postgres://host/database`, instead of in DIR/data.
//!
//! A team of three pays bills with tools of every effect class. What really happened is in DIR/outside, in files that are only ever
//! appended to and synced; what the system knows is in DIR/data; the executor's files are in DIR/workspace. The points are
//! `append:K:…` and `snapshot:K:…` (the journal is written), `model:K:…` (a model is called), `effect:K:…` (a tool in the node does
//! something) and `executor:K:…` (one on the executor does), each `before` or `after`, with K from 1 in the order in which this process
//! comes there; between an executor's effect and its result lies `executor:K:recorded` as well. tests/fault/crash.rs kills it at every
//! one of them. The models are scripted: no key is needed.

mod bank;
mod points;
mod team;

use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use impresario::executor::{self, Executor};
use impresario::node::{executor_tools, serve_executor};
use impresario::store::{DataFolder, Durability, open};
use impresario::{Settled, System};

use bank::{Bank, tools};
use points::{Points, WatchedProvider, WatchedStore};

// One thread, so that two undisturbed lives pass nearly the same points in the same order.
#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    const USAGE: &str = "usage: payments DIR [--kill POINT] [--store URL]";
    let mut args = std::env::args().skip(1);
    let dir = PathBuf::from(args.next().ok_or(USAGE)?);
    let (mut point, mut store) = (None, None);
    while let Some(flag) = args.next() {
        let value = args.next().ok_or(USAGE)?;
        match flag.as_str() {
            "--kill" => point = Some(value.parse()?),
            "--store" => store = Some(value),
            _ => return Err(USAGE.into()),
        }
    }
    let points = Arc::new(Points::new(point));
    let outcome = pay(&dir, store, &points).await?;
    println!("{outcome}");
    println!("points passed: {points}");
    Ok(())
}

/// Pays the bills, or goes on with it, or says how it ended.
async fn pay(
    dir: &Path,
    store: Option<String>,
    points: &Arc<Points>,
) -> Result<String, Box<dyn Error>> {
    let folder = DataFolder::open(dir.join("data"))?;
    let bank = Bank::open(&dir.join("outside"))?;
    let url = store.unwrap_or_else(|| format!("sqlite:{}", folder.database().display()));
    let store = open(&url, Durability::Power).await?;
    let executor = Arc::new(executor(dir, folder.path(), &bank, points)?);

    let watched = WatchedStore(store.clone(), points.clone());
    let mut deps = impresario::deps(Arc::new(watched))
        .provider("stage", WatchedProvider(team::stage()?, points.clone()));
    deps.tools = tools(&bank, points);
    deps.executor_tools = executor_tools(&executor);
    let system = System::start(deps).await?;
    let serving = serve_executor(executor, system.clone()).await?;

    // A task that was cut off has been going on since the system is up.
    let task = match system.tasks(false).await?.first() {
        Some(known) => known.id,
        None => system.create_task(team::bills()).await?,
    };
    let outcome = match system.wait(task).await? {
        Settled::Completed(result) => result,
        other => format!("not paid: {other:?}"),
    };
    system.shutdown().await;
    serving.stop().await;
    store.close().await?;
    Ok(outcome)
}

/// An executor that tells the bank of each effect and comes to a point around each of them.
fn executor(
    dir: &Path,
    data: &Path,
    bank: &Arc<Bank>,
    points: &Arc<Points>,
) -> Result<Executor, Box<dyn Error>> {
    let workspace = dir.join("workspace");
    std::fs::create_dir_all(&workspace)?;
    let mut options = executor::Options::new(workspace, data.join("executor"));
    let (bank, points) = (bank.clone(), points.clone());
    options.observer = Some(Arc::new(move |point, call| {
        points.on_executor(point, call, &bank)
    }));
    Ok(Executor::open(options)?)
}
