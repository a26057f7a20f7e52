//! What is written about the decisions of supervisors in a task's tree. Pure.

use std::collections::BTreeMap;

use supervision::exit::Exit;
use supervision::report::About;
use supervision::{Decision, Report, Restart, Strategy};

use crate::model::event::AgentState;
use crate::model::{AgentName, Attention, EventBody, TaskId};

/// What is written about one decision.
pub(super) type Entry = (Option<AgentName>, EventBody);

/// Reads reports, in order: a restart and a giving up say why, and only the report before them knows.
#[derive(Debug, Default)]
pub(super) struct Desk {
    /// How a child ended about which its supervisor is yet to decide.
    ends: BTreeMap<(String, String), String>,
    /// Whose end made a supervisor start others again as well.
    together: BTreeMap<String, String>,
}

impl Desk {
    /// What is written about a report: nothing, unless it is a restart or an end of hope in a task's tree.
    pub(super) fn read(&mut self, report: &Report) -> Option<(TaskId, Vec<Entry>)> {
        let task = report.path.split('/').find_map(|part| part.parse().ok())?;
        let path = report.path.to_string();
        let entries = match &report.decision {
            Decision::Terminated(about, exit) => self.terminated(&path, about, exit),
            Decision::Restarting {
                about, strategy, ..
            } => self.restarting(&path, about, *strategy),
            Decision::Stopped(about) | Decision::UncleanStop(about, _) => {
                self.stopped(&path, about)
            }
            Decision::Started(about) => self.started(&path, about),
            Decision::GaveUp(about, exit) => self.gave_up(&path, about, exit),
            Decision::Injected { about, fault, .. } => injected(&path, about, &fault.to_string()),
            _ => Vec::new(),
        };
        (!entries.is_empty()).then_some((task, entries))
    }

    fn terminated(&mut self, path: &str, about: &About, exit: &Exit) -> Vec<Entry> {
        if about.restart == Restart::Temporary {
            return state(path, about, AgentState::Failed, &exit.to_string());
        }
        let key = (path.to_owned(), about.child.to_string());
        self.ends.insert(key, exit.to_string());
        Vec::new()
    }

    fn restarting(&mut self, path: &str, about: &About, strategy: Strategy) -> Vec<Entry> {
        let child = about.child.to_string();
        let key = (path.to_owned(), child.clone());
        let reason = self.ends.remove(&key);
        let reason = reason.unwrap_or_else(|| "it could not be started".to_owned());
        if strategy != Strategy::OneForOne {
            self.together.insert(path.to_owned(), child.clone());
        }
        let restart = EventBody::SupervisorRestart {
            path: path.to_owned(),
            child,
            incarnation: about.incarnation.0 + 1,
            reason: reason.clone(),
        };
        let agent = agent(path, about);
        let state = state(path, about, AgentState::Restarting, &reason);
        std::iter::once((agent, restart)).chain(state).collect()
    }

    /// An agent that is stopped while its supervisor restarts another comes back with it.
    fn stopped(&self, path: &str, about: &About) -> Vec<Entry> {
        let Some(with) = self.together.get(path) else {
            return Vec::new();
        };
        let reason = format!("it is started again together with `{with}`");
        state(path, about, AgentState::Restarting, &reason)
    }

    fn started(&mut self, path: &str, about: &About) -> Vec<Entry> {
        let child = about.child.to_string();
        if self.together.get(path) == Some(&child) {
            self.together.remove(path);
        }
        match about.incarnation.0 {
            1 => Vec::new(),
            _ => state(path, about, AgentState::Idle, ""),
        }
    }

    fn gave_up(&mut self, path: &str, about: &About, exit: &Exit) -> Vec<Entry> {
        self.ends.retain(|(own, _), _| own != path);
        self.together.remove(path);
        let (path, reason) = (path.to_owned(), format!("`{}` {exit}", about.child));
        let failed = state(&path, about, AgentState::Failed, &exit.to_string());
        let attention = Attention::GaveUp {
            path: path.clone(),
            reason: reason.clone(),
        };
        let gave_up = EventBody::SupervisorGaveUp { path, reason };
        let attention = EventBody::TaskNeedsAttention { attention };
        let all = [(None, gave_up), (None, attention)];
        failed.into_iter().chain(all).collect()
    }
}

/// A fault on purpose, before it strikes.
fn injected(path: &str, about: &About, fault: &str) -> Vec<Entry> {
    let kind = match agent(path, about) {
        Some(_) => "agent",
        None => "run",
    };
    let target = format!("{kind}:{}", about.child);
    let fault = fault.replacen("slow", "delay", 1);
    let when = String::new();
    let injected = EventBody::FaultInjected {
        target,
        fault,
        when,
    };
    vec![(agent(path, about), injected)]
}

/// The agent a child of this supervisor is, if it is one.
fn agent(path: &str, about: &About) -> Option<AgentName> {
    let is_agent = path.ends_with("/agents");
    is_agent.then(|| AgentName::from(about.child.as_str()))
}

fn state(path: &str, about: &About, state: AgentState, reason: &str) -> Vec<Entry> {
    let reason = reason.to_owned();
    let entry = |agent| (Some(agent), EventBody::AgentState { state, reason });
    agent(path, about).map(entry).into_iter().collect()
}
