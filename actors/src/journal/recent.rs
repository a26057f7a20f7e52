//! What happened lately in open tasks, by whom it concerns: so that nobody reads the store to learn that there is nothing.
//!
//! The journal is the only writer, and notes an event here before whoever wrote it hears that it is durable. What is not known here
//! is read from the store; losing all of this costs time and nothing else.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use crate::model::event::Seq;
use crate::model::{AgentName, Content, Event, EventBody, RunId, TaskId};

/// How many bytes are kept of one task, and of all together; beyond that all of it is forgotten.
const OF_ONE: usize = 32 * 1024 * 1024;
const OF_ALL: usize = 128 * 1024 * 1024;

/// What an event takes besides its texts.
const FRAME: usize = 512;

/// Somebody who is told what is durable about one task, in order and before whoever wrote it; who missed something reads it.
pub trait Follower: Send + Sync {
    /// The next event. Called on the journal's own time: it has to be quick.
    fn note(&self, event: &Event);
}

/// The newest events of open tasks.
#[derive(Debug, Clone, Default)]
pub struct Recent(Arc<Mutex<Tasks>>);

#[derive(Default)]
struct Tasks {
    tasks: HashMap<TaskId, Lately>,
    kept: usize,
    followers: HashMap<TaskId, Weak<dyn Follower>>,
}

impl std::fmt::Debug for Tasks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tasks")
            .field("kept", &self.kept)
            .finish_non_exhaustive()
    }
}

/// Who looks, and for what.
#[derive(Debug, Clone, Copy)]
pub struct Look<'a> {
    /// The run.
    pub run: RunId,
    /// Its agent.
    pub agent: &'a AgentName,
    /// Up to where it knows what others did.
    pub after: Seq,
    /// The last event it wrote itself.
    pub wrote: Seq,
    /// Whether what was said to others in the room matters too.
    pub said: bool,
}

/// What concerns a run.
#[derive(Debug, Clone, PartialEq)]
pub enum News {
    /// Nothing that matters.
    Nothing,
    /// These, in order, and nothing else up to this number.
    Events(Vec<Arc<Event>>, Seq),
}

#[derive(Debug)]
struct Lately {
    /// What came after this event is known.
    from: Seq,
    last: Seq,
    /// Those that may concern another run than their own.
    kept: BTreeMap<Seq, Arc<Event>>,
    /// About how many bytes they are.
    bytes: usize,
    /// Who delegated a run.
    parents: HashMap<RunId, Option<RunId>>,
    /// What all of the task's runs are shown: of the task itself, and what was said.
    shared: Vec<Seq>,
    /// The last event of the task itself.
    whole: Seq,
    /// What was last said to an agent alone.
    to: HashMap<AgentName, Seq>,
    runs: HashMap<RunId, OfRun>,
}

#[derive(Debug, Default)]
struct OfRun {
    /// The event with which it was queued.
    queued: Seq,
    /// Its last own event.
    own: Seq,
    /// Events of the runs it delegated.
    below: Vec<Seq>,
}

impl Recent {
    fn tasks(&self) -> MutexGuard<'_, Tasks> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes an event that is durable; those of a task come in order.
    pub(super) fn note(&self, event: &Arc<Event>) {
        let follower = self.tasks().note(event);
        if let Some(follower) = follower {
            follower.note(event);
        }
    }

    /// From now on `follower` is told what is written about a task, instead of whoever was before.
    pub fn follow(&self, task: TaskId, follower: Weak<dyn Follower>) {
        let mut tasks = self.tasks();
        tasks.followers.retain(|_, it| it.strong_count() > 0);
        tasks.followers.insert(task, follower);
    }

    /// The last event of a task, where it is known.
    #[must_use]
    pub fn last(&self, task: TaskId) -> Option<Seq> {
        Some(self.tasks().tasks.get(&task)?.last)
    }

    /// Forgets everything: something may be durable that was not noted.
    pub(super) fn forget(&self) {
        self.tasks().forget();
    }

    /// What others did that concerns a run since it looked last; none where that is to be read from the store.
    #[must_use]
    pub fn since(&self, task: TaskId, look: Look<'_>) -> Option<News> {
        self.tasks().tasks.get(&task)?.since(look)
    }

