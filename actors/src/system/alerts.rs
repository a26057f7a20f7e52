//! Alerts about runs: one event of the task for each point at which there is something to be said, and a line in the log.

use std::collections::BTreeMap;
use std::time::Duration;

use supervision::{Failure, Start};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

use crate::feed::Live;
use crate::model::event::Seq;
use crate::model::{AlertKind, EventBody, RunId, TaskId, Timestamp};
use crate::run::stuck::{Point, Points, is_excused};
use crate::store::{Cause, StoreError, TaskRow, each_event};

use super::{System, SystemError};

/// After which time without progress a run is stuck, unless said otherwise.
pub const STUCK_AFTER: Duration = Duration::from_secs(15 * 60);

/// How often is looked for stuck runs.
const LOOK: Duration = Duration::from_secs(60);

impl System {
    /// A child that looks every minute for runs that are stuck: those that made no progress for `after`, and wait neither for a person
    /// nor for another run. Of each it says so once for each point at which it is stuck.
    #[must_use]
    pub fn stuck_alerts(&self, after: Duration) -> Start {
        let system = self.clone();
        Start::worker(move || Lookout::new(system.clone(), after).look_out())
    }

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

struct Lookout {
    system: System,
    after: Duration,
    tasks: BTreeMap<TaskId, Points>,
    /// When runs were last heard to speak: their models' words are progress and are not written.
    heard: BTreeMap<(TaskId, RunId), Timestamp>,
}

impl Lookout {
    fn new(system: System, after: Duration) -> Self {
        Self {
            system,
            after,
            tasks: BTreeMap::new(),
            heard: BTreeMap::new(),
        }
    }

    async fn look_out(mut self) -> Result<(), Failure> {
        let mut live = self.system.bus().listen();
        loop {
            self.look().await?;
            let next = tokio::time::sleep(LOOK);
            tokio::select! {
                () = next => {}
                () = self.listen(&mut live) => {}
            }
        }
    }

    async fn listen(&mut self, live: &mut Receiver<Live>) {
        loop {
            match live.recv().await {
                Ok(Live::Delta { task, run, .. }) => {
                    let now = self.system.deps.clock.now();
                    self.heard.insert((task, run), now);
                }
                Ok(_) | Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => std::future::pending().await,
            }
        }
    }

    async fn look(&mut self) -> Result<(), SystemError> {
        let rows = self.system.tasks(true).await?;
        let mut before = std::mem::take(&mut self.tasks);
        for row in rows {
            let points = before.remove(&row.id).unwrap_or_default();
            match self.look_at(&row, points).await {
                Ok(points) => drop(self.tasks.insert(row.id, points)),
                // One task that is damaged must not hide the others.
                Err(SystemError::Store(error @ StoreError::Corrupt { .. })) => {
                    tracing::warn!(task = %row.id, "nobody sees whether its runs are stuck: {error}");
                }
                Err(error) => return Err(error),
            }
        }
        self.heard.clear();
        Ok(())
    }

    async fn look_at(&self, row: &TaskRow, mut points: Points) -> Result<Points, SystemError> {
        if points.head < row.head {
            let (store, from) = (self.system.deps.store.as_ref(), points.head);
            each_event(store, row.id, from, |event| points.fold(&event)).await?;
        }
        let of_task = |run| (row.id, RunId(run));
        let heard = of_task(uuid::Uuid::nil())..=of_task(uuid::Uuid::max());
        let heard = self.heard.range(heard);
        heard.for_each(|((_, run), at)| points.alive(*run, *at));
        self.judge(row.id, &mut points).await?;
        Ok(points)
    }

    async fn judge(&self, task: TaskId, points: &mut Points) -> Result<(), SystemError> {
        let now = self.system.deps.clock.now();
        for (run, point) in points.silent(now, self.after) {
            let why = match self.system.why(task, run).await {
                Ok(why) => why,
                // It has ended since its task was read.
                Err(SystemError::NoSuchTask(_) | SystemError::NoSuchRun(_)) => continue,
                Err(error) => return Err(error),
            };
            match is_excused(&why.reason) {
                true => points.alive(run, now),
                false => self.say(task, run, point, now, &why.sentence).await?,
            }
        }
        Ok(())
    }

    async fn say(
        &self,
        task: TaskId,
        run: RunId,
        point: Point,
        now: Timestamp,
        why: &str,
    ) -> Result<(), SystemError> {
        let silent = Duration::from_secs(now.since(point.at).as_secs());
        let silent = humantime::format_duration(silent);
        let note = format!("{run} has made no progress for {silent}: {why}");
        let said = self
            .system
            .alert(task, run, point.seq, AlertKind::Stuck, note);
        said.await.map(drop)
    }
}
