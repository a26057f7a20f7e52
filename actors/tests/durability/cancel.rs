//! Cancel is a postcondition: when it returns, nothing of the task runs any more and nothing begins.

use std::collections::BTreeSet;
use std::time::Duration;

use actors::model::{Event, EventBody, RunId, Step, TaskId, TaskStatus};
use actors::system::{System, SystemError};
use actors::testing::recorder::Requests;
use actors::testing::sim::{Accident, Moments, Stage};
use serde_json::{Value, json};

use crate::support::causes;
use crate::support::plays::text;
use crate::support::trace::{Did, Trace};
use crate::support::{expect_panics, virtual_time};

fn pay(tool: &str, what: &str, ms: u64) -> Value {
    json!({ "tool": tool, "args": { "what": format!("{what} of {{{{input}}}}"), "ms": ms } })
}

fn delegate(agent: &str, mode: &str) -> Value {
    json!({ "tool": "create_run", "args": { "agent": agent, "input": format!("{agent} {mode} for {{{{input}}}}"), "mode": mode } })
}

/// A tree of depth 3: two in the middle, each with two below, in the foreground and in the background, all with calls under way.
fn stage() -> Stage {
    let scripts = json!({ "latency": "60ms", "scripts": {
        "lead": [
            { "calls": [delegate("middle", "foreground"), delegate("middle", "background"), pay("pay_ledgered", "a", 300)] },
            { "say": "All done." }
        ],
        "middle": [
            { "calls": [pay("pay_once", "b", 100)] },
            { "calls": [delegate("leaf", "foreground"), delegate("leaf", "background"), pay("pay_keyed", "c", 400)] },
            { "say": "The middle is done." }
        ],
        "leaf": [
            { "calls": [pay("pay_ledgered", "d", 500), pay("pay_once", "e", 300), pay("pay_pure", "f", 200)] },
            { "calls": [pay("pay_queryable", "g", 200), pay("pay_ledgered", "h", 400)] },
            { "say": "The leaf is done." }
        ]
    } });
    Stage::new(serde_json::from_value(scripts).expect("scripts"), 5)
}

struct World {
    stage: Stage,
    trace: Trace,
    requests: Requests,
}

impl World {
    fn on(stage: Stage) -> Self {
        expect_panics();
        stage.manners.slow(3, Duration::from_millis(30));
        Self {
            trace: Trace::of(&stage),
            requests: Requests::default(),
            stage,
        }
    }

    async fn open(&self, moments: &Moments) -> System {
        let change = |deps: &mut actors::system::Deps| {
            self.trace.watch(deps);
            for (provider, _) in deps.providers.values_mut() {
                *provider = self.requests.before(provider.clone());
            }
        };
        self.stage.open_with(moments, change).await
    }

    /// How many model calls and tool calls have begun, and how many payments were made.
    fn begun(&self) -> (usize, usize, usize) {
        let facts = self.trace.all();
        let called = |did: &Did| matches!(did, Did::Called(..));
        (
            self.requests.count(),
            facts.iter().filter(|fact| called(&fact.did)).count(),
            self.stage.outside.all_payments().len(),
        )
    }
}

