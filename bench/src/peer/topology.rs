//! The router that a team has: the actor of its topology, with the registry in which it finds who is up, and its journal.
//!
//! Who hears is not sent anything: it is woken, with the event, which is in the journal already.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Instant;

use actors::clock::TokioClock;
use actors::fault::Faults;
use actors::feed::Bus;
use actors::journal::Journal;
use actors::model::team::TeamSpec;
use actors::model::{
    AgentName, AgentSpec, Event, EventBody, RunId, Sender, TaskDefinition, TaskId, Timestamp,
    Topology,
};
use actors::run::RunMessage;
use actors::store::{Append, Draft, Memory};
use actors::task::RoomMessage;
use actors::task::registry::Registry;
use actors::topology::actor::{TopologyArguments, start};
use actors::topology::{TopologyMessage, Wiring};
use supervision::{
    Actor, AtRestart, ChildSpec, Context, Failure, Flags, Handle, Reply, Root, Start,
    SupervisorSpec, inbox,
};
use tokio::sync::Notify;
use uuid::Uuid;

use super::ours::CAPACITY;
use crate::measure::{MAILBOXES, MESSAGES, median};

const TASK: TaskId = TaskId(Uuid::nil());

/// Counts down what the members hear.
#[derive(Default)]
struct Count {
    left: AtomicUsize,
    done: Notify,
}

struct Member(Arc<Count>);

impl Actor for Member {
    type Message = RunMessage;

    async fn handle(
        &mut self,
        message: RunMessage,
        _: &mut Context<RunMessage>,
    ) -> Result<(), Failure> {
        let is_heard = matches!(message, RunMessage::Heard(_));
        if is_heard && self.0.left.fetch_sub(1, SeqCst) == 1 {
            self.0.done.notify_one();
        }
        Ok(())
    }
}

/// Is told that there is something to look at, and does not look.
struct Room;

impl Actor for Room {
    type Message = RoomMessage;

    async fn handle(
        &mut self,
        _: RoomMessage,
        _: &mut Context<RoomMessage>,
    ) -> Result<(), Failure> {
        Ok(())
    }
}

fn name(n: usize) -> AgentName {
    format!("worker{n}").as_str().into()
}

struct Team {
    topology: Handle<TopologyMessage>,
    count: Arc<Count>,
}

impl Team {
    /// A lead and [`MAILBOXES`] members, each with a run that is up.
    async fn up() -> Self {
        let (registry, count) = (Registry::default(), Arc::<Count>::default());
        let mut members = SupervisorSpec::new(Flags::default());
        for n in 0..MAILBOXES {
            let (handle, reads) = inbox(256, AtRestart::Carry);
            registry.insert(RunId(Uuid::from_u128(n as u128 + 1)), name(n), handle);
            let count = count.clone();
            let member = Start::actor(reads, move |_| {
                std::future::ready(Ok(Member(count.clone())))
            });
            members = members.child(ChildSpec::new(format!("{n}"), member));
        }
        let clock = Arc::new(TokioClock::starting_at(Timestamp(0)));
        let (journal, journal_start) =
            Journal::new(Arc::new(Memory::default()), clock, Bus::default());
        let root = Root::new("journal");
        let spec = SupervisorSpec::new(Flags::default());
        let journal_root = root.start(spec.child(ChildSpec::new("journal", journal_start)));
        std::mem::forget(journal_root.await.expect("a journal"));
        let definition = definition();
        let wiring = Wiring::of(&definition, &Arc::default());
        created(&journal, definition).await;
        let (topology, relays, room) = topology(journal, wiring, registry);
        let spec = SupervisorSpec::new(Flags::default())
            .child(ChildSpec::new("topology", relays))
            .child(ChildSpec::new("room", room));
        for (name, spec) in [("team", spec), ("members", members)] {
            let root = Root::new(name).start(spec).await.expect("a root");
            std::mem::forget(root);
        }
        Self { topology, count }
    }

    fn begin(&self, messages: usize) -> Instant {
        self.count.left.store(messages, SeqCst);
        Instant::now()
    }

    fn tell(&self, message: TopologyMessage) {
        assert!(self.topology.try_send(message).is_ok(), "it takes all");
    }

    /// Microseconds since, in parts, once all have heard.
    async fn heard(&self, begun: Instant, parts: usize) -> f64 {
        self.count.done.notified().await;
        begun.elapsed().as_secs_f64() * 1e6 / parts as f64
    }

