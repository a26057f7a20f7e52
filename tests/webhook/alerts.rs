//! Runs that are stuck, in virtual time.

use std::time::Duration;

use actors::model::{EventBody, TaskId, Whom};
use actors::system::STUCK_AFTER;
use insta::assert_snapshot;

use super::{Bed, EPOCH, child};

const MINUTE: Duration = Duration::from_secs(60);

async fn alerts(bed: &Bed, task: TaskId) -> Vec<String> {
    let events = bed.system.events(task, 0, 1_000).await.unwrap();
    let alerts = events.into_iter().filter_map(|event| match event.body {
        EventBody::Alert { kind, note, about } => {
            let run = about.expect("a run").to_string();
            let at = humantime::format_duration(event.at.since(EPOCH));
            Some(format!("{at} {kind:?}: {}", note.replace(&run, "RUN")))
        }
        _ => None,
    });
    alerts.collect()
}

#[tokio::test(start_paused = true)]
async fn a_run_without_progress_is_told_of_once() {
    let bed = Bed::open().await;
    let stuck = bed.begun("ours", "waiter").await;
    let paused = bed.begun("ours", "waiter").await;
    bed.system.pause(paused, Whom::Task).await.unwrap();
    let looking = child(bed.system.stuck_alerts(STUCK_AFTER)).await;
    tokio::time::sleep(MINUTE * 14).await;
    assert!(alerts(&bed, stuck).await.is_empty());
    tokio::time::sleep(MINUTE * 10).await;
    looking.stop().await;
    // Another life of the node reads that it was said.
    let looking = child(bed.system.stuck_alerts(STUCK_AFTER)).await;
    tokio::time::sleep(MINUTE * 20).await;
    assert_snapshot!(alerts(&bed, stuck).await.join("\n"), @"15m Stuck: RUN has made no progress for 15m: it does not wait: its model is thinking");
    assert!(alerts(&bed, paused).await.is_empty());
    looking.stop().await;
    bed.close().await;
}
