//! The chronicle: writes what supervisors decide about a task's tree into that task's journal.
//!
//! What waits to be written outlives it: a task whose supervisor gave up has nobody else who would say so.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use supervision::{Actor, Context, Failure, Handle, Inbox, Report, Start};

use crate::journal::{Journal, JournalError};
use crate::model::{EventBody, TaskId};
use crate::pool::News;
use crate::store::{Append, Cause, Draft};

use super::desk::{Desk, Entry};

/// What the chronicle is told.
#[derive(Debug)]
pub(super) enum ChronicleMessage {
    /// There is something to be written.
    Reported,
    /// An append has ended.
    Written(Result<(), JournalError>),
}

/// How many reports of supervisors wait to be written down.
const REPORTS: usize = 4096;

/// What supervisors reported and what of it is not written yet.
#[derive(Debug, Clone, Default)]
pub(super) struct Reports(Arc<Mutex<Waiting>>);

#[derive(Debug, Default)]
struct Waiting {
    desk: Desk,
    appends: VecDeque<Append>,
}

impl Reports {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Called on a supervisor's own thread: what concerns no task is left to the log.
    pub(super) fn hear(
        &self,
        report: &Report,
        journal: &Journal,
        chronicle: &Handle<ChronicleMessage>,
    ) {
        let mut waiting = self.waiting();
        let Some((task, entries)) = waiting.desk.read(report) else {
            return;
        };
        if waiting.appends.len() >= REPORTS {
            tracing::warn!(path = %report.path, "the chronicle has no room for: {}", report.decision);
            return;
        }
        waiting.appends.push_back(append(journal, task, entries));
        drop(waiting);
        wake(chronicle);
    }

    /// A fault on purpose strikes in a task.
    pub(super) fn tell(
        &self,
        task: TaskId,
        body: EventBody,
        journal: &Journal,
        chronicle: &Handle<ChronicleMessage>,
    ) {
        let mut waiting = self.waiting();
        if waiting.appends.len() >= REPORTS {
            tracing::warn!(%task, "the chronicle has no room for: {}", body.kind());
            return;
        }
        let entry = vec![(None, body)];
        waiting.appends.push_back(append(journal, task, entry));
        drop(waiting);
        wake(chronicle);
    }

    /// A provider has fallen ill or is well again: the tasks that it concerns are told.
    pub(super) fn note(
        &self,
        news: &News,
        journal: &Journal,
        chronicle: &Handle<ChronicleMessage>,
    ) {
        let provider = news.provider.clone();
        let body = match &news.opened {
            Some((reason, wait)) => EventBody::BreakerOpened {
                provider,
                reason: reason.clone(),
                wait_ms: wait.map(|wait| u64::try_from(wait.as_millis()).unwrap_or(u64::MAX)),
            },
            None => EventBody::BreakerClosed { provider },
        };
        let mut waiting = self.waiting();
        for task in &news.tasks {
            if waiting.appends.len() >= REPORTS {
                tracing::warn!(%task, "the chronicle has no room for: {}", body.kind());
                break;
            }
            let entry = vec![(None, body.clone())];
            waiting.appends.push_back(append(journal, *task, entry));
        }
        drop(waiting);
        wake(chronicle);
    }
}

/// Should its inbox be full, it is awake anyway.
fn wake(chronicle: &Handle<ChronicleMessage>) {
    let _ = chronicle.try_send(ChronicleMessage::Reported);
}

fn append(journal: &Journal, task: TaskId, entries: Vec<Entry>) -> Append {
    let at = journal.clock().now();
    let decided = entries.iter().position(|(_, body)| is_decision(body));
    let draft = |(place, (agent, body))| Draft {
        run: None,
        agent,
        at,
        epoch: 0,
        // What its child did led to the decision, and the decision to what follows it.
        cause: decided.filter(|at| *at < place).map(Cause::Draft),
        body,
    };
    Append {
        task,
        fence: None,
        drafts: entries.into_iter().enumerate().map(draft).collect(),
        blobs: Vec::new(),
    }
}

/// Whether a supervisor decided something, and other events only say what follows.
fn is_decision(body: &EventBody) -> bool {
    matches!(
        body,
        EventBody::SupervisorRestart { .. } | EventBody::SupervisorGaveUp { .. }
    )
}

struct Chronicle {
    journal: Journal,
    reports: Reports,
    is_writing: bool,
}

/// How the chronicle is started.
pub(super) fn start(reads: Inbox<ChronicleMessage>, journal: Journal, reports: Reports) -> Start {
    Start::actor(reads, move |cx| {
        let _ = cx.attach(async { ChronicleMessage::Reported });
        std::future::ready(Ok(Chronicle {
            journal: journal.clone(),
            reports: reports.clone(),
            is_writing: false,
        }))
    })
}

impl Actor for Chronicle {
    type Message = ChronicleMessage;

    async fn handle(
        &mut self,
        message: ChronicleMessage,
        cx: &mut Context<ChronicleMessage>,
    ) -> Result<(), Failure> {
        if let ChronicleMessage::Written(result) = message {
            self.is_writing = false;
            // The journal is coming back, and the chronicle with it: the same is written again then.
            if result == Err(JournalError::Lost) {
                return Err(JournalError::Lost.into());
            }
            self.reports.waiting().appends.pop_front();
            // A task that has ended, or was never created, needs no more entries.
            if let Err(JournalError::Store(error)) = result {
                tracing::error!("what a supervisor decided was not written: {error}");
            }
        }
        if !self.is_writing {
            self.write_next(cx);
        }
        Ok(())
    }
}

impl Chronicle {
    /// One append at a time, so that they stand in the order in which they happened.
    fn write_next(&mut self, cx: &Context<ChronicleMessage>) {
        let Some(append) = self.reports.waiting().appends.front().cloned() else {
            return;
        };
        self.is_writing = true;
        let journal = self.journal.clone();
        let _ =
            cx.attach(
                async move { ChronicleMessage::Written(journal.append(append).await.map(drop)) },
            );
    }
}