    /// Tells it so many messages, as fast as one can that lets others have a turn.
    async fn tell_all(&self, messages: impl Iterator<Item = Arc<Event>>) {
        for (n, event) in messages.enumerate() {
            self.tell(TopologyMessage::Said(event));
            if n % 512 == 511 {
                tokio::task::yield_now().await;
            }
        }
    }
}

/// The topology's actor, and the room's that it tells.
fn topology(
    journal: Journal,
    wiring: Wiring,
    registry: Registry,
) -> (Handle<TopologyMessage>, Start, Start) {
    let (handle, reads) = inbox(CAPACITY, AtRestart::Carry);
    let (room, hears) = inbox(256, AtRestart::Carry);
    let arguments = TopologyArguments::<RunMessage> {
        task: TASK,
        wiring,
        journal,
        faults: Faults::default(),
        listeners: Arc::new(move |of| {
            of.map_or_else(|| registry.all(), |agent| registry.of_agent(agent))
        }),
        heard: Arc::new(move || drop(room.try_send(RoomMessage::Heard))),
    };
    let listens = Start::actor(hears, |_| std::future::ready(Ok(Room)));
    (handle, start(reads, arguments), listens)
}

fn definition() -> TaskDefinition {
    let members: Vec<_> = (0..MAILBOXES).map(name).collect();
    let team = TeamSpec {
        name: "large".to_owned(),
        lead: "lead".into(),
        members: members.clone(),
        topology: Topology::Hierarchical,
        ..TeamSpec::default()
    };
    let mut task = TaskDefinition::new("bench", "part by part");
    task = task.agent("lead", AgentSpec::new("stub")).team(team);
    task.available_agents.extend(members.iter().cloned());
    let specs = members
        .into_iter()
        .map(|name| (name, AgentSpec::new("stub")));
    task.agents.extend(specs);
    task
}

async fn created(journal: &Journal, definition: TaskDefinition) {
    let definition = Box::new(definition);
    let created = Draft {
        run: None,
        agent: None,
        at: Timestamp(0),
        epoch: 0,
        cause: None,
        body: EventBody::TaskCreated { definition },
    };
    let append = Append {
        task: TASK,
        fence: None,
        drafts: vec![created],
        blobs: Vec::new(),
    };
    journal.append(append).await.expect("a task");
}

/// What the lead says, to one or to all.
fn said(to: Option<AgentName>) -> Arc<Event> {
    Arc::new(Event {
        id: 2,
        task_id: TASK,
        run_id: Some(RunId(Uuid::nil())),
        agent: Some("lead".into()),
        at: Timestamp(0),
        epoch: 1,
        cause: None,
        body: EventBody::TaskMessage {
            from: Sender::Agent("lead".into()),
            to,
            content: "go on".to_owned(),
            outcome: false,
        },
    })
}

/// Microseconds for one message of the lead to one of the members.
pub async fn relay() -> f64 {
    let team = Team::up().await;
    let events: Vec<_> = (0..MAILBOXES).map(|n| said(Some(name(n)))).collect();
    let begun = team.begin(MESSAGES);
    let order = (0..MESSAGES).map(|n| events[n * 7919 % MAILBOXES].clone());
    team.tell_all(order).await;
    team.heard(begun, MESSAGES).await
}

/// Microseconds until all members have been woken, for a change of who hears whom.
pub async fn wake() -> f64 {
    let team = Team::up().await;
    let mut times = Vec::new();
    for n in 0..50 {
        let topology = match n % 2 {
            0 => Topology::Broadcast,
            _ => Topology::Hierarchical,
        };
        let (reply, answer) = Reply::channel();
        let begun = team.begin(MAILBOXES);
        team.tell(TopologyMessage::Change(topology, reply));
        times.push(team.heard(begun, 1).await);
        let changed = answer.await.expect("an answer");
        assert!(matches!(changed, Ok(Some(_))), "it was changed");
    }
    median(times)
}

/// Microseconds for one message of the lead to all of them, which wakes nobody: whoever takes a turn looks.
pub async fn to_all() -> f64 {
    let team = Team::up().await;
    let begun = team.begin(1);
    let all = said(None);
    team.tell_all((0..MESSAGES).map(|_| all.clone())).await;
    team.tell(TopologyMessage::Said(said(Some(name(0)))));
    team.heard(begun, MESSAGES).await
}
