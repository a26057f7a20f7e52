//! A cancel closes a whole tree at once: when it returns nothing of a thousand runs runs or begins, and every one has its end.

use std::collections::BTreeSet;
use std::time::Duration;

use actors::model::{Event, EventBody, Limits, RunId, TaskId, TaskStatus};
use actors::provider::Provider;
use actors::store::{RunRow, Store};
use actors::system::System;
use actors::testing::outside::Witness;
use actors::testing::recorder::Requests;
use actors::testing::sim::{Moments, Stage};
use serde_json::{Value, json};
use std::sync::Arc;

use crate::support::causes;
use crate::support::slow::slow;

const LONG: Duration = Duration::from_secs(360_000);

fn delegate(agent: &str, input: usize) -> Value {
    json!({ "tool": "create_run", "args": {
        "agent": agent, "input": format!("{agent} {input}"), "mode": "background", "context": "none"
    } })
}

fn pay(tool: &str) -> Value {
    json!({ "tool": tool, "args": { "what": "{{input}}", "ms": 36_000_000 } })
}

/// One with some below it, and some below each of them, and below each of those nine: three that think, three that call an
/// executor, and three that call a tool of the node. Those above wait for them.
fn scripts(wide: usize) -> Value {
    let all = |agent: &'static str| (0..wide).map(|n| delegate(agent, n)).collect::<Vec<_>>();
    let leaves = (0..3).flat_map(|n| ["thinker", "far", "near"].map(|agent| delegate(agent, n)));
    let say = json!({ "say": "I wait." });
    json!({ "latency": "1ms", "scripts": {
        "lead": [{ "calls": all("upper") }, say], "upper": [{ "calls": all("lower") }, say],
        "lower": [{ "calls": leaves.collect::<Vec<_>>() }, say],
        "far": [{ "calls": [pay("pay_ledgered")] }], "near": [{ "calls": [pay("pay_once")] }]
    } })
}

struct World {
    stage: Stage,
    requests: Requests,
    system: System,
    task: TaskId,
}

