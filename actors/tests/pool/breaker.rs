//! A provider that is ill is left alone; those who need it wait and do not fail.

use std::time::Duration;

use actors::model::{EventBody, ProviderLimit, TaskStatus, WaitReason};
use actors::pool::{BreakerLimits, ProviderLimits};
use actors::testing::sim::settle;
use tokio::time::Instant;

use super::{Bed, SECOND, Server, waits_for};

fn limits() -> ProviderLimits {
    ProviderLimits {
        breaker: Some(BreakerLimits {
            failures: 5,
            within: 60 * SECOND,
            reset_after: 30 * SECOND,
        }),
        ..ProviderLimits::default()
    }
}

#[tokio::test(start_paused = true)]
async fn an_ill_provider_is_left_alone_and_nobody_fails() {
    let ill = 200 * SECOND;
    let server = Server {
        latency: SECOND,
        ill: Some(Instant::now() + ill),
        ..Server::default()
    };
    let bed = Bed::new(server, 4, limits()).await;
    let mut tasks = Vec::new();
    for n in 0..50 {
        tasks.push(bed.create(&format!("task{n}")).await);
    }
    tokio::time::sleep(60 * SECOND).await;
    let tree = bed.system.run_tree(tasks[49]).await.expect("a tree");
    let is_open = |reason: &WaitReason| {
        let limit = ProviderLimit::Breaker;
        matches!(reason, WaitReason::Provider { provider, limit: it, .. } if provider == "stage" && *it == limit)
    };
    assert!(
        waits_for(&tree[0]).as_ref().is_some_and(is_open),
        "{tree:?}"
    );
    let began = Instant::now();
    for task in &tasks {
        let end = settle(&bed.system, *task, 3600 * SECOND).await;
        assert_eq!(end, Some(TaskStatus::Completed));
    }
    // Open for 30, 60 and 120 seconds: one call each time.
    let asked_while_ill = bed.server.seen().refused;
    assert!(
        (5..=5 + 3 + 2).contains(&asked_while_ill),
        "{asked_while_ill}"
    );
    assert!(
        began.elapsed() < Duration::from_secs(240),
        "{:?}",
        began.elapsed()
    );
    let waits = bed.waits(tasks[49]).await;
    assert!(waits.iter().any(is_open), "{waits:?}");
    // Its call stood in no line yet when the breaker opened first.
    let told = |body: EventBody| match body {
        EventBody::BreakerOpened {
            provider,
            reason,
            wait_ms,
        } => Some(format!("{provider} opened for {wait_ms:?}: {reason}")),
        EventBody::BreakerClosed { provider } => Some(format!("{provider} closed")),
        _ => None,
    };
    let told: Vec<_> = bed
        .bodies(tasks[49])
        .await
        .into_iter()
        .filter_map(told)
        .collect();
    insta::assert_snapshot!(told.join("\n"), @r"
    stage opened for Some(60000): a probe failed, the last: overloaded
    stage opened for Some(120000): a probe failed, the last: overloaded
    stage closed
    ");
    assert!(bed.is_empty(), "{:?}", bed.system.pools());
    bed.system.shutdown().await;
}

/// It answers, if only with a refusal: that is not an illness.
#[tokio::test(start_paused = true)]
async fn refusals_open_no_breaker() {
    let server = Server {
        rate: Some((2, 10 * SECOND)),
        ..Server::default()
    };
    let bed = Bed::new(server, 9, limits()).await;
    let task = bed.create("crowd 12").await;
    let end = settle(&bed.system, task, 3600 * SECOND).await;
    assert_eq!(end, Some(TaskStatus::Completed));
    assert!(bed.server.seen().refused >= 5);
    let opened = |body: &EventBody| matches!(body, EventBody::BreakerOpened { .. });
    assert!(!bed.bodies(task).await.iter().any(opened));
    bed.system.shutdown().await;
}
