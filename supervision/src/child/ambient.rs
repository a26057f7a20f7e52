//! What every supervisor and every child of a tree shares.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::suffer::Misfortune;
use crate::fault::Injector;
use crate::incarnation::Path;
use crate::report::{About, Decision, Voice};
use crate::restart::Storm;
use crate::watchdog::{Sight, Watchdog};

#[derive(Clone)]
pub(crate) struct Ambient(Arc<Surroundings>);

pub(crate) struct Surroundings {
    pub(crate) voice: Voice,
    /// The limit on restarts of the whole tree.
    pub(crate) storm: Option<Mutex<Storm>>,
    pub(crate) watchdog: Option<Arc<Watchdog>>,
    pub(crate) injector: Option<Arc<Injector>>,
}

impl Ambient {
    pub(crate) fn new(surroundings: Surroundings) -> Self {
        Self(Arc::new(surroundings))
    }

    pub(crate) fn is_restrained(&self) -> bool {
        self.0.storm.is_some()
    }

    /// How long one more restart has to wait for the sake of the whole tree.
    pub(crate) fn leave(&self) -> Duration {
        let now = self.0.voice.now();
        self.0.storm.as_ref().map_or(Duration::ZERO, |storm| {
            storm
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .take(now)
        })
    }

    pub(crate) fn report(&self, path: &Arc<str>, decision: Decision) {
        self.0.voice.report(path, decision);
    }

    pub(crate) fn sight(&self, supervisor: &Arc<str>, about: &About) -> Sight {
        Sight::of(self.0.watchdog.as_ref(), supervisor, about)
    }

    /// What may befall one incarnation on purpose.
    pub(crate) fn misfortune(
        &self,
        supervisor: &Arc<str>,
        path: &Path,
        about: &About,
    ) -> Option<Box<Misfortune>> {
        let injector = self.0.injector.as_ref()?;
        let armed = injector.arm(path.whole(), about.incarnation)?;
        Some(Box::new(Misfortune {
            armed,
            voice: self.0.voice.clone(),
            supervisor: supervisor.clone(),
            about: about.clone(),
        }))
    }
}
