//! Faults on purpose: every kind at every target, and every way to say when.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use actors::fault::{Fault, FaultPlan, Kind, Target, When};
use actors::model::{EventBody, TaskId, TaskStatus};
use actors::system::{Deps, SystemError};
use actors::testing::sim::Moments;
use insta::assert_snapshot;
use serde_json::{Value, json};

use super::{Play, agent};
use crate::support::{expect_panics, virtual_time};

/// A lead that has `a` pay and tell the room, hears it while it is at work itself, and says what came of it.
fn scripts() -> Value {
    let delegate = json!({ "agent": "a", "input": "pay", "mode": "background" });
    json!({
        "lead": [
            { "say": "Go on with it.", "call": "create_run", "args": delegate },
            { "say": "Meanwhile.", "call": "pay_keyed", "args": { "what": "rent", "ms": 200 } },
            { "say": "I wait." },
            { "say": "Both are paid." }
        ],
        "a": [
            { "say": "Power it is.", "call": "pay_ledgered", "args": { "what": "power", "ms": 50 } },
            { "say": "I say so.", "call": "post_message", "args": { "content": "power is paid" } },
            { "say": "{{result.1}}" }
        ]
    })
}

async fn faulty(plan: FaultPlan, change: impl FnOnce(&mut Deps)) -> Play {
    let (stage, requests) = Play::set("20ms", scripts(), &[]);
    let with_faults = |deps: &mut Deps| {
        deps.faults = plan;
        change(deps);
    };
    let system = stage.open_with(&Moments::calm(), with_faults).await;
    Play {
        stage,
        requests,
        system,
    }
}

fn fault(target: &Target, kind: Kind, when: &When) -> Fault {
    let (target, when) = (target.clone(), when.clone());
    Fault {
        target,
        kind,
        when,
        seed: 8,
    }
}

/// Half an hour of a task with a fault: how often it struck, how the task stands and since when, and what was paid.
async fn outcome(fault: &Fault) -> (usize, String, String) {
    let lives = Arc::new(Mutex::new(0));
    let ended = lives.clone();
    let plan = FaultPlan(vec![fault.clone()]);
    let play = faulty(plan, |deps| {
        *deps = deps
            .clone()
            .end_node(move |_| *ended.lock().expect("not poisoned") += 1);
    })
    .await;
    let task = play
        .begin(&["lead", "a"], |task| {
            for name in ["lead", "a"] {
                agent(task, name).tool_timeout = Duration::from_secs(10);
                agent(task, name).timeout = Duration::from_secs(10);
                agent(task, name).hang_after = Some(Duration::from_secs(20));
            }
        })
        .await;
    tokio::time::sleep(Duration::from_secs(1800)).await;
    let status = play.system.task(task).await.expect("a task").status;
    let told = play.told(task).await;
    let last = told.lines().last().and_then(|line| line.get(..7));
    let took = last.map_or("", str::trim);
    let took = took.parse::<u32>().expect("a time") / 100;
    let took = format!("{}.{}", took / 10, took % 10);
    let struck = told
        .lines()
        .filter(|line| line.contains(" fault_injected "))
        .count();
    let paid = play.stage.outside.payments();
    assert!(paid.values().all(|times| *times == 1), "{paid:?}\n{told}");
    let nodes = *lives.lock().expect("not poisoned");
    // One that ends the node when the task has ended has no task to be told to.
    let is_node = fault.target == Target::Node;
    assert!(if is_node { nodes >= struck } else { nodes == 0 }, "{told}");
    play.system.shutdown().await;
    let paid: Vec<_> = paid.keys().map(String::as_str).collect();
    let status = format!("{status:?} {took:>5}s");
    (struck, status, paid.join(" "))
}

fn targets() -> Vec<Target> {
    vec![
        Target::Agent("a".to_owned()),
        Target::Run("*".to_owned()),
        Target::Provider("st*".to_owned()),
        Target::Executor("*".to_owned()),
        Target::Link("a".to_owned(), "*".to_owned()),
        Target::Supervisor("agents".to_owned()),
        Target::Supervisor("tasks".to_owned()),
        Target::Node,
    ]
}

fn kinds() -> [Kind; 9] {
    [
        Kind::Panic,
        Kind::Kill,
        Kind::Hang,
        Kind::Delay(Duration::from_secs(2)),
        Kind::Drop,
        Kind::Duplicate,
        Kind::Corrupt,
        Kind::Error,
        Kind::Disconnect,
    ]
}

fn table(when: &When) -> String {
    expect_panics();
    let mut lines = Vec::new();
    for target in targets() {
        for kind in kinds() {
            let fault = fault(&target, kind, when);
            if FaultPlan(vec![fault.clone()]).check().is_err() {
                continue;
            }
            let once = virtual_time(outcome(&fault));
            let (struck, status, paid) = once.clone();
            let name = format!("{target} {kind}");
            lines.push(
                format!("{name:<26} {struck:>3} × {status:<22} {paid}")
                    .trim_end()
                    .to_owned(),
            );
        }
    }
    lines.join("\n")
}

#[test]
fn each_kind_at_each_target_on_an_event() {
    let event = "tool_call_started".to_owned();
    let nth = Some(2);
    assert_snapshot!(table(&When::On { event, nth }));
}

#[test]
fn each_kind_at_each_target_at_a_time() {
    assert_snapshot!(table(&When::At(Duration::from_millis(30))));
}

#[test]
fn each_kind_at_each_target_by_chance() {
    assert_snapshot!(table(&When::Chance(0.3)));
}

