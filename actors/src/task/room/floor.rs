//! A room of peers: whoever does nothing and sees something new is asked whether it engages.
//!
//! The journal is read before anything is decided, and what is decided is durable before anything is done, so that nobody is asked
//! twice about the same, whoever crashes when.

use std::time::Duration;

use supervision::{Context, Failure};

use crate::journal::JournalError;
use crate::model::event::Seq;
use crate::model::{AgentName, Content, Event, EventBody, RunId, Sender};
use crate::run::actor::RunContext;
use crate::store::{Append, Cause, Draft, each_event};
use crate::task::peers::{Asked, Floor, GONE_QUIET, Move};
use crate::task::registry::Registry;

use super::{Room, RoomMessage};

/// What is known of the floor, and what is under way about it.
pub(super) struct Looking {
    floor: Floor,
    is_under_way: bool,
    /// Whether something happened since it was begun.
    is_stale: bool,
}

/// What came of looking.
#[derive(Debug)]
pub enum Looked {
    /// What happened since.
    Read(Result<Vec<Event>, JournalError>),
    /// Peers are asked, durably.
    Asked(Result<Vec<Event>, JournalError>),
    /// The lead's run goes on since this event, unless it could not.
    Lead(RunId, Option<Seq>),
}

/// How long a run that has ended is waited for before it goes on, and how often.
const PAUSE: Duration = Duration::from_millis(20);
const LOOKS: u32 = 250;

impl Looking {
    pub(super) fn of(context: &RunContext) -> Option<Self> {
        let floor = Floor::of(&context.definition, context.wiring.clone())?;
        let (is_under_way, is_stale) = (false, false);
        Some(Self {
            floor,
            is_under_way,
            is_stale,
        })
    }
}

impl Room {
    /// Whether the end of the task waits until the room has gone quiet.
    pub(super) fn is_floor_open(&self) -> bool {
        let failed = |end: &Event| !matches!(end.body, EventBody::RunCompleted { .. });
        self.looking.is_some() && !self.roster.root_end().is_some_and(|end| failed(end))
    }

    /// Looks what happened and what is to be done about it.
    pub(super) fn look(&mut self, cx: &Context<RoomMessage>) {
        if !self.is_open || self.is_ending || !self.is_floor_open() {
            return;
        }
        let Some(looking) = &mut self.looking else {
            return;
        };
        if std::mem::replace(&mut looking.is_under_way, true) {
            looking.is_stale = true;
            return;
        }
        looking.is_stale = false;
        let (context, after) = (self.arguments.context.clone(), looking.floor.head());
        let _ = cx
            .attach(async move { RoomMessage::Looked(Looked::Read(since(&context, after).await)) });
    }

    pub(super) fn looked(
        &mut self,
        looked: Looked,
        cx: &Context<RoomMessage>,
    ) -> Result<(), Failure> {
        let Some(looking) = &mut self.looking else {
            return Ok(());
        };
        looking.is_under_way = false;
        match looked {
            Looked::Read(events) => {
                events?.iter().for_each(|event| looking.floor.fold(event));
                if looking.is_stale {
                    self.look(cx);
                } else if !self.is_ending {
                    self.act(cx);
                }
            }
            Looked::Asked(Ok(events)) => {
                events.iter().for_each(|event| self.roster.fold(event));
                self.start_all(cx);
                self.look(cx);
            }
            // The task has ended, or a person went on with it; that is told too.
            Looked::Asked(Err(JournalError::Rejected(_))) | Looked::Lead(_, None) => {}
            Looked::Asked(Err(error)) => return Err(error.into()),
            Looked::Lead(run, Some(since)) => {
                self.roster.continued(run, since);
                self.start_all(cx);
                self.look(cx);
            }
        }
        Ok(())
    }

