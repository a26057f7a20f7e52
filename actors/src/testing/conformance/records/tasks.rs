//! Pages of all tasks, and a run of any.

use std::collections::BTreeSet;

use crate::model::{EventBody, TaskId, TaskStatus};
use crate::store::{Append, Draft, TaskQuery, TaskRow};
use crate::testing::conformance::store::draft::{
    append, definition, of_task, run, task, working, write,
};

use super::Both;

/// A task of a project that stands as it should.
pub(super) fn standing(n: u128, project: &str, status: TaskStatus) -> Append {
    let mut definition = definition(&format!("task {n}"));
    definition.project = project.to_owned();
    let definition = Box::new(definition);
    let mut drafts = vec![of_task(EventBody::TaskCreated { definition })];
    drafts.extend(brought_to(status));
    append(task(n), drafts)
}

fn brought_to(status: TaskStatus) -> Option<Draft> {
    let text = String::new;
    Some(of_task(match status {
        TaskStatus::Running => return None,
        TaskStatus::NeedsAttention => EventBody::TaskNeedsAttention {
            attention: crate::model::Attention::GaveUp {
                path: text(),
                reason: text(),
            },
        },
        TaskStatus::Completed => EventBody::TaskCompleted {
            result: crate::model::Content::default(),
        },
        TaskStatus::Failed => EventBody::TaskFailed { error: text() },
        TaskStatus::Cancelled => EventBody::TaskCancelled { reason: text() },
    }))
}

async fn page(store: &dyn Both, query: &TaskQuery) -> Vec<TaskRow> {
    let page = store.page_of_tasks(query.clone()).await;
    page.expect("the store must read a page of tasks")
}

pub(super) fn fits(query: &TaskQuery, row: &TaskRow) -> bool {
    let after = query.after.is_none_or(|after| match query.newest_first {
        true => row.id < after,
        false => row.id > after,
    });
    let of_project = query.project.as_ref().is_none_or(|it| *it == row.project);
    let stands = query.statuses.is_empty() || query.statuses.contains(&row.status);
    after && of_project && stands
}

/// Every combination of what can be asked for.
fn queries() -> Vec<TaskQuery> {
    use TaskStatus::{Cancelled, Completed, Failed, NeedsAttention, Running};
    let mut queries = Vec::new();
    for project in [None, Some("one"), Some("two \0'%"), Some("none")] {
        for statuses in [
            vec![],
            vec![Running],
            vec![Failed, Running, Failed],
            vec![Cancelled, NeedsAttention, Completed],
        ] {
            for after in [None, Some(task(0)), Some(task(9)), Some(task(u128::MAX))] {
                for newest_first in [false, true] {
                    queries.push(TaskQuery {
                        project: project.map(str::to_owned),
                        statuses: statuses.clone(),
                        after,
                        newest_first,
                        limit: usize::MAX,
                    });
                }
            }
        }
    }
    queries
}

pub(super) async fn lists_the_tasks_that_are_asked_for(store: &dyn Both) {
    // Not in the order of their ids, which is the one that counts.
    for n in [7, 3, 12, 1, 9, 20, 4, 15, 2, 18, 11, 5] {
        let status = TaskStatus::ALL[usize::try_from(n).expect("a number") % 5];
        let project = ["one", "two \0'%"][usize::from(n % 3 == 0)];
        write(store, standing(n, project, status)).await;
    }
    let mut all = store.tasks(false).await.expect("the tasks");
    all.sort_unstable_by_key(|row| row.id);
    for mut query in queries() {
        let mut wanted: Vec<_> = all
            .iter()
            .filter(|row| fits(&query, row))
            .cloned()
            .collect();
        if query.newest_first {
            wanted.reverse();
        }
        for limit in [usize::MAX, 0, 1, 3] {
            query.limit = limit;
            let wanted = &wanted[..wanted.len().min(limit)];
            assert_eq!(page(store, &query).await, wanted, "{query:?}");
        }
    }
}

pub(super) async fn pages_are_stable_while_tasks_are_created(store: &dyn Both) {
    const TASKS: u128 = 24;
    for n in 1..=TASKS {
        write(store, standing(n * 1_000, "one", TaskStatus::Running)).await;
    }
    let mut round = 0;
    for project in [None, Some("one".to_owned())] {
        for newest_first in [true, false] {
            let query = TaskQuery {
                project: project.clone(),
                statuses: vec![TaskStatus::Running],
                after: None,
                newest_first,
                limit: 5,
            };
            round += 20;
            let seen = paged(store, query, round).await;
            once_each(&seen, newest_first);
            let there: Vec<_> = (1..=TASKS).map(|n| task(n * 1_000)).collect();
            assert!(there.iter().all(|id| seen.contains(id)), "one was left out");
        }
    }
}

/// All pages, while other tasks are created: before a page, behind it and at the ends.
async fn paged(store: &dyn Both, mut query: TaskQuery, round: u128) -> Vec<TaskId> {
    let mut seen = Vec::<TaskId>::new();
    for n in round.. {
        query.after = seen.last().copied();
        let found = page(store, &query).await;
        if found.is_empty() {
            break;
        }
        seen.extend(found.iter().map(|row| row.id));
        if n < round + 4 {
            for place in [n, 5_500 + n, 17_500 + n, 1_000_000 + n] {
                write(store, standing(place, "one", TaskStatus::Running)).await;
            }
        }
    }
    seen
}

fn once_each(seen: &[TaskId], newest_first: bool) {
    let mut sorted: Vec<_> = BTreeSet::from_iter(seen.iter().copied())
        .into_iter()
        .collect();
    if newest_first {
        sorted.reverse();
    }
    assert_eq!(seen, sorted);
}

pub(super) async fn finds_a_run_of_any_task(store: &dyn Both) {
    for n in 1..=5 {
        working(store, task(n), run(n)).await;
    }
    for n in 1..=5 {
        let found = store.find_run(run(n)).await.expect("a run");
        let of_task = store.runs(task(n)).await.expect("the runs");
        assert_eq!(found.as_ref(), of_task.first());
        assert_eq!(found.map(|row| row.task), Some(task(n)));
    }
    assert_eq!(store.find_run(run(6)).await, Ok(None));
}