#[test]
fn the_same_seed_plays_the_same_faults_and_another_one_others() {
    expect_panics();
    let told = |seed| {
        virtual_time(async move {
            let target = Target::Provider("stage".to_owned());
            let mut failing = fault(&target, Kind::Error, &When::Chance(0.3));
            failing.seed = seed;
            let play = faulty(FaultPlan(vec![failing]), |_| {}).await;
            let task = play.begin(&["lead", "a"], |_| {}).await;
            play.told_to_the_end(task, TaskStatus::Completed).await
        })
    };
    assert_eq!(told(1), told(1));
    assert_ne!(told(1), told(2));
}

#[tokio::test(start_paused = true)]
async fn several_faults_and_what_the_journal_says_of_them() {
    expect_panics();
    let on = |event: &str, nth| When::On {
        event: event.to_owned(),
        nth: Some(nth),
    };
    let (lead, stage) = ("lead".to_owned(), Target::Provider("stage".to_owned()));
    let plan = FaultPlan(vec![
        fault(&stage, Kind::Disconnect, &on("model_call_started", 2)),
        fault(
            &Target::Agent(lead),
            Kind::Kill,
            &on("tool_call_completed", 2),
        ),
        fault(
            &Target::Run("*".to_owned()),
            Kind::Panic,
            &on("run_started", 2),
        ),
        fault(
            &Target::Link("a".to_owned(), "lead".to_owned()),
            Kind::Drop,
            &When::At(Duration::ZERO),
        ),
    ]);
    let play = faulty(plan, |_| {}).await;
    let task = play.begin(&["lead", "a"], |_| {}).await;
    let told = play.told_to_the_end(task, TaskStatus::Completed).await;
    assert_eq!(play.stage.outside.payments().values().sum::<u32>(), 2);
    play.system.shutdown().await;
    assert_snapshot!(told);
}

async fn ends_of(play: &Play, task: TaskId) -> usize {
    let events = play.stage.journal(task).await;
    let is_end = |event: &&actors::model::Event| matches!(&event.body, EventBody::FaultInjected { target, .. } if target == "node");
    events.iter().filter(is_end).count()
}

#[tokio::test(start_paused = true)]
async fn a_node_that_goes_on_is_not_ended_by_the_same_fault_again() {
    for when in [
        When::At(Duration::from_millis(100)),
        When::On {
            event: "tool_call_started".to_owned(),
            nth: Some(2),
        },
    ] {
        let plan = FaultPlan(vec![fault(&Target::Node, Kind::Kill, &when)]);
        let ended = Arc::new(tokio::sync::Notify::new());
        let end = ended.clone();
        let mut play = faulty(plan.clone(), |deps| {
            *deps = deps.clone().end_node(move |_| end.notify_one());
        })
        .await;
        let task = play.begin(&["lead", "a"], |_| {}).await;
        ended.notified().await;
        play.system.shutdown().await;
        assert_eq!(ends_of(&play, task).await, 1);
        let again = Arc::new(Mutex::new(0));
        let count = again.clone();
        play.restart(|deps| {
            *deps = deps
                .clone()
                .faults(plan)
                .end_node(move |_| *count.lock().expect("not poisoned") += 1);
        })
        .await;
        let told = play.told_to_the_end(task, TaskStatus::Completed).await;
        assert_eq!(*again.lock().expect("not poisoned"), 0, "{told}");
        let paid = play.stage.outside.payments();
        assert_eq!(paid.values().max(), Some(&1), "{told}");
        play.system.shutdown().await;
    }
}

#[tokio::test(start_paused = true)]
async fn plans_that_make_no_sense_are_refused() {
    let at = When::At(Duration::ZERO);
    let wrong = [
        fault(&Target::Node, Kind::Drop, &at),
        fault(&Target::Link("a".into(), "b".into()), Kind::Kill, &at),
        fault(&Target::Run("*".into()), Kind::Delay(Duration::ZERO), &at),
        fault(&Target::Run("*".into()), Kind::Kill, &When::Chance(1.5)),
        fault(
            &Target::Run("*".into()),
            Kind::Kill,
            &When::Every(Duration::ZERO),
        ),
        fault(
            &Target::Run("*".into()),
            Kind::Kill,
            &When::On {
                event: "x".into(),
                nth: Some(0),
            },
        ),
        fault(&Target::Node, Kind::Kill, &at),
    ];
    let mut refused = Vec::new();
    let (stage, _) = Play::set("20ms", scripts(), &[]);
    for fault in wrong {
        let store = stage.store.clone();
        let deps = Deps::new(
            store,
            Arc::new(actors::clock::TokioClock::starting_at(
                actors::model::Timestamp(0),
            )),
            Arc::new(actors::clock::SeededIds::new(1)),
        );
        match actors::system::System::start(deps.faults(FaultPlan(vec![fault]))).await {
            Err(SystemError::Faults(error)) => refused.push(error.to_string()),
            other => panic!("{other:?}"),
        }
    }
    assert_snapshot!(refused.join("\n"), @r"
    `drop` cannot happen to `node`, which knows kill, panic
    `kill` cannot happen to `link:a->b`, which knows delay, drop, duplicate
    the delay of the fault at `run:*` must be more than nothing and at most an hour
    the chance of the fault at `run:*` must be from 0 to 1
    the time of the fault at `run:*` must be more than nothing
    `nth` of the fault at `run:*` must be from 1 on
    a fault is to end the node, and the system was not given a way to: see `Deps::end_node`
    ");
}
