//! The supervision tree: to be looked at, and to be struck on purpose.

use std::time::Duration;

use actors::model::Timestamp;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use supervision::health::Step;
use supervision::{ChildState, Kind, Tree};
use utoipa::ToSchema;

use super::api::Api;
use super::auth::Caller;
use super::body::Body;
use super::problem::Problem;

/// How long a supervisor may take to say what it has.
const PATIENCE: Duration = Duration::from_secs(1);

/// The names of the two trees: what does the work, and who lets it be asked for.
const TREES: [&str; 2] = ["system", "node"];

/// One child and, if it is a supervisor, everything below it.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ChildView {
    /// Its path; empty for the whole, which has `system`, which does the work, and `node`, the servers on it.
    path: String,
    /// Its name.
    name: String,
    /// `worker` or `supervisor`.
    kind: &'static str,
    /// `starting`, `running`, `down`, `stopping`, `restarting` or `stopped`.
    state: &'static str,
    /// Which life of it this is, from 1.
    incarnation: u64,
    /// How often it was started again within its supervisor's period.
    restarts: usize,
    /// How its last life ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_exit: Option<String>,
    /// What its next life waits for.
    #[serde(skip_serializing_if = "Option::is_none")]
    waits_for: Option<String>,
    /// What was done about it because it hangs: `nudged`, `cancelled`, `killed` or `lost`.
    #[serde(skip_serializing_if = "Option::is_none")]
    hang: Option<&'static str>,
    /// What it has under way.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    under_way: Vec<String>,
    /// When that last made progress.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    last_progress_at: Option<String>,
    /// How many messages wait for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    inbox: Option<usize>,
    /// How many may.
    #[serde(skip_serializing_if = "Option::is_none")]
    inbox_capacity: Option<usize>,
    /// Whether it did not say in time what is below it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    silent: bool,
    /// Its children, in start order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(no_recursion)]
    children: Vec<ChildView>,
}

impl ChildView {
    /// The whole, of which these trees are the parts.
    fn whole(name: &str, trees: Vec<Self>) -> Self {
        Self {
            path: String::new(),
            name: name.to_owned(),
            kind: kind(Kind::Supervisor),
            state: state(ChildState::Running),
            incarnation: 1,
            restarts: 0,
            last_exit: None,
            waits_for: None,
            hang: None,
            under_way: Vec::new(),
            last_progress_at: None,
            inbox: None,
            inbox_capacity: None,
            silent: false,
            children: trees,
        }
    }

    fn of(tree: Tree, now: Timestamp) -> Self {
        let at = |ago: Duration| {
            let ago = u64::try_from(ago.as_millis()).unwrap_or(u64::MAX);
            Timestamp(now.0.saturating_sub(ago)).to_string()
        };
        let name = tree.path.rsplit('/').next().unwrap_or_default();
        Self {
            name: name.to_owned(),
            path: tree.path,
            kind: kind(tree.kind),
            state: state(tree.state),
            incarnation: tree.incarnation.0,
            restarts: tree.restarts,
            last_exit: tree.last_exit.map(|exit| exit.to_string()),
            waits_for: tree.hold.map(|hold| hold.to_string()),
            hang: tree.step.map(step),
            under_way: tree.under_way.iter().map(ToString::to_string).collect(),
            last_progress_at: tree.since_progress.map(at),
            inbox: tree.inbox.map(|(waiting, _)| waiting),
            inbox_capacity: tree.inbox.map(|(_, capacity)| capacity),
            silent: tree.silent,
            children: {
                let children = tree.children.into_iter();
                children.map(|child| Self::of(child, now)).collect()
            },
        }
    }
}

fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::Worker => "worker",
        Kind::Supervisor => "supervisor",
    }
}

fn state(state: ChildState) -> &'static str {
    match state {
        ChildState::Starting => "starting",
        ChildState::Running => "running",
        ChildState::Down => "down",
        ChildState::Stopping => "stopping",
        ChildState::Restarting => "restarting",
        ChildState::Stopped => "stopped",
    }
}

fn step(step: Step) -> &'static str {
    match step {
        Step::Nudged => "nudged",
        Step::Cancelled => "cancelled",
        Step::Killed => "killed",
        Step::Lost => "lost",
    }
}

/// The supervision tree as it is now.
#[utoipa::path(get, path = "/v1/supervision", tag = "node", responses(
    (status = 200, body = ChildView),
    (status = "4XX", body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn show(
    State(api): State<Api>,
    caller: Caller,
) -> Result<Json<ChildView>, Problem> {
    caller.needs_node()?;
    let mut trees = vec![api.system.tree().await];
    if let Some(servers) = api.servers.get() {
        trees.push(servers.tree(TREES[1], PATIENCE).await);
    }
    let now = api.registry.now();
    let trees = trees.into_iter().map(|tree| ChildView::of(tree, now));
    let name = api.config.load().node.name.clone();
    Ok(Json(ChildView::whole(&name, trees.collect())))
}

/// A child that is to be killed.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Victim {
    /// Its path, as the tree shows it.
    path: String,
}

/// Kills a child, as a fault: its supervisor then does what its strategy says.
#[utoipa::path(post, path = "/v1/supervision/kill", tag = "node", request_body = Victim, responses(
    (status = 202, description = "it is killed; what its supervisor makes of it, the tree shows"),
    (status = "4XX", body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn kill(
    State(api): State<Api>,
    caller: Caller,
    Body(victim): Body<Victim>,
) -> Result<StatusCode, Problem> {
    caller.needs_node()?;
    let missing = || Problem::missing("child", &victim.path);
    let (tree, below) = victim.path.split_once('/').ok_or_else(missing)?;
    let is_killed = match tree {
        tree if tree == TREES[0] => api.system.root().kill_at(below).await,
        tree if tree == TREES[1] => match api.servers.get() {
            Some(servers) => servers.kill_at(below).await,
            None => false,
        },
        _ => false,
    };
    match is_killed {
        true => Ok(StatusCode::ACCEPTED),
        false => Err(missing()),
    }
}
