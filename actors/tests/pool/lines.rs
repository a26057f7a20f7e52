//! Who goes before whom.

use std::time::Duration;

use actors::model::{TaskId, TaskStatus};
use actors::system::SystemError;
use actors::testing::sim::settle;

use super::{Bed, SECOND, Server, no_limits};

fn slow() -> Server {
    Server {
        latency: 10 * SECOND,
        ..Server::default()
    }
}

async fn all_end(bed: &Bed, tasks: &[TaskId]) {
    for task in tasks {
        let end = settle(&bed.system, *task, 3600 * SECOND).await;
        assert_eq!(end, Some(TaskStatus::Completed));
    }
    assert!(bed.is_empty(), "{:?}", bed.system.pools());
}

#[tokio::test(start_paused = true)]
async fn a_deep_tree_needs_no_more_than_one_permit() {
    let bed = Bed::new(slow(), 1, no_limits()).await;
    let task = bed.create("tree 8").await;
    all_end(&bed, &[task]).await;
    assert_eq!(bed.system.runs(task).await.expect("runs").len(), 9);
    assert_eq!(bed.server.seen().most_under_way, 1);
    bed.system.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn the_more_urgent_go_first_and_nobody_waits_for_ever() {
    let bed = Bed::new(slow(), 1, no_limits()).await;
    let create = async |name: &str, priority| {
        let task = bed.task(name).priority(priority);
        let task = bed.system.create_task(task).await.expect("a task");
        // So that its call stands in the line before the next one's.
        tokio::time::sleep(Duration::from_millis(1)).await;
        task
    };
    let first = create("first", 0).await;
    let mut tasks = vec![first, create("low", -1).await];
    tasks.extend([create("usual", 0).await, create("urgent", 5).await]);
    // Of these only those go before the low one that come in its first minute.
    for n in 0..12 {
        tasks.push(create(&format!("later{n}"), 0).await);
        tokio::time::sleep(9 * SECOND).await;
    }
    all_end(&bed, &tasks).await;
    let briefs = bed.server.briefs();
    assert_eq!(briefs[..3], ["first", "urgent", "usual"]);
    let low = briefs.iter().position(|brief| brief == "low");
    assert_eq!(
        low,
        briefs
            .iter()
            .position(|brief| brief == "later7")
            .map(|at| at - 1)
    );
    bed.system.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn a_full_pool_does_not_hold_up_another() {
    let bed = Bed::new(slow(), 1, no_limits()).await;
    let crowd = bed.create("crowd 30").await;
    tokio::time::sleep(25 * SECOND).await;
    let mut other = bed.task("other");
    for agent in other.agents.values_mut() {
        "side".clone_into(&mut agent.pool);
    }
    let other = bed.system.create_task(other).await.expect("a task");
    let quick = settle(&bed.system, other, 11 * SECOND).await;
    assert_eq!(quick, Some(TaskStatus::Completed));
    all_end(&bed, &[crowd]).await;
    bed.system.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn a_priority_beyond_the_range_is_refused() {
    let bed = Bed::new(slow(), 1, no_limits()).await;
    let task = bed.task("x").priority(11);
    let error = bed.system.create_task(task).await.expect_err("too urgent");
    assert!(matches!(error, SystemError::Definition(_)));
    insta::assert_snapshot!(error, @"the task cannot be started: its priority is 11; priorities are from -10 to 10");
    bed.system.shutdown().await;
}
