//! What is seen of a wait, and what leaves with those who wait.

use std::time::Duration;

use actors::model::{EventBody, ProviderLimit, RunStatus, TaskStatus, WaitReason};
use actors::pool::ProviderLimits;
use actors::testing::sim::settle;

use super::{Bed, SECOND, Server, no_limits, rates, waits_for};

fn server(latency: Duration) -> Server {
    Server {
        latency,
        ..Server::default()
    }
}

fn permit() -> WaitReason {
    let pool = "workers".to_owned();
    WaitReason::Permit { pool }
}

#[tokio::test(start_paused = true)]
async fn a_wait_is_written_once_after_a_moment_and_ends_with_the_call() {
    let bed = Bed::new(server(10 * SECOND), 1, no_limits()).await;
    let first = bed.create("first").await;
    let second = bed.create("second").await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(bed.waits(second).await.is_empty(), "a moment is not told");
    let node = async || {
        let tree = bed.system.run_tree(second).await.expect("a tree");
        (tree[0].run.status, waits_for(&tree[0]))
    };
    assert_eq!(
        node().await,
        (RunStatus::Running, Some(permit())),
        "but seen"
    );
    tokio::time::sleep(5 * SECOND).await;
    assert_eq!(bed.waits(second).await, [permit()]);
    tokio::time::sleep(7 * SECOND).await;
    assert_eq!(node().await, (RunStatus::Running, None), "it thinks");
    for task in [first, second] {
        let end = settle(&bed.system, task, 60 * SECOND).await;
        assert_eq!(end, Some(TaskStatus::Completed));
    }
    assert_eq!(bed.waits(second).await, [permit()]);
    let bodies = bed.bodies(second).await;
    let at = |is: fn(&EventBody) -> bool| bodies.iter().position(is).expect("it is there");
    let waiting = at(|body| matches!(body, EventBody::RunWaiting { .. }));
    let started = at(|body| matches!(body, EventBody::ModelCallStarted { .. }));
    assert!(waiting < started, "the call begins when it can be made");
    assert!(bed.waits(first).await.is_empty());
    bed.system.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn the_tree_says_what_each_run_waits_for() {
    let limits = ProviderLimits {
        max_concurrent: Some(2),
        ..rates(&[(3, 60 * SECOND)])
    };
    let bed = Bed::new(server(10 * SECOND), 9, limits).await;
    let task = bed.create("crowd 3").await;
    let waits = async || {
        let tree = bed.system.run_tree(task).await.expect("a tree");
        assert_eq!(waits_for(&tree[0]), None, "it waits for its children");
        let children = tree[0].children.iter();
        let waits = children.filter_map(waits_for);
        waits.collect::<Vec<_>>()
    };
    let provider = |limit, wait_ms| {
        let provider = "stage".to_owned();
        WaitReason::Provider {
            provider,
            limit,
            wait_ms,
        }
    };
    tokio::time::sleep(15 * SECOND).await;
    let rate = ProviderLimit::Rate {
        rate: "3/1m".to_owned(),
    };
    // The lead's call and two of its children's are all of the rate; that is what lasts longest.
    assert_eq!(waits().await, [provider(rate, Some(45_600))]);
    let end = settle(&bed.system, task, 600 * SECOND).await;
    assert_eq!(end, Some(TaskStatus::Completed));
    assert_eq!(waits().await, []);
    assert_eq!(bed.server.fullest(60 * SECOND), 3);
    assert_eq!(bed.server.seen().most_under_way, 2);
    bed.system.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn who_is_cancelled_leaves_the_line_at_once() {
    let bed = Bed::new(server(100 * SECOND), 1, no_limits()).await;
    let first = bed.create("first").await;
    tokio::time::sleep(SECOND).await;
    let crowd: Vec<_> = [bed.create("a").await, bed.create("b").await].into();
    let last = bed.create("last").await;
    tokio::time::sleep(SECOND).await;
    let waiting = || bed.system.pools().look().pools[1].waiting;
    assert_eq!(waiting(), 3);
    for task in crowd {
        bed.system.cancel(task, "enough").await.expect("cancelled");
    }
    assert_eq!(waiting(), 1);
    bed.system.cancel(first, "enough").await.expect("cancelled");
    tokio::time::sleep(SECOND).await;
    assert_eq!(
        (waiting(), bed.server.briefs()),
        (0, vec!["first".to_owned(), "last".to_owned()])
    );
    bed.system.cancel(last, "enough").await.expect("cancelled");
    assert!(bed.is_empty(), "{:?}", bed.system.pools());
    bed.system.shutdown().await;
}

/// Whatever is killed, no permit is lost and no rate is exceeded.
#[tokio::test(start_paused = true)]
async fn permits_outlive_those_who_die_with_them() {
    let bed = Bed::new(server(3 * SECOND), 2, rates(&[(5, 10 * SECOND)])).await;
    let task = bed.create("crowd 25").await;
    for n in 0..15 {
        tokio::time::sleep(2 * SECOND).await;
        let tree = bed.system.tree().await;
        let below = |path: &str| {
            path.split_once('/')
                .map_or(String::new(), |(_, below)| below.to_owned())
        };
        let is_fair = |path: &&String| {
            path.contains("runs/") || path.contains("agents/") || path.ends_with("pools")
        };
        let paths: Vec<_> = tree.iter().map(|node| below(&node.path)).collect();
        let paths: Vec<_> = paths.iter().filter(is_fair).collect();
        if let Some(path) = paths.get(n * 7 % paths.len().max(1)) {
            let _ = bed.system.root().kill_at(path).await;
        }
    }
    let end = settle(&bed.system, task, 3600 * SECOND).await;
    assert_eq!(end, Some(TaskStatus::Completed));
    assert!(bed.is_empty(), "{:?}", bed.system.pools());
    assert!(bed.server.fullest(10 * SECOND) <= 5);
    assert!(bed.server.seen().most_under_way <= 2);
    bed.system.shutdown().await;
}