    fn act(&mut self, cx: &Context<RoomMessage>) {
        let Some(looking) = &mut self.looking else {
            return;
        };
        match looking.floor.next() {
            Move::Wait => {}
            Move::Ask(asked, reached) => {
                looking.is_under_way = true;
                let drafts = self.drafts(asked, reached);
                let (journal, task) = self.at();
                let _ = cx.attach(async move {
                    let append = append(task, None, drafts);
                    RoomMessage::Looked(Looked::Asked(journal.append(append).await))
                });
            }
            Move::Lead(run) => {
                looking.is_under_way = true;
                let cause = looking.floor.newest_of_lead().map(Cause::Event);
                let context = self.arguments.context.clone();
                let registry = self.arguments.registry.clone();
                let _ = cx.attach(async move {
                    let since = go_on(&context, &registry, run, cause).await;
                    RoomMessage::Looked(Looked::Lead(run, since))
                });
            }
            Move::Quiet => {
                if let Some(end) = self.roster.end().cloned() {
                    self.end_task(&end, cx);
                }
            }
        }
    }

    fn at(&self) -> (crate::journal::Journal, crate::model::TaskId) {
        let context = &self.arguments.context;
        (context.journal.clone(), context.task)
    }

    /// The newest that an agent may see in the room.
    fn newest(&self, agent: &AgentName) -> Option<Cause> {
        let floor = self.looking.as_ref().map(|looking| &looking.floor);
        floor?.newest(agent).map(Cause::Event)
    }

    fn drafts(&self, asked: Vec<Asked>, reached: Vec<(AgentName, String)>) -> Vec<Draft> {
        let context = &self.arguments.context;
        let at = context.journal.clock().now();
        let draft = |run, agent, cause, body| Draft {
            run,
            agent: Some(agent),
            at,
            epoch: 0,
            cause,
            body,
        };
        let asked = asked.into_iter().map(|asked| {
            let run = RunId(self.arguments.ids.uuid(at));
            let (agent, about) = (asked.agent.clone(), Some(Cause::Event(asked.about)));
            let spec = Box::new(asked.spec(&context.definition, &context.wiring));
            draft(Some(run), agent, about, EventBody::RunQueued { spec })
        });
        let reached = reached.into_iter().map(|(agent, limit)| {
            let exceeded = None;
            let body = EventBody::BudgetExceeded { limit, exceeded };
            let about = self.newest(&agent);
            draft(None, agent, about, body)
        });
        asked.chain(reached).collect()
    }
}

fn append(task: crate::model::TaskId, fence: Option<(RunId, u64)>, drafts: Vec<Draft>) -> Append {
    Append {
        task,
        fence,
        drafts,
        blobs: Vec::new(),
    }
}

/// What happened in the task after an event.
async fn since(context: &RunContext, after: Seq) -> Result<Vec<Event>, JournalError> {
    if after == 0 {
        // What a room before this one had sent to the journal is there before it is read.
        let nothing = append(context.task, None, Vec::new());
        context.journal.append(nothing).await?;
    }
    let mut events = Vec::new();
    let store = context.journal.store().as_ref();
    each_event(store, context.task, after, |event| events.push(event)).await?;
    Ok(events)
}

/// The lead's run goes on, once its actor is gone. The event, if it could.
async fn go_on(
    context: &RunContext,
    registry: &Registry,
    run: RunId,
    cause: Option<Cause>,
) -> Option<Seq> {
    for _ in 0..LOOKS {
        if registry.get(run).is_none() {
            break;
        }
        tokio::time::sleep(PAUSE).await;
    }
    let rows = context.journal.store().runs(context.task).await.ok()?;
    let row = rows.into_iter().find(|row| row.id == run)?;
    let body = EventBody::RunContinued {
        from: Sender::System,
        content: Content::Inline(GONE_QUIET.to_owned()),
    };
    let draft = Draft {
        run: Some(run),
        agent: Some(row.agent),
        at: context.journal.clock().now(),
        epoch: row.epoch,
        cause,
        body,
    };
    let append = append(context.task, Some((run, row.epoch)), vec![draft]);
    let events = context.journal.append(append).await.ok()?;
    events.last().map(|event| event.id)
}
