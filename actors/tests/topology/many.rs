//! A broadcast to very many does not hold up the topology's actor, whoever of them does not listen.

use std::sync::Arc;
use std::time::Duration;

use actors::clock::TokioClock;
use actors::feed::Bus;
use actors::journal::Journal;
use actors::model::{Event, EventBody, RunId, Sender, Topology};
use actors::store::Memory;
use actors::testing::conformance::store::draft;

use actors::topology::actor::{TopologyArguments, start};
use actors::topology::{TopologyMessage, Wiring};
use supervision::{AtRestart, ChildSpec, Flags, Root, Strategy, SupervisorSpec, inbox};

const MANY: usize = 10_000;

struct Told;

impl From<Arc<Event>> for Told {
    fn from(_: Arc<Event>) -> Self {
        Self
    }
}

#[tokio::test(start_paused = true)]
async fn ten_thousand_that_do_not_listen_hold_nobody_up() {
    let clock = Arc::new(TokioClock::starting_at(actors::model::Timestamp(1_000)));
    let (journal, journal_start) = Journal::new(Arc::new(Memory::default()), clock, Bus::default());
    let (topology, reads) = inbox(256, AtRestart::Carry);
    let listeners: Vec<_> = (0..MANY)
        .map(|_| inbox::<Told>(1, AtRestart::Carry))
        .collect();
    let handles = listeners.iter().zip(0..).map(|((handle, _), n)| {
        (
            RunId(uuid::Uuid::from_u128(n)),
            "writer".into(),
            handle.clone(),
        )
    });
    let handles: Vec<_> = handles.collect();
    let (task, definition) = (draft::task(1), draft::definition("many"));
    let arguments = TopologyArguments {
        task,
        wiring: Wiring::of(&definition, &Default::default()),
        journal: journal.clone(),
        faults: actors::fault::Faults::default(),
        listeners: Arc::new(move |_| handles.clone()),
        heard: Arc::new(|| {}),
    };
    let spec = SupervisorSpec::new(Flags::new(Strategy::RestForOne))
        .child(ChildSpec::new("journal", journal_start))
        .child(ChildSpec::new("topology", start(reads, arguments)));
    let root = Root::new("many").start(spec).await.expect("it starts");
    let said = draft::of_task(EventBody::TaskMessage {
        from: Sender::Human,
        to: None,
        content: "hear, hear".to_owned(),
        outcome: false,
    });
    let drafts = std::iter::once(draft::created()).chain(std::iter::repeat_n(said, 20));
    let events = journal
        .append(draft::append(task, drafts.collect()))
        .await
        .expect("written");
    for event in events.into_iter().skip(1) {
        topology
            .send(TopologyMessage::Said(Arc::new(event)))
            .await
            .expect("told");
    }
    let change = |reply| TopologyMessage::Change(Topology::Chain, reply);
    let changed = topology.call(change, Duration::from_secs(5)).await;
    assert!(matches!(changed, Ok(Ok(Some(22)))), "{changed:?}");
    let told = listeners
        .iter()
        .filter(|(handle, _)| handle.depth() == 1)
        .count();
    assert_eq!(
        told, MANY,
        "each has been told, and none has more than it can hold"
    );
    root.stop().await;
}
