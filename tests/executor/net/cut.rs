//! The wire is cut after every so many bytes: no call is done twice, and none is lost.

use std::time::Duration;

use impresario::executor::{Address, ConnectOptions, Executor, ExecutorKey};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::super::stage::{Stage, eventually, run};
use super::node::{House, KEY, turn};
use super::proxy::Proxy;

/// To this address, without waiting long for anything.
pub(crate) fn options(url: &str) -> ConnectOptions {
    let address = Address::parse(url).unwrap();
    let mut options = ConnectOptions::new(address, ExecutorKey::parse(KEY).unwrap());
    options.wait = (Duration::from_millis(1), Duration::from_millis(5));
    options
}

/// Runs a test while an executor works for a node.
pub(crate) async fn connected<T>(
    executor: &Executor,
    url: &str,
    body: impl Future<Output = T>,
) -> T {
    let stop = CancellationToken::new();
    let working = executor.connect(options(url), stop.clone(), |_| {});
    let test = async {
        let done = body.await;
        stop.cancel();
        done
    };
    let (worked, done) = tokio::join!(working, test);
    worked.unwrap();
    done
}

/// The places of the cuts: closely at first, where frames of calls are, and then as far as hellos go.
fn places() -> impl Iterator<Item = usize> {
    (1..1300).step_by(73).chain((1300..9000).step_by(1283))
}

fn name(place: usize, times: usize) -> String {
    format!("cut-{place}-{times}")
}

#[test]
fn a_wire_that_is_cut_anywhere_neither_loses_nor_doubles() {
    let stage = Stage::new();
    stage.write("count", "end\n");
    let plays: Vec<_> = places()
        .flat_map(|place| [(place, 1), (place, 3)])
        .collect();
    let add = |name: &str| {
        let line = format!("{name}\nend\n");
        turn(
            "edit_file",
            json!({"path": "count", "old_text": "end\n", "new_text": line}),
        )
    };
    let house = House::new(plays.iter().map(|(place, times)| {
        let name = name(*place, *times);
        let turns = [add(&format!("{name} a")), add(&format!("{name} b"))];
        (name, turns.to_vec())
    }));
    let executor = stage.open();
    run(async {
        let node = house.node().await;
        let proxy = Proxy::to(house.address()).await;
        connected(&executor, &format!("http://{}", proxy.address), async {
            let mut lines = String::new();
            for (place, times) in plays {
                let name = name(place, times);
                proxy.cut_after(place, times);
                let task = node.begin(&name).await;
                node.end(task).await;
                assert_eq!(node.doubts(task).await, 0, "{}", node.told(task).await);
                lines += &format!("{name} a\n{name} b\n");
                assert_eq!(
                    stage.read("count"),
                    format!("{lines}end\n"),
                    "{}",
                    node.told(task).await
                );
            }
            proxy.cut_after(0, 0);
        })
        .await;
        println!("{} cuts, {} bytes", proxy.cuts(), proxy.carried());
        assert!(proxy.cuts() > 48, "{} cuts", proxy.cuts());
        node.has_executors(0).await;
    });
    let left = executor.unacknowledged().len();
    assert!(left <= 1, "{left} results were never acknowledged");
}

/// What runs is not touched by what becomes of the wire.
#[test]
fn a_command_runs_on_while_the_wire_is_cut() {
    let stage = Stage::new();
    let command = "echo x >> count; while [ ! -e go ]; do sleep 0.01; done; echo done";
    let house = House::new([(
        "a".to_owned(),
        vec![turn("shell", json!({"command": command}))],
    )]);
    let executor = stage.open();
    run(async {
        let node = house.node().await;
        let proxy = Proxy::to(house.address()).await;
        connected(&executor, &format!("http://{}", proxy.address), async {
            let task = node.begin("a").await;
            eventually("the command runs", || stage.read("count") == "x\n").await;
            proxy.cut_after(1, 4);
            proxy.cut_now();
            eventually("the wire is cut", || proxy.cuts() == 5).await;
            stage.write("go", "");
            assert_eq!(node.end(task).await, "exit code 0\ndone\n");
            assert_eq!(node.doubts(task).await, 0);
        })
        .await;
    });
    assert_eq!(stage.read("count"), "x\n");
}

/// The node dies when its journal has so many events, in the middle of whatever it did, and another one goes on.
#[test]
fn a_node_that_dies_anywhere_neither_loses_nor_doubles() {
    let stage = Stage::new();
    stage.write("count", "end\n");
    let deaths = 1..=13;
    let name = |events: usize| format!("after-{events}");
    let house = House::new(deaths.clone().map(|events| {
        let turns = ["a", "b"].map(|half| {
            let line = format!("{} {half}\nend\n", name(events));
            let args = json!({"path": "count", "old_text": "end\n", "new_text": line});
            turn("edit_file", args)
        });
        (name(events), turns.to_vec())
    }));
    let executor = stage.open();
    run(async {
        connected(&executor, &house.url(), async {
            let mut node = house.node().await;
            node.has_executors(1).await;
            let mut lines = String::new();
            for events in deaths {
                let name = name(events);
                let task = node.begin(&name).await;
                let mut feed = node.system.watch(task, 0).until_end();
                for _ in 0..events {
                    feed.next().await.unwrap();
                }
                drop(node);
                node = house.node().await;
                node.end(task).await;
                assert_eq!(node.doubts(task).await, 0, "{}", node.told(task).await);
                lines += &format!("{name} a\n{name} b\n");
                assert_eq!(stage.read("count"), format!("{lines}end\n"));
            }
        })
        .await;
    });
}
