//! Why a run waits.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::event::AgentState;
use crate::model::{AgentName, Attention, EventBody, RunId, TaskId};
use crate::run::RunState;
use crate::run::read::states_of;
use crate::run::why::{Facts, Why, why};
use crate::store::{EventQuery, RunRow};
use crate::task::questions::Questions;

use super::{System, SystemError};

/// How many events are read at a time.
const PAGE: usize = 1024;

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
        let gave_up = questions.gave_up().map(|attention| match attention {
            Attention::GaveUp { reason, .. } => reason.clone(),
            _ => String::new(),
        });
        let facts = Facts {
            now: self.deps.clock.now(),
            agent: None,
            is_open: self.seats.get(task).is_some(),
            gave_up,
            trouble: self.trouble().borrow().as_ref().map(ToString::to_string),
        };
        let answer = |row: &RunRow, state: &RunState| {
            let agent = agents.get(&row.agent).copied();
            why(
                state,
                &Facts {
                    agent,
                    ..facts.clone()
                },
            )
        };
        let answers = rows.iter();
        let answers = answers.filter_map(|row| Some((row.id, answer(row, states.get(&row.id)?))));
        Ok(answers.collect())
    }

    async fn said_of_agents(
        &self,
        task: TaskId,
    ) -> Result<(BTreeMap<AgentName, AgentState>, Questions), SystemError> {
        let (mut agents, mut questions, mut after) = (BTreeMap::new(), Questions::default(), 0);
        loop {
            let limit = PAGE;
            let query = EventQuery { task, after, limit };
            let page = self.deps.store.events(query).await?;
            for event in &page {
                after = event.id;
                questions.fold(event);
                let (Some(agent), EventBody::AgentState { state, .. }) =
                    (&event.agent, &event.body)
                else {
                    continue;
                };
                if !matches!(state, AgentState::Paused | AgentState::Resumed) {
                    agents.insert(agent.clone(), *state);
                }
            }
            if page.len() < PAGE {
                return Ok((agents, questions));
            }
        }
    }
}
