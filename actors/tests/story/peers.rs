//! Peers: whoever hears something decides whether to engage.

use actors::model::team::PeerLimits;
use actors::model::{TaskDefinition, TaskStatus, TeamMode, TeamSpec, Topology};
use insta::assert_snapshot;
use serde_json::{Value, json};

use super::Play;

fn post(content: &str) -> Value {
    json!({ "tool": "post_message", "args": { "content": content } })
}

fn decline(reason: &str) -> Value {
    json!({ "tool": "decline", "args": { "reason": reason } })
}

const FOUR: PeerLimits = PeerLimits {
    rounds: 4,
    messages: 20,
};

/// A team of peers under this topology.
fn peers(topology: Topology, limits: PeerLimits) -> impl FnOnce(&mut TaskDefinition) {
    move |definition| {
        let members = definition.available_agents[1..].to_vec();
        definition.team = Some(TeamSpec {
            lead: "lead".into(),
            members,
            mode: TeamMode::Peers,
            peers: limits,
            topology,
            ..TeamSpec::default()
        });
    }
}

/// The lead asks for a doctor; `a` passes and then helps, `b` helps and is told, `c` never does.
fn scripts() -> Value {
    json!({
        "lead": [
            { "say": "I ask.", "calls": [post("is there a doctor?")] },
            { "say": "Nobody yet." },
            { "when": "gone quiet", "say": "they have it" }
        ],
        "a": [
            { "when": "a doctor\\?", "say": "I am a doctor" },
            { "say": "", "calls": [decline("no bills for me")] }
        ],
        "b": [
            { "when": "I am a doctor", "say": "DECLINE: there is one" },
            { "say": "I look it up.", "calls": [post("I keep the books")] },
            { "say": "paid" }
        ],
        "c": [ { "say": "decline" } ]
    })
}

#[tokio::test(start_paused = true)]
async fn who_hears_something_engages_or_declines_and_the_lead_has_the_last_word() {
    let play = Play::new(scripts(), &[]).await;
    let change = peers(Topology::Broadcast, FOUR);
    let task = play.begin(&["lead", "a", "b", "c"], change).await;
    assert_snapshot!(play.told_to_the_end(task, TaskStatus::Completed).await);
    assert_snapshot!("who_hears_something_runs", play.runs(task).await);
    play.system.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn who_does_not_hear_it_is_not_asked() {
    let scripts = json!({
        "lead": [ { "say": "done" } ],
        "a": [ { "say": "from a" } ],
        "b": [ { "say": "decline" } ],
        "c": [ { "say": "decline" } ]
    });
    let play = Play::new(scripts, &[]).await;
    let change = peers(Topology::Chain, PeerLimits::default());
    let task = play.begin(&["lead", "a", "b", "c"], change).await;
    let told = play.told_to_the_end(task, TaskStatus::Completed).await;
    let queued = told.lines().filter(|line| line.contains("peer_decided"));
    let queued: Vec<_> = queued.map(|line| line.trim_start()).collect();
    assert_snapshot!(queued.join("\n"));
    play.system.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn endless_chatter_comes_to_its_limits() {
    let scripts = json!({
        "lead": [ { "say": "done" } ],
        "a": [ { "say": "and another thing" } ],
        "b": [ { "say": "I disagree" } ]
    });
    let play = Play::new(scripts, &[]).await;
    let limits = PeerLimits {
        rounds: 3,
        messages: 2,
    };
    let task = play
        .begin(&["lead", "a", "b"], peers(Topology::Broadcast, limits))
        .await;
    let told = play.told_to_the_end(task, TaskStatus::Completed).await;
    let limits = told.lines().filter(|line| line.contains("budget_exceeded"));
    assert_snapshot!(limits.collect::<Vec<_>>().join("\n"));
    let said = told.matches("task_message").count();
    assert_eq!(said, 4, "{told}");
    play.system.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn a_person_gives_everybody_the_floor_again() {
    let scripts = json!({
        "lead": [ { "say": "I wait.", "call": "pay_once", "args": { "what": "time", "ms": 2000 } }, { "say": "done" } ],
        "a": [ { "when": "again", "say": "now I speak" }, { "say": "decline" } ]
    });
    let play = Play::new(scripts, &[]).await;
    let limits = PeerLimits {
        rounds: 1,
        messages: 20,
    };
    let task = play
        .begin(&["lead", "a"], peers(Topology::Broadcast, limits))
        .await;
    tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    play.system
        .say(task, "again, please", None)
        .await
        .expect("said");
    let told = play.told_to_the_end(task, TaskStatus::Completed).await;
    assert!(told.contains("by a: \"now I speak\""), "{told}");
    play.system.shutdown().await;
}

/// Whatever crashes, every peer is asked as often and the room comes to the same end.
#[tokio::test(start_paused = true)]
async fn a_crash_asks_nobody_twice() {
    for below in ["room", "runs", "agents", "topology"] {
        for at in [5, 25, 45, 65, 90, 130] {
            let play = Play::new(scripts(), &[]).await;
            let change = peers(Topology::Broadcast, PeerLimits::default());
            let task = play.begin(&["lead", "a", "b", "c"], change).await;
            tokio::time::sleep(std::time::Duration::from_millis(at)).await;
            let path = format!("tasks/{task}/{below}");
            let _ = play.system.root().kill_at(&path).await;
            let told = play.told_to_the_end(task, TaskStatus::Completed).await;
            let journal = play.stage.journal(task).await;
            let mut asked = std::collections::BTreeSet::new();
            for event in &journal {
                if let actors::model::EventBody::RunQueued { spec } = &event.body
                    && let Some(about) = spec.heard
                {
                    assert!(asked.insert((spec.agent.clone(), about)), "{told}");
                }
            }
            assert!(asked.len() >= 4, "{below} at {at}:\n{told}");
            assert!(told.contains("they have it"), "{below} at {at}:\n{told}");
            play.system.shutdown().await;
        }
    }
}
