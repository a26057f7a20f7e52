//! What is written, and what follows when it is durable.

use std::sync::Arc;

use supervision::{Context, Failure};

use crate::budget::Admission;
use crate::journal::{Journal, JournalError};
use crate::model::event::Resolution;
use crate::model::{CallId, Content, Event, EventBody, Question, Seq, Step, WaitReason};
use crate::run::next::room_message;
use crate::run::state::CallPhase;
use crate::run::{read, snapshot};
use crate::store::{Append, Blob, Draft, Rejected};

use crate::tool::RemoteCall;

use super::{Out, RunActor, RunMessage, RunReport};

/// How many characters of a long text people are shown in lists.
const PREVIEW: usize = 200;

/// Keeps what came late, under the epoch of whoever has the run now.
async fn keep(journal: &Journal, rejected: &Rejected, mut evidence: Append) {
    let Rejected::Fenced { run, current, .. } = rejected else {
        return;
    };
    evidence.fence = Some((*run, *current));
    for draft in &mut evidence.drafts {
        draft.epoch = *current;
    }
    if let Err(error) = journal.append(evidence).await {
        tracing::warn!(%run, "a late result is lost: {error}");
    }
}

/// Whether something that was set aside is free again, or more is allowed.
fn settles(body: &EventBody) -> bool {
    let is_settled = matches!(
        body,
        EventBody::ModelCallCompleted { .. }
            | EventBody::RunRetrying { .. }
            | EventBody::BudgetExceeded { .. }
            | EventBody::BudgetRaised { .. }
    );
    is_settled || body.is_run_end() || body.is_claim()
}

impl RunActor {
    pub(super) fn write(&mut self, bodies: impl IntoIterator<Item = EventBody>) {
        for body in bodies {
            if let EventBody::RunFailed { error, .. } = &body {
                let (text, limits) = (format!("failed: {error}"), &self.context.definition.limits);
                let said = room_message(&self.state, &self.name, &text, limits);
                self.outbox.extend(said.into_iter().map(Out::Own));
            }
            self.outbox.push(Out::Own(body));
        }
    }

    /// The same of what another event led to than the run's own journal would say.
    pub(super) fn write_after(&mut self, cause: Seq, bodies: impl IntoIterator<Item = EventBody>) {
        let outs = bodies.into_iter().map(|body| Out::After(cause, body));
        self.outbox.extend(outs);
    }

    /// What else is open is asked again: it is what it was.
    pub(super) fn ask_again(&mut self, rest: Vec<Question>) {
        for Question { asked, attention } in rest {
            self.write_after(asked, [EventBody::TaskNeedsAttention { attention }]);
        }
    }

    pub(super) fn record(&mut self, cx: &Context<RunMessage>) {
        let at = self.context.journal.clock().now();
        let mut own_epoch = self.state.epoch;
        let mut blobs = Vec::new();
        let mut drafts = Vec::new();
        let mut trail = self.state.trail.clone();
        for out in std::mem::take(&mut self.outbox) {
            let said = out.cause();
            let (run, agent, epoch, body) = match out {
                Out::Own(body) | Out::After(_, body) | Out::Foreseen(body, _) => {
                    own_epoch += u64::from(body.is_claim());
                    (
                        self.run,
                        self.name.clone(),
                        own_epoch,
                        self.with_blobs(self.with_executor(body), &mut blobs),
                    )
                }
                Out::Child(run, agent, spec) => (run, agent, 0, EventBody::RunQueued { spec }),
            };
            let cause = trail.next(&self.state, &body, drafts.len());
            drafts.push(Draft {
                run: Some(run),
                agent: Some(agent),
                at,
                epoch,
                cause: said.or(cause),
                body,
            });
        }
        let append = Append {
            task: self.context.task,
            fence: Some((self.run, self.state.epoch)),
            drafts,
            blobs,
        };
        let journal = self.context.journal.clone();
        let evidence = self.evidence(&append);
        self.is_recording = true;
        let _ = cx.attach(async move {
            let written = journal.append(append).await;
            if let (Err(JournalError::Rejected(rejected)), Some(evidence)) = (&written, evidence) {
                keep(&journal, rejected, evidence).await;
            }
            RunMessage::Recorded(written)
        });
    }

    /// What is left of an append when a later incarnation has the run: the results of calls that were really made.
    fn evidence(&self, append: &Append) -> Option<Append> {
        let started_epoch = self.state.epoch;
        let is_made = |step: Step| {
            let phase = self.state.call(step).map(|call| &call.phase);
            matches!(phase, Some(CallPhase::Started { epoch, .. }) if *epoch == started_epoch)
        };
        let late = |draft: &Draft| match &draft.body {
            EventBody::ToolCallCompleted {
                step,
                outcome,
                content,
            } if is_made(*step) => Some(Draft {
                body: EventBody::ToolCallLate {
                    step: *step,
                    started_epoch,
                    outcome: *outcome,
                    content: content.clone(),
                },
                cause: draft.cause.filter(|cause| !cause.is_draft()),
                ..draft.clone()
            }),
            _ => None,
        };
        let drafts: Vec<_> = append.drafts.iter().filter_map(late).collect();
        (!drafts.is_empty()).then(|| Append {
            task: append.task,
            fence: None,
            drafts,
            blobs: append.blobs.clone(),
        })
    }

