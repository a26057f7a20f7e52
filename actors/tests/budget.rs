//! Budgets of tokens, money, turns and time, and loops: what is refused and in which words, and that no crash loses count.

mod crashes;

use std::fmt::Write as _;
use std::time::Duration;

use actors::model::{
    AgentName, AgentSpec, Budget, ChatMessage, EventBody, OnExceeded, Price, TaskDefinition,
    TaskStatus,
};
use actors::system::Deps;
use actors::testing::sim::{Moments, Stage, settle};
use serde_json::{Value, json};

use crate::support::causes;
use crate::support::trace::{Trace, requests};
use crate::support::virtual_time;

const PATIENCE: Duration = Duration::from_secs(200_000);

fn tokens(tokens: u64) -> Budget {
    Budget {
        tokens: Some(tokens),
        ..Budget::default()
    }
}

fn agent<'a>(task: &'a mut TaskDefinition, name: &str) -> &'a mut AgentSpec {
    task.agents
        .get_mut(&AgentName::from(name))
        .expect("an agent")
}

/// Agents that know few tools and write short answers: what is set aside for their calls is little.
fn small(task: &mut TaskDefinition) {
    for agent in task.agents.values_mut() {
        agent.tools = vec!["pay_pure".to_owned()];
        agent.settings.insert("max_tokens".to_owned(), json!(100));
    }
}

/// Pays so often, for something else each time, and is done.
fn paying(times: usize) -> Vec<Value> {
    let pay = |n| json!({ "call": "pay_pure", "args": { "n": n }, "usage": { "input": 100, "output": 100 } });
    let end = json!({ "say": "Done.", "usage": { "input": 100, "output": 100 } });
    (0..times).map(pay).chain([end]).collect()
}

/// A play with answers to what it asks, in words: what models are told apart from results, and what happens about limits.
async fn told(
    scripts: Value,
    answers: &[&str],
    change: impl FnOnce(&mut TaskDefinition),
) -> String {
    let settings = json!({ "latency": "20ms", "scripts": scripts });
    let stage = Stage::new(serde_json::from_value(settings).expect("scripts"), 1);
    let trace = Trace::of(&stage);
    let system = stage
        .open_with(&Moments::calm(), |deps| trace.watch(deps))
        .await;
    let mut task = stage.task(&["lead", "worker"]);
    small(&mut task);
    change(&mut task);
    let task = system.create_task(task).await.expect("a task");
    let mut status = settle(&system, task, PATIENCE).await;
    for answer in answers {
        assert_eq!(status, Some(TaskStatus::NeedsAttention));
        let answered = match answer.strip_prefix("raise ") {
            Some(more) => system
                .raise_budget(task, tokens(more.parse().expect("a number")))
                .await
                .map(|()| true),
            None => system.answer(task, answer).await,
        };
        assert_eq!(answered, Ok(true));
        status = settle(&system, task, PATIENCE).await;
    }
    let mut text = String::new();
    for event in causes::journal(&stage, task).await {
        let who = event.agent.as_ref().map_or("", |agent| agent.as_str());
        let words = match &event.body {
            EventBody::BudgetExceeded { limit, .. } => limit.clone(),
            EventBody::BudgetRaised { more, .. } => format!("{more:?}"),
            EventBody::Alert { note, .. } => note.clone(),
            EventBody::TaskNeedsAttention { .. } => String::new(),
            EventBody::RunFailed { error, usage } => format!("{error} ({} tokens)", usage.tokens()),
            EventBody::RunCancelled { reason, .. } => reason.clone(),
            EventBody::ToolCallCompleted { content, .. }
                if content.beginning().contains("budget") =>
            {
                content.beginning().to_owned()
            }
            EventBody::RunWaiting { .. } => continue,
            body if body.is_task_end() => String::new(),
            _ => continue,
        };
        let _ = writeln!(text, "{} {who} {words}", event.body.kind());
    }
    let facts = trace.all();
    for (_, request) in requests(&facts) {
        let said = request
            .messages
            .last()
            .filter(|_| request.messages.len() > 1);
        if let Some(ChatMessage::User { text: said }) = said {
            let _ = writeln!(
                text,
                "{} is told: {}",
                request.agent,
                said.replace('\n', " ")
            );
        }
    }
    let used: u64 = system
        .runs(task)
        .await
        .expect("runs")
        .iter()
        .map(|row| row.usage.tokens())
        .sum();
    let _ = writeln!(text, "{status:?}, {used} tokens");
    system.shutdown().await;
    for (nth, row) in system.runs(task).await.expect("runs").iter().enumerate() {
        text = text.replace(&row.id.to_string(), &format!("run_{nth}"));
    }
    text
}

#[test]
fn a_root_run_asks_for_more_and_goes_on_with_it() {
    let play = async {
        let answers = ["perhaps", "+1000 tokens", "raise 2000"];
        let change = |task: &mut TaskDefinition| task.limits.budget = tokens(1_000);
        told(json!({ "lead": paying(12) }), &answers, change).await
    };
    insta::assert_snapshot!(virtual_time(play));
}

