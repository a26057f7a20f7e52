//! Blocking a thread until something has happened, instead of for a time in which it is hoped to happen.

use std::sync::{Arc, Condvar, Mutex, mpsc};
use std::time::Duration;

use supervision::{Decision, Report, Root};

use crate::bed::Bed;

/// It only ends what would hang, on a machine that does much else.
const PATIENCE: Duration = Duration::from_secs(60);

/// Whether a child was given up, for the one that blocks until it is.
#[derive(Clone, Default)]
pub(crate) struct Lost(Arc<(Mutex<bool>, Condvar)>);

impl Lost {
    /// A root that the bed hears, and that this hears too.
    pub(crate) fn root(&self, bed: &Bed) -> Root {
        let (lost, bed) = (self.clone(), bed.clone());
        Root::new("root").listener(Arc::new(move |report: &Report| {
            bed.heard(report);
            if matches!(report.decision, Decision::Lost(_)) {
                *lost.0.0.lock().expect("nobody panics with it") = true;
                lost.0.1.notify_all();
            }
        }))
    }

    /// Blocks the thread until one is given up.
    pub(crate) fn block(&self) {
        let lost = self.0.0.lock().expect("nobody panics with it");
        let waited = self.0.1.wait_timeout_while(lost, PATIENCE, |lost| !*lost);
        drop(waited.expect("nobody panics with it"));
    }
}

/// Says that it blocks, then does so until the other end is dropped.
pub(crate) struct Hold(tokio::sync::oneshot::Sender<()>, mpsc::Receiver<()>);

/// Who holds this holds the thread.
pub(crate) struct Held(tokio::sync::oneshot::Receiver<()>, mpsc::Sender<()>);

pub(crate) fn hold() -> (Hold, Held) {
    let (begins, begun) = tokio::sync::oneshot::channel();
    let (release, released) = mpsc::channel();
    (Hold(begins, released), Held(begun, release))
}

impl Hold {
    pub(crate) fn block(self) {
        let _ = self.0.send(());
        let _ = self.1.recv_timeout(PATIENCE);
    }
}

impl Held {
    /// Returns when the thread blocks.
    pub(crate) async fn begun(&mut self) {
        (&mut self.0).await.expect("it comes to block");
    }

    pub(crate) fn release(self) {
        drop(self.1);
    }
}
