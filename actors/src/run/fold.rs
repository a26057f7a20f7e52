//! Events into a run's state. Pure, and total: any event is taken, and one that does not fit changes nothing.

use crate::model::event::{Outcome, Resolution};
use crate::model::{
    Content, Delegation, Event, EventBody, Recovery, RunId, RunSpec, RunStatus, Sender, Seq, Step,
    Timestamp,
};

use super::state::{
    Call, CallPhase, Child, ChildEnd, Item, Note, RunState, Thinking, Turn, progress,
};

impl RunState {
    /// Takes one event in. Events that do not concern the run change nothing.
    pub fn fold(&mut self, event: &Event) {
        self.head = self.head.max(event.id);
        match (&event.body, event.run_id) {
            (EventBody::RunQueued { spec }, Some(run)) if run == self.id => {
                self.queued = event.id;
                self.spec = Some((**spec).clone());
            }
            (EventBody::RunQueued { spec }, Some(run)) => self.delegated(run, spec),
            (EventBody::TaskMessage { from, content, .. }, by) => {
                if by != Some(self.id) && !by.is_some_and(|run| self.children.contains_key(&run)) {
                    let content = Content::Inline(content.clone());
                    self.unseen.push(Note {
                        seq: event.id,
                        shared: true,
                        progress_of: None,
                        from: from.clone(),
                        content,
                    });
                }
            }
            (body, Some(run)) if run == self.id => self.fold_own(event, body),
            (EventBody::RunProgress { .. }, Some(run)) => self.progressed(run, event),
            (body, Some(run)) => self.fold_child(run, body),
            (_, None) => {}
        }
    }

    fn delegated(&mut self, run: RunId, spec: &RunSpec) {
        let Some(parent) = spec.parent.as_ref().filter(|parent| parent.run == self.id) else {
            return;
        };
        let (agent, step, delegation) = (spec.agent.to_string(), parent.step, parent.delegation);
        self.children.insert(
            run,
            Child {
                agent,
                step,
                delegation,
                end: None,
                delivered: false,
            },
        );
        if delegation == Delegation::Foreground {
            self.set_phase(step, CallPhase::Delegated(run));
        }
    }

    /// How a run in the background is getting on: the newest word replaces the one before, and wakes nobody.
    fn progressed(&mut self, run: RunId, event: &Event) {
        let in_background =
            |child: &&Child| child.delegation == Delegation::Background && child.end.is_none();
        let (Some(child), Some(text)) = (
            self.children.get(&run).filter(in_background),
            progress(&event.body),
        ) else {
            return;
        };
        let from = Sender::Agent(child.agent.as_str().into());
        self.unseen.retain(|note| note.progress_of != Some(run));
        let content = Content::Inline(text);
        self.unseen.push(Note {
            seq: event.id,
            shared: true,
            progress_of: Some(run),
            from,
            content,
        });
    }

    fn fold_child(&mut self, run: RunId, body: &EventBody) {
        let Some(child) = self.children.get_mut(&run) else {
            return;
        };
        let (status, content) = match body {
            EventBody::RunCompleted { result, .. } => (RunStatus::Completed, result.clone()),
            EventBody::RunFailed { error, .. } => {
                (RunStatus::Failed, Content::Inline(error.clone()))
            }
            EventBody::RunCancelled { reason, .. } => {
                (RunStatus::Cancelled, Content::Inline(reason.clone()))
            }
            _ => return,
        };
        child.end = Some(ChildEnd { status, content });
    }

    fn fold_own(&mut self, event: &Event, body: &EventBody) {
        if !matches!(body, EventBody::RunWaiting { .. }) {
            self.waiting = None;
        }
        match body {
            EventBody::RunStarted => self.claimed(event.epoch),
            EventBody::RunRestarted { recovery, .. } => {
                self.claimed(event.epoch);
                if *recovery == Recovery::CleanSlate {
                    self.clean_slate();
                }
            }
            EventBody::RunWaiting { reason } => self.waiting = Some(reason.clone()),
            EventBody::RunRetrying { delay_ms, .. } => {
                self.thinking = None;
                self.failures += 1;
                self.wasted_calls += 1;
                self.retry_at = Some(Timestamp(event.at.0.saturating_add(*delay_ms)));
            }
            EventBody::RunCompleted { .. } => self.status = RunStatus::Completed,
            EventBody::RunFailed { .. } => self.status = RunStatus::Failed,
            EventBody::RunCancelled { .. } => self.status = RunStatus::Cancelled,
            EventBody::RunQuarantined { .. } => self.status = RunStatus::Quarantined,
            EventBody::RunContinued { from, content } => {
                self.status = RunStatus::Queued;
                self.claims = 0;
                self.failures = 0;
                self.thinking = None;
                let (from, content) = (from.clone(), content.clone());
                self.unseen.push(Note {
                    seq: event.id,
                    shared: false,
                    progress_of: None,
                    from,
                    content,
                });
            }
            EventBody::RunReleased => {
                self.status = RunStatus::Queued;
                self.claims = 0;
            }
            EventBody::Message {
                from,
                content,
                about,
            } => {
                self.claims = 0;
                if let Some(run) = about {
                    self.delivered(*run);
                }
                let (from, content) = (from.clone(), content.clone());
                self.unseen.push(Note {
                    seq: event.id,
                    shared: false,
                    progress_of: None,
                    from,
                    content,
                });
            }
            EventBody::ModelCallStarted { seen, .. } => {
                self.wasted_calls += u32::from(self.thinking.is_some());
                self.thinking = Some(Thinking {
                    epoch: event.epoch,
                    seen: *seen,
                });
                self.retry_at = None;
            }
            EventBody::ModelCallCompleted { .. } => self.answered(event),
            _ => self.fold_call(event, body),
        }
    }

