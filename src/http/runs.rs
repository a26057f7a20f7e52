//! Runs: look at, act on.

use actors::model::{Event, EventBody, RunId, TaskId, Whom};
use actors::registry::access::Scope;
use actors::system::SystemError;
use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::api::Api;
use super::auth::Caller;
use super::body::{Body, MaybeBody};
use super::page::{Page, Paging, Params};
use super::problem::Problem;
use super::repeat::NewId;
use super::tasks::Why;
use super::view::{MessageView, RunDetail, RunView, TaskDetail};

/// The runs of a task in order of creation.
#[utoipa::path(get, path = "/v1/tasks/{id}/runs", tag = "runs", params(("id" = String, Path), Paging), responses(
    (status = 200, body = Page<RunView>),
    (status = "4XX", body = Problem, content_type = "application/problem+json"),
    (status = 503, body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn of_task(
    State(api): State<Api>,
    caller: Caller,
    Path(id): Path<String>,
    Params(paging): Params<Paging>,
) -> Result<Json<Page<RunView>>, Problem> {
    caller.needs(Scope::TasksRead)?;
    let row = api.task(&caller, &id).await?;
    let limit = paging.limit()?;
    let runs = api.system.runs(row.id).await?;
    let begin = match paging.cursor {
        None => 0,
        Some(cursor) => {
            let place = runs.iter().position(|run| run.id.to_string() == cursor);
            let wrong = || Problem::bad_parameter("cursor", "it is not one that this list gave");
            place.ok_or_else(wrong)? + 1
        }
    };
    let views = runs.iter().skip(begin).take(limit + 1).map(RunView::from);
    Ok(Json(Page::of(views.collect(), limit, |run: &RunView| {
        run.id().to_owned()
    })))
}

/// A run, with what it does now and why it does not go on.
#[utoipa::path(get, path = "/v1/runs/{id}", tag = "runs", params(("id" = String, Path)), responses(
    (status = 200, body = RunDetail),
    (status = "4XX", body = Problem, content_type = "application/problem+json"),
    (status = 503, body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn show(
    State(api): State<Api>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<RunDetail>, Problem> {
    caller.needs(Scope::TasksRead)?;
    let row = api.run(&caller, &id).await?;
    detail(&api, row.task, row.id).await
}

async fn detail(api: &Api, task: TaskId, run: RunId) -> Result<Json<RunDetail>, Problem> {
    let record = api.system.run(task, run).await?;
    let result = match &record.result {
        Some(content) => Some(api.system.text(content).await?),
        None => None,
    };
    let why = match record.run.status.is_terminal() {
        true => None,
        false => serde_json::to_value(api.system.why(task, run).await?).ok(),
    };
    Ok(Json(RunDetail::new(record, result, why)))
}

/// What a run was told and said, beside the room, oldest first.
#[utoipa::path(get, path = "/v1/runs/{id}/messages", tag = "runs", params(("id" = String, Path), Paging), responses(
    (status = 200, body = Page<MessageView>),
    (status = "4XX", body = Problem, content_type = "application/problem+json"),
    (status = 503, body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn messages(
    State(api): State<Api>,
    caller: Caller,
    Path(id): Path<String>,
    Params(paging): Params<Paging>,
) -> Result<Json<Page<MessageView>>, Problem> {
    caller.needs(Scope::TasksRead)?;
    let row = api.run(&caller, &id).await?;
    let is_private = |body: &EventBody| {
        matches!(
            body,
            EventBody::Message { .. }
                | EventBody::RunContinued { .. }
                | EventBody::ModelCallCompleted { .. }
        )
    };
    said(&api, row.task, Some(row.id), &paging, is_private).await
}

/// What was said in events of this kind.
pub(super) async fn said(
    api: &Api,
    task: TaskId,
    run: Option<RunId>,
    paging: &Paging,
    is_it: impl Fn(&EventBody) -> bool,
) -> Result<Json<Page<MessageView>>, Problem> {
    let limit = paging.limit()?;
    let is_wanted = |event: &Event| (run.is_none() || event.run_id == run) && is_it(&event.body);
    let events = events_after(api, task, paging, limit, is_wanted).await?;
    let mut views = Vec::with_capacity(events.len());
    for event in &events {
        views.push(message(api, event).await?);
    }
    Ok(Json(Page::of(views, limit, |message: &MessageView| {
        message.id.to_string()
    })))
}

/// How many events are looked at for one page of a list.
const LOOKED_AT: usize = 512;

/// One more than is given of the events that are wanted, from after the cursor.
async fn events_after(
    api: &Api,
    task: TaskId,
    paging: &Paging,
    limit: usize,
    is_wanted: impl Fn(&Event) -> bool,
) -> Result<Vec<Event>, Problem> {
    let cursor = paging.cursor.as_deref().unwrap_or("0").parse::<u64>();
    let wrong = |_| Problem::bad_parameter("cursor", "it is not one that this list gave");
    let (mut after, mut found) = (cursor.map_err(wrong)?, Vec::new());
    loop {
        let page = api.system.events(task, after, LOOKED_AT).await?;
        let is_last = page.len() < LOOKED_AT;
        after = page.last().map_or(after, |event| event.id);
        found.extend(page.into_iter().filter(&is_wanted));
        if is_last || found.len() > limit {
            found.truncate(limit + 1);
            return Ok(found);
        }
    }
}

async fn message(api: &Api, event: &Event) -> Result<MessageView, Problem> {
    let (from, to, content) = match &event.body {
        EventBody::TaskMessage {
            from, to, content, ..
        } => {
            let to = to.as_ref().map(ToString::to_string);
            (serde_json::to_value(from).ok(), to, content.clone())
        }
        EventBody::Message { from, content, .. } | EventBody::RunContinued { from, content } => {
            let text = api.system.text(content).await?;
            (serde_json::to_value(from).ok(), None, text)
        }
        EventBody::ModelCallCompleted { text, .. } => {
            let agent = event.agent.as_ref().map(ToString::to_string);
            (
                agent.map(|agent| serde_json::json!({ "agent": agent })),
                None,
                text.clone(),
            )
        }
        _ => (None, None, String::new()),
    };
    Ok(MessageView {
        id: event.id,
        at: event.at.to_string(),
        from: from.unwrap_or_default(),
        to,
        content,
    })
}

/// Everything that happened to a run, oldest first.
#[utoipa::path(get, path = "/v1/runs/{id}/journal", tag = "runs", params(("id" = String, Path), Paging), responses(
    (status = 200, description = "events, as `GET /v1/tasks/{id}/events` streams them", body = Page<Value>),
    (status = "4XX", body = Problem, content_type = "application/problem+json"),
    (status = 503, body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn journal(
    State(api): State<Api>,
    caller: Caller,
    Path(id): Path<String>,
    Params(paging): Params<Paging>,
) -> Result<Json<Page<Value>>, Problem> {
    caller.needs(Scope::TasksRead)?;
    let row = api.run(&caller, &id).await?;
    let limit = paging.limit()?;
    let of_run = |event: &Event| event.run_id == Some(row.id);
    let events = events_after(&api, row.task, &paging, limit, of_run).await?;
    let views = events
        .iter()
        .filter_map(|event| serde_json::to_value(event).ok());
    Ok(Json(Page::of(views.collect(), limit, |event: &Value| {
        event["id"].to_string()
    })))
}

/// Something new for a run that has ended.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct FollowUp {
    /// What.
    content: String,
}

/// A run that has ended goes on in the same conversation; its task is opened again if it had ended too.
#[utoipa::path(post, path = "/v1/runs/{id}/messages", tag = "runs", params(("id" = String, Path)), request_body = FollowUp, responses(
    (status = 202, body = RunDetail),
    (status = "4XX", body = Problem, content_type = "application/problem+json"),
    (status = 503, body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn follow_up(
    State(api): State<Api>,
    caller: Caller,
    Path(id): Path<String>,
    Body(more): Body<FollowUp>,
) -> Result<(StatusCode, Json<RunDetail>), Problem> {
    caller.needs(Scope::TasksWrite)?;
    let row = api.run(&caller, &id).await?;
    if !row.status.is_terminal() {
        return Err(Problem::wrong_state(
            "running",
            "the run has not ended: say it in the room, `POST /v1/tasks/{id}/messages`",
        ));
    }
    api.system
        .follow_up(row.task, row.id, &more.content)
        .await?;
    Ok((StatusCode::ACCEPTED, detail(&api, row.task, row.id).await?))
}

/// Where a run is forked, and with what the fork goes on.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ForkAt {
    /// The number of the last event of the task that the fork knows of.
    at: u64,
    /// Something new that it goes on with.
    prompt: Option<String>,
}

/// Begins another task whose root run knows what this run knew at an event of its task. Nothing that was done before is done again.
#[utoipa::path(post, path = "/v1/runs/{id}/fork", tag = "runs", params(("id" = String, Path)), request_body = ForkAt, responses(
    (status = 201, description = "the new task", body = TaskDetail, headers(("Location" = String))),
    (status = "4XX", body = Problem, content_type = "application/problem+json"),
    (status = 503, body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn fork(
    State(api): State<Api>,
    caller: Caller,
    Path(id): Path<String>,
    new_id: NewId,
    Body(fork): Body<ForkAt>,
) -> Result<Response, Problem> {
    caller.needs(Scope::TasksWrite)?;
    let row = api.run(&caller, &id).await?;
    let prompt = fork
        .prompt
        .as_deref()
        .filter(|text| !text.trim().is_empty());
    let task = TaskId(new_id.or_new(&api));
    let forked = api
        .system
        .fork_as(task, row.task, row.id, fork.at, prompt)
        .await;
    forked.map_err(|error| match error {
        SystemError::Fork(_) => Problem::invalid("/at", error.to_string()),
        error => error.into(),
    })?;
    super::tasks::made(&api, task, StatusCode::CREATED).await
}

/// Cancels a run and all that works for it. When this answers nothing of it runs any more.
#[utoipa::path(post, path = "/v1/runs/{id}/cancel", tag = "runs", params(("id" = String, Path)), request_body = Option<Why>, responses(
    (status = 200, body = RunDetail),
    (status = "4XX", body = Problem, content_type = "application/problem+json"),
    (status = 503, body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn cancel(
    State(api): State<Api>,
    caller: Caller,
    Path(id): Path<String>,
    MaybeBody(why): MaybeBody<Why>,
) -> Result<Json<RunDetail>, Problem> {
    caller.needs(Scope::TasksWrite)?;
    let row = api.run(&caller, &id).await?;
    if !row.status.is_terminal() {
        api.system.cancel_run(row.task, row.id, why.text()).await?;
    }
    detail(&api, row.task, row.id).await
}

/// Which of those that work for a run are meant.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Reach {
    /// Whether all that works for it is meant too; it is when left out.
    subtree: Option<bool>,
}

impl Reach {
    fn whom(&self, run: RunId) -> Whom {
        match self.subtree.unwrap_or(true) {
            true => Whom::Subtree(run),
            false => Whom::Run(run),
        }
    }
}

/// Pauses a run.
#[utoipa::path(post, path = "/v1/runs/{id}/pause", tag = "runs", params(("id" = String, Path)), request_body = Option<Reach>, responses(
    (status = 200, body = RunDetail),
    (status = "4XX", body = Problem, content_type = "application/problem+json"),
    (status = 503, body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn pause(
    State(api): State<Api>,
    caller: Caller,
    Path(id): Path<String>,
    MaybeBody(reach): MaybeBody<Reach>,
) -> Result<Json<RunDetail>, Problem> {
    caller.needs(Scope::TasksWrite)?;
    let row = api.run(&caller, &id).await?;
    api.system.pause(row.task, reach.whom(row.id)).await?;
    detail(&api, row.task, row.id).await
}

/// Lets a run go on that was paused.
#[utoipa::path(post, path = "/v1/runs/{id}/resume", tag = "runs", params(("id" = String, Path)), request_body = Option<Reach>, responses(
    (status = 200, body = RunDetail),
    (status = "4XX", body = Problem, content_type = "application/problem+json"),
    (status = 503, body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn resume(
    State(api): State<Api>,
    caller: Caller,
    Path(id): Path<String>,
    MaybeBody(reach): MaybeBody<Reach>,
) -> Result<Json<RunDetail>, Problem> {
    caller.needs(Scope::TasksWrite)?;
    let row = api.run(&caller, &id).await?;
    api.system.resume(row.task, reach.whom(row.id)).await?;
    detail(&api, row.task, row.id).await
}
