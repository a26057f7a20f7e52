//! Who works on a task: a fold of its events, and what was promised meanwhile. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::model::event::AgentState;
use crate::model::event::Seq;
use crate::model::{AgentName, Event, EventBody, Limits, RunId, Scope, Step, WaitReason, Whom};
use crate::run::Queued;

use super::budget::{Counted, may_delegate};

/// The runs of a task.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Roster {
    runs: BTreeMap<RunId, Entry>,
    /// Ids that were given out and of which nothing is written yet.
    promised: BTreeMap<(RunId, Step), RunId>,
    root: Option<RunId>,
    root_end: Option<Arc<Event>>,
    /// Agents whose runs are paused, those that are yet to come too.
    paused_agents: BTreeSet<AgentName>,
}

#[derive(Debug, Clone, PartialEq)]
struct Entry {
    queued: Queued,
    stands: Stands,
    /// The event with which it was queued, or went on after its end.
    since: Seq,
    paused: Paused,
}

/// What was decided about pausing a run.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
enum Paused {
    /// Nothing yet: it is as its agent and whoever delegated it.
    #[default]
    Undecided,
    /// It is paused.
    Yes(Scope),
    /// It was, and goes on.
    No,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Stands {
    Live,
    Quarantined,
    /// Ended with this event.
    Ended(Seq),
}

impl Entry {
    fn is_live(&self) -> bool {
        !matches!(self.stands, Stands::Ended(_))
    }
}

impl Roster {
    /// Takes one event of the task in.
    pub fn fold(&mut self, event: &Event) {
        if let (EventBody::AgentState { state, .. }, Some(agent)) = (&event.body, &event.agent) {
            return self.agent_state(agent, *state);
        }
        let Some(run) = event.run_id else { return };
        match &event.body {
            EventBody::RunWaiting {
                reason: WaitReason::Paused(pause),
            } => self.decide([run], Paused::Yes(pause.scope)),
            EventBody::RunResumed { .. } => self.decide([run], Paused::No),
            EventBody::RunQueued { spec } => {
                let (agent, parent) = (spec.agent.clone(), spec.parent.as_ref());
                let parent = parent.map(|parent| parent.run);
                let queued = Queued { run, agent, parent };
                self.queued(queued, event.id);
            }
            EventBody::RunContinued { .. } => self.continued(run, event.id),
            EventBody::RunQuarantined { .. } => self.stands(run, Stands::Quarantined),
            EventBody::RunReleased => self.stands(run, Stands::Live),
            body if body.is_run_end() => self.ended(run, event),
            _ => {}
        }
    }

    fn agent_state(&mut self, agent: &AgentName, state: AgentState) {
        match state {
            AgentState::Paused => drop(self.paused_agents.insert(agent.clone())),
            AgentState::Resumed => drop(self.paused_agents.remove(agent)),
            _ => {}
        }
    }

    fn decide(&mut self, runs: impl IntoIterator<Item = RunId>, paused: Paused) {
        for run in runs {
            if let Some(entry) = self.runs.get_mut(&run) {
                entry.paused = paused;
            }
        }
    }

    // ---- pausing

    /// Pauses these; those of them that were not paused before.
    pub fn pause(&mut self, whom: &Whom) -> BTreeSet<RunId> {
        if let Whom::Agent(agent) = whom {
            self.paused_agents.insert(agent.clone());
        }
        let runs = self.chosen(whom, |entry| !matches!(entry.paused, Paused::Yes(_)));
        self.decide(runs.iter().copied(), Paused::Yes(whom.scope()));
        runs
    }

    /// The runs of these that are paused.
    #[must_use]
    pub fn to_resume(&self, whom: &Whom) -> BTreeSet<RunId> {
        self.chosen(whom, |entry| matches!(entry.paused, Paused::Yes(_)))
    }

    /// These go on, and the agents that are meant.
    pub fn resumed(&mut self, whom: &Whom, runs: &BTreeSet<RunId>) {
        let agents = self.agents_to_resume(whom);
        self.paused_agents.retain(|agent| !agents.contains(agent));
        self.decide(runs.iter().copied(), Paused::No);
    }

