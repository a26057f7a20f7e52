//! Everything a store says about some tasks, for whole comparisons.

use crate::model::{Event, RunId, TaskId};
use crate::store::{EventQuery, RunRow, Snapshot, Store, TaskRow};

#[derive(Debug, PartialEq)]
pub(super) struct State {
    tasks: Vec<TaskRow>,
    unfinished: Vec<TaskRow>,
    rooms: Vec<Room>,
    blobs: Vec<Option<Vec<u8>>>,
}

#[derive(Debug, PartialEq)]
struct Room {
    row: Option<TaskRow>,
    runs: Vec<RunRow>,
    snapshots: Vec<Option<Snapshot>>,
    events: Vec<Event>,
}

/// What to ask for besides the lists; unknown ones are asked for too.
#[derive(Debug, Default)]
pub(super) struct Names {
    pub(super) tasks: Vec<TaskId>,
    pub(super) runs: Vec<RunId>,
    pub(super) blobs: Vec<String>,
}

/// Asks for everything, the events in pages of `page`.
pub(super) async fn of(store: &dyn Store, names: &Names, page: usize) -> State {
    let mut rooms = Vec::new();
    for task in &names.tasks {
        rooms.push(room(store, *task, &names.runs, page).await);
    }
    let mut blobs = Vec::new();
    for hash in &names.blobs {
        blobs.push(store.blob(hash.clone()).await.expect("blob"));
    }
    State {
        tasks: store.tasks(false).await.expect("tasks"),
        unfinished: store.tasks(true).await.expect("unfinished tasks"),
        rooms,
        blobs,
    }
}

async fn room(store: &dyn Store, task: TaskId, runs: &[RunId], page: usize) -> Room {
    let mut snapshots = Vec::new();
    for run in runs {
        snapshots.push(store.snapshot(*run).await.expect("snapshot"));
    }
    Room {
        row: store.task(task).await.expect("task"),
        runs: store.runs(task).await.expect("runs"),
        snapshots,
        events: pages(store, task, page).await,
    }
}

async fn pages(store: &dyn Store, task: TaskId, limit: usize) -> Vec<Event> {
    let mut events: Vec<Event> = Vec::new();
    loop {
        let after = events.last().map_or(0, |event| event.id);
        let query = EventQuery { task, after, limit };
        let page = store.events(query).await.expect("events");
        assert!(page.len() <= limit, "a page is longer than asked for");
        if page.is_empty() {
            return events;
        }
        events.extend(page);
    }
}
