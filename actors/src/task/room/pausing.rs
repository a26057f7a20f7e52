//! Pausing and resuming: a run that is up writes it itself, for the others the room does.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use supervision::{Context, Reply};
use tokio::sync::Mutex;

use crate::journal::JournalError;
use crate::model::event::AgentState;
use crate::model::{AgentName, EventBody, Pause, RunId, Scope, Sender, WaitReason, Whom};
use crate::run::RunMessage;
use crate::run::actor::RunContext;
use crate::run::read::states_of;
use crate::run::state::RunState;
use crate::store::{Append, Draft, RunRow, StoreError};
use crate::task::registry::Registry;

use super::{PATIENCE, Room, RoomMessage};

/// How long is waited before those are asked again that were not there.
const PAUSE: Duration = Duration::from_millis(50);

impl Room {
    pub(super) fn pause(
        &mut self,
        whom: Whom,
        by: Sender,
        reply: Reply<()>,
        cx: &Context<RoomMessage>,
    ) {
        let scope = whom.scope();
        let runs = self.roster.pause(&whom);
        let agents = match whom {
            Whom::Agent(agent) => vec![agent],
            _ => Vec::new(),
        };
        let hands = Hands::new(self, by, Wish::Pause);
        let scopes = runs.into_iter().map(|run| (run, scope)).collect();
        let _ = cx.attach(async move {
            let done = hands.see_to(&agents, scopes).await;
            RoomMessage::Paused(done.map(|()| vec![reply]))
        });
    }

    pub(super) fn resume(
        &mut self,
        whom: Whom,
        by: Sender,
        reply: Reply<()>,
        cx: &Context<RoomMessage>,
    ) {
        let (runs, agents) = self.roster.resume(&whom);
        let hands = Hands::new(self, by, Wish::Resume);
        let scopes = runs.iter().map(|run| (*run, whom.scope())).collect();
        let _ = cx.attach(async move {
            let done = hands.see_to(&agents, scopes).await;
            RoomMessage::Resumed(runs, done.map(|()| reply))
        });
    }

    /// Runs whose agent is paused, or whoever delegated them, are paused before they begin.
    pub(super) fn pause_born(&mut self, cx: &Context<RoomMessage>) {
        let born = self.roster.born_paused().into_iter().collect();
        self.pause_these(born, cx);
    }

    /// The same of one run.
    pub(super) fn pause_if_born_so(&mut self, run: RunId, cx: &Context<RoomMessage>) {
        let born = self.roster.is_born_paused(run).into_iter().collect();
        self.pause_these(born, cx);
    }

    fn pause_these(&self, born: Scopes, cx: &Context<RoomMessage>) {
        if born.is_empty() {
            return;
        }
        let hands = Hands::new(self, Sender::System, Wish::Pause);
        let _ = cx.attach(async move {
            let done = hands.see_to(&[], born).await;
            RoomMessage::Paused(done.map(|()| Vec::new()))
        });
    }
}

type Scopes = BTreeMap<RunId, Scope>;

#[derive(Debug, Clone, Copy, PartialEq)]
enum Wish {
    Pause,
    Resume,
}

/// Whoever sees to it.
struct Hands {
    context: Arc<RunContext>,
    registry: Registry,
    by: Sender,
    wish: Wish,
    one_at_a_time: Arc<Mutex<()>>,
}

impl Hands {
    fn new(room: &Room, by: Sender, wish: Wish) -> Self {
        Self {
            context: room.arguments.context.clone(),
            registry: room.arguments.registry.clone(),
            by,
            wish,
            one_at_a_time: room.one_pause.clone(),
        }
    }

