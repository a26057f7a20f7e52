//! The chronicle: writes what supervisors decide about a task's tree into that task's journal.

use supervision::{Actor, Context, Decision, Failure, Handle, Inbox, Report, Restart, Start};

use crate::journal::{Journal, JournalError};
use crate::model::event::AgentState;
use crate::model::{AgentName, Attention, EventBody, TaskId};
use crate::store::{Append, Draft};

/// What the chronicle is told.
#[derive(Debug)]
pub(super) enum ChronicleMessage {
    /// A supervisor decided something.
    Reported(Box<Report>),
    /// An append has ended.
    Written(Result<(), JournalError>),
}

struct Chronicle(Journal);

/// How the chronicle is started.
pub(super) fn start(reads: Inbox<ChronicleMessage>, journal: Journal) -> Start {
    Start::actor(reads, move |_| {
        std::future::ready(Ok(Chronicle(journal.clone())))
    })
}

/// Called on a supervisor's own thread: what concerns no task is left to the log.
pub(super) fn hear(chronicle: &Handle<ChronicleMessage>, report: &Report) {
    let concerns_task = entry(report).is_some();
    if concerns_task
        && chronicle
            .try_send(ChronicleMessage::Reported(Box::new(report.clone())))
            .is_err()
    {
        tracing::warn!(path = %report.path, "the chronicle has no room for: {}", report.decision);
    }
}

impl Actor for Chronicle {
    type Message = ChronicleMessage;

    async fn handle(
        &mut self,
        message: ChronicleMessage,
        cx: &mut Context<ChronicleMessage>,
    ) -> Result<(), Failure> {
        let report = match message {
            ChronicleMessage::Reported(report) => report,
            // A task that has ended, or was never created, needs no more entries.
            ChronicleMessage::Written(Ok(()) | Err(JournalError::Rejected(_))) => return Ok(()),
            ChronicleMessage::Written(Err(error)) => return Err(error.into()),
        };
        if let Some((task, entries)) = entry(&report) {
            let at = self.0.clock().now();
            let draft = |(agent, body)| Draft {
                run: None,
                agent,
                at,
                epoch: 0,
                cause: None,
                body,
            };
            let drafts = entries.into_iter().map(draft).collect();
            let journal = self.0.clone();
            let _ = cx.attach(async move {
                let append = Append {
                    task,
                    fence: None,
                    drafts,
                    blobs: Vec::new(),
                };
                ChronicleMessage::Written(journal.append(append).await.map(drop))
            });
        }
        Ok(())
    }
}

type Entry = (Option<AgentName>, EventBody);

/// What is written about a report: nothing, unless it is a restart or an end of hope in a task's tree.
fn entry(report: &Report) -> Option<(TaskId, Vec<Entry>)> {
    let task = report.path.split('/').find_map(|part| part.parse().ok())?;
    let about = report.decision.about();
    let (path, child) = (report.path.to_string(), about.child.to_string());
    let agent = report
        .path
        .ends_with("/agents")
        .then(|| AgentName::from(child.as_str()));
    let state = |state, reason: &str| {
        let body = EventBody::AgentState {
            state,
            reason: reason.to_owned(),
        };
        agent.clone().map(|agent| (Some(agent), body))
    };
    let entries = match &report.decision {
        Decision::Terminated(_, exit) if about.restart == Restart::Temporary => {
            state(AgentState::Failed, &exit.to_string())
                .into_iter()
                .collect()
        }
        Decision::Terminated(_, exit) => {
            let (reason, incarnation) = (exit.to_string(), about.incarnation.0 + 1);
            let restart = EventBody::SupervisorRestart {
                path,
                child,
                incarnation,
                reason: reason.clone(),
            };
            std::iter::once((agent.clone(), restart))
                .chain(state(AgentState::Restarting, &reason))
                .collect()
        }
        Decision::Started(about) if about.incarnation.0 > 1 => {
            state(AgentState::Idle, "").into_iter().collect()
        }
        Decision::GaveUp(_, exit) => {
            let reason = format!("`{child}` {exit}");
            let attention = Attention::GaveUp {
                path: path.clone(),
                reason: reason.clone(),
            };
            let gave_up = EventBody::SupervisorGaveUp { path, reason };
            let failed = state(AgentState::Failed, &exit.to_string());
            let all = [
                (None, gave_up),
                (None, EventBody::TaskNeedsAttention { attention }),
            ];
            failed.into_iter().chain(all).collect::<Vec<_>>()
        }
        _ => return None,
    };
    (!entries.is_empty()).then_some((task, entries))
}
