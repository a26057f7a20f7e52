//! Which runs of a task are up, by id: a name that survives a restart of whoever asks.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use supervision::Handle;

use crate::model::{AgentName, RunId};
use crate::run::RunMessage;

/// The runs of one task that were started, with their agents.
#[derive(Debug, Clone, Default)]
pub struct Registry(Arc<Mutex<Runs>>);

type Runs = BTreeMap<RunId, (AgentName, Handle<RunMessage>)>;

impl Registry {
    fn runs(&self) -> MutexGuard<'_, Runs> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The run is started and hears through this handle.
    pub fn insert(&self, run: RunId, agent: AgentName, handle: Handle<RunMessage>) {
        self.runs().insert(run, (agent, handle));
    }

    /// The run is over.
    pub fn remove(&self, run: RunId) {
        self.runs().remove(&run);
    }

    /// A run that is up or coming back.
    #[must_use]
    pub fn get(&self, run: RunId) -> Option<Handle<RunMessage>> {
        let handle = self.runs().get(&run).map(|(_, handle)| handle.clone());
        handle.filter(|handle| !handle.is_stopped())
    }

    /// All runs that are up or coming back.
    #[must_use]
    pub fn all(&self) -> Vec<(RunId, AgentName, Handle<RunMessage>)> {
        let runs = self.runs();
        let live = runs.iter().filter(|(_, (_, handle))| !handle.is_stopped());
        live.map(|(run, (agent, handle))| (*run, agent.clone(), handle.clone()))
            .collect()
    }
}
