//! What people do while a troupe is at work: they answer, pause, cancel, say something, allow more and rewire.

use std::time::Duration;

use fastrand::Rng;

use super::trace::Trace;
use super::troupe::{AGENTS, topology};
use crate::model::{Budget, RunId, TaskId, TaskStatus, Topology, Whom};
use crate::system::{System, SystemError};
use crate::testing::census::Census;
use crate::testing::sim::settle;

/// Something somebody wants of a task.
#[derive(Debug, Clone, PartialEq)]
pub enum Wish {
    /// All of it pauses for so long.
    PauseAll(Duration),
    /// An agent pauses for so long.
    PauseAgent(&'static str, Duration),
    /// A run, chosen by this number among those there are, pauses for so long, perhaps with all that works for it.
    PauseRun(usize, bool, Duration),
    /// A run, chosen by this number among those there are, is cancelled.
    CancelRun(usize),
    /// It is cancelled.
    Cancel,
    /// Somebody says something, to all or to one.
    Say(Option<&'static str>),
    /// It may use up more.
    Raise,
    /// Who hears whom changes.
    Rewire(Topology),
}

impl Wish {
    pub(super) fn drawn(random: &mut Rng, is_even: bool) -> Self {
        let time = Duration::from_millis(random.u64(1..20_000));
        let agent = *random.choice(&AGENTS).expect("an agent");
        let wishes = if is_even { 3 } else { 9 };
        match random.u8(0..wishes) {
            0 => Self::PauseAll(time),
            1 => Self::PauseAgent(agent, time),
            2 => Self::PauseRun(random.usize(0..6), random.bool(), time),
            3..5 => Self::CancelRun(random.usize(0..8)),
            5 => Self::Cancel,
            6 => Self::Say(random.bool().then_some(agent)),
            7 => Self::Raise,
            _ => Self::Rewire(topology(random)),
        }
    }

    fn word(&self) -> &'static str {
        match self {
            Self::PauseAll(_) => "person: pause of the task",
            Self::PauseAgent(..) => "person: pause of an agent",
            Self::PauseRun(_, false, _) => "person: pause of a run",
            Self::PauseRun(_, true, _) => "person: pause of a subtree",
            Self::CancelRun(_) => "person: cancel of a run",
            Self::Cancel => "person: cancel of the task",
            Self::Say(_) => "person: message",
            Self::Raise => "person: more budget",
            Self::Rewire(_) => "person: another topology",
        }
    }
}

/// Somebody who looks after one task in one life of the node.
pub(super) struct Person<'a> {
    pub(super) system: &'a System,
    pub(super) task: TaskId,
    pub(super) trace: &'a Trace,
    pub(super) census: &'a Census,
    /// Whether what was begun before may still reach a model, a tool.
    pub(super) in_flight: (bool, bool),
}

impl Person<'_> {
    /// Does these things, each at its time since now, and nothing any more when the task is over.
    pub(super) async fn act(&self, wishes: &[(Duration, Wish)]) {
        let begin = tokio::time::Instant::now();
        for (at, wish) in wishes {
            tokio::time::sleep_until(begin + *at).await;
            if self.fulfil(wish).await.is_some() {
                self.census.note(wish.word());
            }
        }
    }

    async fn fulfil(&self, wish: &Wish) -> Option<()> {
        let (system, task) = (self.system, self.task);
        match wish {
            Wish::PauseAll(time) => self.pause(Whom::Task, *time).await,
            Wish::PauseAgent(agent, time) => self.pause(Whom::Agent((*agent).into()), *time).await,
            Wish::PauseRun(nth, with_others, time) => {
                let run = self.run(*nth).await?;
                let whom = [Whom::Run(run), Whom::Subtree(run)];
                self.pause(whom[usize::from(*with_others)].clone(), *time)
                    .await
            }
            Wish::CancelRun(nth) => {
                let run = self.run(*nth).await?;
                system.cancel_run(task, run, "not this one").await.ok()
            }
            Wish::Cancel => self.cancel().await,
            Wish::Say(to) => {
                let to = to.map(Into::into);
                system.say(task, "go on", to).await.ok().map(drop)
            }
            Wish::Raise => system.raise_budget(task, more()).await.ok(),
            Wish::Rewire(topology) => {
                let changed = system.set_topology(task, topology.clone()).await;
                changed.ok().flatten().map(drop)
            }
        }
    }

    async fn run(&self, nth: usize) -> Option<RunId> {
        let runs = self.system.runs(self.task).await.ok()?;
        runs.get(nth % runs.len().max(1)).map(|run| run.id)
    }

    /// While all of it is paused nothing begins.
    async fn pause(&self, whom: Whom, time: Duration) -> Option<()> {
        let is_all = whom == Whom::Task;
        self.system.pause(self.task, whom.clone()).await.ok()?;
        let before = self.trace.begun();
        tokio::time::sleep(time).await;
        if is_all {
            self.nothing_began_since(before, "while it was paused");
        }
        self.resume(whom).await;
        Some(())
    }

    fn nothing_began_since(&self, before: (usize, usize), when: &str) {
        let now = self.trace.begun();
        let (models, tools) = self.in_flight;
        assert!(models || now.0 == before.0, "a model was asked {when}");
        assert!(tools || now.1 == before.1, "a tool was called {when}");
    }

    /// Until it is heard.
    pub(super) async fn resume(&self, whom: Whom) {
        loop {
            match self.system.resume(self.task, whom.clone()).await {
                Ok(()) | Err(SystemError::Over(_) | SystemError::NoSuchTask(_)) => return,
                Err(_) => tokio::time::sleep(Duration::from_millis(500)).await,
            }
        }
    }

    /// When it returns nothing begins any more: the play may end right then, so it is counted before.
    async fn cancel(&self) -> Option<()> {
        self.census.note(Wish::Cancel.word());
        let _ = self.system.cancel(self.task, "enough").await;
        None
    }

    /// Once it has ended nothing begins.
    pub(super) async fn nothing_begins(&self) {
        let before = self.trace.begun();
        tokio::time::sleep(Duration::from_secs(60)).await;
        self.nothing_began_since(before, "after the end");
    }

    /// Lives with a task as a person would who answers what is asked, until it has ended.
    pub(super) async fn see_through(&self, seed: u64) -> Option<TaskStatus> {
        let (system, id) = (self.system, self.task);
        let mut random = Rng::with_seed(seed ^ 0x40b0);
        for round in 0..20 {
            let status = settle(system, id, Duration::from_secs(900)).await;
            if status != Some(TaskStatus::NeedsAttention) {
                return status;
            }
            self.census.note("person: was asked");
            tokio::time::sleep(Duration::from_secs(random.u64(1..30))).await;
            let answer = *random.choice(&["retry", "it was paid"]).expect("an answer");
            if round < 12 {
                let _ = system.answer(id, answer).await;
            } else {
                let _ = system.cancel(id, "it does not get any further").await;
            }
            tokio::time::sleep(Duration::from_secs(5)).await;
        }
        system.task(id).await.ok().map(|row| row.status)
    }
}

fn more() -> Budget {
    Budget {
        tokens: Some(1_000),
        cost_usd_micros: Some(1_000),
        turns: Some(2),
    }
}
