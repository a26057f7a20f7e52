//! A run that is paused finishes what is in flight and begins nothing; when it is resumed it goes on as if nothing had been.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use actors::model::{
    ChatMessage, Event, EventBody, RunStatus, Scope, TaskId, TaskStatus, TeamSpec, Topology,
    WaitReason, Whom,
};
use actors::store::Store;
use actors::system::{Deps, System};
use actors::testing::outside::Witness;
use actors::testing::recorder::Requests;
use actors::testing::sim::{Moments, Stage, settle};
use serde_json::{Value, json};

use crate::support::causes;
use crate::support::virtual_time;

fn pay(tool: &str, ms: u64) -> Value {
    json!({ "tool": tool, "args": { "what": format!("{tool} of {{{{input}}}}"), "ms": ms } })
}

fn delegate(agent: &str) -> Value {
    json!({ "tool": "create_run", "args": { "agent": agent, "input": format!("{agent} for {{{{input}}}}"), "mode": "foreground" } })
}

fn scripts() -> Value {
    json!({ "latency": "20ms", "scripts": {
        "lead": [
            { "calls": [delegate("middle"), delegate("twig"), pay("pay_keyed", 50)] },
            { "calls": [pay("pay_ledgered", 40)] },
            { "say": "All done." }
        ],
        "middle": [{ "calls": [delegate("leaf"), pay("pay_ledgered", 30)] }, { "say": "The middle is done." }],
        "leaf": [{ "calls": [pay("pay_pure", 25), pay("pay_keyed", 35)] }, { "say": "The leaf is done." }],
        "twig": [{ "calls": [pay("pay_pure", 25), pay("pay_keyed", 35)] }, { "say": "The twig is done." }]
    } })
}

struct World {
    stage: Stage,
    requests: Requests,
    calls: Arc<AtomicUsize>,
}

impl World {
    fn new(scripts: Value) -> Self {
        let stage = Stage::new(serde_json::from_value(scripts).expect("scripts"), 5);
        let calls = Arc::<AtomicUsize>::default();
        let count = calls.clone();
        let begins = move |_: &_, _| {
            count.fetch_add(1, Ordering::SeqCst);
        };
        stage.outside.watched_by(Witness(Arc::new(begins)));
        let requests = Requests::default();
        Self {
            stage,
            requests,
            calls,
        }
    }

    async fn open(&self) -> System {
        let change = |deps: &mut Deps| {
            // One thinks, the others wait for it: what was begun in the journal has not begun yet.
            deps.settings.pools.pools = [("workers".to_owned(), 1)].into();
            for (provider, _) in deps.providers.values_mut() {
                *provider = self.requests.before(provider.clone());
            }
        };
        self.stage.open_with(&Moments::calm(), change).await
    }

    async fn begin(&self, system: &System) -> TaskId {
        let mut task = self.stage.task(&["lead", "middle", "leaf", "twig"]);
        // When others say something is up to them: members do not hear each other.
        task.team = Some(TeamSpec {
            lead: "lead".into(),
            members: vec!["middle".into(), "leaf".into(), "twig".into()],
            topology: Topology::Hierarchical,
            ..TeamSpec::default()
        });
        system.create_task(task).await.expect("a task")
    }

    /// How many model calls and tool calls have begun.
    fn begun(&self) -> (usize, usize) {
        (self.requests.count(), self.calls.load(Ordering::SeqCst))
    }

    /// What models were asked, without the ids of runs, each once, in any order.
    fn asked(&self) -> Vec<String> {
        let requests = self.requests.all().into_iter();
        let mut asked: Vec<_> = requests
            .map(|it| without_ids(&format!("{} {} {:?}", it.agent, it.brief, it.messages)))
            .collect();
        asked.sort();
        asked.dedup();
        asked
    }
}

/// Ids are given out anew by a node that was started again.
fn without_ids(text: &str) -> String {
    let is_id = |c: char| c.is_ascii_hexdigit() || matches!(c, '_' | '-');
    let parts = text.split("run_").flat_map(|part| part.split("call_"));
    let parts: Vec<_> = parts.map(|part| part.trim_start_matches(is_id)).collect();
    parts.join("·")
}

/// Plays, pauses everything after so long, perhaps restarts the node, and lets it go on much later.
async fn paused(after: Option<Duration>, restart: bool) -> Vec<String> {
    let world = World::new(scripts());
    let mut system = world.open().await;
    let task = world.begin(&system).await;
    if let Some(after) = after {
        tokio::time::sleep(after).await;
        system.pause(task, Whom::Task).await.expect("paused");
        system.pause(task, Whom::Task).await.expect("paused again");
        if restart {
            // What was in flight has ended by then.
            tokio::time::sleep(Duration::from_secs(1)).await;
            system.shutdown().await;
            system = world.open().await;
        }
        let begun = world.begun();
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert_eq!(world.begun(), begun, "{after:?}: something began");
        let rows = world.stage.store.runs(task).await.expect("rows");
        assert!(
            rows.iter().any(|row| !row.status.is_terminal()),
            "{after:?}"
        );
        system.resume(task, Whom::Task).await.expect("resumed");
    }
    let status = settle(&system, task, Duration::from_secs(3_600)).await;
    assert_eq!(status, Some(TaskStatus::Completed), "{after:?}");
    system.shutdown().await;
    world.asked()
}

