//! A fork: another task whose root run has the conversation of a run up to one event, and goes on from there in its own way. Pure.
//!
//! What is copied is what the run was told, said and learned. Nothing of it is done again: calls that had no result at that event are
//! answered with that, so that the model can decide to make them anew. What the copied past has cost is the first task's.

use crate::model::event::Outcome;
use crate::model::{
    Content, ContextMode, Event, EventBody, RunId, RunSpec, Sender, Seq, TaskDefinition, TaskId,
    Timestamp, Usage,
};
use crate::store::{Cause, Draft};

use super::state::RunState;

/// Why a run cannot be forked there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ForkError {
    /// The run had not begun at that event.
    #[error("the run had not begun at event {0}: it begins with event {1}")]
    TooEarly(Seq, Seq),
    /// The task has no such event.
    #[error("the task has no event {0} yet")]
    TooLate(Seq),
    /// It would end at once.
    #[error(
        "at event {0} the run had its result and nothing is left to do: say with what it is to go on"
    )]
    NothingToDo(Seq),
    /// Its beginning is another run's conversation.
    #[error(
        "the run was given the whole conversation of the run that delegated it: fork that one instead"
    )]
    Inherited,
    /// It is one of a room of peers, and its conversation is the room's.
    #[error("a run of a peer is an answer to the room: say it in a new task instead")]
    Peer,
}

/// What a fork is made of.
#[derive(Debug, Clone, Copy)]
pub struct Fork<'a> {
    /// All events of the task up to the one at which the run is forked.
    pub events: &'a [Event],
    /// The run.
    pub run: RunId,
    /// That event.
    pub at: Seq,
    /// With what the fork goes on, if with anything new.
    pub prompt: Option<&'a str>,
    /// The fork's definition.
    pub definition: &'a TaskDefinition,
    /// The fork's run.
    pub new: RunId,
    /// Now.
    pub now: Timestamp,
}

impl Fork<'_> {
    /// The journal of the new task.
    ///
    /// # Errors
    /// [`ForkError`].
    pub fn drafts(&self) -> Result<Vec<Draft>, ForkError> {
        let spec = self.spec()?;
        let mut copy = Copy::new(self, &spec);
        for event in self.events.iter().filter(|event| event.id <= self.at) {
            copy.take(event);
        }
        copy.close();
        let is_through = copy.state.status.is_terminal() || copy.is_answered();
        match self.prompt {
            None if is_through => return Err(ForkError::NothingToDo(self.at)),
            None => {}
            Some(prompt) => copy.go_on(prompt, is_through),
        }
        Ok(copy.drafts)
    }

    fn spec(&self) -> Result<RunSpec, ForkError> {
        let last = self.events.last().map_or(0, |event| event.id);
        if self.at > last {
            return Err(ForkError::TooLate(self.at));
        }
        let queued = self.events.iter().find_map(|event| match &event.body {
            EventBody::RunQueued { spec } if event.run_id == Some(self.run) => {
                Some((event.id, spec))
            }
            _ => None,
        });
        let (begin, spec) = queued.ok_or(ForkError::TooEarly(self.at, last))?;
        if self.at < begin {
            return Err(ForkError::TooEarly(self.at, begin));
        }
        if spec.heard.is_some() {
            return Err(ForkError::Peer);
        }
        let input = match (&spec.parent, spec.context) {
            (Some(_), ContextMode::Full) => return Err(ForkError::Inherited),
            (Some(_), ContextMode::Scoped) => {
                let given = spec.snippets.iter().chain([&spec.input]);
                given.cloned().collect::<Vec<_>>().join("\n\n")
            }
            _ => spec.input.clone(),
        };
        Ok(RunSpec {
            input,
            depth: 0,
            context: ContextMode::None,
            snippets: Vec::new(),
            worker: false,
            parent: None,
            heard: None,
            ..(**spec).clone()
        })
    }
}

struct Copy<'a> {
    fork: &'a Fork<'a>,
    drafts: Vec<Draft>,
    /// The copied events' old numbers, in the order of the new ones.
    numbers: Vec<(Seq, Seq)>,
    state: RunState,
}

impl<'a> Copy<'a> {
    fn new(fork: &'a Fork<'a>, spec: &RunSpec) -> Self {
        let mut copy = Self {
            fork,
            drafts: Vec::new(),
            numbers: Vec::new(),
            state: RunState::new(fork.new),
        };
        let definition = Box::new(fork.definition.clone());
        copy.write(None, 0, EventBody::TaskCreated { definition });
        let spec = Box::new(spec.clone());
        copy.write(Some(fork.new), 0, EventBody::RunQueued { spec });
        copy
    }

    fn take(&mut self, event: &Event) {
        let is_own = event.run_id == Some(self.fork.run);
        let body = match &event.body {
            // It was told that as the result of its call.
            EventBody::TaskMessage { outcome: true, .. } if self.is_of_child(event) => return,
            body @ EventBody::TaskMessage { .. } => body.clone(),
            body if is_own => match self.own(body) {
                Some(body) => body,
                None => return,
            },
            _ => return,
        };
        let run = is_own.then_some(self.fork.new);
        let epoch = if is_own { event.epoch } else { 0 };
        self.write(run, epoch, body);
        let new = self.drafts.len() as Seq;
        self.numbers.push((event.id, new));
    }