    /// All that concerns a run that nobody has claimed yet, and the last event; none where that is to be read from the store.
    #[must_use]
    pub fn beginning(&self, task: TaskId, run: RunId) -> Option<(Vec<Arc<Event>>, Seq)> {
        self.tasks().tasks.get(&task)?.beginning(run)
    }
}

impl Tasks {
    fn note(&mut self, event: &Arc<Event>) -> Option<Arc<dyn Follower>> {
        let task = event.task_id;
        let follower = self.followers.get(&task).and_then(Weak::upgrade);
        if event.body.is_task_end() {
            self.drop_task(task);
            return follower;
        }
        let lately = self
            .tasks
            .entry(task)
            .or_insert_with(|| Lately::from(event));
        if lately.last + 1 != event.id {
            self.kept = self.kept.saturating_sub(lately.bytes);
            *lately = Lately::from(event);
        }
        let before = lately.bytes;
        lately.note(event);
        self.kept += lately.bytes - before;
        if lately.bytes > OF_ONE {
            self.drop_task(task);
        } else if self.kept > OF_ALL {
            self.forget();
        }
        follower
    }

    fn forget(&mut self) {
        self.tasks.clear();
        self.kept = 0;
    }

    fn drop_task(&mut self, task: TaskId) {
        if let Some(lately) = self.tasks.remove(&task) {
            self.kept = self.kept.saturating_sub(lately.bytes);
        }
    }
}

impl Lately {
    fn from(event: &Event) -> Self {
        let from = event.id.saturating_sub(1);
        Self {
            from,
            last: from,
            kept: BTreeMap::new(),
            bytes: 0,
            parents: HashMap::new(),
            shared: Vec::new(),
            whole: 0,
            to: HashMap::new(),
            runs: HashMap::new(),
        }
    }

    fn note(&mut self, event: &Arc<Event>) {
        let seq = event.id;
        self.last = seq;
        let Some(run) = event.run_id else {
            self.whole = seq;
            self.said(event);
            return self.keep(event);
        };
        if let EventBody::RunQueued { spec } = &event.body {
            let parent = spec.parent.as_ref().map(|parent| parent.run);
            self.parents.insert(run, parent);
            self.runs.entry(run).or_default().queued = seq;
        }
        self.runs.entry(run).or_default().own = seq;
        let is_said = self.said(event);
        if is_of_its_own(&event.body) {
            return;
        }
        match self.parents.get(&run) {
            Some(Some(parent)) => self.runs.entry(*parent).or_default().below.push(seq),
            Some(None) => {}
            // Who delegated it is not known here: anybody may have.
            None if !is_said => {
                self.whole = seq;
                self.shared.push(seq);
            }
            None => self.whole = seq,
        }
        self.keep(event);
    }

    fn keep(&mut self, event: &Arc<Event>) {
        self.bytes += FRAME + text(&event.body);
        self.kept.insert(event.id, event.clone());
    }

    /// Whether all are shown it.
    fn said(&mut self, event: &Event) -> bool {
        if let EventBody::TaskMessage { to: Some(to), .. } = &event.body {
            self.to.insert(to.clone(), event.id);
        }
        let is_shared =
            event.run_id.is_none() || matches!(event.body, EventBody::TaskMessage { .. });
        if is_shared {
            self.shared.push(event.id);
        }
        is_shared
    }

    fn since(&self, look: Look<'_>) -> Option<News> {
        let run = self.runs.get(&look.run);
        let is_another_at_it = run.is_some_and(|run| run.own > look.after.max(look.wrote));
        if look.after < self.from || is_another_at_it {
            return None;
        }
        let to = self.to.get(look.agent).copied().unwrap_or_default();
        let below = run.and_then(|run| run.below.last()).copied();
        let newest = self.whole.max(to).max(below.unwrap_or_default());
        if !look.said && newest <= look.after {
            return Some(News::Nothing);
        }
        Some(News::Events(self.after(look.run, look.after), self.last))
    }

    fn beginning(&self, run: RunId) -> Option<(Vec<Arc<Event>>, Seq)> {
        let of_run = self.runs.get(&run).filter(|it| it.own == it.queued)?;
        (self.from == 0 && of_run.queued > 0).then(|| (self.after(run, 0), self.last))
    }

