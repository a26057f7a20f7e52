//! A team's file rules the supervisor of its agents.

use std::time::Duration;

use actors::model::team::{TeamBackoff, TeamStrategy};
use actors::model::{EventBody, Recovery, TaskDefinition, TaskStatus, TeamSpec};
use insta::assert_snapshot;
use serde_json::{Value, json};

use super::{Play, agent};

/// All three think when the first of the members panics.
fn three() -> Value {
    json!({
        "lead": [
            { "say": "Both of you.", "calls": [
                { "tool": "create_run", "args": { "agent": "b", "input": "do b", "mode": "background" } },
                { "tool": "create_run", "args": { "agent": "c", "input": "do c", "mode": "background" } } ] },
            { "say": "I wait." },
            { "say": "All done." }
        ],
        "b": [ { "say": "b is done" } ],
        "c": [ { "say": "c is done" } ]
    })
}

fn team(strategy: TeamStrategy) -> impl FnOnce(&mut TaskDefinition) {
    move |definition| {
        definition.team = Some(TeamSpec {
            name: "three".to_owned(),
            lead: "lead".into(),
            members: vec!["b".into(), "c".into()],
            strategy,
            ..TeamSpec::default()
        });
    }
}

/// Whose supervisors and runs began again when `b` panicked: the story in a few words.
async fn restarted(strategy: TeamStrategy) -> String {
    let play = Play::new(three(), &[("b", 0, 1)]).await;
    let task = play.begin(&["lead", "b", "c"], team(strategy)).await;
    play.until_event(task, |event| {
        matches!(event.body, EventBody::RunRestarted { .. })
    })
    .await;
    tokio::time::sleep(Duration::from_millis(5)).await;
    let tree = play.tree(task).await;
    let told = play.told_to_the_end(task, TaskStatus::Completed).await;
    play.system.shutdown().await;
    let kinds = ["supervisor_restart", "agent_state", "run_restarted"];
    let is_told = |line: &&str| kinds.iter().any(|kind| line.contains(kind));
    let again: Vec<_> = told.lines().filter(is_told).collect();
    format!("{tree}\n\n{}", again.join("\n"))
}

#[tokio::test(start_paused = true)]
async fn one_for_one_restarts_the_agent_that_panicked() {
    assert_snapshot!(restarted(TeamStrategy::OneForOne).await);
}

#[tokio::test(start_paused = true)]
async fn one_for_all_restarts_all_agents() {
    assert_snapshot!(restarted(TeamStrategy::OneForAll).await);
}

#[tokio::test(start_paused = true)]
async fn rest_for_one_restarts_the_agent_and_those_after_it() {
    assert_snapshot!(restarted(TeamStrategy::RestForOne).await);
}

fn alone(max_restarts: u32, backoff: Option<TeamBackoff>) -> impl FnOnce(&mut TaskDefinition) {
    move |definition| {
        definition.team = Some(TeamSpec {
            lead: "lead".into(),
            max_restarts,
            within: Duration::from_secs(60),
            backoff,
            ..TeamSpec::default()
        });
    }
}

fn done() -> Value {
    json!({ "lead": [ { "say": "done" } ] })
}

#[tokio::test(start_paused = true)]
async fn an_agent_waits_out_its_backoff_before_it_is_back() {
    let backoff = TeamBackoff {
        base: Duration::from_secs(2),
        cap: Duration::from_secs(5),
    };
    let play = Play::new(done(), &[("lead", 0, 3)]).await;
    let task = play.begin(&["lead"], alone(5, Some(backoff))).await;
    let told = play.told_to_the_end(task, TaskStatus::Completed).await;
    play.system.shutdown().await;
    assert_snapshot!(told);
}

#[tokio::test(start_paused = true)]
async fn a_team_that_gives_up_needs_a_person_whose_answer_starts_it_again() {
    let play = Play::new(done(), &[("lead", 0, 3)]).await;
    let task = play.begin(&["lead"], alone(2, None)).await;
    play.until(task, TaskStatus::NeedsAttention).await;
    // At once: the tree may still be on its way down.
    assert_eq!(play.system.answer(task, "try again").await, Ok(true));
    let told = play.told_to_the_end(task, TaskStatus::Completed).await;
    play.system.shutdown().await;
    assert_snapshot!(told);
}

