//! Reading what a run consists of: its state, what it was given, and the texts it refers to.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use futures_util::future::{BoxFuture, FutureExt};

use crate::budget::Standing;
use crate::model::event::Seq;
use crate::model::{AgentName, Content, ContextMode, Event, EventBody, RunId, TaskId};
use crate::store::{EventQuery, Page, Snapshot, Store, StoreError, each_event};
use crate::topology::routing::Wiring;

use super::actor::RunContext;
use super::context::{self, Scene};
use super::snapshot;
use super::state::{CallPhase, Item, RunState};

/// How many events are read at a time.
const PAGE: usize = 1024;

/// Reads a run's state: its snapshot, if there is one that can be used, and the events after it. Also the last event that was read.
pub(super) async fn read(
    context: &RunContext,
    run: RunId,
    agent: &AgentName,
) -> Result<(RunState, Seq), StoreError> {
    if let Some((events, last)) = context.journal.recent().beginning(context.task, run) {
        let mut state = RunState::new(run);
        fold_all(context, &mut state, agent, &events);
        state.head = last;
        return Ok((state, last));
    }
    let (mut state, after) = match from_snapshot(context, run).await? {
        Some((state, after)) => (state, after),
        None => (RunState::new(run), 0),
    };
    let last = fold_from(context, &mut state, agent, after, Seq::MAX).await?;
    Ok((state, last))
}

/// The states of several runs from one reading of their task: each from its own events, and from the beginnings and ends of the
/// runs it delegated. What was said in the room is not in them.
pub(crate) async fn states_of(
    store: &dyn Store,
    task: TaskId,
    runs: &BTreeSet<RunId>,
) -> Result<BTreeMap<RunId, RunState>, StoreError> {
    let mut states: BTreeMap<_, _> = runs.iter().map(|run| (*run, RunState::new(*run))).collect();
    let (mut parents, mut after) = (HashMap::new(), 0);
    loop {
        let limit = PAGE;
        let page = store.events(EventQuery { task, after, limit }).await?;
        for event in &page {
            after = event.id;
            fold_each(&mut states, &mut parents, event);
        }
        if page.len() < PAGE {
            return Ok(states);
        }
    }
}

fn fold_each(
    states: &mut BTreeMap<RunId, RunState>,
    parents: &mut HashMap<RunId, RunId>,
    event: &Event,
) {
    let Some(run) = event.run_id else { return };
    if let EventBody::RunQueued { spec } = &event.body
        && let Some(parent) = &spec.parent
    {
        parents.insert(run, parent.run);
    }
    let is_of_parent = matches!(event.body, EventBody::RunQueued { .. }) || event.body.is_run_end();
    let parent = parents.get(&run).filter(|_| is_of_parent);
    for concerned in [Some(&run), parent].into_iter().flatten() {
        if let Some(state) = states.get_mut(concerned) {
            state.fold(event);
        }
    }
}

