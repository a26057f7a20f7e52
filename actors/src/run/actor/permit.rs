//! The permit for a model call: waited for beside the actor, and what keeps it is said once the wait is more than a moment.

use std::time::Duration;

use supervision::{Context, Handle};
use tokio::task::AbortHandle;

use crate::model::WaitReason;
use crate::pool::{Permit, Refused, Request, Waiting};
use crate::provider::{ProviderError, ProviderErrorKind};

use super::{RunActor, RunMessage};

/// A wait that is over sooner is not worth writing down.
const MOMENT: Duration = Duration::from_millis(250);

/// The longest time between two looks at what a wait is for.
const LOOKS: Duration = Duration::from_secs(60);

impl RunActor {
    fn permit_request(&self) -> Request {
        let spec = self.agent();
        Request {
            task: self.context.task,
            run: self.run,
            pool: spec.pool.clone(),
            provider: spec.provider.clone(),
            priority: self.context.definition.priority,
        }
    }

    /// Takes a permit, if one is free for it.
    pub(super) fn takes_permit(&mut self) -> bool {
        self.permit = self.context.pools.take(&self.permit_request());
        self.permit.is_some()
    }

    pub(super) fn ask_permit(&self, cx: &Context<RunMessage>) -> AbortHandle {
        let request = self.permit_request();
        let (asked, own) = (self.context.pools.ask(&request), cx.handle());
        cx.attach(async move {
            RunMessage::Permitted(match asked {
                Ok(waiting) => Ok(wait(waiting, &own).await),
                Err(refused) => Err(refused),
            })
        })
    }

    pub(super) fn permitted(&mut self, permit: Result<Permit, Refused>) {
        self.doing.remove(&super::Doing::Permit);
        match permit {
            // Others may use it meanwhile.
            _ if self.is_held() => {}
            Ok(permit) => self.permit = Some(permit),
            Err(refused) => {
                let error = ProviderError::new(ProviderErrorKind::RateLimited, refused.to_string());
                self.call_failed(&error);
            }
        }
    }

    pub(super) fn waits(&mut self, reason: WaitReason) {
        let is_active = !self.state.status.is_terminal() && self.cancel.is_none();
        let is_known = |known: &WaitReason| known.is_still(&reason);
        if is_active && !self.is_held() && !self.state.waiting.as_ref().is_some_and(is_known) {
            self.write([crate::model::EventBody::RunWaiting { reason }]);
        }
    }
}

/// Waits, and tells the run what for: after a moment, and more and more rarely then, for that may change.
async fn wait(mut waiting: Waiting, run: &Handle<RunMessage>) -> Permit {
    let mut look = MOMENT;
    loop {
        match tokio::time::timeout(look, &mut waiting).await {
            Ok(permit) => return permit,
            Err(_) => look = LOOKS.min(look * 4),
        }
        if let Some(reason) = waiting.why() {
            let _ = run.try_send(RunMessage::Waits(reason));
        }
    }
}