#[tokio::test(start_paused = true)]
async fn an_answer_to_a_team_that_is_down_starts_it_again() {
    let play = Play::new(done(), &[("lead", 0, 6)]).await;
    let change = |definition: &mut TaskDefinition| {
        alone(2, None)(definition);
        // A run that fails so often at one point would be quarantined.
        definition.limits.poison_after = 100;
    };
    let task = play.begin(&["lead"], change).await;
    for _ in 0..2 {
        play.until(task, TaskStatus::NeedsAttention).await;
        tokio::time::sleep(Duration::from_secs(100)).await;
        assert_eq!(play.tree(task).await, "none");
        assert_eq!(play.system.answer(task, "try again").await, Ok(true));
        tokio::time::sleep(Duration::from_secs(10)).await;
    }
    play.until(task, TaskStatus::Completed).await;
    play.system.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn a_team_that_gave_up_can_be_cancelled() {
    for wait in [Duration::ZERO, Duration::from_secs(100)] {
        let play = Play::new(done(), &[("lead", 0, 99)]).await;
        let task = play.begin(&["lead"], alone(2, None)).await;
        play.until(task, TaskStatus::NeedsAttention).await;
        tokio::time::sleep(wait).await;
        let asked = play.requests.count();
        assert_eq!(play.system.cancel(task, "never mind").await, Ok(()));
        assert_eq!(play.requests.count(), asked, "nothing begins any more");
        let told = play.told_to_the_end(task, TaskStatus::Cancelled).await;
        play.system.shutdown().await;
        assert_snapshot!(told);
    }
}

/// The same crash in the middle of a conversation, seen by two agents.
#[tokio::test(start_paused = true)]
async fn resume_and_clean_slate_side_by_side() {
    for recovery in [Recovery::Resume, Recovery::CleanSlate] {
        let scripts = json!({ "lead": [
            { "say": "Rent.", "call": "pay_once", "args": { "what": "rent" } },
            { "say": "paid, as I was told: {{last}}" }
        ] });
        let play = Play::new(scripts, &[("lead", 1, 1)]).await;
        let change =
            |definition: &mut TaskDefinition| agent(definition, "lead").recovery = recovery;
        let task = play.begin(&["lead"], change).await;
        let told = play.told_to_the_end(task, TaskStatus::Completed).await;
        play.system.shutdown().await;
        assert_snapshot!(format!("{recovery:?}").to_lowercase(), told);
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_of_a_supervisor_is_written_after_the_end() {
    let scripts = json!({
        "lead": [
            { "say": "In the background.", "call": "create_run", "args": { "agent": "b", "input": "x", "mode": "background" } },
            { "say": "I wait." }, { "say": "done" }
        ],
        "b": [ { "say": "done" } ]
    });
    // The run comes to its end while its agent waits out a backoff.
    let backoff = TeamBackoff {
        base: Duration::from_secs(600),
        cap: Duration::from_secs(600),
    };
    let play = Play::new(scripts, &[("b", 0, 1)]).await;
    let task = play.begin(&["lead", "b"], alone(5, Some(backoff))).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let run = play.run(task, "b").await;
    assert_eq!(
        play.system.cancel_run(task, run, "it takes too long").await,
        Ok(())
    );
    let told = play.told_to_the_end(task, TaskStatus::Completed).await;
    assert!(
        told.lines()
            .last()
            .is_some_and(|line| line.contains("task_completed")),
        "{told}"
    );
    for body in [
        EventBody::AgentState {
            state: actors::model::event::AgentState::Idle,
            reason: String::new(),
        },
        EventBody::SupervisorRestart {
            path: String::new(),
            child: String::new(),
            incarnation: 2,
            reason: String::new(),
        },
    ] {
        let refused = late(&play, task, body).await;
        assert!(refused.contains("does not fit"), "{refused}");
    }
    play.system.shutdown().await;
}

/// Why the store does not take an event of a task that has ended.
async fn late(play: &Play, task: actors::model::TaskId, body: EventBody) -> String {
    use actors::store::{Append, Draft, Store};
    let draft = Draft {
        run: None,
        agent: None,
        at: actors::testing::sim::EPOCH,
        epoch: 0,
        cause: None,
        body,
    };
    let append = Append {
        task,
        fence: None,
        drafts: vec![draft],
        blobs: Vec::new(),
    };
    let mut appended = play.stage.store.append(vec![append]).await.expect("memory");
    let refused = appended
        .pop()
        .expect("one answer")
        .expect_err("it is refused");
    refused.to_string()
}