    /// The paused agents that are meant.
    #[must_use]
    pub fn agents_to_resume(&self, whom: &Whom) -> Vec<AgentName> {
        let is_meant = |agent: &&AgentName| match whom {
            Whom::Agent(one) => one == *agent,
            Whom::Task => true,
            Whom::Run(_) | Whom::Subtree(_) => false,
        };
        let agents = self.paused_agents.iter().filter(is_meant);
        agents.cloned().collect()
    }

    /// Runs that are to be paused before they begin: their agent is paused, or whoever delegated them with all that works for it.
    pub fn born_paused(&mut self) -> Vec<(RunId, Scope)> {
        let born = |(run, entry): (&RunId, &Entry)| Some((*run, self.inherited(entry)?));
        let born: Vec<_> = self.runs.iter().filter_map(born).collect();
        for (run, scope) in &born {
            self.decide([*run], Paused::Yes(*scope));
        }
        born
    }

    fn inherited(&self, entry: &Entry) -> Option<Scope> {
        if !entry.is_live() || entry.paused != Paused::Undecided {
            return None;
        }
        let parent = entry.queued.parent.and_then(|run| self.runs.get(&run));
        match parent.map(|parent| parent.paused) {
            Some(Paused::Yes(scope)) if scope.is_inherited() => Some(scope),
            _ if self.paused_agents.contains(&entry.queued.agent) => Some(Scope::Agent),
            _ => None,
        }
    }

    fn chosen(&self, whom: &Whom, is: impl Fn(&Entry) -> bool) -> BTreeSet<RunId> {
        let below = match whom {
            Whom::Subtree(top) => self.subtree(*top),
            _ => BTreeSet::new(),
        };
        let is_meant = |run: &RunId, entry: &Entry| match whom {
            Whom::Run(one) => one == run,
            Whom::Subtree(_) => below.contains(run),
            Whom::Agent(agent) => entry.queued.agent == *agent,
            Whom::Task => true,
        };
        let chosen = self.runs.iter();
        let chosen = chosen.filter(|(run, it)| it.is_live() && is_meant(run, it) && is(it));
        chosen.map(|(run, _)| *run).collect()
    }

    fn stands(&mut self, run: RunId, stands: Stands) {
        if let Some(entry) = self.runs.get_mut(&run) {
            entry.stands = stands;
        }
    }

    /// A run was queued with this event. What is known of it already stands.
    pub fn queued(&mut self, queued: Queued, since: Seq) {
        let run = queued.run;
        self.promised.retain(|_, child| *child != run);
        if queued.parent.is_none() {
            self.root.get_or_insert(run);
        }
        self.runs.entry(run).or_insert(Entry {
            queued,
            stands: Stands::Live,
            since,
            paused: Paused::default(),
        });
    }

    /// A run that had ended goes on.
    pub fn continued(&mut self, run: RunId, since: Seq) {
        if let Some(entry) = self.runs.get_mut(&run) {
            (entry.stands, entry.since) = (Stands::Live, since);
        }
        if self.root == Some(run) {
            self.root_end = None;
        }
    }

    /// A run is left alone until somebody decides.
    pub fn quarantined(&mut self, run: RunId) {
        if self.is_live(run) {
            self.stands(run, Stands::Quarantined);
        }
    }

    /// A quarantined run goes on.
    pub fn released(&mut self, run: RunId) {
        self.stands(run, Stands::Live);
    }

    /// A run has ended. What it was promised and did not take is free again.
    fn ended(&mut self, run: RunId, event: &Event) {
        self.stands(run, Stands::Ended(event.id));
        if self.root == Some(run) {
            self.root_end = Some(Arc::new(event.clone()));
        }
        self.promised.retain(|(parent, _), _| *parent != run);
    }

