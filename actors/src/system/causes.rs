//! What led to an event.

use crate::model::{Event, Seq, TaskId};
use crate::store::{EventQuery, Store, StoreError};

use super::{System, SystemError};

/// How many causes are followed back at most, the event itself included. A turn with its calls takes about four.
pub const MOST_CAUSES: usize = 10_000;

/// How many events are read at a time; causes are mostly near.
const PAGE: u64 = 256;

impl System {
    /// The event, what caused it, what caused that, and so on: the event itself first, and last the one whose cause is outside of
    /// the task, as its creation or a person's word. Private messages of runs are among them, for whoever shows them to leave out.
    ///
    /// # Errors
    /// [`SystemError::NoSuchTask`], [`SystemError::NoSuchEvent`], [`SystemError::TooManyCauses`] beyond [`MOST_CAUSES`], or
    /// when the store cannot be read.
    pub async fn causes(&self, task: TaskId, event: Seq) -> Result<Vec<Event>, SystemError> {
        let head = self.task(task).await?.head;
        if !(1..=head).contains(&event) {
            return Err(SystemError::NoSuchEvent(task, event, head));
        }
        let mut pages = Backwards {
            store: self.deps.store.as_ref(),
            task,
            page: Vec::new(),
        };
        let (mut chain, mut next) = (Vec::new(), Some(event));
        while let Some(seq) = next {
            if chain.len() >= MOST_CAUSES {
                let (limit, next) = (MOST_CAUSES, seq);
                return Err(SystemError::TooManyCauses {
                    task,
                    event,
                    limit,
                    next,
                });
            }
            let found = pages.get(seq).await?;
            next = earlier(&found)?;
            chain.push(found);
        }
        Ok(chain)
    }
}

/// The cause of an event, which stands before it.
fn earlier(event: &Event) -> Result<Option<Seq>, StoreError> {
    match event.cause {
        Some(cause) if !(1..event.id).contains(&cause) => Err(StoreError::Corrupt {
            place: format!("event {} of {}", event.id, event.task_id),
            detail: format!("its cause is said to be event {cause}, which is not before it"),
        }),
        cause => Ok(cause),
    }
}

/// Events that are read from the newest to the oldest.
struct Backwards<'a> {
    store: &'a dyn Store,
    task: TaskId,
    page: Vec<Event>,
}

impl Backwards<'_> {
    async fn get(&mut self, seq: Seq) -> Result<Event, StoreError> {
        if let Some(event) = self.here(seq) {
            return Ok(event);
        }
        let after = seq.saturating_sub(PAGE);
        let (task, limit) = (self.task, PAGE as usize);
        let query = EventQuery { task, after, limit };
        self.page = self.store.events(query).await?;
        self.here(seq).ok_or_else(|| StoreError::Corrupt {
            place: format!("event {seq} of {task}"),
            detail: "it is missing".to_owned(),
        })
    }

    fn here(&self, seq: Seq) -> Option<Event> {
        let place = self.page.binary_search_by_key(&seq, |event| event.id);
        Some(self.page[place.ok()?].clone())
    }
}
