//! How a delegated run is getting on.

use supervision::Context;

use crate::model::{EventBody, RunStatus, WaitReason};

use super::{Doing, RunActor, RunMessage};

impl RunActor {
    /// A delegated run says so at an interval, unless it waits for a person: that may take days.
    pub(super) fn say_progress(&mut self, cx: &Context<RunMessage>) {
        let (turn, tokens, doing) = (
            self.state.turn,
            self.state.usage.tokens(),
            self.what_it_does(),
        );
        let says_so = matches!(self.state.waiting, Some(WaitReason::Human { .. }));
        let for_a_person = says_so || self.state.waits_for_a_person() || self.is_held();
        // While nothing can be written, once is enough.
        let is_told = self.is_recording || !self.outbox.is_empty();
        let is_at_it = self.state.status == RunStatus::Running && self.cancel.is_none();
        if is_at_it && !is_told && !for_a_person {
            self.write([EventBody::RunProgress {
                turn,
                doing,
                tokens,
            }]);
        }
        self.arm_progress(cx);
    }

    pub(super) fn arm_progress(&self, cx: &Context<RunMessage>) {
        let every =
            std::time::Duration::from_millis(self.context.definition.limits.progress_ms.max(1_000));
        if self
            .state
            .spec
            .as_ref()
            .is_some_and(|spec| spec.parent.is_some())
        {
            let _ = cx.after(every, RunMessage::Progress);
        }
    }

    pub(super) fn what_it_does(&self) -> String {
        let call = |doing: &Doing| match doing {
            Doing::Call(step) | Doing::Probe(step) | Doing::Compensate(step) => self
                .state
                .call(*step)
                .map(|call| format!("calling {}", call.call.name)),
            Doing::Think => Some("thinking".to_owned()),
            _ => None,
        };
        self.doing
            .keys()
            .find_map(call)
            .unwrap_or_else(|| "waiting".to_owned())
    }
}
