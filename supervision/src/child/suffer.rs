//! What a fault on purpose does.

use std::future::pending;
use std::panic::resume_unwind;
use std::sync::Arc;

use crate::actor::Failure;
use crate::fault::{Armed, FaultKind, Point};
use crate::report::{About, Decision, Voice};

/// What may befall one incarnation on purpose.
pub(crate) struct Misfortune {
    pub(super) armed: Armed,
    pub(super) voice: Voice,
    pub(super) supervisor: Arc<str>,
    pub(super) about: About,
}

impl Misfortune {
    /// What strikes at this occasion; it has been reported.
    pub(crate) fn strike(&self, point: Point) -> Option<FaultKind> {
        let fault = self.armed.strike(point, self.voice.now())?;
        let about = self.about.clone();
        let decision = Decision::Injected {
            about,
            point,
            fault,
        };
        self.voice.report(&self.supervisor, decision);
        Some(fault)
    }

    pub(crate) fn duplicates(&self) -> bool {
        self.armed.duplicates()
    }
}

/// Does what a fault does before a start, a handler or a clean-up.
pub(crate) async fn suffer(fault: FaultKind, kill: impl FnOnce()) -> Result<(), Failure> {
    match fault {
        // Not through the panic hook: it is no mistake of anybody's, and it has been reported.
        FaultKind::Panic => resume_unwind(Box::new("a fault on purpose")),
        FaultKind::Error => return Err("a fault on purpose".into()),
        FaultKind::Hang => pending().await,
        FaultKind::Block(time) => block(time),
        FaultKind::Slow(time) => tokio::time::sleep(time).await,
        FaultKind::Kill => {
            kill();
            pending().await
        }
        FaultKind::Drop | FaultKind::Duplicate => {}
    }
    Ok(())
}

fn block(time: std::time::Duration) {
    std::thread::sleep(time);
}
