//! Tasks that are begun at a time, or again and again.

use actors::model::{TaskId, Timestamp};
use actors::registry::access::Scope;
use actors::registry::schedules::{Brief, CatchUp, NewSchedule, Outcome, Overlap, Schedule, When};
use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::api::Api;
use super::auth::Caller;
use super::body::Body;
use super::page::{Page, Paging, Params};
use super::problem::Problem;

/// What is begun.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ScheduledTask {
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
    /// How urgent it is, from -10 to 10; 0 when left out.
    #[serde(default)]
    #[schema(minimum = -10, maximum = 10)]
    priority: i32,
}

/// A schedule that is to be made: with one of `at`, `every` and `cron`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct WantedSchedule {
    /// Its name: letters, digits, `-`, `_`, `.`.
    name: String,
    /// Its project; that of the key when left out.
    project: Option<String>,
    /// Once, at this time.
    #[schema(value_type = Option<String>, format = DateTime)]
    at: Option<Timestamp>,
    /// Again and again, such as `1h` or `90s`.
    every: Option<String>,
    /// At these minutes, in UTC: minute, hour, day of the month, month, day of the week.
    cron: Option<String>,
    /// What is begun.
    task: ScheduledTask,
    /// What is done about times that were missed while the node was down: `one` task for all of them, which is usual, or `none`.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    catch_up: CatchUp,
    /// What is done when the task before has not ended: `skip`, which is usual, or `allow` another one.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    overlap: Overlap,
}

/// A schedule.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ScheduleView {
    /// Its id: `sched_…`.
    id: String,
    /// The project of its tasks.
    project: String,
    /// Its name.
    name: String,
    /// Once, at this time.
    #[schema(format = DateTime)]
    at: Option<String>,
    /// Again and again.
    every: Option<String>,
    /// At these minutes, in UTC.
    cron: Option<String>,
    /// What is begun.
    task: ScheduledTask,
    /// What is done about times that were missed.
    #[schema(value_type = String)]
    catch_up: CatchUp,
    /// What is done when the task before has not ended.
    #[schema(value_type = String)]
    overlap: Overlap,
    /// When it was made.
    #[schema(format = DateTime)]
    created_at: String,
    /// When it is due next; never again if there is none.
    #[schema(format = DateTime)]
    next_at: Option<String>,
    /// When it was due last.
    #[schema(format = DateTime)]
    last_at: Option<String>,
    /// What came of it then: `begun`, `missed`, `overlapped` or `failed`.
    last_outcome: Option<&'static str>,
    /// Why it failed.
    last_error: Option<String>,
    /// The task that was begun last.
    last_task: Option<String>,
}

impl From<Schedule> for ScheduleView {
    fn from(schedule: Schedule) -> Self {
        let (at, every, cron) = match &schedule.when {
            When::At(at) => (Some(at.to_string()), None, None),
            When::Every(step) => (None, Some(period(*step)), None),
            When::Cron(cron) => (None, None, Some(cron.to_string())),
        };
        let (outcome, error) = match schedule.last.as_ref().map(|last| &last.outcome) {
            None => (None, None),
            Some(Outcome::Begun { .. }) => (Some("begun"), None),
            Some(Outcome::Missed) => (Some("missed"), None),
            Some(Outcome::Overlapped) => (Some("overlapped"), None),
            Some(Outcome::Failed { error }) => (Some("failed"), Some(error.clone())),
        };
        Self {
            id: schedule.id,
            project: schedule.project,
            name: schedule.name,
            at,
            every,
            cron,
            task: schedule.task.into(),
            catch_up: schedule.catch_up,
            overlap: schedule.overlap,
            created_at: schedule.created_at.to_string(),
            next_at: schedule.next.map(|at| at.to_string()),
            last_at: schedule.last.map(|last| last.due.to_string()),
            last_outcome: outcome,
            last_error: error,
            last_task: schedule.last_task.as_ref().map(TaskId::to_string),
        }
    }
}

fn period(millis: u64) -> String {
    humantime::format_duration(std::time::Duration::from_millis(millis)).to_string()
}

impl From<Brief> for ScheduledTask {
    fn from(brief: Brief) -> Self {
        Self {
            name: brief.name,
            description: brief.description,
            team: brief.team,
            root_agent: brief.root_agent,
            available_agents: brief.available_agents,
            priority: brief.priority,
        }
    }
}

impl From<ScheduledTask> for Brief {
    fn from(task: ScheduledTask) -> Self {
        Self {
            name: task.name,
            description: task.description,
            team: task.team,
            root_agent: task.root_agent,
            available_agents: task.available_agents,
            priority: task.priority,
        }
    }
}