    /// Long texts go to blobs, so that a journal stays quick to read.
    pub(super) fn with_blobs(&mut self, body: EventBody, blobs: &mut Vec<Blob>) -> EventBody {
        let limits = &self.context.definition.limits;
        let (limit, capsule) = (limits.inline_bytes as usize, limits.capsule_chars as usize);
        let mut store = |content: Content, preview: usize| match content {
            Content::Inline(text) if text.len() > limit => {
                let hash = blake3::hash(text.as_bytes()).to_hex().to_string();
                let preview = text.chars().take(preview).collect();
                let bytes = text.len() as u64;
                blobs.push(Blob {
                    hash: hash.clone(),
                    bytes: text.clone().into_bytes(),
                });
                self.blobs.insert(hash.clone(), text);
                Content::Blob {
                    blob: hash,
                    bytes,
                    preview,
                }
            }
            content => content,
        };
        match body {
            EventBody::ToolCallCompleted {
                step,
                outcome,
                content,
            } => EventBody::ToolCallCompleted {
                step,
                outcome,
                content: store(content, PREVIEW),
            },
            // Whoever delegated the run is shown it from here.
            EventBody::RunCompleted { result, usage } => EventBody::RunCompleted {
                result: store(result, capsule.max(PREVIEW)),
                usage,
            },
            EventBody::Message {
                from,
                content,
                about,
            } => EventBody::Message {
                from,
                content: store(content, PREVIEW),
                about,
            },
            body => body,
        }
    }

    pub(super) fn recorded(
        &mut self,
        result: Result<Vec<Event>, JournalError>,
        cx: &mut Context<RunMessage>,
    ) -> Result<(), Failure> {
        self.is_recording = false;
        let events = match result {
            Ok(events) => events,
            Err(JournalError::Rejected(rejected)) => return self.rejected(&rejected, cx),
            Err(error) => return Err(error.into()),
        };
        if events.iter().any(|event| settles(&event.body)) {
            self.context.purse.settled();
        }
        if events
            .iter()
            .any(|event| matches!(event.body, EventBody::ModelCallStarted { .. }))
        {
            self.admission
                .take()
                .into_iter()
                .for_each(Admission::written);
        }
        for event in events {
            self.reading.wrote(event.id);
            self.state.fold(&event);
            self.unsaved += 1;
            self.tell(Arc::new(event), cx);
        }
        self.take_snapshot(cx);
        Ok(())
    }

    /// A later incarnation has the run, or it was ended from outside: nothing more is done here.
    pub(super) fn rejected(
        &mut self,
        rejected: &Rejected,
        cx: &mut Context<RunMessage>,
    ) -> Result<(), Failure> {
        if self.state.epoch == 0 {
            // Its own first claim came too late for that of somebody who is gone: the next incarnation claims after that one.
            return Err(format!("the run was claimed meanwhile: {rejected}").into());
        }
        tracing::info!(run = %self.run, "the run's actor stops: {rejected}");
        self.abort_all();
        self.outbox.clear();
        self.is_recording = true;
        let (room, run) = (self.context.room.clone(), self.run);
        let _ = cx.attach(async move {
            room.tell(RunReport::Elsewhere(run)).await;
            RunMessage::OverTold
        });
        Ok(())
    }

    pub(super) fn tell(&mut self, event: Arc<Event>, cx: &Context<RunMessage>) {
        match &event.body {
            EventBody::TaskMessage { .. } => {
                let said = self.context.said.clone();
                let _ = cx.attach_maybe(async move {
                    said.tell(event).await;
                    None
                });
            }
            EventBody::ToolCallStarted {
                step,
                executor: Some(_),
                ..
            } => {
                self.begins(*step);
                let sending = self.sending.remove(step);
                sending.into_iter().for_each(|reply| reply.send(()));
            }
            EventBody::ToolCallCompleted { step, .. } => self.settle(*step, 0, cx),
            EventBody::ToolCallResolved {
                step,
                resolution: Resolution::Retried,
                ..
            } => self.settle(*step, 1, cx),
            EventBody::TaskResumed { .. } => {
                let answering = self.answering.take();
                answering.into_iter().for_each(|reply| reply.send(true));
            }
            EventBody::RunResumed { .. }
            | EventBody::RunWaiting {
                reason: WaitReason::Paused(_),
            } => self.paused_or_resumed(&event.body),
            EventBody::RunProgress { .. } => drop(self.report(RunReport::Progress(event), cx)),
            body if body.is_run_end() && event.run_id == Some(self.run) => self.end = Some(event),
            _ => {}
        }
    }

    /// The result is durable, or what became of it is decided: whoever kept it for us may forget it.
    pub(super) fn settle(&self, step: Step, retries_ago: u32, cx: &Context<RunMessage>) {
        let Some(call) = self.state.call(step) else {
            return;
        };
        if let Some(tool) = self.context.tools.get(&call.call.name) {
            let retries = call.retries.saturating_sub(retries_ago);
            let call = RemoteCall {
                call_id: CallId::again(self.run, step, self.counted(call, retries)),
                project: self.context.definition.project.clone(),
                executor: call.executor.as_ref().map(|(executor, _)| executor.clone()),
            };
            let _ = cx.attach_maybe(async move {
                tool.settled(call).await;
                None
            });
        }
    }

    pub(super) fn take_snapshot(&mut self, cx: &Context<RunMessage>) {
        // A run that is over is folded again only if somebody goes on with it.
        let is_over = self.state.status.is_terminal();
        if is_over || self.unsaved < snapshot::after(&self.state) {
            return;
        }
        self.unsaved = 0;
        let (context, run, name) = (self.context.clone(), self.run, self.name.clone());
        let _ = cx.attach_maybe(async move {
            if let Err(error) = read::take_snapshot(&context, run, &name).await {
                tracing::warn!(%run, "no snapshot was taken: {error}");
            }
            None
        });
    }
}
