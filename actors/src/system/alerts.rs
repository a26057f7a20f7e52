//! Alerts about runs: one event of the task for each point at which there is something to be said, and a line in the log.

use crate::model::event::Seq;
use crate::model::{AlertKind, EventBody, RunId, TaskId};
use crate::store::{Cause, each_event};

use super::{System, SystemError};

impl System {
    /// Says something about a run, in its task's journal and in the log, because of the event `since`. What was said of the run since
    /// then is not said again; whether it was said now.
    ///
    /// # Errors
    /// When the journal cannot be read or written.
    pub async fn alert(
        &self,
        task: TaskId,
        run: RunId,
        since: Seq,
        kind: AlertKind,
        note: String,
    ) -> Result<bool, SystemError> {
        let mut is_said = false;
        each_event(self.deps.store.as_ref(), task, since, |event| {
            is_said |= is_about(&event.body, run, kind);
        })
        .await?;
        if is_said {
            return Ok(false);
        }
        tracing::warn!(%task, %run, ?kind, "alert: {note}");
        let about = Some(run);
        let body = EventBody::Alert { kind, note, about };
        let cause = Some(Cause::Event(since));
        self.append_caused(task, vec![(body, cause)]).await?;
        Ok(true)
    }
}

fn is_about(body: &EventBody, of: RunId, which: AlertKind) -> bool {
    matches!(body, EventBody::Alert { kind, about, .. } if *kind == which && *about == Some(of))
}
