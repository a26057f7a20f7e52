//! When a run counts as hung: while it handles a message, has a model call under way or is in a tool in the node, and nothing of
//! that makes progress. It is not at work while it waits: for a permit, a retry, a run it delegated, a person, or what a tool says
//! that it waits for. Tools that keep their own limit somewhere else are left to it.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use supervision::{Activity, HangLimits, Pulse};

use crate::model::{AgentName, AgentSpec};
use crate::tool::Tool;

use super::RunArguments;

/// The longest time that each step against whoever hangs is given to work.
const STEP: Duration = Duration::from_secs(5);

/// The limits of one who is given so long.
pub(crate) fn limits_of(agent: &AgentSpec) -> Option<HangLimits> {
    let limit = agent.hang_after.filter(|limit| !limit.is_zero())?;
    let step = (limit / 4).clamp(Duration::from_millis(1), STEP);
    Some(HangLimits::silence(limit).steps(step, step, step))
}

pub(super) fn limits(arguments: &RunArguments) -> Option<HangLimits> {
    let agent = arguments.context.definition.agents.get(&arguments.agent);
    agent.and_then(limits_of)
}

/// A tool call under way.
pub(super) struct AtWork {
    agent: AgentName,
    activity: Mutex<Option<Activity>>,
}

impl AtWork {
    pub(super) fn begin(pulse: &Pulse, agent: &AgentName, tool: &dyn Tool) -> Self {
        let is_watched = !tool.keeps_limit();
        let activity = is_watched.then(|| pulse.activity(tool.spec().name));
        Self {
            agent: agent.clone(),
            activity: Mutex::new(activity),
        }
    }

    /// It waits for something, and says so: from now on it is watched no more.
    pub(super) fn waits(&self) {
        drop(self.activity().take());
    }

    /// Completes when it is to end because it hangs, and says why.
    pub(super) async fn hung(&self) -> String {
        let cancelled = self.activity().as_ref().map(Activity::cancelled);
        match cancelled {
            Some(cancelled) => cancelled.await,
            None => std::future::pending().await,
        }
        let agent = &self.agent;
        format!("no progress for too long (hang_after of agent `{agent}`)")
    }

    fn activity(&self) -> std::sync::MutexGuard<'_, Option<Activity>> {
        self.activity.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
