//! Runs: look at, act on.

use actors::model::RunId;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::ask::Ask;
use super::{Client, Error, Message, Page, Paging, RunDetail, Update};

impl Client {
    /// A run, with what it does now and why it does not go on.
    ///
    /// # Errors
    /// Why it cannot be had.
    pub async fn run(&self, run: RunId) -> Result<RunDetail, Error> {
        self.ask(Ask::get(["runs", &run.to_string()])).await
    }

    /// What a run was told and said, beside the room, oldest first.
    ///
    /// # Errors
    /// Why it cannot be had.
    pub async fn run_messages(&self, run: RunId, paging: &Paging) -> Result<Page<Message>, Error> {
        let ask = Ask::get(["runs", &run.to_string(), "messages"]);
        self.ask(ask.page(paging)).await
    }

    /// A run that has ended goes on in the same conversation; its task is opened again if it had ended too.
    ///
    /// # Errors
    /// Why it does not; [`WrongState`](super::ProblemKind::WrongState) when it has not ended.
    pub async fn follow_up(&self, run: RunId, content: &str) -> Result<RunDetail, Error> {
        self.of_run(run, "messages", &json!({ "content": content }))
            .await
    }

    /// Everything that happened to a run, oldest first.
    ///
    /// # Errors
    /// Why it cannot be had.
    pub async fn journal(&self, run: RunId, paging: &Paging) -> Result<Page<Update>, Error> {
        let ask = Ask::get(["runs", &run.to_string(), "journal"]);
        let page: Page<Value> = self.ask(ask.page(paging)).await?;
        Ok(Page {
            data: page.data.into_iter().map(Update::from).collect(),
            next_cursor: page.next_cursor,
        })
    }

    /// Cancels a run and all that works for it. When this answers nothing of it runs any more.
    ///
    /// # Errors
    /// Why it was not cancelled.
    pub async fn cancel_run(&self, run: RunId, reason: Option<&str>) -> Result<RunDetail, Error> {
        self.of_run(run, "cancel", &json!({ "reason": reason }))
            .await
    }

    /// Pauses a run, and with `subtree` all that works for it.
    ///
    /// # Errors
    /// Why it was not paused.
    pub async fn pause_run(&self, run: RunId, subtree: bool) -> Result<RunDetail, Error> {
        self.of_run(run, "pause", &json!({ "subtree": subtree }))
            .await
    }

    /// Lets a run go on that was paused.
    ///
    /// # Errors
    /// Why it does not.
    pub async fn resume_run(&self, run: RunId, subtree: bool) -> Result<RunDetail, Error> {
        self.of_run(run, "resume", &json!({ "subtree": subtree }))
            .await
    }

    async fn of_run<T: DeserializeOwned>(
        &self,
        run: RunId,
        what: &str,
        body: &Value,
    ) -> Result<T, Error> {
        self.ask(Ask::post(["runs", &run.to_string(), what], body))
            .await
    }
}