    /// Promises a run the id of one more that it may delegate. Asking again for the same call gives the same id.
    ///
    /// # Errors
    /// The limit that forbids it.
    pub fn delegate(
        &mut self,
        limits: &Limits,
        max_workers: Option<u32>,
        by: (RunId, Step),
        depth: u32,
        new: impl FnOnce() -> RunId,
    ) -> Result<RunId, String> {
        if let Some(child) = self.promised.get(&by) {
            return Ok(*child);
        }
        let parent = by.0;
        may_delegate(limits, max_workers, &self.counted(), parent, depth)?;
        let run = new();
        self.promised.insert(by, run);
        Ok(run)
    }

    fn counted(&self) -> BTreeMap<RunId, Counted> {
        let counted = |parent, is_live| Counted { parent, is_live };
        let promised = self.promised.iter();
        let promised = promised.map(|((parent, _), run)| (*run, counted(Some(*parent), true)));
        let runs = self.runs.iter();
        runs.map(|(run, entry)| (*run, counted(entry.queued.parent, entry.is_live())))
            .chain(promised)
            .collect()
    }

    /// Whether a run may still do something.
    #[must_use]
    pub fn is_live(&self, run: RunId) -> bool {
        self.runs.get(&run).is_some_and(Entry::is_live)
    }

    /// Who delegated a run.
    #[must_use]
    pub fn parent(&self, run: RunId) -> Option<RunId> {
        self.runs.get(&run)?.queued.parent
    }

    /// Whether a run of this agent has not ended.
    #[must_use]
    pub fn is_busy(&self, agent: &AgentName) -> bool {
        let mut runs = self.runs.values();
        runs.any(|entry| entry.is_live() && entry.queued.agent == *agent)
    }

    /// The runs that are to be up.
    #[must_use]
    pub fn to_start(&self) -> Vec<Queued> {
        let live = self.runs.values().filter(|it| it.stands == Stands::Live);
        live.filter(|entry| {
            self.orphaned(entry).is_none() && !matches!(entry.paused, Paused::Yes(_))
        })
        .map(|entry| entry.queued.clone())
        .collect()
    }

    /// Runs that work for one that has ended since they were queued, with that end: nobody waits for what they do.
    #[must_use]
    pub fn orphans(&self) -> Vec<(RunId, Seq)> {
        let live = self.runs.iter().filter(|(_, entry)| entry.is_live());
        live.filter_map(|(run, entry)| Some((*run, self.orphaned(entry)?)))
            .collect()
    }

    /// The end of whoever it works for, if it has ended since.
    fn orphaned(&self, entry: &Entry) -> Option<Seq> {
        let parent = entry.queued.parent.and_then(|run| self.runs.get(&run))?;
        match parent.stands {
            Stands::Ended(at) if at > entry.since => Some(at),
            _ => None,
        }
    }

    /// A run, and those that work for it and have not ended.
    #[must_use]
    pub fn subtree(&self, top: RunId) -> BTreeSet<RunId> {
        let mut below = BTreeMap::<RunId, Vec<RunId>>::new();
        for (run, entry) in &self.runs {
            if let Some(parent) = entry.queued.parent {
                below.entry(parent).or_default().push(*run);
            }
        }
        let (mut inside, mut todo) = (BTreeSet::new(), vec![top]);
        while let Some(run) = todo.pop() {
            todo.extend(below.remove(&run).into_iter().flatten());
            inside.insert(run);
        }
        inside
    }

    /// Who delegated a run that has ended.
    #[must_use]
    pub fn parents_of_ended(&self) -> Vec<RunId> {
        let ended = self.runs.values().filter(|entry| !entry.is_live());
        let mut parents: Vec<_> = ended.filter_map(|entry| entry.queued.parent).collect();
        parents.sort_unstable();
        parents.dedup();
        parents
    }

    /// The root run's end.
    #[must_use]
    pub fn root_end(&self) -> Option<&Arc<Event>> {
        self.root_end.as_ref()
    }

    /// The root run's end, if nothing else of the task is live.
    #[must_use]
    pub fn end(&self) -> Option<&Arc<Event>> {
        let root_end = self.root_end.as_ref();
        root_end.filter(|_| !self.runs.values().any(Entry::is_live))
    }
}

#[cfg(test)]
mod tests;
