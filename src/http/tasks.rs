//! Tasks: list, look at, act on.

use actors::model::{EventBody, RunId, TaskId, Whom};
use actors::registry::access::Scope;
use actors::store::TaskQuery;
use actors::system::SystemError;
use axum::Json;
use axum::extract::{Path, State};
use axum::http::header::LOCATION;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use super::api::{Api, agent};
use super::auth::Caller;
use super::body::{Body, MaybeBody};
use super::page::{Page, Paging, Params, limit};
use super::problem::Problem;
use super::view::{MessageView, TaskDetail, TaskView, Written};

/// The answer that shows a task that was made, and where it is.
pub(super) async fn made(api: &Api, task: TaskId, status: StatusCode) -> Result<Response, Problem> {
    let row = api.system.task(task).await?;
    let mut response = (status, Json(detail(api, &row).await?)).into_response();
    if let Ok(location) = HeaderValue::from_str(&format!("/v1/tasks/{task}")) {
        response.headers_mut().insert(LOCATION, location);
    }
    Ok(response)
}

async fn detail(api: &Api, row: &actors::store::TaskRow) -> Result<TaskDetail, Problem> {
    let definition = api.system.definition(row.id).await?;
    let settled = api.system.settled(row.id).await?;
    Ok(TaskDetail::new(row, definition.as_ref(), settled))
}

/// Which tasks are listed.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct Which {
    /// Only those that stand so.
    #[param(value_type = Option<String>)]
    status: Option<actors::model::TaskStatus>,
    /// Only those of this project.
    project: Option<String>,
    /// `desc` for the newest first, which is usual, or `asc`.
    #[param(inline)]
    order: Option<Order>,
    /// How many, from 1 to 500; 50 when left out.
    #[param(minimum = 1, maximum = 500)]
    limit: Option<usize>,
    /// The `next_cursor` of the page before.
    cursor: Option<String>,
}

/// An order of tasks by their creation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Order {
    /// The oldest first.
    Asc,
    /// The newest first.
    Desc,
}

