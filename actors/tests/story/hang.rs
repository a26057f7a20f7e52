//! Agents that hang, and agents that are only slow.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use actors::fault::{Fault, FaultPlan, Kind, Target, When};
use actors::model::{
    Content, EffectClass, EventBody, InDoubtPolicy, ModelRequest, Place, Reply, TaskDefinition,
    TaskId, TaskStatus, ToolSpec, WaitReason,
};
use actors::provider::{Delta, DeltaSink, Provider, ProviderError};
use actors::testing::outside::Outside;
use actors::testing::recorder::Requests;
use actors::testing::sim::{Moments, Stage};
use actors::tool::{CallObserver, Invocation, Tool, ToolError, Unobserved};
use futures_util::future::BoxFuture;
use insta::assert_snapshot;
use serde_json::{Value, json};
use supervision::health::Step;

use super::{Play, agent};

const LIMIT: Duration = Duration::from_secs(10);

fn watched(definition: &mut TaskDefinition) {
    for agent in definition.agents.values_mut() {
        agent.hang_after = Some(LIMIT);
        agent.timeout = Duration::from_secs(3600);
        agent.tool_timeout = Duration::from_secs(3600);
    }
}

fn paying(tool: &str, ms: u64) -> Value {
    json!({ "lead": [
        { "say": "Rent.", "call": tool, "args": { "what": "rent", "ms": ms } },
        { "say": "{{last}}" }
    ] })
}

async fn with_fault(target: Target, kind: Kind) -> Play {
    let (stage, requests) = Play::set("20ms", paying("pay_keyed", 0), &[]);
    let when = When::At(Duration::from_millis(10));
    let plan = FaultPlan(vec![Fault {
        target,
        kind,
        when,
        seed: 0,
    }]);
    let system = stage
        .open_with(&Moments::calm(), |deps| deps.faults = plan)
        .await;
    Play {
        stage,
        requests,
        system,
    }
}

/// The strongest step against anybody, and when the first one was taken, within so many seconds.
async fn steps(play: &Play, seconds: u64) -> (Option<Step>, Option<Duration>) {
    let (mut strongest, mut first) = (None, None);
    let begin = tokio::time::Instant::now();
    while begin.elapsed() < Duration::from_secs(seconds) {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let tree = play.system.tree().await;
        let step = tree.iter().filter_map(|node| node.step).max();
        if step.is_some() {
            first.get_or_insert(begin.elapsed());
        }
        strongest = strongest.max(step);
    }
    (strongest, first)
}

async fn story(play: Play) -> (Option<Step>, Duration, String) {
    let task = play.begin(&["lead"], watched).await;
    let (step, first) = steps(&play, 60).await;
    let told = play.told_to_the_end(task, TaskStatus::Completed).await;
    play.system.shutdown().await;
    let first = first.unwrap_or_else(|| panic!("nobody saw it:\n{told}"));
    assert!(
        first > LIMIT && first < LIMIT + LIMIT / 10,
        "{first:?}\n{told}"
    );
    (step, first, told)
}

#[tokio::test(start_paused = true)]
async fn a_model_call_that_says_nothing_is_ended_and_made_again() {
    let play = with_fault(Target::Provider("*".to_owned()), Kind::Hang).await;
    let (step, _, told) = story(play).await;
    assert!(step <= Some(Step::Cancelled), "{step:?}");
    assert_snapshot!(told);
}

#[tokio::test(start_paused = true)]
async fn a_run_that_hangs_itself_is_killed_and_goes_on() {
    let play = with_fault(Target::Run("*".to_owned()), Kind::Hang).await;
    let (step, _, told) = story(play).await;
    assert_eq!(step, Some(Step::Cancelled));
    assert_snapshot!(told);
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_hangs_itself_is_killed_and_its_run_goes_on() {
    let play = with_fault(Target::Agent("*".to_owned()), Kind::Hang).await;
    let task = play.begin(&["lead"], watched).await;
    play.until(task, TaskStatus::Completed).await;
    play.system.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn a_tool_that_makes_no_progress_is_ended() {
    for (tool, expected) in [
        ("pay_pure", "no progress for too long"),
        ("pay_once", "in_doubt"),
    ] {
        let play = Play::new(paying(tool, 1_800_000), &[]).await;
        let (step, _, told) = story(play).await;
        assert!(step <= Some(Step::Cancelled), "{step:?}");
        assert!(told.contains(expected), "{told}");
    }
}

/// Says a token at a time, each this long after the one before.
struct Slow(Duration);

impl Provider for Slow {
    fn kind(&self) -> &'static str {
        "slow"
    }

    fn call<'a>(
        &'a self,
        _: &'a ModelRequest,
        deltas: DeltaSink<'a>,
    ) -> BoxFuture<'a, Result<Reply, ProviderError>> {
        Box::pin(async move {
            for _ in 0..20 {
                tokio::time::sleep(self.0).await;
                deltas(Delta::Text("and ".to_owned()));
            }
            Ok(Reply::new("and so on"))
        })
    }
}

