//! For tests: holding a supervisor still, so that several things happen before it looks, and [scenarios](scenario) in the format
//! in which traces of OTP's own supervisor were recorded. Behind the feature `testing`.

pub mod scenario;

use tokio::sync::oneshot;

use crate::shell::{Message, port};
use crate::supervisor::SupervisorHandle;

impl SupervisorHandle {
    /// From now on the supervisor hears everything and decides nothing, until [`SupervisorHandle::release`].
    pub async fn hold(&self) {
        let (held, holding) = oneshot::channel();
        if let Some(port) = port(&self.seat) {
            port.tell(Message::Hold(held));
            let _ = holding.await;
        }
    }

    /// Lets it decide on everything it heard, in the order in which it happened.
    pub fn release(&self) {
        if let Some(port) = port(&self.seat) {
            port.tell(Message::Release);
        }
    }
}
