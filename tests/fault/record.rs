//! A task's journal as it lies on the disk, and what must be true of every journal, whatever happened to the processes that wrote it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use actors::model::{EffectClass, Event, EventBody, RunId, Step, TaskStatus, ToolCall};
use actors::store::EventQuery;
use impresario::store::{Durability, open};

/// One task with all its events.
pub(crate) struct Record {
    pub(crate) status: TaskStatus,
    pub(crate) events: Vec<Event>,
}

/// A tool call of a run.
pub(crate) type Call = (RunId, Step);

impl Record {
    /// Reads the one task of a data folder that nobody uses, and looks at every page and row of it.
    pub(crate) fn read(data: &Path) -> Self {
        let database = data.join("impresario.db");
        Self::read_at(&format!("sqlite:{}", database.display()))
    }

    /// Reads the one task of a store that nobody uses, and looks at all of it.
    pub(crate) fn read_at(url: &str) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        runtime.expect("a runtime").block_on(async {
            let store = open(url, Durability::Power).await.expect("the store opens");
            store.check().await.expect("nothing is damaged");
            let tasks = store.tasks(false).await.expect("tasks");
            assert_eq!(tasks.len(), 1, "one task was created: {tasks:?}");
            let query = EventQuery {
                task: tasks[0].id,
                after: 0,
                limit: usize::MAX,
            };
            let events = store.events(query).await.expect("events");
            Self {
                status: tasks[0].status,
                events,
            }
        })
    }

    /// For people who look for what went wrong.
    pub(crate) fn lines(&self) -> String {
        let line = |event: &Event| {
            let mut line = serde_json::to_string(event).expect("json");
            line.truncate(line.floor_char_boundary(300));
            line + "\n"
        };
        self.events.iter().map(line).collect()
    }

    /// The wishes of the models: each call they asked for.
    pub(crate) fn calls(&self) -> BTreeMap<Call, &ToolCall> {
        let mut wishes = BTreeMap::new();
        for event in &self.events {
            let (Some(run), EventBody::ModelCallCompleted { turn, calls, .. }) =
                (event.run_id, &event.body)
            else {
                continue;
            };
            for (index, call) in (0..).zip(calls) {
                let step = Step { turn: *turn, index };
                let twice = wishes.insert((run, step), call).is_some();
                assert!(!twice, "turn {turn} of {run} was taken twice");
            }
        }
        wishes
    }

    /// The calls of unknown outcome.
    pub(crate) fn doubts(&self) -> BTreeSet<Call> {
        let doubts = self.events.iter().filter_map(|event| match &event.body {
            EventBody::ToolCallInDoubt { step, .. } => Some((event.run_id?, *step)),
            _ => None,
        });
        doubts.collect()
    }

    /// What holds for the journal of a task that has come to its end.
    pub(crate) fn check(&self) {
        let numbers: Vec<_> = self.events.iter().map(|event| event.id).collect();
        assert!(
            numbers.into_iter().eq(1..=self.events.len() as u64),
            "a gap"
        );
        let wished: BTreeSet<Call> = self.calls().into_keys().collect();
        let once = |what: &str, found: Vec<Call>| {
            let distinct: BTreeSet<Call> = found.iter().copied().collect();
            assert_eq!(distinct.len(), found.len(), "{what} twice");
            distinct
        };
        let results = self.all(|body| match body {
            EventBody::ToolCallCompleted { step, .. } => Some(*step),
            _ => None,
        });
        assert_eq!(
            once("a result", results),
            wished,
            "one result for each call"
        );
        let turns = self.all(|body| match body {
            EventBody::ModelCallCompleted { turn, .. } => Some(Step {
                turn: *turn,
                index: 0,
            }),
            _ => None,
        });
        once("a turn", turns);
        self.each_run_ends_once();
        self.nothing_unknown_is_passed_over();
    }

    fn all(&self, of: impl Fn(&EventBody) -> Option<Step>) -> Vec<Call> {
        let found = |event: &Event| Some((event.run_id?, of(&event.body)?));
        self.events.iter().filter_map(found).collect()
    }

    fn each_run_ends_once(&self) {
        let mut open = BTreeSet::new();
        for event in &self.events {
            match (&event.body, event.run_id) {
                (EventBody::RunQueued { .. }, Some(run)) => {
                    assert!(open.insert(run), "{run} was queued twice");
                }
                (body, Some(run)) if body.is_run_end() => {
                    assert!(open.remove(&run), "{run} ended twice");
                }
                _ => {}
            }
        }
        assert!(open.is_empty(), "never ended: {open:?}");
        let ends = self.events.iter().filter(|it| it.body.is_task_end());
        assert_eq!(ends.count(), 1, "the task ends once");
    }

    /// A call that must not be repeated and was under way when its run was claimed anew is in doubt before it has a result.
    fn nothing_unknown_is_passed_over(&self) {
        let mut under_way: BTreeSet<Call> = BTreeSet::new();
        let mut unknown: BTreeSet<Call> = BTreeSet::new();
        for event in &self.events {
            let Some(run) = event.run_id else { continue };
            match &event.body {
                EventBody::ToolCallStarted {
                    step,
                    class: EffectClass::Once,
                    ..
                } => {
                    assert!(!unknown.contains(&(run, *step)), "{step} was started anew");
                    under_way.insert((run, *step));
                }
                EventBody::RunRestarted { .. } => {
                    let cut = under_way.iter().filter(|(of, _)| *of == run);
                    unknown.extend(cut.copied().collect::<Vec<_>>());
                }
                EventBody::ToolCallInDoubt { step, .. } => {
                    unknown.remove(&(run, *step));
                    under_way.remove(&(run, *step));
                }
                EventBody::ToolCallCompleted { step, .. } => {
                    assert!(
                        !unknown.contains(&(run, *step)),
                        "{step} was never in doubt"
                    );
                    under_way.remove(&(run, *step));
                }
                _ => {}
            }
        }
    }
}
