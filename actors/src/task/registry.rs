//! Which runs of a task are up, by id, and what is being ended: what survives a restart of whoever asks.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use supervision::Handle;

use crate::agent::Gate;
use crate::model::{AgentName, EventBody, RunId};
use crate::run::RunMessage;
use crate::run::cause::Reason;

/// The runs of one task that were started, with their agents and their gates.
#[derive(Debug, Clone, Default)]
pub struct Registry(Arc<Mutex<Entries>>);

#[derive(Debug, Default)]
struct Entries {
    runs: Runs,
    /// Those of each agent.
    by_agent: BTreeMap<AgentName, BTreeSet<RunId>>,
    gates: BTreeMap<RunId, Gate>,
    end: Option<End>,
    subtrees: BTreeMap<RunId, Reason>,
}

/// How the whole task is being ended: why, and what is written at last.
pub type End = (Reason, EventBody);

type Runs = BTreeMap<RunId, (AgentName, Handle<RunMessage>)>;

impl Entries {
    fn remove(&mut self, run: RunId) {
        self.gates.remove(&run);
        let Some((agent, _)) = self.runs.remove(&run) else {
            return;
        };
        if let Some(of_agent) = self.by_agent.get_mut(&agent) {
            of_agent.remove(&run);
            if of_agent.is_empty() {
                self.by_agent.remove(&agent);
            }
        }
    }
}

impl Registry {
    fn entries(&self) -> MutexGuard<'_, Entries> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The run is started and hears through this handle.
    pub fn insert(&self, run: RunId, agent: AgentName, handle: Handle<RunMessage>) {
        let mut entries = self.entries();
        let of_agent = entries.by_agent.entry(agent.clone()).or_default();
        of_agent.insert(run);
        entries.runs.insert(run, (agent, handle));
    }

    /// The run is over.
    pub fn remove(&self, run: RunId) {
        self.entries().remove(run);
    }

    /// A run that is up or coming back.
    #[must_use]
    pub fn get(&self, run: RunId) -> Option<Handle<RunMessage>> {
        let entries = self.entries();
        let handle = entries.runs.get(&run).map(|(_, handle)| handle.clone());
        handle.filter(|handle| !handle.is_stopped())
    }

    /// All runs that are up or coming back.
    #[must_use]
    pub fn all(&self) -> Vec<(RunId, AgentName, Handle<RunMessage>)> {
        let entries = self.entries();
        let live = entries.runs.iter();
        live.filter(|(_, (_, handle))| !handle.is_stopped())
            .map(|(run, (agent, handle))| (*run, agent.clone(), handle.clone()))
            .collect()
    }

    /// The same of one agent.
    #[must_use]
    pub fn of_agent(&self, agent: &AgentName) -> Vec<(RunId, AgentName, Handle<RunMessage>)> {
        let entries = self.entries();
        let runs = entries.by_agent.get(agent).into_iter().flatten();
        let live = runs.filter_map(|run| Some((run, entries.runs.get(run)?)));
        live.filter(|(_, (_, handle))| !handle.is_stopped())
            .map(|(run, (agent, handle))| (*run, agent.clone(), handle.clone()))
            .collect()
    }

    // ---- gates

    /// The gate of a run that is about to be started; a new one if the run had ended before.
    #[must_use]
    pub fn gate(&self, run: RunId) -> Gate {
        let mut entries = self.entries();
        let gate = entries.gates.entry(run).or_default();
        if gate.is_closed() {
            *gate = Gate::default();
        }
        gate.clone()
    }

    /// From now on these begin nothing, whichever incarnation they are.
    pub fn close<'a>(&self, runs: impl IntoIterator<Item = &'a RunId>) {
        let entries = self.entries();
        let gates = runs.into_iter().filter_map(|run| entries.gates.get(run));
        gates.for_each(Gate::close);
    }

    // ---- what is being ended

    /// The whole task is being ended, and nothing of it begins any more.
    pub fn end(&self, end: End) {
        let mut entries = self.entries();
        entries.end.get_or_insert(end);
        entries.gates.values().for_each(Gate::close);
    }

    /// How the whole task is being ended, if it is.
    #[must_use]
    pub fn ending(&self) -> Option<End> {
        self.entries().end.clone()
    }

    /// It goes on after all.
    pub fn goes_on(&self) {
        self.entries().end = None;
    }

    /// A run and what works for it is being ended, for this reason.
    pub fn end_subtree(&self, top: RunId, reason: &Reason, runs: &BTreeSet<RunId>) {
        self.entries()
            .subtrees
            .entry(top)
            .or_insert_with(|| reason.clone());
        self.close(runs);
    }

    /// It has been.
    pub fn subtree_ended(&self, top: RunId) {
        self.entries().subtrees.remove(&top);
    }

    /// What is being ended, by the run at its top, and why.
    #[must_use]
    pub fn subtrees(&self) -> BTreeMap<RunId, Reason> {
        self.entries().subtrees.clone()
    }
}

#[cfg(test)]
mod tests {
    use supervision::{AtRestart, inbox};

    use super::*;

    #[test]
    fn an_agents_runs_are_found_until_they_are_over() {
        let registry = Registry::default();
        let run = |n| RunId(uuid::Uuid::from_u128(n));
        let mut inboxes = Vec::new();
        for (n, agent) in [(1, "a"), (2, "b"), (3, "a")] {
            let (handle, reads) = inbox(1, AtRestart::Carry);
            inboxes.push(reads);
            registry.insert(run(n), agent.into(), handle);
        }
        let of = |agent: &str| {
            let runs = registry.of_agent(&agent.into());
            runs.into_iter().map(|(run, ..)| run).collect::<Vec<_>>()
        };
        assert_eq!(of("a"), [run(1), run(3)]);
        registry.remove(run(1));
        // One that is not coming back hears nothing, whether or not anybody has said that it is over.
        inboxes.pop();
        assert_eq!((of("a"), of("b")), (vec![], vec![run(2)]));
        registry.remove(run(3));
        assert!(registry.entries().by_agent.keys().eq([&"b".into()]));
    }
}
