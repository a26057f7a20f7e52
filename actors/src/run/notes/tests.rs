//! What a run's model is shown does not depend on how late it learnt what others had written.

use proptest::prelude::*;

use super::*;
use crate::model::run::Parent;
use crate::model::{
    ContextMode, Recovery, Reservation, RunSpec, Step, StopReason, TaskId, Timestamp, Usage,
};

const SELF: RunId = RunId(uuid::Uuid::nil());

/// How many runs it delegated.
const CHILDREN: u8 = 2;

#[derive(Debug, Clone)]
enum Happens {
    /// A delegated run says that it is still at it.
    Progress(u8),
    /// Somebody says something in the room.
    Said,
    /// A delegated run ends.
    End(u8),
    /// All is read, what has ended is told, and a model call begins; so many words of progress come before that is written.
    Asked(Vec<u8>),
    Answered,
    Interrupted,
    CleanSlate,
}

fn happens() -> impl Strategy<Value = Happens> {
    let child = || 0..CHILDREN;
    prop_oneof![
        6 => child().prop_map(Happens::Progress),
        1 => Just(Happens::Said),
        1 => child().prop_map(Happens::End),
        4 => prop::collection::vec(child(), 0..=KEPT_PROGRESS).prop_map(Happens::Asked),
        2 => Just(Happens::Answered),
        1 => Just(Happens::Interrupted),
        2 => Just(Happens::CleanSlate),
    ]
}

fn child(nth: u8) -> RunId {
    RunId(uuid::Uuid::from_u128(1 + u128::from(nth)))
}

fn queued(parent: Option<Parent>) -> EventBody {
    let spec = RunSpec {
        agent: "a".into(),
        title: String::new(),
        input: String::new(),
        depth: 0,
        context: ContextMode::None,
        snippets: Vec::new(),
        worker: false,
        parent,
        heard: None,
    };
    EventBody::RunQueued {
        spec: Box::new(spec),
    }
}

fn delegated() -> EventBody {
    queued(Some(Parent {
        run: SELF,
        step: Step { turn: 0, index: 0 },
        delegation: Delegation::Background,
        up_to: 0,
    }))
}

fn shown(state: &RunState, seen: Seq) -> Vec<Seq> {
    let of_items = state.items.iter().filter_map(|item| match item {
        Item::Note(note) => Some(note.seq),
        Item::Turn(_) => None,
    });
    let unseen = state.unseen.iter().filter(|note| note.is_shown(seen));
    of_items.chain(unseen.map(|note| note.seq)).collect()
}

/// A journal, folded in its order and in that of a run at work.
struct World {
    journal: RunState,
    at_work: RunState,
    /// What others wrote and the run at work has not read.
    unread: Vec<Event>,
    next: Seq,
}

impl World {
    fn new() -> Self {
        let mut world = Self {
            journal: RunState::new(SELF),
            at_work: RunState::new(SELF),
            unread: Vec::new(),
            next: 1,
        };
        world.own(queued(None));
        world.own(EventBody::RunStarted);
        for nth in 0..CHILDREN {
            world.by(child(nth), delegated());
        }
        world.read();
        world
    }

    fn event(&mut self, run: RunId, body: EventBody) -> Event {
        let event = Event {
            id: self.next,
            task_id: TaskId(uuid::Uuid::nil()),
            run_id: Some(run),
            agent: None,
            at: Timestamp(0),
            epoch: 1,
            cause: None,
            body,
        };
        self.next += 1;
        self.journal.fold(&event);
        event
    }

    fn own(&mut self, body: EventBody) {
        let event = self.event(SELF, body);
        self.at_work.fold(&event);
    }

    fn by(&mut self, run: RunId, body: EventBody) {
        let event = self.event(run, body);
        self.unread.push(event);
    }

    fn read(&mut self) {
        for event in std::mem::take(&mut self.unread) {
            self.at_work.fold(&event);
        }
    }

    fn progress(&mut self, nth: u8) {
        let is_at_it = self.journal.children[&child(nth)].end.is_none();
        if is_at_it {
            let doing = String::new();
            let (turn, tokens) = (0, 0);
            let body = EventBody::RunProgress {
                turn,
                doing,
                tokens,
            };
            self.by(child(nth), body);
        }
    }

    /// Reads, tells what has ended, and asks the model.
    fn ask(&mut self, late: &[u8]) -> (Vec<Seq>, Vec<Seq>) {
        self.read();
        for run in (0..CHILDREN).map(child) {
            let it = &self.at_work.children[&run];
            if it.end.is_some() && !it.delivered {
                self.own(EventBody::Message {
                    from: Sender::System,
                    content: Content::default(),
                    about: Some(run),
                });
            }
        }
        let seen = self.next - 1;
        late.iter().for_each(|nth| self.progress(*nth));
        let both = (shown(&self.journal, seen), shown(&self.at_work, seen));
        let reserved = Reservation::default();
        self.own(EventBody::ModelCallStarted {
            turn: self.journal.turn,
            seen,
            reserved,
        });
        both
    }

    fn answer(&mut self) {
        self.own(EventBody::ModelCallCompleted {
            turn: self.journal.turn,
            text: String::new(),
            calls: Vec::new(),
            usage: Usage::default(),
            stop: StopReason::End,
            opaque: Vec::new(),
        });
    }

    fn play(&mut self, happens: &Happens) -> Option<(Vec<Seq>, Vec<Seq>)> {
        let is_thinking = self.journal.thinking.is_some();
        match happens {
            Happens::Progress(nth) => self.progress(*nth),
            Happens::Said => self.by(
                RunId(uuid::Uuid::max()),
                EventBody::TaskMessage {
                    from: Sender::Human,
                    to: None,
                    content: String::new(),
                    outcome: false,
                },
            ),
            Happens::End(nth) if self.journal.children[&child(*nth)].end.is_none() => {
                let (result, usage) = Default::default();
                self.by(child(*nth), EventBody::RunCompleted { result, usage });
            }
            Happens::Asked(late) if !is_thinking => return Some(self.ask(late)),
            Happens::Answered if is_thinking => self.answer(),
            Happens::Interrupted if is_thinking => {
                let turn = self.journal.turn;
                self.own(EventBody::ModelCallInterrupted { turn });
            }
            Happens::CleanSlate => self.own(EventBody::RunRestarted {
                recovery: Recovery::CleanSlate,
                reason: String::new(),
                crashed: false,
            }),
            _ => {}
        }
        None
    }

    /// The newest words of progress are all that is shown of it to a conversation that began again.
    fn repeats_progress(&self, seen: Seq) -> bool {
        let mut of = std::collections::BTreeSet::new();
        let shown = self
            .journal
            .unseen
            .iter()
            .filter(|note| note.is_shown(seen));
        shown
            .filter_map(|note| note.progress_of)
            .any(|run| !of.insert(run) || self.journal.children[&run].delivered)
    }
}

proptest! {
    #[test]
    fn a_model_is_shown_what_the_journal_says_whenever_its_run_read_it(
        story in prop::collection::vec(happens(), 0..60),
    ) {
        let mut world = World::new();
        for (step, happens) in story.iter().enumerate() {
            let both = world.play(happens);
            if let Some((by_journal, at_work)) = both {
                prop_assert_eq!(by_journal, at_work, "step {}: {:?}", step, happens);
            }
            if matches!(happens, Happens::CleanSlate) {
                prop_assert!(!world.repeats_progress(world.next), "step {step}");
            }
        }
    }
}
