//! Cancelling: after it, nothing is begun any more.
//!
//! The gate is closed, by whoever ends the whole tree before anything of it hears of it; what runs in the node is dropped, and what runs elsewhere is told to stop and waited for. When nothing is
//! left, the end is written, and before it what had come in meanwhile.

use std::collections::BTreeSet;
use std::time::Duration;

use supervision::{Context, Reply};
use tokio::task::AbortHandle;

use crate::model::{EventBody, Place, Step};
use crate::run::cause::Reason;
use crate::run::next::{WHILE_IT_RAN, cancelled_in_doubt};
use crate::run::state::{Call, CallPhase};
use crate::tool::ToolError;

use super::{Doing, Out, RunActor, RunMessage};

/// How long calls that run elsewhere are waited for when they are told to stop.
const STOP_GRACE: Duration = Duration::from_secs(15);

/// A run that is being cancelled.
#[derive(Debug)]
pub(super) struct Cancelling {
    reason: Reason,
    pub(super) replies: Vec<Reply<()>>,
    is_settling: bool,
    is_quiet: bool,
    /// Whether its end may be written.
    is_wanted: bool,
}

impl RunActor {
    pub(super) fn cancelled(&mut self, reason: Reason, reply: Reply<()>, cx: &Context<RunMessage>) {
        if self.state.status.is_terminal() {
            return reply.send(());
        }
        self.halt(reason, cx);
        if let Some(cancel) = &mut self.cancel {
            cancel.is_wanted = true;
            cancel.replies.push(reply);
        }
    }

    pub(super) fn halt(&mut self, reason: Reason, cx: &Context<RunMessage>) {
        if self.cancel.is_some() || self.state.status.is_terminal() {
            return;
        }
        self.cancel = Some(Cancelling {
            reason,
            replies: Vec::new(),
            is_settling: false,
            is_quiet: false,
            is_wanted: false,
        });
        self.admission = None;
        self.gate.close();
        self.stop_calls(cx);
        let _ = cx.after(STOP_GRACE, RunMessage::GraceOver);
    }

    /// Whether it is cancelled and something of it may still run.
    pub(super) fn is_stopping(&mut self, cx: &Context<RunMessage>) -> bool {
        let Some(cancel) = &mut self.cancel else {
            return false;
        };
        let mut doing = self.doing.keys();
        let is_calling = doing.any(|doing| matches!(doing, Doing::Call(_)));
        if !is_calling && !std::mem::replace(&mut cancel.is_settling, true) {
            let gate = self.gate.clone();
            let _ = cx.attach(async move {
                gate.empty().await;
                RunMessage::Quiet
            });
        }
        !(cancel.is_quiet && cancel.is_wanted)
    }

    pub(super) fn quiet(&mut self) {
        if let Some(cancel) = &mut self.cancel {
            cancel.is_quiet = true;
        }
    }

    pub(super) fn abort_all(&mut self) {
        self.permit = None;
        for handle in std::mem::take(&mut self.doing).into_values() {
            handle.abort();
        }
    }

    /// Everything is dropped, and calls on executors are told to stop: what came of them is waited for. Those that an earlier
    /// incarnation began run on too, whether this one has asked for them again or not.
    fn stop_calls(&mut self, cx: &Context<RunMessage>) {
        let runs = |step: &Step, call: &Call| {
            matches!(call.phase, CallPhase::Started { .. })
                || self.doing.contains_key(&Doing::Call(*step))
        };
        let calls = self.state.open_calls();
        let stopped: Vec<_> = calls
            .filter(|(step, call)| runs(step, call) && self.is_elsewhere(*step))
            .map(|(step, _)| step)
            .collect();
        self.abort_all();
        for step in stopped {
            let stopping = self.stop_call(step, cx);
            self.doing.insert(Doing::Call(step), stopping);
        }
    }

    fn is_elsewhere(&self, step: Step) -> bool {
        let name = self.state.call(step).map(|call| &call.call.name);
        let spec = name.and_then(|name| self.context.tools.specs().get(name));
        spec.is_some_and(|spec| spec.place == Place::Executor)
    }

    fn stop_call(&self, step: Step, cx: &Context<RunMessage>) -> AbortHandle {
        let name = self.state.call(step).map(|call| &call.call.name);
        let tool = name.and_then(|name| self.context.tools.get(name));
        let (stopped, epoch) = (tool.zip(self.invocation(step)), self.state.epoch);
        cx.attach(async move {
            let result = match stopped {
                Some((tool, call)) => tool.stop(call.into()).await,
                None => None,
            };
            let unknown = || Err(ToolError::Unknown(WHILE_IT_RAN.to_owned()));
            RunMessage::Called(step, epoch, result.unwrap_or_else(unknown))
        })
    }

    /// After a cancel only the end is written, and before it what had already come in.
    pub(super) fn prepare_cancel(&mut self) {
        let Some(cancel) = &self.cancel else {
            return;
        };
        let Reason { text, cause } = cancel.reason.clone();
        // A call that was told to stop may have had its result already.
        let (state, mut ended) = (&self.state, BTreeSet::new());
        let is_open = |step: Step| state.call(step).is_some_and(Call::is_open);
        self.outbox.retain(|out| match out {
            Out::Own(EventBody::ToolCallCompleted { step, .. }) => {
                is_open(*step) && ended.insert(*step)
            }
            Out::Own(EventBody::ModelCallCompleted { .. } | EventBody::BudgetExceeded { .. }) => {
                true
            }
            _ => false,
        });
        self.pausing.drain(..).for_each(|reply| reply.send(()));
        self.resuming.drain(..).for_each(|reply| reply.send(()));
        self.write(cancelled_in_doubt(&self.state, &ended));
        let answers = self.outbox.iter().filter_map(|out| match out {
            Out::Own(EventBody::ModelCallCompleted { usage, .. }) => Some(*usage),
            _ => None,
        });
        let mut usage = None;
        for more in answers {
            *usage.get_or_insert(self.state.usage) += more;
        }
        let usage = usage.unwrap_or_else(|| self.state.usage_at_end());
        let end = EventBody::RunCancelled {
            reason: text,
            usage,
        };
        match cause {
            Some(cause) => self.write_after(cause, [end]),
            None => self.write([end]),
        }
    }
}