/// Lists tasks. New ones do not move those of the next page.
#[utoipa::path(get, path = "/v1/tasks", tag = "tasks", params(Which), responses(
    (status = 200, body = Page<TaskView>),
    (status = "4XX", body = Problem, content_type = "application/problem+json"),
    (status = 503, body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn list(
    State(api): State<Api>,
    caller: Caller,
    Params(which): Params<Which>,
) -> Result<Json<Page<TaskView>>, Problem> {
    caller.needs(Scope::TasksRead)?;
    let limit = limit(which.limit)?;
    let after = which.cursor.map(|cursor| {
        let parsed = cursor.parse::<TaskId>();
        parsed.map_err(|_| Problem::bad_parameter("cursor", "it is not one that a list gave"))
    });
    let project = match (&caller.project, which.project) {
        (None, named) => named,
        (Some(_), named) => Some(caller.project(named.as_deref())?),
    };
    let query = TaskQuery {
        project,
        statuses: which.status.into_iter().collect(),
        after: after.transpose()?,
        newest_first: which.order != Some(Order::Asc),
        limit: limit + 1,
    };
    let found = api.registry.records().page_of_tasks(query).await?;
    let views = found.iter().map(TaskView::from).collect();
    Ok(Json(Page::of(views, limit, |task: &TaskView| {
        task.id().to_owned()
    })))
}

/// A task, with its result or what it waits for.
#[utoipa::path(get, path = "/v1/tasks/{id}", tag = "tasks", params(("id" = String, Path)), responses(
    (status = 200, body = TaskDetail),
    (status = "4XX", body = Problem, content_type = "application/problem+json"),
    (status = 503, body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn show(
    State(api): State<Api>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<TaskDetail>, Problem> {
    caller.needs(Scope::TasksRead)?;
    let row = api.task(&caller, &id).await?;
    Ok(Json(detail(&api, &row).await?))
}

/// Why.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Why {
    /// The reason, for those who read the journal.
    reason: Option<String>,
}

impl Why {
    pub(super) fn text(&self) -> &str {
        self.reason.as_deref().unwrap_or("cancelled by a person")
    }
}

/// Cancels a task. When this answers nothing of it runs any more. Cancelling it again changes nothing.
#[utoipa::path(post, path = "/v1/tasks/{id}/cancel", tag = "tasks", params(("id" = String, Path)), request_body = Option<Why>, responses(
    (status = 200, body = TaskDetail),
    (status = "4XX", body = Problem, content_type = "application/problem+json"),
    (status = 503, body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn cancel(
    State(api): State<Api>,
    caller: Caller,
    Path(id): Path<String>,
    MaybeBody(why): MaybeBody<Why>,
) -> Result<Json<TaskDetail>, Problem> {
    caller.needs(Scope::TasksWrite)?;
    let row = api.task(&caller, &id).await?;
    if row.status != actors::model::TaskStatus::Cancelled {
        api.system.cancel(row.id, why.text()).await?;
    }
    again(&api, row.id).await
}

async fn again(api: &Api, task: TaskId) -> Result<Json<TaskDetail>, Problem> {
    let row = api.system.task(task).await?;
    Ok(Json(detail(api, &row).await?))
}

/// What of a task is meant.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Part {
    /// The runs of this agent; all of the task when left out.
    agent: Option<String>,
}

impl Part {
    fn whom(self) -> Whom {
        self.agent
            .map_or(Whom::Task, |name| Whom::Agent(agent(&name)))
    }
}

/// Pauses a task, or one agent in it. When this answers nothing of it begins any more.
#[utoipa::path(post, path = "/v1/tasks/{id}/pause", tag = "tasks", params(("id" = String, Path)), request_body = Option<Part>, responses(
    (status = 200, body = TaskDetail),
    (status = "4XX", body = Problem, content_type = "application/problem+json"),
    (status = 503, body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn pause(
    State(api): State<Api>,
    caller: Caller,
    Path(id): Path<String>,
    MaybeBody(part): MaybeBody<Part>,
) -> Result<Json<TaskDetail>, Problem> {
    caller.needs(Scope::TasksWrite)?;
    let row = api.task(&caller, &id).await?;
    api.system.pause(row.id, part.whom()).await?;
    again(&api, row.id).await
}

/// Lets what was paused go on.
#[utoipa::path(post, path = "/v1/tasks/{id}/resume", tag = "tasks", params(("id" = String, Path)), request_body = Option<Part>, responses(
    (status = 200, body = TaskDetail),
    (status = "4XX", body = Problem, content_type = "application/problem+json"),
    (status = 503, body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn resume(
    State(api): State<Api>,
    caller: Caller,
    Path(id): Path<String>,
    MaybeBody(part): MaybeBody<Part>,
) -> Result<Json<TaskDetail>, Problem> {
    caller.needs(Scope::TasksWrite)?;
    let row = api.task(&caller, &id).await?;
    api.system.resume(row.id, part.whom()).await?;
    again(&api, row.id).await
}

/// An answer to what a task waits for.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Answer {
    /// The answer.
    answer: String,
}

/// Answers what a task asks: of several questions the one that was asked first, as `attention` has it.
#[utoipa::path(post, path = "/v1/tasks/{id}/answer", tag = "tasks", params(("id" = String, Path)), request_body = Answer, responses(
    (status = 200, body = TaskDetail),
    (status = "4XX", body = Problem, content_type = "application/problem+json"),
    (status = 503, body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn answer(
    State(api): State<Api>,
    caller: Caller,
    Path(id): Path<String>,
    Body(given): Body<Answer>,
) -> Result<Json<TaskDetail>, Problem> {
    caller.needs(Scope::TasksWrite)?;
    let row = api.task(&caller, &id).await?;
    match api.system.answer(row.id, &given.answer).await? {
        true => again(&api, row.id).await,
        false => Err(Problem::wrong_state(
            "not_waiting",
            "the task waits for no answer",
        )),
    }
}

/// What was said in the room, oldest first.
#[utoipa::path(get, path = "/v1/tasks/{id}/messages", tag = "tasks", params(("id" = String, Path), Paging), responses(
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
    let row = api.task(&caller, &id).await?;
    let said = |body: &EventBody| matches!(body, EventBody::TaskMessage { .. });
    super::runs::said(&api, row.id, None::<RunId>, &paging, said).await
}

/// Something to say.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Message {
    /// What.
    content: String,
    /// To which agent; to all when left out.
    to: Option<String>,
}

/// Says something in the room, as a person.
#[utoipa::path(post, path = "/v1/tasks/{id}/messages", tag = "tasks", params(("id" = String, Path)), request_body = Message, responses(
    (status = 201, body = Written),
    (status = "4XX", body = Problem, content_type = "application/problem+json"),
    (status = 503, body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn say(
    State(api): State<Api>,
    caller: Caller,
    Path(id): Path<String>,
    Body(message): Body<Message>,
) -> Result<(StatusCode, Json<Written>), Problem> {
    caller.needs(Scope::TasksWrite)?;
    let row = api.task(&caller, &id).await?;
    if message.content.trim().is_empty() {
        return Err(Problem::invalid("/content", "say something"));
    }
    let to = message.to.as_deref().map(agent);
    let said = api.system.say(row.id, &message.content, to).await;
    let event = said.map_err(|error| match error {
        SystemError::NoSuchAgent(_) => Problem::invalid("/to", error.to_string()),
        error => error.into(),
    })?;
    Ok((StatusCode::CREATED, Json(Written { event })))
}
