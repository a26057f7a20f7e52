//! Whom a fault strikes that comes from outside. Pure.

use supervision::fault::Pattern;
use supervision::{Kind, Tree};

use crate::model::TaskId;

use super::dice::draw;
use super::plan::Target;

/// Somebody a fault can strike.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Victim {
    /// Its path below the root.
    pub path: String,
    /// Its task, if it belongs to one.
    pub task: Option<TaskId>,
    /// What a fault calls it.
    pub target: Target,
}

/// What an event says about whom it calls a fault for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scope {
    /// The task it happened in.
    pub task: Option<TaskId>,
    /// The run or the agent it is about.
    pub about: Vec<Target>,
}

/// Whether a name is what a pattern says.
#[must_use]
pub fn fits(pattern: &str, name: &str) -> bool {
    Pattern::from(pattern).matches(name)
}

/// The one that is struck: of those in the tree that the target means, in the event's task, the one that the event is about, or one
/// that is drawn.
#[must_use]
pub fn choose(
    target: &Target,
    tree: &Tree,
    scope: &Scope,
    seed: u64,
    words: &str,
) -> Option<Victim> {
    let mut there: Vec<_> = tree
        .iter()
        .filter(|node| node.state.is_active())
        .filter_map(|node| victim(target, node))
        .filter(|victim| scope.task.is_none() || victim.task.is_none() || victim.task == scope.task)
        .collect();
    there.sort_by(|one, other| one.path.cmp(&other.path));
    let is_about = |victim: &&Victim| scope.about.contains(&victim.target);
    if let Some(about) = there.iter().find(is_about) {
        return Some(about.clone());
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "an index from a number from 0 to below 1"
    )]
    let drawn = (draw(seed, words) * there.len() as f64) as usize;
    (!there.is_empty()).then(|| there.swap_remove(drawn.min(there.len() - 1)))
}

fn victim(target: &Target, node: &Tree) -> Option<Victim> {
    let parts: Vec<_> = node.path.split('/').skip(1).collect();
    let path = parts.join("/");
    let task = parts.iter().find_map(|part| part.parse().ok());
    let target = match (target, parts.as_slice()) {
        (Target::Agent(name), ["tasks", _, "agents", agent]) if fits(name, agent) => {
            Target::Agent((*agent).to_owned())
        }
        (Target::Run(name), ["tasks", _, "runs", run]) if fits(name, run) => {
            Target::Run((*run).to_owned())
        }
        (Target::Supervisor(name), [.., own])
            if node.kind == Kind::Supervisor && fits(name, own) =>
        {
            Target::Supervisor((*own).to_owned())
        }
        _ => return None,
    };
    Some(Victim { path, task, target })
}
