//! The room's actor: starts runs, is told of their ends, tells those who wait, and ends the task.
//!
//! It keeps nothing that the journal does not say: a new incarnation reads the task's events and goes on.

mod answer;
mod closing;
mod ending;
mod floor;
mod pausing;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use supervision::{Actor, AdminError, Context, DynamicHandle, Exit, Failure, Inbox, Reply, Start};

use crate::clock::Ids;
use crate::journal::JournalError;
use crate::model::event::Seq;
use crate::model::{Event, RunId, Sender, Step, Whom};
use crate::run::read::end_of;
use crate::run::{Queued, RunArguments, RunMessage, RunReport, actor::RunContext};
use crate::store::{StoreError, each_event};

use super::registry::Registry;
use super::roster::Roster;
pub(crate) use answer::open_questions;
pub use floor::Looked;
use floor::Looking;

/// What a room's actor is told.
#[derive(Debug)]
pub enum RoomMessage {
    /// A run reports.
    Report(RunReport),
    /// The task is to be cancelled; answered when nothing of it runs any more and that is durable.
    Cancel(String, Reply<()>),
    /// A human answers what the task waits for; whether anything did.
    Answer(String, Reply<bool>),
    /// The runs are read and may be started.
    Open,
    /// A run's start has ended.
    Started(RunId, Result<(), AdminError>),
    /// The end of the task is durable, or was before; if not, it goes on.
    Ended(Result<bool, JournalError>),
    /// A run that had ended goes on, since this event.
    Continued(RunId, Seq),
    /// An answer has come to where it belongs, and may have released a quarantined run.
    Answered(Option<RunId>),
    /// Something was said in the room, or who hears whom has changed.
    Heard,
    /// With peers: what came of looking who is to be asked.
    Looked(Looked),
    /// These are to be paused; answered when none of them begins anything any more and that is durable.
    Pause(Whom, Sender, Reply<()>),
    /// These are to go on; answered when that is durable.
    Resume(Whom, Sender, Reply<()>),
    /// What was to be written about it is durable.
    Paused(Result<Vec<Reply<()>>, JournalError>),
    /// The same of going on.
    Resumed(BTreeSet<RunId>, Result<Reply<()>, JournalError>),
    /// One run, and what works for it, is to be cancelled; answered when nothing of it runs any more and that is durable.
    CancelRun(RunId, String, Reply<()>),
    /// It was looked whether anybody still waits for a person.
    Settled,
    /// One run and what works for it has ended: the ends of those that could not say so themselves.
    SubtreeEnded(RunId, Result<Vec<Event>, JournalError>, Option<Reply<()>>),
    /// Runs that have ended, and may have said so to a room that is gone.
    Missed(Vec<RunId>),
}

impl From<RunReport> for RoomMessage {
    fn from(report: RunReport) -> Self {
        Self::Report(report)
    }
}

/// What a room's actor is given.
#[derive(Clone)]
pub struct RoomArguments {
    /// What it shares with its runs.
    pub context: Arc<RunContext>,
    /// Where new ids come from.
    pub ids: Arc<dyn Ids>,
    /// Who supervises the runs.
    pub runs: DynamicHandle<RunArguments>,
    /// Which runs are up.
    pub registry: Registry,
}

struct Room {
    arguments: RoomArguments,
    roster: Roster,
    /// With peers: who is to be asked whether it engages.
    looking: Option<Looking>,
    starting: BTreeSet<RunId>,
    cancelling: Vec<Reply<()>>,
    /// Runs that asked when the task was ending already: they are about to be cancelled.
    unanswered: Vec<Reply<Result<RunId, String>>>,
    /// Answers that wait until everything is up that may have asked, one after the other.
    answers: Vec<(String, Reply<bool>)>,
    is_open: bool,
    is_answering: bool,
    is_ending: bool,
    /// Runs that are being ended alone, with what works for them.
    closing: BTreeSet<RunId>,
    is_settling: bool,
    settles_again: bool,
    /// Who pauses or resumes runs at the moment.
    one_pause: Arc<tokio::sync::Mutex<()>>,
}

/// How a room's actor is started.
pub fn start(reads: Inbox<RoomMessage>, arguments: RoomArguments) -> Start {
    Start::actor(reads, move |cx| {
        let arguments = arguments.clone();
        // After what was there before: a task that is opened to be cancelled starts nothing.
        let own = cx.handle();
        let _ = cx.attach_maybe(async move {
            let _ = own.send(RoomMessage::Open).await;
            None
        });
        async move {
            let roster = read(&arguments.context).await?;
            let looking = Looking::of(&arguments.context);
            Ok(Room {
                arguments,
                roster,
                looking,
                starting: BTreeSet::new(),
                cancelling: Vec::new(),
                unanswered: Vec::new(),
                answers: Vec::new(),
                is_open: false,
                is_answering: false,
                is_ending: false,
                closing: BTreeSet::new(),
                is_settling: false,
                settles_again: false,
                one_pause: Arc::default(),
            })
        }
    })
}