async fn speaking(pause: Duration) -> Play {
    let requests = Requests::default();
    let provider = requests.before(Arc::new(Slow(pause)));
    let stage = Stage::with_provider(provider, 1);
    let system = stage.open(&Moments::calm()).await;
    Play {
        stage,
        requests,
        system,
    }
}

async fn is_untouched(play: Play, task: TaskId, seconds: u64) {
    let (step, _) = steps(&play, seconds).await;
    let told = play.told_to_the_end(task, TaskStatus::Completed).await;
    assert_eq!(step, None, "{told}");
    for sign in [
        "run_retrying",
        "run_restarted",
        "supervisor_restart",
        "in_doubt",
    ] {
        assert!(!told.contains(sign), "{told}");
    }
    play.system.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn one_that_is_slow_but_makes_progress_is_never_touched() {
    let play = speaking(LIMIT * 9 / 10).await;
    let task = play.begin(&["lead"], watched).await;
    is_untouched(play, task, 200).await;
    // The same a little slower is too slow.
    let play = speaking(LIMIT * 11 / 10).await;
    play.begin(&["lead"], watched).await;
    let (step, _) = steps(&play, 60).await;
    assert!(step.is_some());
    play.system.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn one_that_waits_is_never_touched() {
    // For an executor that is not there.
    let (stage, requests) = Play::set("20ms", paying("pay_ledgered", 0), &[]);
    let play = Play::on((stage, requests), |stage| stage.machines.clear()).await;
    let task = play.begin(&["lead"], watched).await;
    let (step, _) = steps(&play, 120).await;
    assert_eq!(step, None);
    play.stage
        .connect(&play.system, "outside", &Moments::calm());
    is_untouched(play, task, 30).await;
    // For an executor's tool that has a limit of its own.
    let play = Play::new(paying("pay_ledgered", 60_000), &[]).await;
    let task = play.begin(&["lead"], watched).await;
    is_untouched(play, task, 90).await;
    // For a run it delegated, which is at work for longer than the limit without saying anything to it.
    let brief = json!({ "agent": "a", "input": "pay" });
    let scripts = json!({
        "lead": [ { "say": "Go.", "call": "create_run", "args": brief }, { "say": "done" } ],
        "a": [ { "say": "Rent.", "call": "pay_keyed", "args": { "what": "rent", "ms": 60_000 } }, { "say": "paid" } ]
    });
    let play = Play::new(scripts, &[]).await;
    let task = play
        .begin(&["lead", "a"], |definition| {
            watched(definition);
            agent(definition, "a").hang_after = None;
        })
        .await;
    is_untouched(play, task, 90).await;
}

/// A tool in the node that says what it waits for, and waits for a minute.
struct Patient;

impl Tool for Patient {
    fn spec(&self) -> ToolSpec {
        ToolSpec {
            name: "pay_pure".to_owned(),
            ..Outside::executor_tool("pay_pure")
        }
    }

    fn call(&self, call: Invocation) -> BoxFuture<'_, Result<String, ToolError>> {
        Box::pin(async move { self.call_visibly(call, &Unobserved).await })
    }

    fn call_visibly<'a>(
        &'a self,
        _: Invocation,
        observer: &'a dyn CallObserver,
    ) -> BoxFuture<'a, Result<String, ToolError>> {
        Box::pin(async move {
            observer.waits(WaitReason::Human {
                question: "may it?".to_owned(),
            });
            tokio::time::sleep(Duration::from_secs(60)).await;
            Ok("it may".to_owned())
        })
    }
}

#[tokio::test(start_paused = true)]
async fn a_tool_that_says_what_it_waits_for_is_not_at_work() {
    let (stage, requests) = Play::set("20ms", paying("pay_pure", 0), &[]);
    let system = stage
        .open_with(&Moments::calm(), |deps| deps.tools.push(Arc::new(Patient)))
        .await;
    let play = Play {
        stage,
        requests,
        system,
    };
    let task = play.begin(&["lead"], watched).await;
    is_untouched(play, task, 90).await;
}