    /// What was kept after an event and concerns a run, in order.
    fn after(&self, run: RunId, after: Seq) -> Vec<Arc<Event>> {
        let newer = |all: &[Seq]| all[all.partition_point(|seq| *seq <= after)..].to_vec();
        let mut found = newer(&self.shared);
        if let Some(of_run) = self.runs.get(&run) {
            found.extend(newer(&of_run.below));
            found.extend((of_run.queued > after).then_some(of_run.queued));
        }
        found.sort_unstable();
        found.dedup();
        let events = found.iter().filter_map(|seq| self.kept.get(seq));
        events.cloned().collect()
    }
}

/// About how many bytes of text an event holds.
fn text(body: &EventBody) -> usize {
    let length = |content: &Content| content.beginning().len();
    match body {
        EventBody::TaskCreated { definition } => {
            let of_agents = definition.agents.values();
            of_agents
                .map(|agent| FRAME + agent.instructions.len())
                .sum()
        }
        EventBody::RunQueued { spec } => {
            spec.input.len() + spec.snippets.iter().map(String::len).sum::<usize>()
        }
        EventBody::TaskMessage { content, .. } => content.len(),
        EventBody::RunCompleted { result, .. } | EventBody::TaskCompleted { result } => {
            length(result)
        }
        EventBody::RunFailed { error, .. } => error.len(),
        EventBody::RunContinued { content, .. } => length(content),
        _ => 0,
    }
}

/// What happens inside a run and concerns no other.
fn is_of_its_own(body: &EventBody) -> bool {
    matches!(
        body,
        EventBody::RunStarted
            | EventBody::RunWaiting { .. }
            | EventBody::RunRetrying { .. }
            | EventBody::Message { .. }
            | EventBody::ModelCallStarted { .. }
            | EventBody::ModelCallInterrupted { .. }
            | EventBody::ModelCallCompleted { .. }
            | EventBody::ToolCallStarted { .. }
            | EventBody::ToolCallCompleted { .. }
            | EventBody::ToolCallInDoubt { .. }
            | EventBody::ToolCallResolved { .. }
            | EventBody::ToolCallLate { .. }
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Sender, Timestamp};

    const RUN: RunId = RunId(uuid::Uuid::nil());
    const TASK: TaskId = TaskId(uuid::Uuid::nil());

    fn said(id: Seq, bytes: usize) -> Arc<Event> {
        let body = EventBody::TaskMessage {
            from: Sender::Human,
            to: None,
            content: "x".repeat(bytes),
            outcome: false,
        };
        Arc::new(Event {
            id,
            task_id: TASK,
            run_id: None,
            agent: None,
            at: Timestamp(0),
            epoch: 0,
            cause: None,
            body,
        })
    }

    fn since(recent: &Recent, after: Seq) -> Option<Vec<Seq>> {
        let agent = AgentName::from("a");
        let look = Look {
            run: RUN,
            agent: &agent,
            after,
            wrote: after,
            said: true,
        };
        match recent.since(TASK, look)? {
            News::Nothing => Some(Vec::new()),
            News::Events(events, _) => Some(events.iter().map(|event| event.id).collect()),
        }
    }

    #[test]
    fn what_was_missed_is_read_from_the_store() {
        let recent = Recent::default();
        assert_eq!(since(&recent, 0), None);
        (1..=3).for_each(|id| recent.note(&said(id, 1)));
        assert_eq!(since(&recent, 1), Some(vec![2, 3]));
        // Another node wrote the fourth.
        recent.note(&said(5, 1));
        assert_eq!(since(&recent, 3), None);
        assert_eq!(since(&recent, 4), Some(vec![5]));
        recent.forget();
        assert_eq!(since(&recent, 5), None);
    }

    #[test]
    fn no_more_is_kept_than_may_be() {
        let recent = Recent::default();
        for id in 1..=100 {
            recent.note(&said(id, 1024 * 1024));
            let kept = recent.tasks().kept;
            assert!(kept <= OF_ONE + 2 * 1024 * 1024, "{kept} at {id}");
        }
        assert_eq!(since(&recent, 1), None, "it was forgotten");
        assert!(since(&recent, 100).is_some());
    }
}
