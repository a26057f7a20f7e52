//! Tasks that are begun at a time, or again and again.
//!
//! A task's id is made of its schedule and the time at which it was due, so that whoever begins it twice begins one task.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::model::{TaskId, Timestamp};

use super::access::Key;
use super::cron::Cron;
use super::webhooks::id_of;
use super::{Registry, RegistryError, check_name};

/// The most schedules of one project.
pub const MOST_SCHEDULES: usize = 100;

/// The shortest time between two tasks of a schedule.
pub const SHORTEST: Duration = Duration::from_secs(1);

const SCHEDULE: &str = "schedule";

/// How many records are read at a time.
const PAGE: usize = 256;

/// How late a task may be begun that is not made up for.
const GRACE: Duration = Duration::from_secs(60);

/// When tasks are begun.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum When {
    /// Once.
    At(Timestamp),
    /// Again and again, counted from when the schedule was made, in milliseconds.
    Every(u64),
    /// At these minutes.
    Cron(Cron),
}

impl When {
    /// The first due time after a time, for a schedule that was made at `made`.
    #[must_use]
    pub fn after(&self, time: Timestamp, made: Timestamp) -> Option<Timestamp> {
        match self {
            Self::At(at) => Some(*at).filter(|at| *at > time),
            Self::Cron(cron) => cron.after(time),
            Self::Every(step) => {
                let passed = time.0.saturating_sub(made.0);
                let steps = passed.checked_div(*step)?.checked_add(1)?;
                Some(Timestamp(made.0.checked_add(steps.checked_mul(*step)?)?))
            }
        }
    }
}

/// What is done about due times that were missed because the node was down.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CatchUp {
    /// One task is begun for all of them.
    #[default]
    One,
    /// None is.
    None,
}

/// What is done when the task before has not ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Overlap {
    /// No other one is begun.
    #[default]
    Skip,
    /// Another one is begun beside it.
    Allow,
}

/// What is to be done, and by whom.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Brief {
    /// A short name.
    #[serde(default)]
    pub name: Option<String>,
    /// What is to be done.
    pub description: String,
    /// The team that is to do it.
    #[serde(default)]
    pub team: Option<String>,
    /// The agent that is to do it, instead of a team.
    #[serde(default)]
    pub root_agent: Option<String>,
    /// The agents that the root agent may delegate to.
    #[serde(default)]
    pub available_agents: Vec<String>,
    /// How urgent it is.
    #[serde(default)]
    pub priority: i32,
}

/// A schedule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Schedule {
    /// Its id: `sched_…`.
    pub id: String,
    /// The project of its tasks.
    pub project: String,
    /// Its name.
    pub name: String,
    /// When tasks are begun.
    pub when: When,
    /// What is begun.
    pub task: Brief,
    /// What is done about due times that were missed.
    pub catch_up: CatchUp,
    /// What is done when the task before has not ended.
    pub overlap: Overlap,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it is due next; never again if there is none.
    pub next: Option<Timestamp>,
    /// What came of it last.
    #[serde(default)]
    pub last: Option<Fired>,
    /// The task that was begun last.
    #[serde(default)]
    pub last_task: Option<TaskId>,
}

/// What came of a due time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fired {
    /// The due time.
    pub due: Timestamp,
    /// What came of it.
    #[serde(flatten)]
    pub outcome: Outcome,
}

/// What can come of a due time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Outcome {
    /// A task was begun.
    Begun {
        /// The task.
        task: TaskId,
    },
    /// It was too late, and is not made up for.
    Missed,
    /// The task before had not ended.
    Overlapped,
    /// The task could not be begun.
    Failed {
        /// Why not.
        error: String,
    },
}

/// A schedule that is to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewSchedule {
    /// The project of its tasks.
    pub project: String,
    /// Its name.
    pub name: String,
    /// When tasks are begun.
    pub when: When,
    /// What is begun, which was checked.
    pub task: Brief,
    /// What is done about due times that were missed.
    pub catch_up: CatchUp,
    /// What is done when the task before has not ended.
    pub overlap: Overlap,
}

/// What is to be done about a due time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// A task is begun, with this id.
    Begin(TaskId),
    /// None is: it is too late.
    Missed,
    /// None is: the one before has not ended.
    Overlapped,
}

impl Schedule {
    /// What is to be done at `now` about the due time that is next. Pure.
    #[must_use]
    pub fn judge(&self, due: Timestamp, now: Timestamp, is_running: bool) -> Verdict {
        let is_late = now.since(due) > GRACE;
        match (self.catch_up, self.overlap) {
            (CatchUp::None, _) if is_late => Verdict::Missed,
            (_, Overlap::Skip) if is_running => Verdict::Overlapped,
            _ => Verdict::Begin(self.task_of(due)),
        }
    }

    /// The id of the task of a due time.
    #[must_use]
    pub fn task_of(&self, due: Timestamp) -> TaskId {
        let name = format!("{}/{}", self.id, due.0);
        TaskId(id_of(due, &blake3::hash(name.as_bytes())))
    }

