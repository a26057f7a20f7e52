//! Events into a run's state. Pure, and total: any event is taken, and one that does not fit changes nothing.

use crate::model::event::{Outcome, Resolution};
use crate::model::{
    Content, Delegation, Event, EventBody, Recovery, RunId, RunSpec, RunStatus, Sender, Seq, Step,
    Timestamp, ToolCall, Usage, WaitReason,
};

use super::notes::private;
use super::state::{Call, CallPhase, Child, ChildEnd, Decided, Item, RunState, Thinking, Turn};

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
            (EventBody::TaskMessage { .. }, by) => self.said(event, by),
            (EventBody::TopologyChanged { topology, .. }, _) => {
                self.topology = Some(topology.clone());
            }
            (body, Some(run)) if run == self.id => {
                self.fold_own(event, body);
                self.trail.fold(event);
            }
            (EventBody::RunProgress { .. }, Some(run)) => self.progressed(run, event),
            (_, Some(run)) => self.fold_child(run, event),
            (_, None) => {}
        }
    }

    // ---- the runs it delegated

    fn delegated(&mut self, run: RunId, spec: &RunSpec) {
        let Some(parent) = spec.parent.as_ref().filter(|parent| parent.run == self.id) else {
            return;
        };
        let child = Child {
            agent: spec.agent.to_string(),
            step: parent.step,
            delegation: parent.delegation,
            end: None,
            delivered: false,
        };
        self.children.insert(run, child);
        if parent.delegation == Delegation::Foreground {
            self.set_phase(parent.step, CallPhase::Delegated(run));
        }
    }

    fn fold_child(&mut self, run: RunId, event: &Event) {
        let Some(child) = self.children.get_mut(&run) else {
            return;
        };
        let (status, content) = match &event.body {
            EventBody::RunCompleted { result, .. } => (RunStatus::Completed, result.clone()),
            EventBody::RunFailed { error, .. } => {
                (RunStatus::Failed, Content::Inline(error.clone()))
            }
            EventBody::RunCancelled { reason, .. } => {
                (RunStatus::Cancelled, Content::Inline(reason.clone()))
            }
            _ => return,
        };
        // A run that went on after its end was told of already; what it said then need not be kept.
        if !child.delivered {
            let seq = event.id;
            child.end = Some(ChildEnd {
                seq,
                status,
                content,
            });
        }
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

    // ---- its own life

    fn fold_own(&mut self, event: &Event, body: &EventBody) {
        let crashed = matches!(body, EventBody::RunRestarted { crashed: true, .. });
        let only_waited =
            body.is_claim() && self.only_waits() && !(crashed && self.waits_for_a_person());
        let changes_nothing = matches!(
            body,
            EventBody::RunWaiting { .. } | EventBody::RunProgress { .. }
        );
        if !changes_nothing {
            self.waiting = None;
        }
        match body {
            EventBody::RunStarted => self.claimed(event.epoch, only_waited),
            EventBody::BudgetExceeded { .. }
            | EventBody::BudgetRaised { .. }
            | EventBody::Alert { .. }
            | EventBody::TaskNeedsAttention { .. }
            | EventBody::TaskResumed { .. } => self.fold_limits(event),
            EventBody::RunRestarted { recovery, .. } => {
                self.claimed(event.epoch, only_waited);
                if *recovery == Recovery::CleanSlate {
                    self.clean_slate();
                }
            }
            EventBody::PeerDecided { .. } => self.decided = true,
            EventBody::RunWaiting {
                reason: WaitReason::Paused(pause),
            } => self.paused = Some(pause.clone()),
            EventBody::RunWaiting { reason } => self.waiting = Some(reason.clone()),
            EventBody::RunResumed { .. } => self.paused = None,
            EventBody::RunCompleted { usage, .. } => self.over(RunStatus::Completed, *usage),
            EventBody::RunFailed { usage, .. } => self.over(RunStatus::Failed, *usage),
            EventBody::RunCancelled { usage, .. } => self.over(RunStatus::Cancelled, *usage),
            EventBody::RunQuarantined { .. } => {
                self.status = RunStatus::Quarantined;
                self.lost();
            }
            EventBody::RunReleased => self.goes_on(),
            EventBody::RunContinued { from, content } => {
                self.goes_on();
                (self.failures, self.refusals) = (0, 0);
                self.thinking = None;
                self.heard(private(event.id, from, content.clone()));
            }
            EventBody::Message {
                from,
                content,
                about,
            } => {
                self.claims = 0;
                if let Some(run) = about {
                    self.delivered(*run);
                    self.replace_progress(*run, event.id);
                }
                self.heard(private(event.id, from, content.clone()));
            }
            EventBody::RunRetrying { .. }
            | EventBody::ModelCallStarted { .. }
            | EventBody::ModelCallInterrupted { .. }
            | EventBody::ModelCallCompleted { .. } => self.fold_thinking(event, body),
            _ => self.fold_call(event, body),
        }
    }

    /// A claim counts as one more try of the point it stands at, unless it only waited there. Who crashes while a person is waited
    /// for, which may take days, counts: nothing else would ever stop it.
    fn claimed(&mut self, epoch: u64, only_waited: bool) {
        self.lost();
        self.epoch = epoch;
        self.status = RunStatus::Running;
        self.is_begun = true;
        self.claims = self.claims.saturating_add(u32::from(!only_waited));
    }

    fn goes_on(&mut self) {
        self.status = RunStatus::Queued;
        self.claims = 0;
    }

    /// Calls that have no result when the run ends never get one.
    fn over(&mut self, status: RunStatus, usage: Usage) {
        self.paused = None;
        (self.status, self.usage) = (status, usage);
        (self.thinking, self.asked) = (None, None);
        self.is_begun = false;
        let open = self.last_calls().iter_mut().filter(|call| call.is_open());
        open.for_each(|call| call.phase = CallPhase::Dropped);
    }

    /// The conversation begins again; what was said to it stays.
    fn clean_slate(&mut self) {
        self.hear_again();
        self.usage = self.usage.thrown_away();
        self.thinking = None;
        self.retry_at = None;
        (self.failures, self.refusals) = (0, 0);
        for child in self.children.values_mut() {
            child.delegation = Delegation::Background;
        }
    }

    // ---- thinking

    fn fold_thinking(&mut self, event: &Event, body: &EventBody) {
        match body {
            EventBody::RunRetrying {
                delay_ms,
                refused,
                lost,
                ..
            } => {
                let reserved = self.thinking.take().filter(|_| *lost);
                self.usage += reserved.map(|it| it.reserved.lost()).unwrap_or_default();
                let tries = match refused {
                    true => &mut self.refusals,
                    false => &mut self.failures,
                };
                *tries = tries.saturating_add(1);
                self.wasted_calls = self.wasted_calls.saturating_add(1);
                self.retry_at = Some(Timestamp(event.at.0.saturating_add(*delay_ms)));
            }
            EventBody::ModelCallInterrupted { .. } => self.lost(),
            EventBody::ModelCallStarted { seen, reserved, .. } => {
                self.lost();
                self.thinking = Some(Thinking {
                    epoch: event.epoch,
                    seen: *seen,
                    reserved: *reserved,
                });
                self.retry_at = None;
            }
            EventBody::ModelCallCompleted {
                turn, calls, usage, ..
            } => {
                self.show(event.id);
                let planned = calls.iter().map(planned).collect();
                self.items.push(Item::Turn(answer(event, *turn, planned)));
                self.usage += *usage;
                self.turn = turn.saturating_add(1);
                (self.failures, self.refusals) = (0, 0);
                self.claims = 0;
            }
            _ => {}
        }
    }

    // ---- calls

    fn fold_call(&mut self, event: &Event, body: &EventBody) {
        match body {
            EventBody::ToolCallStarted {
                step,
                class,
                executor,
                ..
            } => {
                let (epoch, class) = (event.epoch, *class);
                self.set_phase(*step, CallPhase::Started { epoch, class });
                self.with_call(*step, |call| {
                    (call.class, call.decided) = (Some(class), None);
                    if let Some(executor) = executor {
                        call.executor = Some((executor.clone(), epoch));
                    }
                });
            }
            EventBody::ToolCallCompleted {
                step,
                outcome,
                content,
            } => self.finish(*step, event.id, *outcome, content.clone()),
            EventBody::ToolCallInDoubt {
                step,
                reason,
                policy,
                ..
            } => {
                let (policy, reason) = (*policy, reason.clone());
                self.set_phase(*step, CallPhase::InDoubt { policy, reason });
                self.with_call(*step, |call| call.decided = Some(Decided::Unknown));
            }
            EventBody::ToolCallResolved {
                step,
                by,
                resolution,
            } => self.resolved(*step, by, resolution),
            _ => {}
        }
    }

    fn resolved(&mut self, step: Step, by: &Sender, resolution: &Resolution) {
        let decided = match resolution {
            Resolution::ToldModel | Resolution::Retried => Decided::Unknown,
            Resolution::Answered { .. } => Decided::Known,
            Resolution::Compensated { .. } => Decided::Undone,
        };
        self.with_call(step, |call| call.decided = Some(decided));
        if *resolution != Resolution::Retried {
            return;
        }
        self.set_phase(step, CallPhase::Planned);
        self.with_call(step, |call| {
            (call.retries, call.executor) = (call.retries.saturating_add(1), None);
        });
        // Somebody looked at it and wants it tried again; a policy that says so looks at nothing.
        if *by == Sender::Human {
            self.claims = 0;
        }
    }

    fn finish(&mut self, step: Step, seq: Seq, outcome: Outcome, content: Content) {
        self.claims = 0;
        if let Some(CallPhase::Delegated(run)) = self.call(step).map(|call| call.phase.clone()) {
            self.delivered(run);
        }
        let done = CallPhase::Done {
            seq,
            outcome,
            content,
        };
        self.set_phase(step, done);
    }

    fn set_phase(&mut self, step: Step, phase: CallPhase) {
        self.with_call(step, |call| call.phase = phase);
    }

    /// Changes a call of the last turn that is still open.
    fn with_call(&mut self, step: Step, change: impl FnOnce(&mut Call)) {
        if self.last_turn().is_none_or(|turn| turn.number != step.turn) {
            return;
        }
        let call = self.last_calls().get_mut(step.index as usize);
        if let Some(call) = call.filter(|call| call.is_open()) {
            change(call);
        }
    }

    fn last_calls(&mut self) -> &mut [Call] {
        let last = self.items.iter_mut().rev().find_map(|item| match item {
            Item::Turn(turn) => Some(turn),
            Item::Note(_) => None,
        });
        last.map(|turn| turn.calls.as_mut_slice())
            .unwrap_or_default()
    }
}

fn planned(call: &ToolCall) -> Call {
    Call {
        call: call.clone(),
        phase: CallPhase::Planned,
        class: None,
        decided: None,
        retries: 0,
        executor: None,
    }
}

fn answer(event: &Event, number: u32, calls: Vec<Call>) -> Turn {
    let (text, opaque) = match &event.body {
        EventBody::ModelCallCompleted { text, opaque, .. } => (text.clone(), opaque.clone()),
        _ => Default::default(),
    };
    Turn {
        seq: event.id,
        number,
        text,
        calls,
        opaque,
    }
}
