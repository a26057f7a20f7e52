//! Tasks: create, list, look at, act on.

use actors::model::{TaskId, TaskStatus};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::ask::Ask;
use super::{Client, Error, Events, Message, Page, Paging, Run, Task, TaskDetail};

/// A task that is to be created.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct NewTask {
    /// A short name; the beginning of the description when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What is to be done.
    pub description: String,
    /// The team that is to do it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub team: Option<String>,
    /// The agent that is to do it, instead of a team.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub root_agent: Option<String>,
    /// The agents that the root agent may delegate to.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub available_agents: Vec<String>,
    /// Its project; that of the key when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub project: Option<String>,
    /// How urgent it is, from -10 to 10.
    pub priority: i32,
    /// The `Idempotency-Key` of the request, for a caller who may be started again between asking and hearing the answer: the same key gives
    /// the same task. One is made when it is left out.
    #[serde(skip)]
    pub key: Option<String>,
}

impl NewTask {
    /// Something to do.
    #[must_use]
    pub fn new(description: impl Into<String>) -> Self {
        Self {
            description: description.into(),
            ..Self::default()
        }
    }

    /// Done by this agent.
    #[must_use]
    pub fn agent(mut self, name: impl Into<String>) -> Self {
        self.root_agent = Some(name.into());
        self
    }

    /// Done by this team.
    #[must_use]
    pub fn team(mut self, name: impl Into<String>) -> Self {
        self.team = Some(name.into());
        self
    }
}

/// Which tasks are listed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TaskFilter {
    /// Only those that stand so.
    pub status: Option<TaskStatus>,
    /// Only those of this project.
    pub project: Option<String>,
    /// The oldest first, instead of the newest.
    pub oldest_first: bool,
    /// Which part of the list.
    pub paging: Paging,
}

#[derive(Deserialize)]
struct Written {
    event: u64,
}

impl Ask {
    pub(super) fn page(self, paging: &Paging) -> Self {
        self.with("limit", paging.limit)
            .with("cursor", paging.cursor.as_ref())
    }
}

impl Client {
    /// Creates a task and starts it. It is durable when this answers.
    ///
    /// # Errors
    /// Why it was not created.
    pub async fn create_task(&self, new: &NewTask) -> Result<TaskDetail, Error> {
        let ask = Ask::post(["tasks"], new).keyed(new.key.as_deref());
        self.ask(ask).await
    }

    /// Lists tasks, the newest first unless it is said otherwise.
    ///
    /// # Errors
    /// Why they cannot be had.
    pub async fn tasks(&self, filter: &TaskFilter) -> Result<Page<Task>, Error> {
        let status = filter.status.map(|status| json!(status));
        let ask = Ask::get(["tasks"])
            .with("status", status.as_ref().and_then(|it| it.as_str()))
            .with("project", filter.project.as_ref())
            .with("order", filter.oldest_first.then_some("asc"));
        self.ask(ask.page(&filter.paging)).await
    }

    /// A task, with its result or what it waits for.
    ///
    /// # Errors
    /// Why it cannot be had.
    pub async fn task(&self, task: TaskId) -> Result<TaskDetail, Error> {
        self.ask(Ask::get(["tasks", &task.to_string()])).await
    }

    /// Cancels a task. When this answers nothing of it runs any more.
    ///
    /// # Errors
    /// Why it was not cancelled.
    pub async fn cancel_task(
        &self,
        task: TaskId,
        reason: Option<&str>,
    ) -> Result<TaskDetail, Error> {
        self.of_task(task, "cancel", &json!({ "reason": reason }))
            .await
    }

    /// Pauses a task, or one agent in it. When this answers nothing of it begins any more.
    ///
    /// # Errors
    /// Why it was not paused.
    pub async fn pause_task(&self, task: TaskId, agent: Option<&str>) -> Result<TaskDetail, Error> {
        self.of_task(task, "pause", &json!({ "agent": agent }))
            .await
    }

    /// Lets what was paused go on.
    ///
    /// # Errors
    /// Why it does not.
    pub async fn resume_task(
        &self,
        task: TaskId,
        agent: Option<&str>,
    ) -> Result<TaskDetail, Error> {
        self.of_task(task, "resume", &json!({ "agent": agent }))
            .await
    }

    /// Answers what a task asks: of several questions the one that was asked first.
    ///
    /// # Errors
    /// Why it was not answered; [`WrongState`](super::ProblemKind::WrongState) when it waits for nothing.
    pub async fn answer(&self, task: TaskId, answer: &str) -> Result<TaskDetail, Error> {
        self.of_task(task, "answer", &json!({ "answer": answer }))
            .await
    }

    /// Says something in the room, as a person: to one agent, or to all. Gives the number of its event.
    ///
    /// # Errors
    /// Why it was not said.
    pub async fn say(&self, task: TaskId, content: &str, to: Option<&str>) -> Result<u64, Error> {
        let body = json!({ "content": content, "to": to });
        let written: Written = self.of_task(task, "messages", &body).await?;
        Ok(written.event)
    }

    /// What was said in the room, oldest first.
    ///
    /// # Errors
    /// Why it cannot be had.
    pub async fn messages(&self, task: TaskId, paging: &Paging) -> Result<Page<Message>, Error> {
        let ask = Ask::get(["tasks", &task.to_string(), "messages"]);
        self.ask(ask.page(paging)).await
    }

    /// The runs of a task in order of creation.
    ///
    /// # Errors
    /// Why they cannot be had.
    pub async fn runs(&self, task: TaskId, paging: &Paging) -> Result<Page<Run>, Error> {
        let ask = Ask::get(["tasks", &task.to_string(), "runs"]);
        self.ask(ask.page(paging)).await
    }

    /// A task's events: what there is, then what comes, until it has ended.
    #[must_use]
    pub fn events(&self, task: TaskId) -> Events {
        Events::new(self.clone(), task)
    }

    async fn of_task<T: serde::de::DeserializeOwned>(
        &self,
        task: TaskId,
        what: &str,
        body: &serde_json::Value,
    ) -> Result<T, Error> {
        self.ask(Ask::post(["tasks", &task.to_string(), what], body))
            .await
    }
}