/// Cancels until that is heard: whoever is cut off tries again.
async fn cancel(system: &System, task: TaskId) {
    loop {
        match system.cancel(task, "enough").await {
            Ok(()) | Err(SystemError::Over(_)) => return,
            Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
}

/// Plays so long, cancels, and looks; whether there was still something to cancel, and how many runs there were at most.
async fn cancelled(after: Duration, accident: Option<(u64, Accident)>) -> (bool, usize) {
    let (world, moments) = (World::on(stage()), Moments::with(accident));
    let system = world.open(&moments).await;
    let task = loop {
        let task = world.stage.task(&["lead", "middle", "leaf"]);
        match system.create_task(task).await {
            Ok(task) => break task,
            Err(_) if world.trace.head() > 0 => {
                break world.stage.store_task().await.expect("a task");
            }
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    };
    tokio::time::sleep(after).await;
    cancel(&system, task).await;
    let (begun, events) = (world.begun(), causes::journal(&world.stage, task).await);
    let what = || format!("{after:?}, {accident:?}\n{}", text(&events));
    assert_eq!(world.requests.under_way(), 0, "model calls: {}", what());
    assert_eq!(world.stage.outside.under_way(), 0, "tool calls: {}", what());
    let rows = system.runs(task).await.expect("runs");
    assert!(
        rows.iter().all(|row| row.status.is_terminal()),
        "{}",
        what()
    );
    tokio::time::sleep(Duration::from_secs(3600)).await;
    assert_eq!(world.begun(), begun, "something began after it: {}", what());
    let later = causes::journal(&world.stage, task)
        .await
        .split_off(events.len());
    let is_news = |event: &Event| matches!(event.body, EventBody::SupervisorRestart { .. });
    assert!(later.iter().all(is_news), "{later:?}\n{}", what());
    nothing_is_passed_over(&events);
    only_the_end_is_written(&world.trace);
    let status = system.task(task).await.expect("the task").status;
    system.shutdown().await;
    (status == TaskStatus::Cancelled, rows.len())
}

/// A call that may have had an effect has a result, or it is said that nobody knows.
fn nothing_is_passed_over(events: &[Event]) {
    let mut open = BTreeSet::<(RunId, Step)>::new();
    for event in events {
        let Some(run) = event.run_id else { continue };
        match &event.body {
            EventBody::ToolCallStarted { step, class, .. } if class.records_start() => {
                open.insert((run, *step));
            }
            EventBody::ToolCallCompleted { step, .. } | EventBody::ToolCallInDoubt { step, .. } => {
                open.remove(&(run, *step));
            }
            _ => {}
        }
    }
    assert!(open.is_empty(), "{open:?}\n{}", text(events));
}

/// What a run writes when it is cancelled: what had come in, what nobody knows, and the end.
fn only_the_end_is_written(trace: &Trace) {
    for fact in trace.all() {
        let Did::Wrote(append) = fact.did else {
            continue;
        };
        let mut bodies = append.drafts.iter().map(|draft| &draft.body);
        if !bodies
            .clone()
            .any(|body| matches!(body, EventBody::RunCancelled { .. }))
        {
            continue;
        }
        let may = |body: &EventBody| {
            matches!(
                body,
                EventBody::ToolCallCompleted { .. }
                    | EventBody::ModelCallCompleted { .. }
                    | EventBody::ToolCallInDoubt { .. }
                    | EventBody::RunCancelled { .. }
            )
        };
        assert!(bodies.all(may), "{append:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_in_flight_is_dropped_and_not_waited_for() {
    const HOUR: u64 = 3_600_000;
    let calls = ["pay_pure", "pay_once", "pay_ledgered"].map(|tool| pay(tool, tool, HOUR));
    let delegate = [
        delegate("middle", "background"),
        delegate("leaf", "foreground"),
    ];
    let scripts = json!({ "latency": "10m", "scripts": {
        "lead": [{ "calls": delegate }], "middle": [{ "calls": calls }], "leaf": [{ "calls": calls }, { "say": "x" }]
    } });
    // The first has answered, then the others think, then their calls are under way.
    for minutes in [5, 15, 25] {
        let stage = Stage::new(serde_json::from_value(scripts.clone()).expect("scripts"), 5);
        let world = World::on(stage);
        let system = world.open(&Moments::calm()).await;
        let mut task = world.stage.task(&["lead", "middle", "leaf"]);
        for agent in task.agents.values_mut() {
            let long = Duration::from_secs(36_000);
            (agent.timeout, agent.tool_timeout) = (long, long);
        }
        let task = system.create_task(task).await.expect("a task");
        tokio::time::sleep(Duration::from_secs(minutes * 60)).await;
        let flying = world.requests.under_way() as u64 + world.stage.outside.under_way();
        assert_eq!(flying, [1, 2, 6][minutes as usize / 10]);
        let begun = tokio::time::Instant::now();
        cancel(&system, task).await;
        assert!(
            begun.elapsed() < Duration::from_secs(1),
            "{:?}",
            begun.elapsed()
        );
        assert_eq!(world.requests.under_way(), 0);
        assert_eq!(world.stage.outside.under_way(), 0);
        system.shutdown().await;
    }
}

#[test]
fn when_a_cancel_returns_nothing_runs_or_begins_in_the_whole_tree() {
    let (mut cancels, mut most) = (0, 0);
    for after in (0..2_400).step_by(19) {
        let (was, runs) = virtual_time(cancelled(Duration::from_millis(after), None));
        cancels += usize::from(was);
        most = most.max(runs);
    }
    assert!(cancels > 60 && most == 7, "{cancels} cancels, {most} runs");
}

#[test]
fn when_a_cancel_returns_nothing_runs_or_begins_whatever_crashed_meanwhile() {
    let mut random = fastrand::Rng::with_seed(11);
    for _ in 0..120 {
        let accident = match random.bool() {
            true => Accident::Crash,
            false => Accident::Kill(random.u64(..)),
        };
        let at = random.u64(4..110);
        let after = Duration::from_millis(random.u64(0..1_500));
        virtual_time(cancelled(after, Some((at, accident))));
    }
}
