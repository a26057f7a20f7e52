//! Why a run waits.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::event::AgentState;
use crate::model::{AgentName, Attention, EventBody, RunId, TaskId};
use crate::run::RunState;
use crate::run::read::states_of;
use crate::run::why::{Facts, Why, why};
use crate::store::{RunRow, each_event};
use crate::task::questions::Questions;

use super::{System, SystemError};

impl System {
    /// Why a run does not go on at this moment, or what it is doing: there always is an answer.
    ///
    /// # Errors
    /// [`SystemError::NoSuchTask`], [`SystemError::NoSuchRun`], or the store cannot be read.
    pub async fn why(&self, task: TaskId, run: RunId) -> Result<Why, SystemError> {
        let row = self.run_row(task, run).await?;
        let mut answers = self.why_each(task, &[row]).await?;
        answers.remove(&run).ok_or(SystemError::NoSuchRun(run))
    }

    /// The same for several runs, from one reading of their task.
    pub(super) async fn why_each(
        &self,
        task: TaskId,
        rows: &[RunRow],
    ) -> Result<BTreeMap<RunId, Why>, SystemError> {
        let runs: BTreeSet<_> = rows.iter().map(|row| row.id).collect();
        let states = states_of(self.deps.store.as_ref(), task, &runs).await?;
        let (agents, questions) = self.said_of_agents(task).await?;
        let gave_up = questions.gave_up().map(|open| match &open.attention {
            Attention::GaveUp { reason, .. } => reason.clone(),
            _ => String::new(),
        });
        let facts = Facts {
            now: self.deps.clock.now(),
            agent: None,
            permit: None,
            is_open: self.seats.get(task).is_some(),
            gave_up,
            trouble: self.trouble().borrow().as_ref().map(ToString::to_string),
        };
        let waits = self.pools.waits();
        let answer = |row: &RunRow, state: &RunState| {
            let facts = Facts {
                agent: agents.get(&row.agent).copied(),
                permit: waits.get(&row.id).cloned(),
                ..facts.clone()
            };
            why(state, &facts)
        };
        let answers = rows.iter();
        let answers = answers.filter_map(|row| Some((row.id, answer(row, states.get(&row.id)?))));
        Ok(answers.collect())
    }

    async fn said_of_agents(
        &self,
        task: TaskId,
    ) -> Result<(BTreeMap<AgentName, AgentState>, Questions), SystemError> {
        let (mut agents, mut questions) = (BTreeMap::new(), Questions::default());
        each_event(self.deps.store.as_ref(), task, 0, |event| {
            questions.fold(&event);
            let EventBody::AgentState { state, .. } = &event.body else {
                return;
            };
            let is_up_or_down = !matches!(state, AgentState::Paused | AgentState::Resumed);
            if let Some(agent) = event.agent.clone().filter(|_| is_up_or_down) {
                agents.insert(agent, *state);
            }
        })
        .await?;
        Ok((agents, questions))
    }
}
