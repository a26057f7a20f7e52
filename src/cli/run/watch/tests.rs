use std::path::Path;

use tempfile::TempDir;
use tokio::time::timeout;

use super::super::summary::{Commands, Place};
use super::*;
use crate::config::{self, TaskChoice};
use crate::node::Data;

const FILE: &str = r#"
[providers.stage]
kind = "scripted"
latency = "1h"
scripts = { actor = [{ say = "Never." }] }

[agents.actor]
provider = "stage"

[task]
description = "wait"
"#;

async fn started(folder: &TempDir) -> Started {
    let config = config::parse("f", FILE, Path::new("")).expect("a good file");
    let definition = config.definition(&TaskChoice::default());
    let data = Data::open(&folder.path().join("data"), Some(&config)).expect("a data folder");
    let workspace = folder.path().join("workspace");
    let node = Node::start(&config, data, &workspace).await;
    let node = node.expect("a node");
    let task = node.system.create_task(definition.expect("a task"));
    Started {
        task: task.await.expect("a task"),
        node,
        history: 0,
        is_answered: false,
        since: Timestamp(0),
    }
}

/// Fails part of the system for as long as its supervisor starts it again.
async fn wear_out(node: &Node) {
    while node.system.root().exit().is_none() {
        node.system.root().kill_child("journal").await;
        tokio::task::yield_now().await;
    }
}

/// Signals that nobody sends: Ctrl-C is to end the tests.
fn no_signals() -> Signals {
    let unused = || signal(SignalKind::user_defined1()).expect("a signal");
    Signals {
        interrupt: unused(),
        terminate: unused(),
    }
}

#[tokio::test]
async fn a_node_that_gives_up_ends_the_watching() {
    let folder = tempfile::tempdir().expect("a folder");
    let started = started(&folder).await;
    let commands = Commands {
        program: "impresario".to_owned(),
        place: Place::Here(None),
    };
    let (mut show, mut signals) = (Show::to(io::sink(), commands), no_signals());
    let watch = Watch::new(&started, &mut show).run(&mut signals);
    let watch = timeout(Duration::from_secs(20), watch);
    let (watched, ()) = tokio::join!(watch, wear_out(&started.node));
    let reason = "more than 10 restarts within 60s, the last for `journal`: killed";
    let watched = watched.expect("it ends").expect("nothing is written");
    assert_eq!(watched, Watched::Down(reason.to_owned()));
    let _ = started.node.stop().await;
}