    /// Whether a run said it that this one delegated.
    fn is_of_child(&self, event: &Event) -> bool {
        let is_it = |queued: &Event| match &queued.body {
            EventBody::RunQueued { spec } => {
                let parent = spec.parent.as_ref();
                queued.run_id == event.run_id && parent.is_some_and(|it| it.run == self.fork.run)
            }
            _ => false,
        };
        self.fork.events.iter().any(is_it)
    }

    /// What of the run's own events is part of what it knows.
    fn own(&self, body: &EventBody) -> Option<EventBody> {
        Some(match body.clone() {
            EventBody::ModelCallStarted { turn, seen, .. } => EventBody::ModelCallStarted {
                turn,
                seen: self.number(seen),
                reserved: Default::default(),
            },
            EventBody::ModelCallCompleted {
                turn,
                text,
                calls,
                stop,
                opaque,
                ..
            } => EventBody::ModelCallCompleted {
                turn,
                text,
                calls,
                usage: Usage::default(),
                stop,
                opaque,
            },
            EventBody::Message { from, content, .. } => EventBody::Message {
                from,
                content,
                about: None,
            },
            EventBody::RunCompleted { result, .. } => EventBody::RunCompleted {
                result,
                usage: Usage::default(),
            },
            body @ (EventBody::RunStarted
            | EventBody::RunRestarted { .. }
            | EventBody::ToolCallStarted { .. }
            | EventBody::ToolCallCompleted { .. }
            | EventBody::ToolCallInDoubt { .. }
            | EventBody::ToolCallResolved { .. }
            | EventBody::RunContinued { .. }) => body,
            _ => return None,
        })
    }

    /// The new number of the last event that was copied up to an old one.
    fn number(&self, old: Seq) -> Seq {
        let place = self.numbers.partition_point(|(from, _)| *from <= old);
        let before = place.checked_sub(1).and_then(|n| self.numbers.get(n));
        before.map_or(2, |(_, new)| *new)
    }

    /// What was under way at that event was not made here.
    fn close(&mut self) {
        if self.state.status.is_terminal() {
            return;
        }
        // A call of the model that was not answered leaves nothing.
        let last = self.drafts.iter().rposition(|draft| draft.run.is_some());
        if let Some(last) = last.filter(|last| is_asked(&self.drafts[*last])) {
            self.drafts.remove(last);
        }
        let open: Vec<_> = self.state.open_calls().map(|(step, _)| step).collect();
        for step in open {
            let text = "the conversation was continued in a fork before this call had a result: it was not made here";
            let body = EventBody::ToolCallCompleted {
                step,
                outcome: Outcome::Error,
                content: Content::Inline(text.to_owned()),
            };
            self.write(Some(self.fork.new), self.state.epoch, body);
        }
    }

    /// Whether the last thing it knows is its own final answer.
    fn is_answered(&self) -> bool {
        let own = self.drafts.iter().rev().find(|draft| draft.run.is_some());
        matches!(own.map(|draft| &draft.body), Some(EventBody::ModelCallCompleted { calls, .. }) if calls.is_empty())
    }

    fn go_on(&mut self, prompt: &str, is_through: bool) {
        let (new, epoch) = (Some(self.fork.new), self.state.epoch);
        let content = Content::Inline(prompt.to_owned());
        if !is_through {
            let from = Sender::Human;
            let about = None;
            return self.write(
                new,
                epoch,
                EventBody::Message {
                    from,
                    content,
                    about,
                },
            );
        }
        if !self.state.status.is_terminal() {
            let last = self
                .drafts
                .iter()
                .rev()
                .find_map(|draft| match &draft.body {
                    EventBody::ModelCallCompleted { text, .. } => Some(text.clone()),
                    _ => None,
                });
            let result = Content::Inline(last.unwrap_or_default());
            let usage = Usage::default();
            self.write(new, epoch, EventBody::RunCompleted { result, usage });
        }
        let from = Sender::Human;
        self.write(new, epoch, EventBody::RunContinued { from, content });
    }

    fn write(&mut self, run: Option<RunId>, epoch: u64, body: EventBody) {
        let cause = self.cause(run, &body);
        let agent = run.map(|_| self.agent(&body));
        let draft = Draft {
            run,
            agent: agent.flatten(),
            at: self.fork.now,
            epoch,
            cause,
            body,
        };
        self.drafts.push(draft.clone());
        self.state.fold(&Event {
            id: self.drafts.len() as Seq,
            task_id: TaskId(uuid::Uuid::nil()),
            run_id: draft.run,
            agent: draft.agent,
            at: draft.at,
            epoch: draft.epoch,
            cause: None,
            body: draft.body,
        });
    }

    /// What led to it, as far as that is in the copy.
    fn cause(&self, run: Option<RunId>, body: &EventBody) -> Option<Cause> {
        let place = self.drafts.len();
        match body {
            EventBody::RunQueued { .. } => Some(Cause::Draft(0)),
            body if run.is_none() || body.is_task_end() => None,
            body => match self.state.trail.clone().next(&self.state, body, place)? {
                Cause::Event(seq) => Some(Cause::Draft(usize::try_from(seq).ok()?.checked_sub(1)?)),
                draft => Some(draft),
            },
        }
    }

    fn agent(&self, body: &EventBody) -> Option<crate::model::AgentName> {
        match body {
            EventBody::RunQueued { spec } => Some(spec.agent.clone()),
            _ => self.state.spec.as_ref().map(|spec| spec.agent.clone()),
        }
    }
}

fn is_asked(draft: &Draft) -> bool {
    matches!(draft.body, EventBody::ModelCallStarted { .. })
}