impl World {
    /// A tree with all its runs live: `wide * wide * 9` leaves, all at work.
    async fn grown(wide: usize) -> Self {
        let requests = Requests::default();
        let provider: Arc<dyn Provider> = requests.before(slow(scripts(wide)));
        let stage = Stage::with_provider(provider, 5);
        let many = |deps: &mut actors::system::Deps| {
            deps.settings.pools.pools = [("workers".to_owned(), 10_000)].into();
        };
        let system = stage.open_with(&Moments::calm(), many).await;
        let mut task = stage.task(&["lead", "upper", "lower", "thinker", "far", "near"]);
        task.limits = Limits {
            live_runs: 10_000,
            total_runs: 10_000,
            ..Limits::default()
        };
        for agent in task.agents.values_mut() {
            (agent.timeout, agent.tool_timeout) = (LONG, LONG);
        }
        let task = system.create_task(task).await.expect("a task");
        let world = Self {
            stage,
            requests,
            system,
            task,
        };
        let leaves = (wide * wide * 3, wide * wide * 6);
        while world.flying() != leaves {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        world
    }

    /// Model calls and tool calls that are under way.
    fn flying(&self) -> (usize, usize) {
        let calls = self.stage.outside.under_way() as usize;
        (self.requests.under_way(), calls)
    }

    async fn rows(&self) -> Vec<RunRow> {
        self.stage.store.runs(self.task).await.expect("memory")
    }

    /// From now on nothing may begin.
    fn nothing_begins(&self) {
        let panics = |id: &actors::model::CallId, _| panic!("{id} begins after it");
        self.stage.outside.watched_by(Witness(Arc::new(panics)));
    }
}

fn ends(events: &[Event]) -> Vec<RunId> {
    let ends = events.iter().filter(|event| event.body.is_run_end());
    ends.filter_map(|event| event.run_id).collect()
}

#[tokio::test(start_paused = true)]
async fn a_thousand_runs_end_together_and_at_once() {
    let world = World::grown(10).await;
    let before = world.rows().await;
    assert_eq!(before.len(), 1 + 10 + 100 + 900);
    let reads = world.stage.manners.reads();
    world.nothing_begins();
    #[expect(clippy::disallowed_methods, reason = "the bound is one of real time")]
    let (begun, real) = (tokio::time::Instant::now(), std::time::Instant::now());
    world
        .system
        .cancel(world.task, "enough")
        .await
        .expect("cancelled");
    let (virtually, really) = (begun.elapsed(), real.elapsed());
    println!(
        "{virtually:?} virtual, {really:?} real, {} reads",
        world.stage.manners.reads() - reads
    );
    assert!(virtually < Duration::from_secs(1), "{virtually:?}");
    assert!(really < Duration::from_secs(20), "{really:?}");
    assert!(
        world.stage.manners.reads() - reads < 100,
        "the store is read once per run"
    );
    assert_eq!(world.flying(), (0, 0));
    let (asked, events) = (
        world.requests.count(),
        causes::journal(&world.stage, world.task).await,
    );
    let ended = ends(&events);
    assert_eq!(ended.len(), before.len());
    assert_eq!(ended.iter().collect::<BTreeSet<_>>().len(), before.len());
    assert_eq!(ended[0], before[0].id, "the root is the first");
    tokio::time::sleep(Duration::from_secs(3_600)).await;
    assert_eq!(world.requests.count(), asked);
    assert_eq!(
        causes::journal(&world.stage, world.task).await.len(),
        events.len()
    );
    let row = world.system.task(world.task).await.expect("the task");
    assert_eq!(row.status, TaskStatus::Cancelled);
    world.system.shutdown().await;
}

/// A run and those below it, in order of creation.
fn below(rows: &[RunRow], top: RunId) -> BTreeSet<RunId> {
    let mut inside = BTreeSet::from([top]);
    for row in rows {
        if row.parent.is_some_and(|parent| inside.contains(&parent)) {
            inside.insert(row.id);
        }
    }
    inside
}

#[tokio::test(start_paused = true)]
async fn when_one_run_is_cancelled_its_subtree_has_ended_and_the_rest_goes_on() {
    let world = World::grown(4).await;
    let rows = world.rows().await;
    let top = rows.iter().find(|row| row.depth == 1).expect("one").id;
    let inside = below(&rows, top);
    assert_eq!(inside.len(), 1 + 4 + 36);
    let cancelled = world.system.cancel_run(world.task, top, "enough");
    cancelled.await.expect("cancelled");
    let live = world
        .rows()
        .await
        .into_iter()
        .filter(|row| !row.status.is_terminal());
    let live: BTreeSet<_> = live.map(|row| row.id).collect();
    let rest: BTreeSet<_> = rows
        .iter()
        .map(|row| row.id)
        .filter(|run| !inside.contains(run))
        .collect();
    assert_eq!(live, rest);
    // The one that delegated it is told, and thinks about it.
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(world.flying(), (3 * 12, 3 * 24));
    let events = causes::journal(&world.stage, world.task).await;
    assert_eq!(ends(&events)[0], top, "the topmost is the first");
    let is_reason = |event: &&Event| matches!(&event.body, EventBody::RunCancelled { reason, .. } if reason == "enough");
    assert_eq!(events.iter().filter(is_reason).count(), inside.len());
    world
        .system
        .cancel(world.task, "and all")
        .await
        .expect("cancelled");
    assert_eq!(world.flying(), (0, 0));
    world.system.shutdown().await;
}

/// Ten that are never done, over a store that takes its time: the end of the first is not durable at once.
#[tokio::test(start_paused = true)]
async fn nothing_begins_while_a_cancel_is_under_way() {
    let busy = json!({ "calls": [{ "tool": "pay_pure", "args": { "what": "x" } }] });
    let scripts = json!({ "latency": "1ms", "scripts": {
        "lead": [{ "calls": (0..10).map(|n| delegate("busy", n)).collect::<Vec<_>>() }, { "say": "I wait." }],
        "busy": vec![busy; 400]
    } });
    let requests = Requests::default();
    let stage = Stage::with_provider(requests.before(slow(scripts)), 5);
    stage.manners.slow(3, Duration::from_millis(40));
    let system = stage.open(&Moments::calm()).await;
    let mut task = stage.task(&["lead", "busy"]);
    let max_turns = |agent: &mut actors::model::AgentSpec| agent.max_turns = 1_000;
    task.agents.values_mut().for_each(max_turns);
    (task.limits.loop_warn, task.limits.loop_stop) = (0, 0);
    let task = system.create_task(task).await.expect("a task");
    for _ in 0..30 {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let begun = || (requests.count(), stage.outside.calls().0);
    let look = async {
        tokio::time::sleep(Duration::from_micros(1_100)).await;
        begun()
    };
    let (cancelled, soon) = tokio::join!(system.cancel(task, "enough"), look);
    assert_eq!(cancelled, Ok(()));
    assert!(soon.0 > 20, "they were busy: {soon:?}");
    assert_eq!(begun(), soon, "something began while it was under way");
    system.shutdown().await;
}