#[test]
fn at_every_moment_what_is_paused_goes_on_as_if_it_had_not_been() {
    let calm = virtual_time(paused(None, false));
    assert_eq!(calm.len(), 3 + 2 + 4);
    for after in (0..200).step_by(7) {
        for restart in [false, true] {
            let asked = virtual_time(paused(Some(Duration::from_millis(after)), restart));
            assert_eq!(asked, calm, "{after} ms, {restart}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_said_meanwhile_is_read_in_order_and_it_is_said_who_paused_it() {
    let world = World::new(json!({ "latency": "20ms", "scripts": {
        "lead": [{ "calls": [pay("pay_once", 100)] }, { "say": "Done." }]
    } }));
    let system = world.open().await;
    let task = world.begin(&system).await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    system.pause(task, Whom::Task).await.expect("paused");
    for word in ["one", "two", "three"] {
        tokio::time::sleep(Duration::from_secs(60)).await;
        system
            .say(task, word, Some("lead".into()))
            .await
            .expect("said");
    }
    assert_eq!(world.requests.count(), 1);
    let paused: Vec<_> = pauses(&causes::journal(&world.stage, task).await);
    assert_eq!(paused, ["by Human with Task since 50 ms"]);
    system.resume(task, Whom::Task).await.expect("resumed");
    assert_eq!(
        settle(&system, task, Duration::from_secs(60)).await,
        Some(TaskStatus::Completed)
    );
    let last = world
        .requests
        .all()
        .pop()
        .expect("a request")
        .messages
        .pop();
    let said = "[a person, to you] one\n\n[a person, to you] two\n\n[a person, to you] three";
    assert_eq!(
        last,
        Some(ChatMessage::User {
            text: said.to_owned()
        })
    );
    system.shutdown().await;
}

fn pauses(events: &[Event]) -> Vec<String> {
    let start = events[0].at;
    let pauses = events.iter().filter_map(|event| match &event.body {
        EventBody::RunWaiting {
            reason: WaitReason::Paused(pause),
        } => Some(pause),
        _ => None,
    });
    let text = pauses.map(|it| {
        format!(
            "by {:?} with {:?} since {} ms",
            it.by,
            it.scope,
            it.since.since(start).as_millis()
        )
    });
    text.collect()
}

#[tokio::test(start_paused = true)]
async fn an_agents_runs_are_paused_before_they_begin_and_a_subtree_with_all_below_it() {
    for whom in [Whom::Agent("leaf".into()), Whom::Task] {
        let world = World::new(scripts());
        let system = world.open().await;
        let task = world.begin(&system).await;
        tokio::time::sleep(Duration::from_millis(10)).await;
        // Nobody of that name is there yet.
        if let Whom::Agent(_) = &whom {
            system.pause(task, whom.clone()).await.expect("paused");
        }
        tokio::time::sleep(Duration::from_secs(3_600)).await;
        let rows = world.stage.store.runs(task).await.expect("rows");
        let leaves: Vec<_> = rows
            .iter()
            .filter(|row| row.agent.as_str() == "leaf")
            .collect();
        match &whom {
            Whom::Agent(_) => {
                assert!(
                    leaves.len() == 1 && leaves.iter().all(|row| row.status == RunStatus::Queued)
                );
                system.resume(task, whom).await.expect("resumed");
                let status = settle(&system, task, Duration::from_secs(60)).await;
                assert_eq!(status, Some(TaskStatus::Completed));
            }
            _ => assert!(leaves.iter().all(|row| row.status == RunStatus::Completed)),
        }
        system.shutdown().await;
    }
}

#[tokio::test(start_paused = true)]
async fn one_run_is_paused_alone_and_a_paused_one_can_be_cancelled() {
    let world = World::new(scripts());
    let system = world.open().await;
    let task = world.begin(&system).await;
    tokio::time::sleep(Duration::from_millis(30)).await;
    let rows = system.runs(task).await.expect("rows");
    let middle = rows
        .iter()
        .find(|row| row.agent.as_str() == "middle")
        .expect("one")
        .id;
    system.pause(task, Whom::Run(middle)).await.expect("paused");
    tokio::time::sleep(Duration::from_secs(3_600)).await;
    let rows = system.runs(task).await.expect("rows");
    let live: Vec<_> = rows
        .iter()
        .filter(|row| !row.status.is_terminal())
        .map(|row| row.agent.as_str())
        .collect();
    assert_eq!(live, ["lead", "middle"]);
    let scopes = pauses(&causes::journal(&world.stage, task).await);
    assert!(
        scopes
            .iter()
            .all(|it| it.contains(&format!("{:?}", Scope::Run))),
        "{scopes:?}"
    );
    system
        .cancel_run(task, middle, "enough")
        .await
        .expect("cancelled");
    system.pause(task, Whom::Task).await.expect("paused");
    system.cancel(task, "all of it").await.expect("cancelled");
    let nobody = system.pause(task, Whom::Agent("nobody".into())).await;
    assert_eq!(
        nobody.map_err(|error| error.to_string()),
        Err(format!("{task} has ended"))
    );
    system.shutdown().await;
}
