//! Creating tasks.

use std::time::Duration;

use actors::model::TaskId;
use actors::registry::access::Scope;
use actors::system::Settled;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::Response;
use serde::Deserialize;
use utoipa::ToSchema;

use crate::config::{Addressee, ConfigError, TaskOrder};

use super::api::Api;
use super::auth::Caller;
use super::body::Body;
use super::problem::Problem;
use super::repeat::NewId;
use super::tasks::made;
use super::view::TaskDetail;

/// A task that is to be created.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewTask {
    /// A short name; the beginning of the description when left out.
    name: Option<String>,
    /// What is to be done.
    description: String,
    /// The team that is to do it.
    team: Option<String>,
    /// The agent that is to do it, instead of a team.
    root_agent: Option<String>,
    /// The agents that the root agent may delegate to.
    #[serde(default)]
    available_agents: Vec<String>,
    /// Its project; that of the key when left out.
    project: Option<String>,
    /// How urgent it is, from -10 to 10; 0 when left out.
    #[serde(default)]
    #[schema(minimum = -10, maximum = 10)]
    priority: i32,
}

const PREFER: HeaderName = HeaderName::from_static("prefer");
const APPLIED: HeaderName = HeaderName::from_static("preference-applied");

/// Creates a task and starts it. It is durable when this answers. With `Prefer: wait=SECONDS` the answer waits for its end that long.
#[utoipa::path(post, path = "/v1/tasks", tag = "tasks", request_body = NewTask,
    params(("Idempotency-Key" = Option<String>, Header, description = "sent again with the same key, the request makes no second task"),
           ("Prefer" = Option<String>, Header, description = "`wait=SECONDS`")),
    responses(
        (status = 201, description = "it is created and has begun", body = TaskDetail, headers(("Location" = String))),
        (status = 200, description = "it was waited for, and does not go on by itself any more", body = TaskDetail, headers(("Location" = String))),
        (status = 202, description = "it was waited for, and goes on", body = TaskDetail, headers(("Location" = String))),
        (status = "4XX", body = Problem, content_type = "application/problem+json"),
        (status = 503, body = Problem, content_type = "application/problem+json"),
    ))]
pub(super) async fn create(
    State(api): State<Api>,
    caller: Caller,
    new_id: NewId,
    headers: HeaderMap,
    Body(new): Body<NewTask>,
) -> Result<Response, Problem> {
    caller.needs(Scope::TasksWrite)?;
    takes_tasks(&api)?;
    let wait = wait(&headers, api.limits.wait)?;
    let order = order(&api, &caller, new).await?;
    let definition = api.config.load().definition_for(&order);
    let definition = definition.map_err(|error| unfit(&error, &order))?;
    let task = TaskId(new_id.or_new(&api));
    api.system.create_task_as(task, definition).await?;
    let status = match wait {
        None => StatusCode::CREATED,
        Some(wait) => waited(&api, task, wait).await?,
    };
    let mut response = made(&api, task, status).await?;
    if let Some(Ok(applied)) =
        wait.map(|wait| HeaderValue::from_str(&format!("wait={}", wait.as_secs())))
    {
        response.headers_mut().insert(APPLIED, applied);
    }
    Ok(response)
}

/// A node that stops, or is set to take no tasks, takes none.
fn takes_tasks(api: &Api) -> Result<(), Problem> {
    if api.stop.is_cancelled() {
        return Err(Problem::unavailable("the node is stopping"));
    }
    match api.settings.standing().enabled {
        true => Ok(()),
        false => Err(Problem::wrong_state(
            "disabled",
            "the node is set to take no new tasks: set `enabled` in /v1/config, or wait until somebody does",
        )),
    }
}

async fn order(api: &Api, caller: &Caller, new: NewTask) -> Result<TaskOrder, Problem> {
    let project = caller.project(new.project.as_deref())?;
    api.registry
        .project(&project)
        .await
        .map_err(|error| match error {
            actors::registry::RegistryError::Missing { .. } => {
                Problem::invalid("/project", format!("there is no project `{project}`"))
            }
            error => error.into(),
        })?;
    if !(-10..=10).contains(&new.priority) {
        return Err(Problem::invalid(
            "/priority",
            format!("{} is not from -10 to 10", new.priority),
        ));
    }
    let to = match (new.team, new.root_agent) {
        (Some(_), Some(_)) => {
            return Err(Problem::invalid(
                "/team",
                "give a team or a root_agent, not both",
            ));
        }
        (Some(_), None) if !new.available_agents.is_empty() => {
            return Err(Problem::invalid(
                "/available_agents",
                "a team has its own members",
            ));
        }
        (Some(team), None) => Some(Addressee::Team(team)),
        (None, Some(root)) => Some(Addressee::Agent(root, new.available_agents)),
        (None, None) => None,
    };
    Ok(TaskOrder {
        name: new.name.filter(|name| !name.trim().is_empty()),
        description: new.description,
        project,
        to,
        priority: new.priority,
    })
}

fn unfit(error: &ConfigError, order: &TaskOrder) -> Problem {
    let pointer = match error {
        ConfigError::NoTask => {
            return Problem::invalid("/description", "say what is to be done");
        }
        ConfigError::NobodyToDoIt => {
            return Problem::invalid("", "say who is to do it, with `team` or `root_agent`");
        }
        ConfigError::UnknownTeam { .. } => "/team".to_owned(),
        ConfigError::UnknownAgent { name, .. } => match &order.to {
            Some(Addressee::Agent(_, available)) => {
                let place = available.iter().position(|it| it == name);
                place.map_or("/root_agent".to_owned(), |n| {
                    format!("/available_agents/{n}")
                })
            }
            _ => String::new(),
        },
        _ => String::new(),
    };
    Problem::invalid(pointer, error.to_string())
}

/// The seconds of `Prefer: wait=…`, and no more than is allowed.
fn wait(headers: &HeaderMap, most: Duration) -> Result<Option<Duration>, Problem> {
    let given = headers.get_all(PREFER).into_iter();
    let parts = given
        .filter_map(|value| value.to_str().ok())
        .flat_map(|text| text.split(','));
    for part in parts {
        let Some((name, seconds)) = part.split_once('=') else {
            continue;
        };
        if !name.trim().eq_ignore_ascii_case("wait") {
            continue;
        }
        let seconds = seconds.trim().parse::<u64>();
        let seconds = seconds
            .map_err(|_| Problem::bad_parameter("Prefer", "wait takes a number of seconds"))?;
        return Ok(Some(Duration::from_secs(seconds).min(most)));
    }
    Ok(None)
}

async fn waited(api: &Api, task: TaskId, wait: Duration) -> Result<StatusCode, Problem> {
    let settled = tokio::select! {
        settled = tokio::time::timeout(wait, api.system.wait(task)) => settled,
        () = api.stop.cancelled() => return Ok(StatusCode::ACCEPTED),
    };
    match settled {
        Ok(settled) => settled
            .map(|_: Settled| StatusCode::OK)
            .map_err(Problem::from),
        Err(_) => Ok(StatusCode::ACCEPTED),
    }
}
