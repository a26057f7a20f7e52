//! From the journal to a run at work: reading, deciding how to begin, claiming.

use std::collections::HashMap;
use std::sync::Arc;

use supervision::{Failure, Incarnation};

use crate::journal::JournalError;
use crate::model::task::Attention;
use crate::model::{AgentName, Content, Event, EventBody, Limits, Recovery, RunId, Sender};
use crate::store::{Append, Draft, Rejected, StoreError};

use super::actor::{RunArguments, RunContext, RunReport};
use super::read::{blobs, end_of, inherited, read};
use super::recover::{self, Begin};
use super::state::RunState;

/// A run that was read and claimed.
pub(super) struct Loaded {
    pub(super) state: RunState,
    pub(super) inherited: Option<String>,
    pub(super) blobs: HashMap<String, String>,
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
    } = arguments;
    let mut state = match read(context, *run, agent).await {
        Ok(state) => state,
        Err(StoreError::Corrupt { place, detail }) => {
            let reason = format!("its journal cannot be read ({place}: {detail})");
            quarantine(context, *run, agent, None, reason).await?;
            return Ok(None);
        }
        Err(error) => return Err(error.into()),
    };
    let definition = &context.definition;
    let recovery = definition
        .agents
        .get(agent)
        .map(|agent| agent.recovery)
        .unwrap_or_default();
    let how = recover::begin(&state, recovery, &definition.limits);
    match how {
        Begin::Nothing => {
            tell_end(context, *run).await;
            return Ok(None);
        }
        Begin::Quarantine { reason } => {
            quarantine(context, *run, agent, Some(state.epoch), reason).await?;
            return Ok(None);
        }
        Begin::Start | Begin::Resume | Begin::CleanSlate => {}
    }
    let reason = if incarnation.0 > 1 {
        "its actor crashed"
    } else {
        "the node was restarted"
    };
    let bodies = claim(&state, recovery, &definition.limits, reason);
    for event in append(context, *run, agent, state.epoch, bodies).await? {
        state.fold(&event);
    }
    let inherited = inherited(context, &state).await?;
    let blobs = blobs(context, &state).await?;
    Ok(Some(Loaded {
        state,
        inherited,
        blobs,
    }))
}

/// What is written when an incarnation claims a run: it writes under the next epoch from then on.
pub(super) fn claim(
    state: &RunState,
    recovery: Recovery,
    limits: &Limits,
    reason: &str,
) -> Vec<EventBody> {
    let restarted = |recovery| EventBody::RunRestarted {
        recovery,
        reason: reason.to_owned(),
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
    run: RunId,
    agent: &AgentName,
    epoch: Option<u64>,
    reason: String,
) -> Result<(), Failure> {
    tracing::error!(%run, "the run is quarantined: {reason}");
    let drafts = drafts(
        context,
        run,
        agent,
        epoch.unwrap_or_default(),
        quarantined(run, reason),
    );
    let fence = epoch.map(|epoch| (run, epoch));
    match context
        .journal
        .append(Append {
            task: context.task,
            fence,
            drafts,
            blobs: Vec::new(),
        })
        .await
    {
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
    epoch: u64,
    bodies: Vec<EventBody>,
) -> Vec<Draft> {
    let at = context.journal.clock().now();
    let mut epoch = epoch;
    let mut drafts = Vec::with_capacity(bodies.len());
    for body in bodies {
        epoch += u64::from(body.is_claim());
        drafts.push(Draft {
            run: Some(run),
            agent: Some(agent.clone()),
            at,
            epoch,
            cause: None,
            body,
        });
    }
    drafts
}

async fn append(
    context: &RunContext,
    run: RunId,
    agent: &AgentName,
    epoch: u64,
    bodies: Vec<EventBody>,
) -> Result<Vec<Event>, JournalError> {
    let drafts = drafts(context, run, agent, epoch, bodies);
    context
        .journal
        .append(Append {
            task: context.task,
            fence: Some((run, epoch)),
            drafts,
            blobs: Vec::new(),
        })
        .await
}

/// Tells the room how a run stands that does nothing any more, from the journal.
pub(super) async fn tell_end(context: &RunContext, run: RunId) {
    let report = match end_of(context.journal.store().as_ref(), context.task, run).await {
        Ok(Some(end)) => RunReport::Over(Arc::new(end)),
        _ => RunReport::Quarantined(run),
    };
    context.room.tell(report).await;
}
