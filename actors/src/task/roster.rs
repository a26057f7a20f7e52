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
    /// How many have not ended.
    live: u32,
    /// What each has delegated.
    delegated: BTreeMap<RunId, Delegated>,
    /// Ids that were given out and of which nothing is written yet, by whom they were given to.
    promised: BTreeMap<RunId, BTreeMap<Step, RunId>>,
    /// To whom they were.
    promises: BTreeMap<RunId, (RunId, Step)>,
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

/// What one run has delegated.
#[derive(Debug, Clone, Default, PartialEq)]
struct Delegated {
    runs: Vec<RunId>,
    /// How many of them have not ended.
    live: u32,
}

/// What was decided about pausing a run.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
enum Paused {
    /// Nothing yet: it is as its agent and whoever delegated it.
    #[default]
    Undecided,
    /// It is paused.
    Yes(Scope),
    /// It is, until it is durable that it goes on; what it delegates from then on is not.
    NotForLong,
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

    /// Lets these go on: the runs of them that are paused, and the agents that are meant. What is born to them is not paused any more.
    pub fn resume(&mut self, whom: &Whom) -> (BTreeSet<RunId>, Vec<AgentName>) {
        let runs = self.chosen(whom, |entry| matches!(entry.paused, Paused::Yes(_)));
        self.decide(runs.iter().copied(), Paused::NotForLong);
        let is_meant = |agent: &AgentName| match whom {
            Whom::Agent(one) => one == agent,
            Whom::Task => true,
            Whom::Run(_) | Whom::Subtree(_) => false,
        };
        let agents = self.paused_agents.extract_if(.., is_meant).collect();
        (runs, agents)
    }

    /// That these go on is durable. Who was paused again meanwhile stays so.
    pub fn resumed(&mut self, runs: &BTreeSet<RunId>) {
        let is = |run: &RunId| {
            let entry = self.runs.get(run);
            entry.is_some_and(|entry| entry.paused == Paused::NotForLong)
        };
        let runs: Vec<_> = runs.iter().copied().filter(is).collect();
        self.decide(runs, Paused::No);
    }

    /// Runs that are to be paused before they begin: their agent is paused, or whoever delegated them with all that works for it.
    pub fn born_paused(&mut self) -> Vec<(RunId, Scope)> {
        let born: Vec<_> = self.runs.keys().filter_map(|run| self.born(*run)).collect();
        for (run, scope) in &born {
            self.decide([*run], Paused::Yes(*scope));
        }
        born
    }

    /// The same of one run.
    pub fn is_born_paused(&mut self, run: RunId) -> Option<(RunId, Scope)> {
        let (run, scope) = self.born(run)?;
        self.decide([run], Paused::Yes(scope));
        Some((run, scope))
    }

    fn born(&self, run: RunId) -> Option<(RunId, Scope)> {
        Some((run, self.inherited(self.runs.get(&run)?)?))
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
            let (before, parent) = (entry.is_live(), entry.queued.parent);
            entry.stands = stands;
            let now = entry.is_live();
            self.count(parent, before, now);
        }
    }

    fn count(&mut self, parent: Option<RunId>, before: bool, now: bool) {
        let of_parent = parent.and_then(|parent| self.delegated.get_mut(&parent));
        let of_parent = of_parent.map(|delegated| &mut delegated.live);
        for live in [Some(&mut self.live), of_parent].into_iter().flatten() {
            *live = (*live + u32::from(now)).saturating_sub(u32::from(before));
        }
    }

    /// A run was queued with this event. What is known of it already stands.
    pub fn queued(&mut self, queued: Queued, since: Seq) {
        let run = queued.run;
        self.promise_kept(run);
        let parent = queued.parent;
        match parent {
            _ if self.runs.contains_key(&run) => return,
            Some(parent) => self.delegated.entry(parent).or_default().runs.push(run),
            None => drop(self.root.get_or_insert(run)),
        }
        let entry = Entry {
            queued,
            stands: Stands::Live,
            since,
            paused: Paused::default(),
        };
        self.runs.insert(run, entry);
        self.count(parent, false, true);
    }

    fn promise_kept(&mut self, run: RunId) {
        let Some((parent, step)) = self.promises.remove(&run) else {
            return;
        };
        if let Some(promised) = self.promised.get_mut(&parent) {
            promised.remove(&step);
            if promised.is_empty() {
                self.promised.remove(&parent);
            }
        }
    }

    /// A run that had ended goes on.
    pub fn continued(&mut self, run: RunId, since: Seq) {
        self.stands(run, Stands::Live);
        if let Some(entry) = self.runs.get_mut(&run) {
            entry.since = since;
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
        let promised = self.promised.remove(&run).unwrap_or_default();
        for child in promised.values() {
            self.promises.remove(child);
        }
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
        let promised = self.promised.get(&by.0).and_then(|it| it.get(&by.1));
        if let Some(child) = promised {
            return Ok(*child);
        }
        may_delegate(limits, max_workers, self.counted(by.0), depth)?;
        let run = new();
        self.promised.entry(by.0).or_default().insert(by.1, run);
        self.promises.insert(run, by);
        Ok(run)
    }

    fn counted(&self, parent: RunId) -> Counted {
        let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let promised = number(self.promises.len());
        let to_parent = self.promised.get(&parent).map_or(0, BTreeMap::len);
        let of_parent = self.delegated.get(&parent).map_or(0, |it| it.live);
        Counted {
            of_parent: of_parent + number(to_parent),
            live: self.live + promised,
            total: number(self.runs.len()) + promised,
        }
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
        let all = self.runs.keys();
        all.filter_map(|run| self.is_to_start(*run)).collect()
    }

    /// A run, if it is to be up.
    #[must_use]
    pub fn is_to_start(&self, run: RunId) -> Option<Queued> {
        let entry = self.runs.get(&run)?;
        let is_paused = matches!(entry.paused, Paused::Yes(_) | Paused::NotForLong);
        let is_live = entry.stands == Stands::Live && !is_paused;
        (is_live && self.orphaned(entry).is_none()).then(|| entry.queued.clone())
    }

    /// Runs that work for one that has ended since they were queued, with that end: nobody waits for what they do.
    #[must_use]
    pub fn orphans(&self) -> Vec<(RunId, Seq)> {
        let all = self.runs.keys();
        all.filter_map(|run| self.is_orphan(*run)).collect()
    }

    /// The same of what one run has delegated.
    #[must_use]
    pub fn orphans_of(&self, parent: RunId) -> Vec<(RunId, Seq)> {
        let delegated = self.delegated.get(&parent);
        let runs = delegated.into_iter().flat_map(|it| &it.runs);
        runs.filter_map(|run| self.is_orphan(*run)).collect()
    }

    /// The same of one run.
    #[must_use]
    pub fn is_orphan(&self, run: RunId) -> Option<(RunId, Seq)> {
        let entry = self.runs.get(&run).filter(|entry| entry.is_live())?;
        Some((run, self.orphaned(entry)?))
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
        root_end.filter(|_| self.live == 0)
    }
}

#[cfg(test)]
mod tests;
