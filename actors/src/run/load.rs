//! From the journal to a run at work: reading, deciding how to begin, claiming.

use std::collections::HashMap;
use std::sync::Arc;

use supervision::{Failure, Incarnation};

use crate::journal::JournalError;
use crate::model::event::Seq;
use crate::model::task::Attention;
use crate::model::{
    AgentName, Content, Event, EventBody, Limits, Recovery, RunId, RunStatus, Sender,
};
use crate::store::{Append, Draft, Rejected, StoreError};

use super::actor::{RunArguments, RunContext, RunReport};
use super::cause::causes_of;
use super::read::{blobs, end_of, fold_from, inherited, read};
use super::recover::{self, Begin};
use super::state::RunState;

/// A run that was read and claimed.
pub(super) struct Loaded {
    pub(super) state: RunState,
    pub(super) inherited: Option<String>,
    pub(super) blobs: HashMap<String, String>,
    /// The last event that was read.
    pub(super) read_to: Seq,
    /// The claim, where it is still to be written: nobody has had the run before.
    pub(super) claim: Vec<EventBody>,
}

/// Reads a run, decides how its new incarnation begins, and claims it. `None` if there is nothing to do.
pub(super) async fn begin(
    arguments: &RunArguments,
    incarnation: Incarnation,
) -> Result<Option<Loaded>, Failure> {
    let RunArguments {
        run,
        agent,
        context,
        ..
    } = arguments;
    let mut loaded = match load(context, *run, agent).await {
        Ok(loaded) => loaded,
        Err(LoadError::Store(StoreError::Corrupt { place, detail })) => {
            let reason = format!("its journal cannot be read ({place}: {detail})");
            let unread = RunState::new(*run);
            quarantine(context, agent, &unread, None, reason).await?;
            return Ok(None);
        }
        Err(error) => return Err(error.into()),
    };
    let definition = &context.definition;
    let spec = definition.agents.get(agent);
    let recovery = spec.map(|agent| agent.recovery).unwrap_or_default();
    match recover::begin(&loaded.state, recovery, &definition.limits) {
        Begin::Nothing => {
            tell_end(context, *run).await;
            return Ok(None);
        }
        Begin::Quarantine { reason } => {
            let epoch = Some(loaded.state.epoch);
            quarantine(context, agent, &loaded.state, epoch, reason).await?;
            return Ok(None);
        }
        Begin::Start | Begin::Resume | Begin::CleanSlate => {}
    }
    let before = match (loaded.state.status, loaded.state.is_begun) {
        (RunStatus::Queued, false) => Before::Ended("it goes on after its end"),
        (RunStatus::Queued, true) => Before::Ended("a person released it"),
        _ if incarnation.0 > 1 => Before::Crashed,
        _ => Before::Ended("its task was opened again"),
    };
    let bodies = claim(&loaded.state, recovery, &definition.limits, before);
    if loaded.state.epoch == 0 {
        // Nobody has had it before: whoever is first to write the claim has it.
        loaded.claim = bodies;
        return Ok(Some(loaded));
    }
    let drafts = drafts(context, *run, agent, &loaded.state, bodies);
    let fence = Some((*run, loaded.state.epoch));
    let claimed = append(context, fence, drafts).await?;
    // Read and not assumed: whoever had the run may have written until the claim was durable.
    let read_to = loaded.read_to;
    let last = claimed.last().map_or(read_to, |event| event.id);
    loaded.read_to = fold_from(context, &mut loaded.state, agent, read_to, last).await?;
    if last > read_to + claimed.len() as u64 {
        loaded.blobs = blobs(context, &loaded.state).await?;
    }
    Ok(Some(loaded))
}

/// Why a run could not be read.
#[derive(Debug, thiserror::Error)]
enum LoadError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Journal(#[from] JournalError),
}

