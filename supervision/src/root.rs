//! The root of a tree, which no supervisor supervises.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;

use crate::actor::Slot;
use crate::child::{Ambient, FateSink, Launch, Launcher, Live, Start, Surroundings};
use crate::fault::{FaultPlan, Injector};
use crate::health::Pulse;
use crate::incarnation::{Fate, Path, StartFailure};
use crate::report::{About, Listener, Voice};
use crate::restart::{Incarnation, Storm};
use crate::spec::{Restart, SpecError};
use crate::strategy::Intensity;
use crate::supervisor::{InitResult, SupervisorHandle, SupervisorSpec};
use crate::watchdog::Watchdog;

/// What is said about a whole tree: its name and who listens.
#[derive(Clone)]
pub struct Root {
    name: Arc<str>,
    listener: Option<Listener>,
    storm: Option<Intensity>,
    watchdog: Option<Duration>,
    faults: Option<FaultPlan>,
}

impl Root {
    /// A tree whose paths begin with `name`.
    #[must_use]
    pub fn new(name: impl AsRef<str>) -> Self {
        Self {
            name: name.as_ref().into(),
            listener: None,
            storm: None,
            watchdog: None,
            faults: None,
        }
    }

    /// The same with a listener to every decision of every supervisor of the tree.
    #[must_use]
    pub fn listener(mut self, listener: Listener) -> Self {
        self.listener = Some(listener);
        self
    }

    /// The same with a limit on restarts of the whole tree. Those beyond it are spaced out, one each `within / restarts`.
    #[must_use]
    pub fn storm_limit(mut self, limit: Intensity) -> Self {
        self.storm = Some(limit);
        self
    }

    /// The same with a watchdog: a thread that [reports](crate::Decision::Blocked) whatever of a child of the tree blocks the thread
    /// it runs on for longer than `limit`, once, and once more when that ends. It calls the listener from that thread, and ends with
    /// the tree.
    #[must_use]
    pub fn watchdog(mut self, limit: Duration) -> Self {
        self.watchdog = Some(limit);
        self
    }

    /// The same with faults on purpose.
    #[must_use]
    pub fn faults(mut self, plan: FaultPlan) -> Self {
        self.faults = Some(plan);
        self
    }

    /// What the tree shares.
    fn ambient(&self) -> Result<Ambient, StartFailure> {
        let refused = |error: SpecError| StartFailure::new(error.to_string());
        if let Some(plan) = &self.faults {
            plan.check().map_err(refused)?;
        }
        let voice = Voice {
            listener: self.listener.clone(),
            origin: tokio::time::Instant::now(),
        };
        let watchdog = match self.watchdog {
            Some(limit) if limit.is_zero() => return Err(refused(SpecError::zero("watchdog"))),
            Some(limit) => Some(Watchdog::start(limit, voice.clone()).map_err(|error| {
                StartFailure::new(format!(
                    "the watchdog's thread could not be started: {error}"
                ))
            })?),
            None => None,
        };
        let injector = self
            .faults
            .clone()
            .map(|plan| Arc::new(Injector::new(plan)));
        let storm = self.storm.map(|limit| Mutex::new(Storm::new(limit)));
        Ok(Ambient::new(Surroundings {
            voice,
            storm,
            watchdog,
            injector,
        }))
    }

    /// Starts a supervisor of declared children; returns when all are up. If the wait is given up, so is the start.
    ///
    /// # Errors
    /// [`StartError`], and then nothing is left running.
    pub async fn start(self, spec: SupervisorSpec) -> Result<SupervisorHandle, StartError> {
        self.start_with(move || Ok(Some(spec.clone()))).await
    }

    /// Starts a supervisor that `init` describes.
    ///
    /// # Errors
    /// [`StartError::Ignored`] if `init` declines, otherwise what went wrong; then nothing is left running.
    pub async fn start_with(
        self,
        init: impl Fn() -> InitResult + Send + Sync + 'static,
    ) -> Result<SupervisorHandle, StartError> {
        let handle = SupervisorHandle::default();
        let start = Start::supervisor_at(&handle, init);
        self.launch(&*start.launcher).await?;
        Ok(handle)
    }

    pub(crate) async fn launch(self, launcher: &dyn Launcher) -> Result<(), StartError> {
        let (begun, beginning) = oneshot::channel();
        let begun = Mutex::new(Some(begun));
        let first = move |fate| {
            let begun = begun.lock().unwrap_or_else(PoisonError::into_inner).take();
            begun.map(|begun| begun.send(fate));
        };
        let live = launcher.launch(Launch {
            ambient: self.ambient().map_err(StartError::Failed)?,
            supervisor: self.name.clone(),
            about: About {
                child: (&*self.name).into(),
                incarnation: Incarnation(1),
                restart: Restart::Temporary,
            },
            path: Path::root(&self.name),
            estate: None,
            slot: Slot::default(),
            pulse: Pulse::default(),
            fate: FateSink::Other(Arc::new(first)),
        });
        let abandoned = KillOnDrop(live);
        let fate = beginning.await;
        abandoned.keep();
        match fate {
            Ok(Fate::Started(_)) => Ok(()),
            Ok(Fate::Declined) => Err(StartError::Ignored),
            Ok(Fate::StartFailed(failure)) => Err(StartError::Failed(failure)),
            Ok(Fate::Exited(_) | Fate::InboxTaken) | Err(_) => Err(StartError::Failed(
                StartFailure::new("it ended while it started"),
            )),
        }
    }
}

/// Whoever waited for a start and gave up would leave a tree that nobody holds.
struct KillOnDrop(Option<Live>);

impl KillOnDrop {
    fn keep(mut self) {
        self.0 = None;
    }
}

impl Drop for KillOnDrop {
    fn drop(&mut self) {
        self.0.as_ref().map(Live::kill);
    }
}

/// Why a supervisor is not up. Nothing of it is left.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StartError {
    /// Its initialiser declined.
    #[error("there is nothing to supervise")]
    Ignored,
    /// Something went wrong; names the child if it was one.
    #[error(transparent)]
    Failed(StartFailure),
}
