//! Everything a store says about some tasks, for whole comparisons.

use crate::model::{Event, RunId, TaskId};
use crate::store::{EventQuery, RunRow, Snapshot, Store, StoreError, TaskRow};

/// All of it; what it holds is for comparing.
#[derive(Debug, PartialEq)]
pub struct State {
    tasks: Vec<TaskRow>,
    unfinished: Vec<TaskRow>,
    rooms: Vec<Room>,
    blobs: Vec<Option<Vec<u8>>>,
    snapshots: Vec<Option<Snapshot>>,
}

#[derive(Debug, PartialEq)]
struct Room {
    row: Option<TaskRow>,
    runs: Vec<RunRow>,
    events: Vec<Event>,
}

/// What to ask for besides the lists; unknown ones are asked for too.
#[derive(Debug, Clone, Default)]
pub struct Names {
    /// The tasks whose rows, runs and events are asked for.
    pub tasks: Vec<TaskId>,
    /// The runs whose snapshots are asked for.
    pub runs: Vec<RunId>,
    /// The hashes of the blobs.
    pub blobs: Vec<String>,
}

/// Asks for everything, the events in pages of `page`.
///
/// # Errors
/// The first that the store answers with.
///
/// # Panics
/// When a page is longer than asked for.
pub async fn of(store: &dyn Store, names: &Names, page: usize) -> Result<State, StoreError> {
    let mut rooms = Vec::new();
    for task in &names.tasks {
        rooms.push(room(store, *task, page).await?);
    }
    let mut blobs = Vec::new();
    for hash in &names.blobs {
        blobs.push(store.blob(hash.clone()).await?);
    }
    let mut snapshots = Vec::new();
    for run in &names.runs {
        snapshots.push(store.snapshot(*run).await?);
    }
    Ok(State {
        tasks: store.tasks(false).await?,
        unfinished: store.tasks(true).await?,
        rooms,
        blobs,
        snapshots,
    })
}

async fn room(store: &dyn Store, task: TaskId, page: usize) -> Result<Room, StoreError> {
    Ok(Room {
        row: store.task(task).await?,
        runs: store.runs(task).await?,
        events: pages(store, task, page).await?,
    })
}

async fn pages(store: &dyn Store, task: TaskId, limit: usize) -> Result<Vec<Event>, StoreError> {
    let mut events: Vec<Event> = Vec::new();
    loop {
        let after = events.last().map_or(0, |event| event.id);
        let query = EventQuery { task, after, limit };
        let page = store.events(query).await?;
        assert!(page.len() <= limit, "a page is longer than asked for");
        if page.is_empty() {
            return Ok(events);
        }
        events.extend(page);
    }
}