async fn load(context: &RunContext, run: RunId, agent: &AgentName) -> Result<Loaded, LoadError> {
    let (mut state, mut read_to) = read(context, run, agent).await?;
    if state.epoch > 0 {
        // What an incarnation that is gone had sent to the journal may still be on its way: it is there before this is.
        append(context, None, Vec::new()).await?;
        read_to = fold_from(context, &mut state, agent, read_to, Seq::MAX).await?;
    }
    let inherited = inherited(context, &state).await?;
    let blobs = blobs(context, &state).await?;
    Ok(Loaded {
        state,
        inherited,
        blobs,
        read_to,
        claim: Vec::new(),
    })
}

/// What became of the incarnation before.
#[derive(Debug, Clone, Copy)]
pub(super) enum Before<'a> {
    /// Its actor crashed.
    Crashed,
    /// It ended for this reason.
    Ended(&'a str),
}

/// What is written when an incarnation claims a run: it writes under the next epoch from then on.
pub(super) fn claim(
    state: &RunState,
    recovery: Recovery,
    limits: &Limits,
    before: Before<'_>,
) -> Vec<EventBody> {
    let (reason, crashed) = match before {
        Before::Crashed => ("its actor crashed", true),
        Before::Ended(reason) => (reason, false),
    };
    let restarted = |recovery| EventBody::RunRestarted {
        recovery,
        reason: reason.to_owned(),
        crashed,
    };
    match recover::begin(state, recovery, limits) {
        Begin::Start => vec![EventBody::RunStarted],
        Begin::Nothing => Vec::new(),
        Begin::Resume => vec![restarted(Recovery::Resume)],
        Begin::CleanSlate => {
            let note = state.effects_note().map(|text| EventBody::Message {
                from: Sender::System,
                content: Content::Inline(text),
                about: None,
            });
            std::iter::once(restarted(Recovery::CleanSlate))
                .chain(note)
                .collect()
        }
        Begin::Quarantine { reason } => quarantined(state.id, reason),
    }
}

fn quarantined(run: RunId, reason: String) -> Vec<EventBody> {
    let attention = Attention::Quarantined {
        run,
        reason: reason.clone(),
    };
    vec![
        EventBody::RunQuarantined { reason },
        EventBody::TaskNeedsAttention { attention },
    ]
}

async fn quarantine(
    context: &RunContext,
    agent: &AgentName,
    state: &RunState,
    epoch: Option<u64>,
    reason: String,
) -> Result<(), Failure> {
    let run = state.id;
    tracing::error!(%run, "the run is quarantined: {reason}");
    let drafts = drafts(context, run, agent, state, quarantined(run, reason));
    let fence = epoch.map(|epoch| (run, epoch));
    match append(context, fence, drafts).await {
        // It had been decided before.
        Ok(_) | Err(JournalError::Rejected(Rejected::Illegal(_))) => {}
        Err(error) => return Err(error.into()),
    }
    context.room.tell(RunReport::Quarantined(run)).await;
    Ok(())
}

/// The drafts of a claim: the claiming event and everything after it stand under the next epoch.
pub(super) fn drafts(
    context: &RunContext,
    run: RunId,
    agent: &AgentName,
    state: &RunState,
    bodies: Vec<EventBody>,
) -> Vec<Draft> {
    let at = context.journal.clock().now();
    let mut epoch = state.epoch;
    let mut drafts = Vec::with_capacity(bodies.len());
    let causes = causes_of(state, &bodies);
    for (body, cause) in bodies.into_iter().zip(causes) {
        epoch += u64::from(body.is_claim());
        drafts.push(Draft {
            run: Some(run),
            agent: Some(agent.clone()),
            at,
            epoch,
            cause,
            body,
        });
    }
    drafts
}

async fn append(
    context: &RunContext,
    fence: Option<(RunId, u64)>,
    drafts: Vec<Draft>,
) -> Result<Vec<Event>, JournalError> {
    let append = Append {
        task: context.task,
        fence,
        drafts,
        blobs: Vec::new(),
    };
    context.journal.append(append).await
}

/// Tells the room how a run stands that does nothing any more, from the journal.
pub(super) async fn tell_end(context: &RunContext, run: RunId) {
    let report = match end_of(context.journal.store().as_ref(), context.task, run).await {
        Ok(Some(end)) => RunReport::Over(Arc::new(end)),
        _ => RunReport::Quarantined(run),
    };
    context.room.tell(report).await;
}