    /// The schedule after a due time: all due times up to `now` are done with.
    #[must_use]
    pub fn after(mut self, due: Timestamp, now: Timestamp, outcome: Outcome) -> Self {
        if let Outcome::Begun { task } = &outcome {
            self.last_task = Some(*task);
        }
        self.last = Some(Fired { due, outcome });
        self.next = self.when.after(now.max(due), self.created_at);
        self
    }
}

fn missing(id: &str) -> RegistryError {
    RegistryError::Missing {
        what: "schedule",
        name: id.to_owned(),
    }
}

fn key_of(id: &str) -> &str {
    id.strip_prefix("sched_").unwrap_or(id)
}

impl Registry {
    /// Makes a schedule.
    ///
    /// # Errors
    /// [`RegistryError::Missing`] for a project that is not there, [`RegistryError::Invalid`], [`RegistryError::InUse`] when the project
    /// has as many as it may have, or when it cannot be written.
    pub async fn create_schedule(&self, new: NewSchedule) -> Result<Schedule, RegistryError> {
        self.project(&new.project).await?;
        check_name("name", &new.name)?;
        let there = self
            .schedules(Some(&new.project), "", MOST_SCHEDULES)
            .await?;
        if there.len() == MOST_SCHEDULES {
            return Err(RegistryError::InUse {
                what: "project",
                name: new.project,
                detail: format!("it has {MOST_SCHEDULES} schedules, which is the most: remove one"),
            });
        }
        let (id, created_at) = (self.id().simple(), self.now());
        let shortest = u64::try_from(SHORTEST.as_millis()).unwrap_or(u64::MAX);
        if matches!(new.when, When::Every(step) if step < shortest) {
            return Err(invalid("every", "the shortest time is 1s"));
        }
        let next = new.when.after(created_at, created_at);
        if next.is_none() {
            return Err(invalid("at", "it is over: name a time that is to come"));
        }
        let schedule = Schedule {
            id: format!("sched_{id}"),
            project: new.project,
            name: new.name,
            when: new.when,
            task: new.task,
            catch_up: new.catch_up,
            overlap: new.overlap,
            created_at,
            next,
            last: None,
            last_task: None,
        };
        self.put(SCHEDULE, &id.to_string(), Some(0), &schedule)
            .await?;
        Ok(schedule)
    }

    /// A schedule for whoever sees it.
    ///
    /// # Errors
    /// [`RegistryError::Missing`], or when it cannot be read.
    pub async fn schedule_for(&self, by: &Key, id: &str) -> Result<Schedule, RegistryError> {
        let found = self.get::<Schedule>(SCHEDULE, key_of(id)).await?;
        let seen = found.filter(|(schedule, _)| by.sees(&schedule.project));
        seen.map(|(schedule, _)| schedule)
            .ok_or_else(|| missing(id))
    }

    /// A schedule and its version.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn versioned_schedule(
        &self,
        id: &str,
    ) -> Result<Option<(Schedule, u64)>, RegistryError> {
        self.get(SCHEDULE, key_of(id)).await
    }

    /// Schedules of a project, or all, in the order in which they were made.
    ///
    /// # Errors
    /// When they cannot be read.
    pub async fn schedules(
        &self,
        project: Option<&str>,
        after: &str,
        limit: usize,
    ) -> Result<Vec<Schedule>, RegistryError> {
        let (mut after, mut found) = (key_of(after).to_owned(), Vec::new());
        loop {
            let page = self.list::<Schedule>(SCHEDULE, "", &after, PAGE).await?;
            let is_last = page.len() < PAGE;
            for (key, schedule) in page {
                if project.is_none_or(|own| schedule.project == own) {
                    found.push(schedule);
                }
                after = key;
            }
            found.truncate(limit);
            if is_last || found.len() == limit {
                return Ok(found);
            }
        }
    }

    /// A due time is done with.
    ///
    /// # Errors
    /// [`RegistryError::Conflict`] when somebody else changed or removed the schedule, or when it cannot be written.
    pub async fn change_schedule(
        &self,
        schedule: &Schedule,
        version: u64,
    ) -> Result<(), RegistryError> {
        let put = self.put(SCHEDULE, key_of(&schedule.id), Some(version), schedule);
        put.await.map(drop)
    }

    /// Removes a schedule; its tasks go on.
    ///
    /// # Errors
    /// [`RegistryError::Missing`] where `by` does not see it, or when it cannot be written.
    pub async fn remove_schedule(&self, by: &Key, id: &str) -> Result<(), RegistryError> {
        self.schedule_for(by, id).await?;
        self.remove(SCHEDULE, key_of(id), None).await
    }
}

fn invalid(field: &'static str, detail: &str) -> RegistryError {
    RegistryError::Invalid {
        field,
        detail: detail.to_owned(),
    }
}