#[tokio::test(start_paused = true)]
async fn a_retry_that_is_waited_for_is_no_silence() {
    let scripts = json!({ "lead": [ { "fail": "rate_limited" }, { "say": "done" } ] });
    let play = Play::new(scripts, &[]).await;
    let task = play.begin(&["lead"], watched).await;
    let (step, _) = steps(&play, 120).await;
    let told = play.told_to_the_end(task, TaskStatus::Completed).await;
    assert_eq!(step, None, "{told}");
    play.system.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn a_run_that_hangs_again_and_again_while_a_person_is_asked_is_left_alone() {
    let rent = json!({ "what": "rent", "then": "unknown" });
    let brief = json!({ "agent": "a", "input": "pay" });
    let scripts = json!({
        "lead": [ { "say": "Go.", "call": "create_run", "args": brief }, { "say": "done" } ],
        "a": [ { "say": "Rent.", "call": "pay_once", "args": rent }, { "say": "{{last}}" } ]
    });
    let (stage, requests) = Play::set("20ms", scripts, &[]);
    let (target, when) = (Target::Run("*".to_owned()), When::Every(LIMIT / 2));
    let plan = FaultPlan(vec![Fault {
        target,
        kind: Kind::Hang,
        when,
        seed: 0,
    }]);
    let system = stage
        .open_with(&Moments::calm(), |deps| deps.faults = plan)
        .await;
    let play = Play {
        stage,
        requests,
        system,
    };
    let asking = |definition: &mut TaskDefinition| {
        watched(definition);
        agent(definition, "a").in_doubt = InDoubtPolicy::Ask;
        definition.limits.progress_ms = 2_000;
    };
    let task = play.begin(&["lead", "a"], asking).await;
    play.until(task, TaskStatus::NeedsAttention).await;
    tokio::time::sleep(Duration::from_secs(3600)).await;
    let told = play.told(task).await;
    play.system.shutdown().await;
    let begun = |line: &&str| line.contains(" a ") && line.contains("run_restarted");
    assert_eq!(told.lines().filter(begun).count(), 5, "{told}");
    let last = told.lines().last();
    let is_asked = last.is_some_and(|line| line.contains("run_a is quarantined"));
    assert!(is_asked, "{told}");
    // Nor does it say again and again that it waits.
    assert!(!told.contains("run_progress"), "{told}");
}

/// A tool in the node that keeps its thread until it is let go, whatever anybody wants of it.
struct Blocking(Mutex<std::sync::mpsc::Receiver<()>>);

impl Tool for Blocking {
    fn spec(&self) -> ToolSpec {
        ToolSpec {
            place: Place::Node,
            effect: EffectClass::Once,
            ..Outside::executor_tool("pay_once")
        }
    }

    fn call(&self, call: Invocation) -> BoxFuture<'_, Result<String, ToolError>> {
        Box::pin(async move {
            // Others go on meanwhile: it is this run that is to be stuck, and not the test.
            tokio::task::block_in_place(|| {
                let _ = self.0.lock().expect("not poisoned").recv();
            });
            Ok(format!("paid in epoch {}", call.epoch))
        })
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn what_a_tool_says_after_its_run_was_declared_lost_is_kept() {
    let (release, blocked) = std::sync::mpsc::channel();
    let tool = Arc::new(Blocking(Mutex::new(blocked)));
    let (stage, requests) = Play::set("1ms", paying("pay_once", 0), &[]);
    let system = stage
        .open_with(&Moments::calm(), |deps| deps.tools.push(tool))
        .await;
    let play = Play {
        stage,
        requests,
        system,
    };
    let ask = |definition: &mut TaskDefinition| {
        let lead = agent(definition, "lead");
        lead.hang_after = Some(Duration::from_millis(60));
        lead.in_doubt = InDoubtPolicy::Ask;
    };
    let task = play.begin(&["lead"], ask).await;
    play.until_event(task, |event| {
        matches!(event.body, EventBody::ToolCallInDoubt { .. })
    })
    .await;
    release.send(()).expect("the tool is in its call");
    let late = play.until_event(task, |event| {
        matches!(event.body, EventBody::ToolCallLate { .. })
    });
    let late = late.await;
    let EventBody::ToolCallLate {
        started_epoch,
        content,
        ..
    } = &late.body
    else {
        unreachable!("it was waited for");
    };
    assert_eq!((*started_epoch, late.epoch), (1, 2));
    assert_eq!(*content, Content::Inline("paid in epoch 1".to_owned()));
    play.system.shutdown().await;
}
