//! Cancelling: after it, nothing is begun any more.

use supervision::Reply;

use crate::model::{EventBody, InDoubtPolicy};
use crate::run::state::CallPhase;

use super::{Out, RunActor};

impl RunActor {
    pub(super) fn cancelled(&mut self, reason: String, reply: Reply<()>) {
        if self.state.status.is_terminal() {
            return reply.send(());
        }
        self.abort_all();
        self.cancel
            .get_or_insert_with(|| (reason, Vec::new()))
            .1
            .push(reply);
    }

    pub(super) fn abort_all(&mut self) {
        for handle in std::mem::take(&mut self.doing).into_values() {
            handle.abort();
        }
    }

    /// After a cancel only the end is written, and before it what had already come in.
    pub(super) fn prepare_cancel(&mut self) {
        let Some((reason, _)) = &self.cancel else {
            return;
        };
        if self.state.status.is_terminal() {
            return;
        }
        let reason = reason.clone();
        self.outbox.retain(|out| {
            matches!(
                out,
                Out::Own(
                    EventBody::ToolCallCompleted { .. } | EventBody::ModelCallCompleted { .. }
                )
            )
        });
        let doubts: Vec<_> = self
            .state
            .open_calls()
            .filter_map(|(step, call)| match &call.phase {
                CallPhase::Started { class, .. } if class.records_start() => {
                    Some((step, call.call.name.clone()))
                }
                _ => None,
            })
            .collect();
        for (step, tool) in doubts {
            let reason = "it was cancelled while it ran".to_owned();
            self.write([EventBody::ToolCallInDoubt {
                step,
                tool,
                reason,
                policy: InDoubtPolicy::TellModel,
            }]);
        }
        self.write([EventBody::RunCancelled {
            reason,
            usage: self.state.usage,
        }]);
    }
}
