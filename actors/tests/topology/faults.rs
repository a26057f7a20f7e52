//! What one agent tells another gets lost, comes twice or late, on purpose.

use std::sync::Arc;
use std::time::Duration;

use actors::clock::TokioClock;
use actors::fault::{Fault, FaultPlan, Faults, Kind, Target, When};
use actors::feed::Bus;
use actors::journal::Journal;
use actors::model::{Event, EventBody, RunId, Sender, Timestamp};
use actors::store::Memory;
use actors::testing::conformance::store::draft;
use actors::topology::actor::{TopologyArguments, start};
use actors::topology::{TopologyMessage, Wiring};
use supervision::{AtRestart, ChildSpec, Flags, Handle, Root, Strategy, SupervisorSpec, inbox};
use tokio::time::sleep;

struct Told;

impl From<Arc<Event>> for Told {
    fn from(_: Arc<Event>) -> Self {
        Self
    }
}

fn plan() -> FaultPlan {
    let late = Kind::Delay(Duration::from_secs(5));
    let faults = [
        ("dropper", "*", Kind::Drop),
        ("double", "writer", Kind::Duplicate),
        ("late", "wri*", late),
        ("else", "editor", Kind::Drop),
    ];
    let fault = |(from, to, kind): (&str, &str, Kind)| Fault {
        target: Target::Link(from.to_owned(), to.to_owned()),
        kind,
        when: When::Chance(1.0),
        seed: 0,
    };
    FaultPlan(faults.map(fault).into())
}

/// Somebody says it.
async fn told(from: Sender, topology: &Handle<TopologyMessage>, events: &[Event]) {
    let mut event = events[1].clone();
    if let EventBody::TaskMessage { from: author, .. } = &mut event.body {
        *author = from;
    }
    let said = TopologyMessage::Said(Arc::new(event));
    topology.send(said).await.expect("told");
}

#[tokio::test(start_paused = true)]
async fn messages_between_agents_get_lost_come_twice_and_late() {
    let clock = Arc::new(TokioClock::starting_at(Timestamp(1_000)));
    let (journal, journal_start) = Journal::new(Arc::new(Memory::default()), clock, Bus::default());
    let (topology, reads) = inbox(256, AtRestart::Carry);
    let (writer, _writes) = inbox::<Told>(8, AtRestart::Carry);
    let (task, definition) = (draft::task(1), draft::definition("many"));
    let listener = (RunId(uuid::Uuid::nil()), "writer".into(), writer.clone());
    let arguments = TopologyArguments {
        task,
        wiring: Wiring::of(&definition, &Default::default()),
        journal: journal.clone(),
        faults: Faults::new(plan(), None),
        listeners: Arc::new(move |_| vec![listener.clone()]),
        heard: Arc::new(|| {}),
    };
    let spec = SupervisorSpec::new(Flags::new(Strategy::RestForOne))
        .child(ChildSpec::new("journal", journal_start))
        .child(ChildSpec::new("topology", start(reads, arguments)));
    let root = Root::new("few").start(spec).await.expect("it starts");
    let said = draft::of_task(EventBody::TaskMessage {
        from: Sender::Human,
        to: None,
        content: "hear, hear".to_owned(),
        outcome: false,
    });
    let drafts = vec![draft::created(), said];
    let events = journal.append(draft::append(task, drafts)).await;
    let events = events.expect("written");
    let agent = |name: &str| Sender::Agent(name.into());
    let mut depths = Vec::new();
    for from in [
        Sender::Human,
        agent("dropper"),
        agent("double"),
        agent("late"),
        agent("else"),
    ] {
        let before = writer.depth();
        told(from, &topology, &events).await;
        sleep(Duration::from_secs(1)).await;
        let at_once = writer.depth() - before;
        sleep(Duration::from_secs(5)).await;
        depths.push((at_once, writer.depth() - before));
    }
    assert_eq!(depths, [(1, 1), (0, 0), (2, 2), (0, 1), (1, 1)]);
    root.stop().await;
}
