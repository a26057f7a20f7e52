//! The supervision tree: to be looked at, and to be struck on purpose.

use std::time::Duration;

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

/// All trees.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Forest {
    /// `system`, which does the work, and `node`, the servers on it.
    trees: Vec<ChildView>,
}

/// One child and, if it is a supervisor, everything below it.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ChildView {
    /// Its path from the root.
    path: String,
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
    /// For how long that has made no progress, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    since_progress_ms: Option<u64>,
    /// Its inbox.
    #[serde(skip_serializing_if = "Option::is_none")]
    inbox: Option<InboxView>,
    /// Whether it did not say in time what is below it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    silent: bool,
    /// Its children, in start order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(no_recursion)]
    children: Vec<ChildView>,
}

/// An inbox.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct InboxView {
    /// How many messages wait.
    waiting: usize,
    /// How many may.
    capacity: usize,
}

impl From<Tree> for ChildView {
    fn from(tree: Tree) -> Self {
        let ms = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        Self {
            path: tree.path,
            kind: kind(tree.kind),
            state: state(tree.state),
            incarnation: tree.incarnation.0,
            restarts: tree.restarts,
            last_exit: tree.last_exit.map(|exit| exit.to_string()),
            waits_for: tree.hold.map(|hold| hold.to_string()),
            hang: tree.step.map(step),
            under_way: tree.under_way.iter().map(ToString::to_string).collect(),
            since_progress_ms: tree.since_progress.map(ms),
            inbox: tree
                .inbox
                .map(|(waiting, capacity)| InboxView { waiting, capacity }),
            silent: tree.silent,
            children: tree.children.into_iter().map(Self::from).collect(),
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
    (status = 200, body = Forest),
    (status = "4XX", body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn show(State(api): State<Api>, caller: Caller) -> Result<Json<Forest>, Problem> {
    caller.needs_node()?;
    let mut trees = vec![api.system.tree().await.into()];
    if let Some(servers) = api.servers.get() {
        trees.push(servers.tree(TREES[1], PATIENCE).await.into());
    }
    Ok(Json(Forest { trees }))
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
