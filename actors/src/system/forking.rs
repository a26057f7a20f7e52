//! Forks.

use std::collections::BTreeSet;

use crate::model::task::ForkedFrom;
use crate::model::{Content, Event, RunId, Seq, TaskId};
use crate::run::fork::{Fork, ForkError};
use crate::store::{Append, Blob, Draft, StoreError};

use super::{System, SystemError};

/// How many events are read at a time.
const PAGE: usize = 512;

impl System {
    /// Begins another task whose root run knows what a run knew at event `at` of its task, and goes on from there: with `prompt`, if
    /// there is one. Nothing that was done before is done again. The first task is left as it is.
    ///
    /// # Errors
    /// [`SystemError::NoSuchTask`], [`SystemError::NoSuchRun`], [`SystemError::Fork`] before anything is written, or why it could not be
    /// read or written.
    pub async fn fork(
        &self,
        task: TaskId,
        run: RunId,
        at: Seq,
        prompt: Option<&str>,
    ) -> Result<TaskId, SystemError> {
        let id = TaskId(self.deps.ids.uuid(self.deps.clock.now()));
        self.fork_as(id, task, run, at, prompt).await
    }

    /// Forks a run into a task that has this id. One that is there already under it is the one that was meant.
    ///
    /// # Errors
    /// As [`System::fork`].
    pub async fn fork_as(
        &self,
        id: TaskId,
        task: TaskId,
        run: RunId,
        at: Seq,
        prompt: Option<&str>,
    ) -> Result<TaskId, SystemError> {
        if self.deps.store.task(id).await?.is_some() {
            return Ok(id);
        }
        let row = self.run_row(task, run).await?;
        let definition = self.definition(task).await?;
        let mut definition = definition.ok_or(SystemError::NoSuchTask(task))?;
        definition.root_agent = row.agent;
        definition.forked_from = Some(ForkedFrom {
            task,
            run,
            event: at,
        });
        let events = self.events_up_to(task, at).await?;
        let now = self.deps.clock.now();
        let fork = Fork {
            events: &events,
            run,
            at,
            prompt,
            definition: &definition,
            new: RunId(self.deps.ids.uuid(now)),
            now,
        };
        let drafts = fork.drafts()?;
        let blobs = self.blobs_of(&drafts).await?;
        let append = Append {
            task: id,
            fence: None,
            drafts,
            blobs,
        };
        self.journal.append(append).await?;
        self.open(id).await?;
        Ok(id)
    }

    async fn events_up_to(&self, task: TaskId, last: Seq) -> Result<Vec<Event>, SystemError> {
        let mut events: Vec<Event> = Vec::new();
        loop {
            let after = events.last().map_or(0, |event| event.id);
            let page = self.events(task, after, PAGE).await?;
            let is_end = page.len() < PAGE;
            events.extend(page.into_iter().filter(|event| event.id <= last));
            if is_end || events.last().is_some_and(|event| event.id >= last) {
                return Ok(events);
            }
        }
    }

    /// The large texts that the copies refer to: whoever removes the first task leaves them to the fork.
    async fn blobs_of(&self, drafts: &[Draft]) -> Result<Vec<Blob>, StoreError> {
        let hashes: BTreeSet<_> = drafts
            .iter()
            .filter_map(|draft| match draft.body.content()? {
                Content::Blob { blob, .. } => Some(blob.clone()),
                Content::Inline(_) => None,
            })
            .collect();
        let mut blobs = Vec::with_capacity(hashes.len());
        for hash in hashes {
            if let Some(bytes) = self.deps.store.blob(hash.clone()).await? {
                blobs.push(Blob { hash, bytes });
            }
        }
        Ok(blobs)
    }
}

impl From<ForkError> for SystemError {
    fn from(error: ForkError) -> Self {
        Self::Fork(error.to_string())
    }
}