/// Who works on the task, as its journal says.
async fn read(context: &RunContext) -> Result<Roster, StoreError> {
    let mut roster = Roster::default();
    let store = context.journal.store().as_ref();
    each_event(store, context.task, 0, |event| roster.fold(&event)).await?;
    Ok(roster)
}

impl Actor for Room {
    type Message = RoomMessage;

    async fn handle(
        &mut self,
        message: RoomMessage,
        cx: &mut Context<RoomMessage>,
    ) -> Result<(), Failure> {
        match message {
            RoomMessage::Looked(looked) => return self.looked(looked, cx),
            RoomMessage::Heard => {}
            RoomMessage::Open => self.open(cx),
            RoomMessage::Report(report) => self.reported(report, cx),
            RoomMessage::Continued(run, since) => {
                self.roster.continued(run, since);
                self.start_all(cx);
            }
            RoomMessage::Answered(released) => {
                self.is_answering = false;
                released.iter().for_each(|run| self.roster.released(*run));
                self.start_all(cx);
                self.answer_all(cx);
                self.settle_attention(cx);
            }
            RoomMessage::Started(run, result) => {
                self.started(run, result)?;
                self.answer_all(cx);
            }
            RoomMessage::CancelRun(run, reason, reply) => {
                self.end_subtree(run, reason.into(), Some(reply), cx);
            }
            RoomMessage::SubtreeEnded(top, ended, reply) => {
                self.subtree_ended(top, ended, reply, cx)?;
            }
            RoomMessage::Missed(runs) => self.look_for_ends(&runs, cx),
            RoomMessage::Settled => {
                self.is_settling = false;
                if std::mem::take(&mut self.settles_again) {
                    self.settle_attention(cx);
                }
            }
            RoomMessage::Pause(whom, by, reply) => self.pause(whom, by, reply, cx),
            RoomMessage::Resume(whom, by, reply) => self.resume(whom, by, reply, cx),
            RoomMessage::Paused(replies) => {
                replies?.into_iter().for_each(|reply| reply.send(()));
            }
            RoomMessage::Resumed(runs, reply) => {
                let reply = reply?;
                self.roster.resumed(&runs);
                self.start_all(cx);
                reply.send(());
            }
            RoomMessage::Cancel(reason, reply) => self.cancel(reason, reply, cx),
            RoomMessage::Answer(text, reply) => self.answer(text, reply, cx),
            RoomMessage::Ended(result) if !result.clone()? => {
                self.is_ending = false;
                self.arguments.registry.goes_on();
                self.roster = read(&self.arguments.context).await?;
                self.open(cx);
            }
            RoomMessage::Ended(_) => {
                self.cancelling.drain(..).for_each(|reply| reply.send(()));
                cx.exit(Exit::Normal);
            }
        }
        self.look(cx);
        Ok(())
    }
}

impl Room {
    fn reported(&mut self, report: RunReport, cx: &Context<RoomMessage>) {
        match report {
            RunReport::Delegate {
                run,
                step,
                depth,
                reply,
            } => self.delegate((run, step), depth, reply),
            RunReport::IsBusy(agent, reply) => reply.send(self.roster.is_busy(&agent)),
            RunReport::Queued(queued) => self.queued(queued, cx),
            RunReport::Over(end) => self.over(&end, cx),
            RunReport::Quarantined(run) => self.roster.quarantined(run),
            RunReport::Elsewhere(run) => self.watch_elsewhere(run, cx),
            RunReport::Progress(event) => {
                let parent = event.run_id.and_then(|run| self.roster.parent(run));
                self.tell_run(parent, RunMessage::Heard(event), cx);
            }
        }
    }

    /// Starts what is not up, and wakes those who may have missed an end while the room was down.
    fn open(&mut self, cx: &Context<RoomMessage>) {
        self.is_open = true;
        self.go_on_ending(cx);
        self.start_all(cx);
        self.answer_all(cx);
        for parent in self.roster.parents_of_ended() {
            self.tell_run(Some(parent), RunMessage::Wake, cx);
        }
        if !self.end_if_over(cx) {
            self.cancel_orphans(cx);
        }
        self.look_for_questions(cx);
    }

    fn tell_run(&self, run: Option<RunId>, message: RunMessage, cx: &Context<RoomMessage>) {
        if let Some(run) = run.and_then(|run| self.arguments.registry.get(run)) {
            let _ = cx.attach_maybe(async move {
                let _ = run.send(message).await;
                None
            });
        }
    }

    // ---- delegation

