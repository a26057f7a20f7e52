//! Reading what a run consists of: its state, what it was given, and the texts it refers to.

use std::collections::HashMap;

use futures_util::future::{BoxFuture, FutureExt};

use crate::model::event::Seq;
use crate::model::{AgentName, Content, ContextMode, Event, EventBody, RunId, TaskId};
use crate::store::{EventQuery, Snapshot, Store, StoreError};
use crate::topology::routing::sees;

use super::actor::RunContext;
use super::context::{self, Scene};
use super::snapshot;
use super::state::{Call, CallPhase, Item, RunState};

/// How many events are read at a time.
const PAGE: usize = 1024;

/// Reads a run's state: its snapshot, if there is one that can be used, and the events after it.
pub(super) async fn read(
    context: &RunContext,
    run: RunId,
    agent: &AgentName,
) -> Result<RunState, StoreError> {
    let (mut state, after) = match from_snapshot(context, run).await? {
        Some((state, after)) => (state, after),
        None => (RunState::new(run), 0),
    };
    fold_from(context, &mut state, agent, after, Seq::MAX).await?;
    Ok(state)
}

async fn from_snapshot(
    context: &RunContext,
    run: RunId,
) -> Result<Option<(RunState, Seq)>, StoreError> {
    let store = context.journal.store();
    let Some(snapshot) = store.snapshot(run).await? else {
        return Ok(None);
    };
    let Ok(mut state) = snapshot::read(&snapshot.body) else {
        return Ok(None);
    };
    let events = store
        .events_at(context.task, snapshot::refers_to(&state))
        .await?;
    match snapshot::hydrate(&mut state, events) {
        Ok(()) => Ok(Some((state, snapshot.seq))),
        Err(error) => {
            tracing::warn!(%run, "folding from the beginning: {error}");
            Ok(None)
        }
    }
}

async fn fold_from(
    context: &RunContext,
    state: &mut RunState,
    agent: &AgentName,
    after: Seq,
    up_to: Seq,
) -> Result<(), StoreError> {
    let mut after = after;
    loop {
        let query = EventQuery {
            task: context.task,
            after,
            limit: PAGE,
        };
        let page = context.journal.store().events(query).await?;
        for event in page.iter().take_while(|event| event.id <= up_to) {
            if is_visible(context, agent, event) {
                state.fold(event);
            }
        }
        match page.last() {
            Some(last) if page.len() == PAGE && last.id < up_to => after = last.id,
            _ => return Ok(()),
        }
    }
}

/// Whether an event may be folded into a run of this agent: what was said in the room only if the agent sees it.
fn is_visible(context: &RunContext, agent: &AgentName, event: &Event) -> bool {
    match &event.body {
        EventBody::TaskMessage { from, to, .. } => {
            sees(context.definition.team.as_ref(), agent, from, to.as_ref())
        }
        _ => true,
    }
}

/// Folds a run from the store and keeps the result without its texts.
pub(super) async fn take_snapshot(
    context: &RunContext,
    run: RunId,
    agent: &AgentName,
) -> Result<(), StoreError> {
    let state = read(context, run, agent).await?;
    let corrupt = |error: snapshot::Unusable| StoreError::Corrupt {
        place: run.to_string(),
        detail: error.to_string(),
    };
    let body = snapshot::write(&state).map_err(corrupt)?;
    context
        .journal
        .store()
        .put_snapshot(Snapshot {
            run,
            seq: state.head,
            body,
        })
        .await
}

/// The conversation a run was given by its parent, in words.
pub(super) fn inherited<'a>(
    context: &'a RunContext,
    state: &'a RunState,
) -> BoxFuture<'a, Result<Option<String>, StoreError>> {
    async move {
        let spec = state
            .spec
            .as_ref()
            .filter(|spec| spec.context == ContextMode::Full);
        let Some(parent) = spec.and_then(|spec| spec.parent.as_ref()) else {
            return Ok(None);
        };
        let Some(row) = context
            .journal
            .store()
            .runs(context.task)
            .await?
            .into_iter()
            .find(|row| row.id == parent.run)
        else {
            return Ok(None);
        };
        let mut above = RunState::new(parent.run);
        fold_from(context, &mut above, &row.agent, 0, parent.up_to).await?;
        let its_own = inherited(context, &above).await?;
        let blobs = blobs(context, &above).await?;
        let tools = context.tools.specs();
        let scene = Scene {
            task: &context.definition,
            name: &row.agent,
            inherited: its_own.as_deref(),
            tools,
            blobs: &blobs,
        };
        Ok(Some(context::in_words(&above, parent.up_to, scene)))
    }
    .boxed()
}

/// The texts of the blobs a conversation refers to.
pub(super) async fn blobs(
    context: &RunContext,
    state: &RunState,
) -> Result<HashMap<String, String>, StoreError> {
    let mut texts = HashMap::new();
    for hash in contents(state).filter_map(|content| {
        if let Content::Blob { blob, .. } = content {
            Some(blob)
        } else {
            None
        }
    }) {
        let bytes = context.journal.store().blob(hash.clone()).await?;
        let detail = || "its bytes are missing".to_owned();
        let bytes = bytes.ok_or_else(|| StoreError::Corrupt {
            place: format!("blob {hash}"),
            detail: detail(),
        })?;
        texts.insert(hash.clone(), String::from_utf8_lossy(&bytes).into_owned());
    }
    Ok(texts)
}

fn contents(state: &RunState) -> impl Iterator<Item = &Content> {
    let said = state.items.iter().flat_map(of_item);
    said.chain(state.unseen.iter().map(|note| &note.content))
}

fn of_item(item: &Item) -> Vec<&Content> {
    match item {
        Item::Note(note) => vec![&note.content],
        Item::Turn(turn) => turn.calls.iter().filter_map(result).collect(),
    }
}

fn result(call: &Call) -> Option<&Content> {
    match &call.phase {
        CallPhase::Done { content, .. } => Some(content),
        _ => None,
    }
}

/// The event of a run's end, if it has ended.
///
/// # Errors
/// When the store cannot be read.
pub async fn end_of(
    store: &dyn Store,
    task: TaskId,
    run: RunId,
) -> Result<Option<Event>, StoreError> {
    let mut after = 0;
    loop {
        let page = store
            .events(EventQuery {
                task,
                after,
                limit: PAGE,
            })
            .await?;
        let is_end = |event: &&Event| event.run_id == Some(run) && event.body.is_run_end();
        if let Some(end) = page.iter().find(is_end) {
            return Ok(Some(end.clone()));
        }
        match page.last() {
            Some(last) if page.len() == PAGE => after = last.id,
            _ => return Ok(None),
        }
    }
}
