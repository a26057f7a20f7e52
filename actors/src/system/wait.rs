//! Waiting for a task.

use supervision::Exit;

use crate::feed::FeedItem;
use crate::model::{Attention, Content, Event, EventBody, TaskId, TaskStatus};
use crate::task::questions::Questions;

use super::{System, SystemError};

/// How a task stands that does not go on by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Settled {
    /// It has this result.
    Completed(String),
    /// It has none, for this reason.
    Failed(String),
    /// Somebody cancelled it, for this reason.
    Cancelled(String),
    /// Somebody has to decide: [`System::answer`] lets it go on. Of several questions, the one that was asked first.
    NeedsAttention(Attention),
}

/// Among so many of its last events a task's end is looked for: what comes after it are words of those who stop.
const LAST: u64 = 64;

impl System {
    /// Waits until a task has ended or needs a human, for as long as that takes: the task has its own limits.
    ///
    /// # Errors
    /// [`SystemError::NoSuchTask`], why its events cannot be read, or [`SystemError::Down`].
    pub async fn wait(&self, task: TaskId) -> Result<Settled, SystemError> {
        tokio::select! {
            biased;
            settled = self.until_settled(task) => settled,
            exit = self.ended() => Err(SystemError::Down(exit)),
        }
    }

    /// How a task stands, if it does not go on by itself now.
    ///
    /// # Errors
    /// [`SystemError::NoSuchTask`], or why its events cannot be read.
    pub async fn settled(&self, task: TaskId) -> Result<Option<Settled>, SystemError> {
        let row = self.task(task).await?;
        match row.status {
            TaskStatus::Running => Ok(None),
            TaskStatus::NeedsAttention => {
                let store = self.deps.store.as_ref();
                let questions = crate::task::room::open_questions(store, task).await?;
                Ok(questions.first().cloned().map(Settled::NeedsAttention))
            }
            _ => self.last_end(task).await,
        }
    }

    async fn last_end(&self, task: TaskId) -> Result<Option<Settled>, SystemError> {
        let mut found = None;
        let head = self.task(task).await?.head;
        for event in self
            .events(task, head.saturating_sub(LAST), LAST as usize)
            .await?
        {
            found = self.end(&event).await?.or(found);
        }
        Ok(found)
    }

    /// Waits until the system itself has ended: it was shut down, or its supervisors have given up. Nothing happens in it then.
    pub async fn ended(&self) -> Exit {
        self.root.wait().await
    }

    async fn until_settled(&self, task: TaskId) -> Result<Settled, SystemError> {
        let row = self.task(task).await?;
        let seen = match row.status {
            TaskStatus::Running => row.head,
            _ => 0,
        };
        let mut feed = self.watch(task, seen).until_end();
        let mut questions = Questions::default();
        while let Some(item) = feed.next().await? {
            let FeedItem::Event(event) = item else {
                continue;
            };
            if let Some(end) = self.end(&event).await? {
                return Ok(end);
            }
            questions.fold(&event);
            // Whatever was asked in the past may have been answered by an event that is yet to be read.
            if let Some(attention) = questions.first()
                && self.task(task).await?.head <= event.id
            {
                return Ok(Settled::NeedsAttention(attention.clone()));
            }
        }
        Err(SystemError::Silent)
    }

    async fn end(&self, event: &Event) -> Result<Option<Settled>, SystemError> {
        Ok(Some(match &event.body {
            EventBody::TaskCompleted { result } => Settled::Completed(self.text(result).await?),
            EventBody::TaskFailed { error } => Settled::Failed(error.clone()),
            EventBody::TaskCancelled { reason } => Settled::Cancelled(reason.clone()),
            _ => return Ok(None),
        }))
    }

    /// The whole of a text, wherever it is kept.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn text(&self, content: &Content) -> Result<String, SystemError> {
        match content {
            Content::Inline(text) => Ok(text.clone()),
            Content::Blob { blob, preview, .. } => {
                let bytes = self.deps.store.blob(blob.clone()).await?;
                let text = bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
                Ok(text.unwrap_or_else(|| preview.clone()))
            }
        }
    }
}
