//! Who works on a task: a fold of its events, and what was promised meanwhile. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::model::event::Seq;
use crate::model::{Event, EventBody, Limits, RunId, Step};
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
}

#[derive(Debug, Clone, PartialEq)]
struct Entry {
    queued: Queued,
    stands: Stands,
    /// The event with which it was queued, or went on after its end.
    since: Seq,
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
        let Some(run) = event.run_id else { return };
        match &event.body {
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

    /// The runs that are to be up.
    #[must_use]
    pub fn to_start(&self) -> Vec<Queued> {
        let live = self.runs.values().filter(|it| it.stands == Stands::Live);
        live.filter(|entry| !self.is_orphan(entry))
            .map(|entry| entry.queued.clone())
            .collect()
    }

    /// Runs that work for one that has ended since they were queued: nobody waits for what they do.
    #[must_use]
    pub fn orphans(&self) -> Vec<RunId> {
        let live = self.runs.iter().filter(|(_, entry)| entry.is_live());
        live.filter(|(_, entry)| self.is_orphan(entry))
            .map(|(run, _)| *run)
            .collect()
    }

    fn is_orphan(&self, entry: &Entry) -> bool {
        let parent = entry.queued.parent.and_then(|run| self.runs.get(&run));
        parent.is_some_and(|parent| matches!(parent.stands, Stands::Ended(at) if at > entry.since))
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