/// Losing a snapshot costs time and nothing else, so one that is damaged is as good as none.
async fn from_snapshot(
    context: &RunContext,
    run: RunId,
) -> Result<Option<(RunState, Seq)>, StoreError> {
    let store = context.journal.store();
    let snapshot = match store.snapshot(run).await {
        Err(StoreError::Corrupt { place, detail }) => {
            tracing::warn!(%run, "folding from the beginning: {place}: {detail}");
            return Ok(None);
        }
        snapshot => snapshot?,
    };
    let Some(snapshot) = snapshot else {
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

/// Folds the events of its task that concern a run, and returns the number of the last that was read.
pub(super) async fn fold_from(
    context: &RunContext,
    state: &mut RunState,
    agent: &AgentName,
    after: Seq,
    up_to: Seq,
) -> Result<Seq, StoreError> {
    let mut last = after;
    let mut wiring = wiring(context, state);
    loop {
        let page = page(context, state.id, last).await?;
        for event in page.events.iter().take_while(|event| event.id <= up_to) {
            fold_shown(state, &mut wiring, agent, event);
        }
        last = page.last.min(up_to);
        state.head = state.head.max(last);
        if page.is_end || last >= up_to {
            return Ok(last);
        }
    }
}

/// Folds events that follow what a state holds, as far as they are shown to its run.
pub(super) fn fold_all(
    context: &RunContext,
    state: &mut RunState,
    agent: &AgentName,
    events: &[std::sync::Arc<Event>],
) {
    let mut wiring = wiring(context, state);
    for event in events {
        fold_shown(state, &mut wiring, agent, event);
    }
}

fn fold_shown(state: &mut RunState, wiring: &mut Wiring, agent: &AgentName, event: &Event) {
    wiring.fold(event);
    if wiring.shows(agent, event) {
        state.fold(event);
    }
}

/// Who hears whom where a state stands: what happened after it is seen by the changes after it.
pub(super) fn wiring(context: &RunContext, state: &RunState) -> Wiring {
    context.wiring.under(state.topology.as_ref())
}

async fn page(context: &RunContext, run: RunId, after: Seq) -> Result<Page, StoreError> {
    let query = EventQuery {
        task: context.task,
        after,
        limit: PAGE,
    };
    context.journal.store().events_for(query, run).await
}

/// What happened in a task meanwhile, as far as it concerns one run.
#[derive(Debug, Default)]
pub struct Meanwhile {
    pub(super) events: Vec<Event>,
    /// How the budgets stand that the run is paid from.
    pub(super) standing: Standing,
    /// Texts they refer to.
    pub(super) blobs: HashMap<String, String>,
    /// The last event that was read.
    pub(super) last: Seq,
}

/// Reads what happened after an event, up to which the room was wired like this.
pub(super) async fn meanwhile(
    context: &RunContext,
    mut wiring: Wiring,
    run: RunId,
    agent: &AgentName,
    after: Seq,
) -> Result<Meanwhile, StoreError> {
    let mut read = Meanwhile {
        last: after,
        ..Meanwhile::default()
    };
    loop {
        let page = page(context, run, read.last).await?;
        read.last = page.last;
        for event in page.events {
            if event.run_id == Some(run) {
                let said = said(&event.body).into_iter();
                load_blobs(context, said, usize::MAX, &mut read.blobs).await?;
            }
            wiring.fold(&event);
            if wiring.shows(agent, &event) {
                read.events.push(event);
            }
        }
        if page.is_end {
            break;
        }
    }
    if context.is_budgeted() {
        let caller = context.caller(run);
        read.standing = context.purse.standing(&context.journal, caller).await?;
    }
    Ok(read)
}

fn said(body: &EventBody) -> Option<&Content> {
    match body {
        EventBody::Message { content, .. } | EventBody::RunContinued { content, .. } => {
            Some(content)
        }
        _ => None,
    }
}

/// Folds a run from the store and keeps the result without its texts.
pub(super) async fn take_snapshot(
    context: &RunContext,
    run: RunId,
    agent: &AgentName,
) -> Result<(), StoreError> {
    let (state, _) = read(context, run, agent).await?;
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
        Ok(Some(context::in_words(&above, scene)))
    }
    .boxed()
}

/// The texts of the blobs a conversation refers to, as far as they are shown.
pub(super) async fn blobs(
    context: &RunContext,
    state: &RunState,
) -> Result<HashMap<String, String>, StoreError> {
    let shown = context.definition.limits.tool_result_bytes as usize;
    let mut texts = HashMap::new();
    load_blobs(context, results(state), shown, &mut texts).await?;
    // After the results: where a message says the same as one, all of it is shown.
    load_blobs(context, notes(state), usize::MAX, &mut texts).await?;
    Ok(texts)
}

async fn load_blobs<'a>(
    context: &RunContext,
    contents: impl Iterator<Item = &'a Content>,
    shown: usize,
    texts: &mut HashMap<String, String>,
) -> Result<(), StoreError> {
    for content in contents {
        let Content::Blob { blob: hash, .. } = content else {
            continue;
        };
        let bytes = context.journal.store().blob(hash.clone()).await?;
        let bytes = bytes.ok_or_else(|| StoreError::Corrupt {
            place: format!("blob {hash}"),
            detail: "its bytes are missing".to_owned(),
        })?;
        let mut text = String::from_utf8_lossy(&bytes).into_owned();
        text.truncate(text.floor_char_boundary(shown));
        texts.insert(hash.clone(), text);
    }
    Ok(())
}

fn notes(state: &RunState) -> impl Iterator<Item = &Content> {
    let items = state.items.iter().filter_map(|item| match item {
        Item::Note(note) => Some(note),
        Item::Turn(_) => None,
    });
    items.chain(&state.unseen).map(|note| &note.content)
}

fn results(state: &RunState) -> impl Iterator<Item = &Content> {
    let calls = state.items.iter().flat_map(|item| match item {
        Item::Turn(turn) => turn.calls.as_slice(),
        Item::Note(_) => &[],
    });
    calls.filter_map(|call| match &call.phase {
        CallPhase::Done { content, .. } => Some(content),
        _ => None,
    })
}

/// The event of a run's end, if it has ended: the last one, as a run may go on after its end.
///
/// # Errors
/// When the store cannot be read.
pub async fn end_of(
    store: &dyn Store,
    task: TaskId,
    run: RunId,
) -> Result<Option<Event>, StoreError> {
    let mut end = None;
    each_event(store, task, 0, |event| match &event.body {
        _ if event.run_id != Some(run) => {}
        EventBody::RunContinued { .. } => end = None,
        body if body.is_run_end() => end = Some(event),
        _ => {}
    })
    .await?;
    Ok(end)
}