    fn claimed(&mut self, epoch: u64) {
        self.epoch = epoch;
        self.status = RunStatus::Running;
        self.claims += 1;
    }

    fn answered(&mut self, event: &Event) {
        let EventBody::ModelCallCompleted {
            turn,
            text,
            calls,
            usage,
            opaque,
            ..
        } = &event.body
        else {
            return;
        };
        let seen = self
            .thinking
            .take()
            .map_or(self.head, |thinking| thinking.seen);
        let (shown, unseen) = std::mem::take(&mut self.unseen)
            .into_iter()
            .partition(|note| note.seq <= seen);
        self.unseen = unseen;
        self.items.extend(Vec::into_iter(shown).map(Item::Note));
        let calls = calls
            .iter()
            .map(|call| Call {
                call: call.clone(),
                phase: CallPhase::Planned,
                retries: 0,
            })
            .collect();
        self.items.push(Item::Turn(Turn {
            seq: event.id,
            number: *turn,
            text: text.clone(),
            calls,
            opaque: opaque.clone(),
        }));
        self.usage += *usage;
        self.turn = turn + 1;
        self.failures = 0;
        self.claims = 0;
    }

    fn fold_call(&mut self, event: &Event, body: &EventBody) {
        match body {
            EventBody::ToolCallStarted { step, class, .. } => {
                self.set_phase(
                    *step,
                    CallPhase::Started {
                        epoch: event.epoch,
                        class: *class,
                    },
                );
            }
            EventBody::ToolCallCompleted {
                step,
                outcome,
                content,
            } => {
                self.finish(*step, event.id, *outcome, content.clone());
            }
            EventBody::ToolCallInDoubt {
                step,
                reason,
                policy,
                ..
            } => {
                self.claims = 0;
                self.set_phase(
                    *step,
                    CallPhase::InDoubt {
                        policy: *policy,
                        reason: reason.clone(),
                    },
                );
            }
            EventBody::ToolCallResolved {
                step,
                resolution: Resolution::Retried,
                ..
            } => {
                self.set_phase(*step, CallPhase::Planned);
                self.retried(*step);
            }
            _ => {}
        }
    }

    fn finish(&mut self, step: Step, seq: Seq, outcome: Outcome, content: Content) {
        self.claims = 0;
        if let Some(CallPhase::Delegated(run)) =
            self.call(step).map(|call| call.phase.clone()).as_ref()
        {
            self.delivered(*run);
        }
        self.set_phase(
            step,
            CallPhase::Done {
                seq,
                outcome,
                content,
            },
        );
    }

    /// The child's end was told to the model; what it said need not be kept twice.
    fn delivered(&mut self, run: RunId) {
        let Some(child) = self.children.get_mut(&run) else {
            return;
        };
        child.delivered = true;
        if let Some(end) = &mut child.end {
            end.content = Content::default();
        }
    }

    fn set_phase(&mut self, step: Step, phase: CallPhase) {
        if let Some(call) = self.open_call(step) {
            call.phase = phase;
        }
    }

    fn retried(&mut self, step: Step) {
        if let Some(call) = self.open_call(step) {
            call.retries += 1;
        }
    }

    fn open_call(&mut self, step: Step) -> Option<&mut Call> {
        let last = self.items.iter_mut().rev().find_map(|item| match item {
            Item::Turn(turn) => Some(turn),
            Item::Note(_) => None,
        });
        last.filter(|turn| turn.number == step.turn)?
            .calls
            .get_mut(step.index as usize)
            .filter(|call| call.is_open())
    }

    /// The conversation begins again; what was said to it stays.
    fn clean_slate(&mut self) {
        let items = std::mem::take(&mut self.items);
        let mut notes: Vec<_> = items
            .into_iter()
            .filter_map(|item| {
                if let Item::Note(note) = item {
                    Some(note)
                } else {
                    None
                }
            })
            .collect();
        notes.append(&mut self.unseen);
        self.unseen = notes;
        self.thinking = None;
        self.retry_at = None;
        self.failures = 0;
        for child in self.children.values_mut() {
            child.delegation = Delegation::Background;
        }
    }
}
