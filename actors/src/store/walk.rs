//! Reading a journal from one end to the other.

use crate::model::{Event, Seq, TaskId};

use super::{EventQuery, Store, StoreError};

/// How many events are read at a time.
const PAGE: usize = 1024;

/// Hands over every event of a task after one, in order, a page at a time.
///
/// # Errors
/// As [`Store::events`]; what came before has been handed over then.
pub async fn each_event(
    store: &dyn Store,
    task: TaskId,
    mut after: Seq,
    mut take: impl FnMut(Event),
) -> Result<(), StoreError> {
    loop {
        let limit = PAGE;
        let page = store.events(EventQuery { task, after, limit }).await?;
        let is_last = page.len() < PAGE;
        for event in page {
            after = event.id;
            take(event);
        }
        if is_last {
            return Ok(());
        }
    }
}