    fn delegate(&mut self, by: (RunId, Step), depth: u32, reply: Reply<Result<RunId, String>>) {
        if self.is_ending {
            return self.unanswered.push(reply);
        }
        let context = &self.arguments.context;
        let (ids, clock) = (self.arguments.ids.clone(), context.journal.clock().clone());
        let team = context.definition.team.as_ref();
        let answer = self.roster.delegate(
            &context.definition.limits,
            team.and_then(|team| team.max_workers),
            by,
            depth,
            || RunId(ids.uuid(clock.now())),
        );
        reply.send(answer);
    }

    /// A run's word that another is queued. When that was is not needed: if the one it works for has ended, that was later.
    fn queued(&mut self, queued: Queued, cx: &Context<RoomMessage>) {
        let run = queued.run;
        self.roster.queued(queued, 0);
        self.pause_if_born_so(run, cx);
        let queued = self.roster.is_to_start(run);
        queued.into_iter().for_each(|queued| self.start(queued, cx));
        self.cancel_orphan(run, cx);
    }

    fn start_all(&mut self, cx: &Context<RoomMessage>) {
        self.pause_born(cx);
        for queued in self.roster.to_start() {
            self.start(queued, cx);
        }
    }

    fn start(&mut self, queued: Queued, cx: &Context<RoomMessage>) {
        let run = queued.run;
        let is_up = self.arguments.registry.get(run).is_some();
        let works_for_one = queued.parent.is_some_and(|it| self.closing.contains(&it));
        if works_for_one {
            self.closing.insert(run);
        }
        let is_closing = self.is_ending || self.closing.contains(&run);
        if is_closing || is_up || !self.starting.insert(run) {
            return;
        }
        let runs = self.arguments.runs.clone();
        let arguments = RunArguments {
            run,
            agent: queued.agent,
            context: self.arguments.context.clone(),
            gate: self.arguments.registry.gate(run),
        };
        let _ = cx.attach(async move {
            RoomMessage::Started(run, runs.start_child(arguments).await.map(drop))
        });
    }

    fn started(&mut self, run: RunId, result: Result<(), AdminError>) -> Result<(), Failure> {
        self.starting.remove(&run);
        match result {
            Ok(()) | Err(AdminError::Stopping) => Ok(()),
            // The room has no better idea than to be started again itself, and in the end to give up loudly.
            Err(error) => Err(format!("{run} could not be started: {error}").into()),
        }
    }

    // ---- ends

    fn over(&mut self, end: &Arc<Event>, cx: &Context<RoomMessage>) {
        let Some(run) = end.run_id else { return };
        self.roster.fold(end);
        let parent = self.roster.parent(run);
        self.tell_run(parent, RunMessage::Heard(end.clone()), cx);
        let is_below = parent.is_some_and(|parent| self.closing.contains(&parent));
        if self.is_ending || is_below && self.closing.contains(&run) {
            return;
        }
        let is_root = self.roster.root_end().is_some_and(|root| root.id == end.id);
        match self.roster.end().cloned() {
            _ if self.is_floor_open() => self.cancel_orphans_of(run, cx),
            Some(root) => self.end_task(&root, cx),
            None if is_root => self.end_task(end, cx),
            None => self.cancel_orphans_of(run, cx),
        }
        self.settle_attention(cx);
    }

    /// Looks now and then whether a run has ended that somebody else has.
    pub(super) fn watch_elsewhere(&self, run: RunId, cx: &Context<RoomMessage>) {
        let context = self.arguments.context.clone();
        let _ = cx.attach_maybe(async move {
            loop {
                tokio::time::sleep(LOOK_ELSEWHERE).await;
                let end = end_of(context.journal.store().as_ref(), context.task, run).await;
                if let Ok(Some(end)) = end {
                    return Some(RoomMessage::Report(RunReport::Over(Arc::new(end))));
                }
            }
        });
    }

    /// Whoever was here before may have ended over an answer.
    fn look_for_questions(&mut self, cx: &Context<RoomMessage>) {
        let context = self.arguments.context.clone();
        let _ = cx.attach_maybe(async move {
            let _ = answer::ask_passed_over(&context).await;
            None
        });
        self.settle_attention(cx);
    }

    /// One after the other, so that it is said once.
    fn settle_attention(&mut self, cx: &Context<RoomMessage>) {
        self.settles_again = self.is_settling;
        if std::mem::replace(&mut self.is_settling, true) {
            return;
        }
        let context = self.arguments.context.clone();
        let _ = cx.attach(async move {
            let _ = answer::settle_attention(&context).await;
            RoomMessage::Settled
        });
    }
}

/// How often is looked how a run stands that somebody else has.
pub(super) const LOOK_ELSEWHERE: Duration = Duration::from_secs(1);

/// How long one run is waited for.
const PATIENCE: Duration = Duration::from_secs(60);
