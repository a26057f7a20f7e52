//! What a model is asked, compared with what the journal says it should have been asked: the request after a crash is the one that
//! would have been made without it, because both follow from the journal.

use std::collections::{BTreeMap, HashMap};

use crate::model::{
    AgentName, Content, ContextMode, Event, EventBody, ModelRequest, RunId, Seq, TaskDefinition,
};
use crate::run::context::{self, Scene};
use crate::run::state::RunState;
use crate::store::Store;
use crate::topology::Wiring;

/// A journal with everything it refers to.
pub struct Record<'a> {
    /// All of it.
    pub events: &'a [Event],
    /// What it is about.
    pub task: &'a TaskDefinition,
    /// Large texts, by their hash.
    pub blobs: HashMap<String, String>,
}

impl<'a> Record<'a> {
    /// Of these events of a store.
    pub async fn new(events: &'a [Event], store: &dyn Store) -> Self {
        let EventBody::TaskCreated { definition: task } = &events[0].body else {
            panic!("a journal begins with the task's creation");
        };
        let mut blobs = HashMap::new();
        for hash in events.iter().filter_map(|event| blob(&event.body)) {
            let bytes = store.blob(hash.clone()).await.expect("it can be read");
            let text = String::from_utf8(bytes.expect("it is there")).expect("a text");
            blobs.insert(hash.clone(), text);
        }
        Self {
            events,
            task,
            blobs,
        }
    }

    /// The agent of a run.
    pub fn agent(&self, run: RunId) -> &'a AgentName {
        let queued = self.events.iter().find_map(|event| match &event.body {
            EventBody::RunQueued { spec } if event.run_id == Some(run) => Some(&spec.agent),
            _ => None,
        });
        queued.expect("a run is queued")
    }

    /// Whether the journal says that an agent may see it.
    pub fn visible(&self, agent: &AgentName) -> impl Iterator<Item = &'a Event> {
        let mut wiring = Wiring::of(self.task, &Default::default());
        self.events.iter().filter(move |event| {
            wiring.fold(event);
            wiring.shows(agent, event)
        })
    }

    /// A run as it stood at an event.
    pub fn state(&self, run: RunId, up_to: Seq) -> RunState {
        let agent = self.agent(run);
        let events = self.visible(agent).filter(|event| event.id <= up_to);
        RunState::from_events(run, events)
    }

    fn inherited(&self, state: &RunState) -> Option<String> {
        let spec = state.spec.as_ref()?;
        let parent = spec
            .parent
            .as_ref()
            .filter(|_| spec.context == ContextMode::Full)?;
        let above = self.state(parent.run, parent.up_to);
        let its_own = self.inherited(&above);
        let name = self.agent(parent.run);
        Some(self.with_scene(name, its_own.as_deref(), |scene| {
            context::in_words(&above, scene)
        }))
    }

    fn with_scene<R>(
        &self,
        name: &AgentName,
        inherited: Option<&str>,
        work: impl FnOnce(Scene<'_>) -> R,
    ) -> R {
        work(Scene {
            task: self.task,
            name,
            inherited,
            tools: &BTreeMap::new(),
            blobs: &self.blobs,
        })
    }

    /// The request that a run that has seen the journal up to here makes.
    #[must_use]
    pub fn request(&self, run: RunId, seen: Seq) -> ModelRequest {
        self.request_at(run, seen, seen)
    }

    /// The request of a run that has come so far, and is shown the room up to `seen`.
    fn request_at(&self, run: RunId, at: Seq, seen: Seq) -> ModelRequest {
        let state = self.state(run, at);
        let inherited = self.inherited(&state);
        self.with_scene(self.agent(run), inherited.as_deref(), |scene| {
            context::request(&state, seen, scene)
        })
    }

    /// Whether a request is the one that a run makes that has seen the journal up to some event that was durable then.
    pub fn follows_from(&self, asked: &ModelRequest, durable: Seq) -> bool {
        let of_run = self
            .events
            .iter()
            .filter(|event| event.run_id == Some(asked.run));
        let said = of_run.filter_map(|event| match event.body {
            EventBody::ModelCallStarted { seen, .. } => Some((event.id, seen)),
            _ => None,
        });
        let mut said = said.filter(|(at, _)| *at <= durable);
        if said.any(|(at, seen)| is_the_same(asked, &self.request_at(asked.run, at - 1, seen))) {
            return true;
        }
        // A call that was begun and cut off need not have left a word.
        let mut late = durable.saturating_sub(FAR)..=durable;
        late.any(|seen| is_the_same(asked, &self.request(asked.run, seen)))
    }
}

/// How many events may be written by others while a run looks what is to be done.
const FAR: Seq = 40;

fn is_the_same(asked: &ModelRequest, wanted: &ModelRequest) -> bool {
    (&asked.messages, &asked.system, &asked.brief)
        == (&wanted.messages, &wanted.system, &wanted.brief)
}

fn blob(body: &EventBody) -> Option<&String> {
    let content = match body {
        EventBody::ToolCallCompleted { content, .. }
        | EventBody::ToolCallLate { content, .. }
        | EventBody::Message { content, .. }
        | EventBody::RunContinued { content, .. }
        | EventBody::RunCompleted {
            result: content, ..
        } => content,
        _ => return None,
    };
    match content {
        Content::Blob { blob, .. } => Some(blob),
        Content::Inline(_) => None,
    }
}

/// Every answer in the journal is the answer to the request that follows from the journal.
pub fn every_answer_was_to_the_right_request(record: &Record<'_>, asked: &[&ModelRequest]) {
    let mut started = BTreeMap::new();
    for event in record.events {
        let Some(run) = event.run_id else { continue };
        match &event.body {
            EventBody::ModelCallStarted { seen, .. } => {
                started.insert(run, (event.id - 1, *seen));
            }
            EventBody::ModelCallCompleted { turn, .. } => {
                let (at, seen) = started[&run];
                let wanted = record.request_at(run, at, seen);
                let mut of_run = asked.iter().filter(|asked| asked.run == run);
                if !of_run.any(|asked| is_the_same(asked, &wanted)) {
                    let of_run = asked.iter().filter(|asked| asked.run == run);
                    let texts: Vec<_> = of_run
                        .map(|asked| format!("{:#?}", asked.messages))
                        .collect();
                    panic!(
                        "turn {turn} of {run} was not asked what the journal says at event {}:\n{:#?}\nbut:\n{}",
                        event.id,
                        wanted.messages,
                        texts.join("\n")
                    );
                }
            }
            _ => {}
        }
    }
}