    async fn see_to(&self, agents: &[AgentName], runs: Scopes) -> Result<(), JournalError> {
        // What is written about a run follows from how it stands: nobody writes beside.
        let _alone = self.one_at_a_time.lock().await;
        let state = match self.wish {
            Wish::Pause => AgentState::Paused,
            Wish::Resume => AgentState::Resumed,
        };
        let body = |_| EventBody::AgentState {
            state,
            reason: String::new(),
        };
        let states = agents.iter().map(|agent| self.draft(None, agent, body(())));
        let states: Vec<_> = states.collect();
        if !states.is_empty() {
            self.append(None, states).await?;
        }
        self.see_to_runs(runs).await
    }

    async fn see_to_runs(&self, mut left: Scopes) -> Result<(), JournalError> {
        loop {
            let rows = self.context.journal.store().runs(self.context.task).await?;
            let live = rows.into_iter().filter(|row| !row.status.is_terminal());
            let meant: Vec<_> = live.filter(|row| left.contains_key(&row.id)).collect();
            let states = self.states(&meant).await?;
            let asked = meant
                .iter()
                .map(|row| self.ask(row, left[&row.id], states.get(&row.id)));
            let answers = join_all(asked).await.into_iter();
            let answers = answers.collect::<Result<Vec<_>, _>>()?;
            let refused: BTreeSet<_> = answers.into_iter().flatten().collect();
            left.retain(|run, _| refused.contains(run));
            if left.is_empty() {
                return Ok(());
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// The states of those that are not up: what is written about them follows from it.
    async fn states(&self, rows: &[RunRow]) -> Result<BTreeMap<RunId, RunState>, JournalError> {
        let down = rows
            .iter()
            .filter(|row| self.registry.get(row.id).is_none());
        let down: BTreeSet<_> = down.map(|row| row.id).collect();
        if down.is_empty() {
            return Ok(BTreeMap::new());
        }
        let store = self.context.journal.store().as_ref();
        match states_of(store, self.context.task, &down).await {
            // They are paused all the same.
            Err(StoreError::Corrupt { .. }) => Ok(BTreeMap::new()),
            states => Ok(states?),
        }
    }

    /// The run, if it was not there to hear of it and has to be asked again.
    async fn ask(
        &self,
        row: &RunRow,
        scope: Scope,
        state: Option<&RunState>,
    ) -> Result<Option<RunId>, JournalError> {
        let by = || self.by.clone();
        if let Some(run) = self.registry.get(row.id) {
            let question = |reply| match self.wish {
                Wish::Pause => RunMessage::Pause(by(), scope, reply),
                Wish::Resume => RunMessage::Resume(by(), reply),
            };
            let heard = run.call(question, PATIENCE).await;
            return Ok(heard.is_err().then_some(row.id));
        }
        let (by, since) = (by(), self.context.journal.clock().now());
        let body = match self.wish {
            Wish::Pause => EventBody::RunWaiting {
                reason: WaitReason::Paused(Pause { by, since, scope }),
            },
            Wish::Resume => EventBody::RunResumed { by },
        };
        let cause = state.and_then(|state| state.trail.cause(state, &body));
        let draft = Draft {
            cause,
            ..self.draft(Some(row), &row.agent, body)
        };
        match self.append(Some((row.id, row.epoch)), vec![draft]).await {
            Ok(()) => Ok(None),
            Err(JournalError::Rejected(_)) => Ok(Some(row.id)),
            Err(error) => Err(error),
        }
    }

    fn draft(&self, row: Option<&RunRow>, agent: &AgentName, body: EventBody) -> Draft {
        Draft {
            run: row.map(|row| row.id),
            agent: Some(agent.clone()),
            at: self.context.journal.clock().now(),
            epoch: row.map_or(0, |row| row.epoch),
            cause: None,
            body,
        }
    }

    async fn append(
        &self,
        fence: Option<(RunId, u64)>,
        drafts: Vec<Draft>,
    ) -> Result<(), JournalError> {
        let append = Append {
            task: self.context.task,
            fence,
            drafts,
            blobs: Vec::new(),
        };
        self.context.journal.append(append).await.map(drop)
    }
}