fn when(at: Option<Timestamp>, every: Option<&str>, cron: Option<&str>) -> Result<When, Problem> {
    match (at, every, cron) {
        (Some(at), None, None) => Ok(When::At(at)),
        (None, Some(every), None) => {
            let step = humantime::parse_duration(every);
            let step = step.map_err(|error| {
                Problem::invalid(
                    "/every",
                    format!("`{every}` is no time such as `1h`: {error}"),
                )
            })?;
            Ok(When::Every(
                u64::try_from(step.as_millis()).unwrap_or(u64::MAX),
            ))
        }
        (None, None, Some(cron)) => {
            let cron = cron.parse();
            let cron = cron.map_err(|error: actors::registry::cron::CronError| {
                Problem::invalid("/cron", error.to_string())
            });
            Ok(When::Cron(cron?))
        }
        _ => Err(Problem::invalid("", "give one of `at`, `every` and `cron`")),
    }
}

/// Makes a schedule.
#[utoipa::path(post, path = "/v1/schedules", tag = "schedules", request_body = WantedSchedule, responses(
    (status = 201, body = ScheduleView),
    (status = "4XX", body = Problem, content_type = "application/problem+json"),
    (status = 503, body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn create(
    State(api): State<Api>,
    caller: Caller,
    Body(wanted): Body<WantedSchedule>,
) -> Result<(StatusCode, Json<ScheduleView>), Problem> {
    caller.needs(Scope::TasksWrite)?;
    let project = caller.project(wanted.project.as_deref())?;
    let when = when(wanted.at, wanted.every.as_deref(), wanted.cron.as_deref())?;
    let task = Brief::from(wanted.task);
    check(&api, &task, &project)?;
    let new = NewSchedule {
        project,
        name: wanted.name,
        when,
        task,
        catch_up: wanted.catch_up,
        overlap: wanted.overlap,
    };
    let made = api.registry.create_schedule(new).await;
    let made = made.map_err(|error| match error {
        actors::registry::RegistryError::Missing { .. } => {
            Problem::invalid("/project", error.to_string())
        }
        error => error.into(),
    })?;
    Ok((StatusCode::CREATED, Json(made.into())))
}

/// What could not be begun now is not begun later either.
fn check(api: &Api, task: &Brief, project: &str) -> Result<(), Problem> {
    if task.team.is_some() && (task.root_agent.is_some() || !task.available_agents.is_empty()) {
        let detail = "give a team, or a root_agent with available_agents, not both";
        return Err(Problem::invalid("/task/team", detail));
    }
    if !(-10..=10).contains(&task.priority) {
        let detail = format!("{} is not from -10 to 10", task.priority);
        return Err(Problem::invalid("/task/priority", detail));
    }
    let order = crate::schedule::order(task, project);
    let definition = api.config.load().definition_for(&order);
    let checked = definition.map_err(|error| Problem::invalid("/task", error.to_string()));
    checked.map(drop)
}

/// The schedules of the caller's project, or of the whole node.
#[utoipa::path(get, path = "/v1/schedules", tag = "schedules", params(Paging), responses(
    (status = 200, body = Page<ScheduleView>),
    (status = "4XX", body = Problem, content_type = "application/problem+json"),
    (status = 503, body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn list(
    State(api): State<Api>,
    caller: Caller,
    Params(paging): Params<Paging>,
) -> Result<Json<Page<ScheduleView>>, Problem> {
    caller.needs(Scope::TasksRead)?;
    let limit = paging.limit()?;
    let after = paging.cursor.as_deref().unwrap_or_default();
    let project = caller.project.as_deref();
    let found = api.registry.schedules(project, after, limit + 1).await?;
    let views = found.into_iter().map(ScheduleView::from).collect();
    Ok(Json(Page::of(views, limit, |it: &ScheduleView| {
        it.id.clone()
    })))
}

/// A schedule.
#[utoipa::path(get, path = "/v1/schedules/{id}", tag = "schedules", params(("id" = String, Path)), responses(
    (status = 200, body = ScheduleView),
    (status = "4XX", body = Problem, content_type = "application/problem+json"),
    (status = 503, body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn show(
    State(api): State<Api>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<ScheduleView>, Problem> {
    caller.needs(Scope::TasksRead)?;
    let schedule = api.registry.schedule_for(&caller, &id).await?;
    Ok(Json(schedule.into()))
}

/// Removes a schedule; tasks that it has begun go on.
#[utoipa::path(delete, path = "/v1/schedules/{id}", tag = "schedules", params(("id" = String, Path)), responses(
    (status = 204, description = "it is gone"),
    (status = "4XX", body = Problem, content_type = "application/problem+json"),
    (status = 503, body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn remove(
    State(api): State<Api>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    caller.needs(Scope::TasksWrite)?;
    api.registry.remove_schedule(&caller, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}