#[test]
fn a_person_may_stop_it() {
    let play = async {
        let change = |task: &mut TaskDefinition| {
            task.limits.budget = Budget {
                turns: Some(3),
                ..Budget::default()
            };
        };
        told(json!({ "lead": paying(12) }), &["stop"], change).await
    };
    insta::assert_snapshot!(virtual_time(play));
}

fn delegates() -> Value {
    json!({ "call": "create_run", "args": { "agent": "worker", "input": "count the money" }, "usage": { "input": 300, "output": 100 } })
}

#[test]
fn a_delegated_run_fails_and_its_parent_reads_why() {
    let play = async {
        let scripts = json!({
            "lead": [delegates(), { "say": "{{result.1}}" }],
            "worker": paying(12),
        });
        let change = |task: &mut TaskDefinition| {
            agent(task, "lead").tools = vec!["create_run".to_owned()];
            agent(task, "worker").budget = tokens(900);
        };
        told(scripts, &[], change).await
    };
    insta::assert_snapshot!(virtual_time(play));
}

#[test]
fn nothing_is_delegated_that_can_not_be_paid() {
    let play = async {
        let scripts = json!({ "lead": [delegates(), { "say": "Alone, then.", "usage": { "input": 1, "output": 1 } }] });
        let change = |task: &mut TaskDefinition| {
            agent(task, "lead").tools = vec!["create_run".to_owned()];
            agent(task, "worker")
                .settings
                .insert("max_tokens".to_owned(), json!(5_000));
            task.limits.budget = tokens(2_000);
        };
        told(scripts, &[], change).await
    };
    insta::assert_snapshot!(virtual_time(play));
}

#[test]
fn money_is_counted_where_its_price_is_known() {
    let play = async {
        let change = |task: &mut TaskDefinition| {
            agent(task, "lead").on_exceeded = Some(OnExceeded::Fail);
            agent(task, "lead").price = Some(Price {
                input: 3_000_000,
                output: 15_000_000,
            });
            task.limits.budget = Budget {
                cost_usd_micros: Some(10_000),
                ..Budget::default()
            };
        };
        told(json!({ "lead": paying(12) }), &[], change).await
    };
    insta::assert_snapshot!(virtual_time(play));
}

#[test]
fn a_run_that_goes_round_in_circles_is_told_then_stopped() {
    let play = async {
        let pay = json!({ "call": "pay_pure", "args": {} });
        let mut circles = vec![pay; 7];
        circles.push(json!({ "say": "Out of it." }));
        let scripts = json!({ "lead": circles.clone(), "worker": circles });
        let root = told(scripts.clone(), &["try the bank"], |_| {}).await;
        let fails = told(scripts, &[], |task| {
            agent(task, "lead").on_exceeded = Some(OnExceeded::Fail);
        });
        format!(
            "## a root run\n{root}\n## one that is to fail\n{}",
            fails.await
        )
    };
    insta::assert_snapshot!(virtual_time(play));
}

#[test]
fn the_time_of_a_run_and_of_a_task_ends_the_work() {
    let play = async {
        let slow = json!({ "call": "pay_pure", "args": { "ms": 60_000 } });
        let scripts = json!({
            "lead": [delegates(), slow, { "say": "late" }],
            "worker": [slow, { "say": "counted" }],
        });
        let run = told(scripts.clone(), &[], |task| {
            agent(task, "lead").tools.push("create_run".to_owned());
            agent(task, "worker").run_timeout_ms = Some(30_000);
        });
        let run = run.await;
        let task = told(scripts, &[], |task| {
            agent(task, "lead").tools.push("create_run".to_owned());
            task.limits.wall_time_ms = 90_000;
        });
        format!("## run_timeout\n{run}\n## wall_time\n{}", task.await)
    };
    insta::assert_snapshot!(virtual_time(play));
}

/// Another run uses the budget up while it waits for the only permit.
#[tokio::test(start_paused = true)]
async fn whoever_waits_for_a_person_holds_no_permit() {
    let start = json!({ "tool": "create_run", "args": { "agent": "worker", "input": "work" } });
    let scripts = json!({ "latency": "20ms", "scripts": {
        "lead": [{ "calls": [start, start] }, { "say": "Done." }],
        "worker": [{ "say": "Much was said.", "usage": { "input": 100, "output": 50_000 } }]
    } });
    let stage = Stage::new(serde_json::from_value(scripts).expect("scripts"), 1);
    let one = |deps: &mut Deps| deps.settings.pools.pools = [("workers".to_owned(), 1)].into();
    let system = stage.open_with(&Moments::calm(), one).await;
    let mut task = stage.task(&["lead", "worker"]);
    small(&mut task);
    agent(&mut task, "worker").on_exceeded = Some(OnExceeded::Ask);
    agent(&mut task, "lead").tools = vec!["create_run".to_owned()];
    let mut poor = task.clone();
    poor.limits.budget = tokens(20_000);
    let poor = system.create_task(poor).await.expect("a task");
    let asked = settle(&system, poor, PATIENCE).await;
    assert_eq!(asked, Some(TaskStatus::NeedsAttention));
    let free = system.create_task(task).await.expect("a task");
    let done = settle(&system, free, PATIENCE).await;
    assert_eq!(done, Some(TaskStatus::Completed));
    system.shutdown().await;
}
