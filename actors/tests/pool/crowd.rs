//! Many at one provider: nobody fails, and nobody asks too often.

use std::time::Duration;

use actors::model::{EventBody, ProviderLimit, TaskStatus, WaitReason};
use actors::testing::sim::settle;
use tokio::time::Instant;

use super::{Bed, SECOND, Server, no_limits, rates};

const PER: Duration = Duration::from_secs(30);

/// So many leads with a hundred sub-agents each, and how long all of it takes.
async fn crowds_are_done(bed: &Bed, leads: usize) -> (Vec<EventBody>, Duration) {
    let began = Instant::now();
    let mut tasks = Vec::new();
    for _ in 0..leads {
        tasks.push(bed.create("crowd 100").await);
    }
    let mut bodies = Vec::new();
    for task in tasks {
        let end = settle(&bed.system, task, 24 * 3600 * SECOND).await;
        assert_eq!(end, Some(TaskStatus::Completed));
        bodies.extend(bed.bodies(task).await);
    }
    let done = |body: &&EventBody| matches!(body, EventBody::RunCompleted { .. });
    assert_eq!(bodies.iter().filter(done).count(), leads * 101);
    let failed = |body: &EventBody| matches!(body, EventBody::RunFailed { .. });
    assert!(!bodies.iter().any(failed));
    assert!(bed.is_empty(), "{:?}", bed.system.pools());
    (bodies, began.elapsed())
}

fn waits(bodies: &[EventBody]) -> impl Iterator<Item = &WaitReason> {
    bodies.iter().filter_map(|body| match body {
        EventBody::RunWaiting { reason } => Some(reason),
        _ => None,
    })
}

#[tokio::test(start_paused = true)]
async fn a_thousand_share_a_rate_and_no_call_is_refused() {
    let server = Server {
        latency: 2 * SECOND,
        rate: Some((60, PER)),
        ..Server::default()
    };
    let bed = Bed::new(server, 1_000, rates(&[(60, PER), (2_000, 60 * PER)])).await;
    let (bodies, took) = crowds_are_done(&bed, 10).await;
    assert_eq!(bed.server.seen().refused, 0);
    assert_eq!(bed.server.fullest(PER), 60, "all of the rate is used");
    // 1,020 calls in portions of 60.
    let least = 16 * PER;
    assert!(took >= least && took <= least + least / 20, "{took:?}");
    let is_rate = |reason: &&WaitReason| {
        let rate = "60/30s".to_owned();
        let limit = ProviderLimit::Rate { rate };
        matches!(reason, WaitReason::Provider { provider, limit: it, wait_ms: Some(1..=30_300) } if provider == "stage" && *it == limit)
    };
    assert!(waits(&bodies).filter(is_rate).count() >= 900);
    bed.system.shutdown().await;
}

/// Nobody told the system of the limit: the provider's refusals do, with and without a time to come again.
#[tokio::test(start_paused = true)]
async fn refusals_hold_back_everybody_and_fail_nobody() {
    for says_when in [true, false] {
        let server = Server {
            latency: 2 * SECOND,
            rate: Some((60, PER)),
            says_when,
            ..Server::default()
        };
        let bed = Bed::new(server, 1_000, no_limits()).await;
        let (bodies, took) = crowds_are_done(&bed, 3).await;
        let refused = bed.server.seen().refused;
        assert!(refused <= 303, "{refused} calls were refused");
        assert!(took <= 3 * 6 * PER, "{took:?}");
        let is_pause = |reason: &&WaitReason| {
            matches!(
                reason,
                WaitReason::Provider {
                    limit: ProviderLimit::Refused,
                    wait_ms: Some(_),
                    ..
                }
            )
        };
        assert!(waits(&bodies).any(|it| is_pause(&it)));
        bed.system.shutdown().await;
    }
}
