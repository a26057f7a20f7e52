//! What a run's state calls for. Pure: the same state, time and surroundings give the same effects.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::model::event::{Outcome, Resolution};
use crate::model::task::Attention;
use crate::model::{
    AgentName, AgentSpec, Content, Delegation, EffectClass, EventBody, InDoubtPolicy, Limits,
    RunId, RunStatus, Sender, Seq, Step, Timestamp, ToolSpec, WaitReason,
};
use crate::provider::ProviderError;

use super::state::{Call, CallPhase, Child, ChildEnd, Phase, RunState, retry_delay};
use super::tools::{self, CREATE_RUN, CreateRun, POST_MESSAGE, PostMessage};

/// What the next effects depend on besides the state.
#[derive(Debug, Clone)]
pub struct Surroundings<'a> {
    /// Now.
    pub now: Timestamp,
    /// The agent that does the run.
    pub name: &'a AgentName,
    /// Its definition.
    pub agent: &'a AgentSpec,
    /// The other agents of the task.
    pub colleagues: &'a [AgentName],
    /// Every tool there is.
    pub tools: &'a BTreeMap<String, ToolSpec>,
    /// The limits of the tree.
    pub limits: &'a Limits,
    /// How often and how long its provider is tried again.
    pub retry: RetryPolicy,
}

/// How often and how long a model call is tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Tries in all.
    pub attempts: u32,
    /// The first wait, doubled at each further failure.
    pub base: Duration,
    /// The longest wait.
    pub cap: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            attempts: 4,
            base: Duration::from_millis(500),
            cap: Duration::from_secs(30),
        }
    }
}

/// Something to be done.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Write these together, then look again.
    Record(Vec<EventBody>),
    /// Make the model call of this turn, showing what was said up to `seen`.
    Think {
        /// The turn.
        turn: u32,
        /// Up to where.
        seen: Seq,
    },
    /// Make the tool call at this step.
    Call(Step),
    /// Ask the tool whether the call at this step took effect.
    Probe(Step),
    /// Undo whatever the call at this step did.
    Compensate(Step),
    /// Ask the room whether this may be delegated, and under which id.
    Delegate(Step, Box<CreateRun>),
    /// See to it that this delegated run is started.
    EnsureChild(RunId),
    /// Look again at this time.
    WakeAt(Timestamp),
    /// The run is over.
    Over,
}

/// What `state` calls for. An effect that is under way is named again; whoever performs them knows what is under way.
#[must_use]
pub fn next(state: &RunState, around: &Surroundings<'_>) -> Vec<Effect> {
    let mut effects = match state.phase() {
        Phase::Over => return vec![Effect::Over],
        Phase::Think => think(state, around),
        Phase::Act => act(state, around),
        Phase::Finish => finish(state, around),
    };
    let live = |child: &&RunId| state.children[child].end.is_none();
    effects.extend(
        state
            .children
            .keys()
            .filter(live)
            .map(|child| Effect::EnsureChild(*child)),
    );
    effects
}

// ---- thinking

fn think(state: &RunState, around: &Surroundings<'_>) -> Vec<Effect> {
    let ends = background_ends(state, around);
    if !ends.is_empty() {
        return vec![Effect::Record(ends)];
    }
    if state
        .thinking
        .is_some_and(|thinking| thinking.epoch == state.epoch)
    {
        return Vec::new();
    }
    if let Some(at) = state.retry_at.filter(|at| *at > around.now) {
        return vec![Effect::WakeAt(at)];
    }
    if state.turn >= around.agent.max_turns {
        let limit = format!(
            "{} turns (max_turns of agent `{}`)",
            around.agent.max_turns, around.name
        );
        let error = format!("the run used up its {limit} without coming to an end");
        return vec![Effect::Record(vec![
            EventBody::BudgetExceeded { limit },
            EventBody::RunFailed {
                error,
                usage: state.usage,
            },
        ])];
    }
    let (turn, seen) = (state.turn, state.head);
    vec![
        Effect::Record(vec![EventBody::ModelCallStarted { turn, seen }]),
        Effect::Think { turn, seen },
    ]
}

/// What to write when a model call failed.
#[must_use]
pub fn model_call_failed(state: &RunState, error: &ProviderError, retry: RetryPolicy) -> EventBody {
    let attempt = state.failures + 1;
    if error.is_retryable() && attempt < retry.attempts {
        let delay = retry_delay(
            state.id,
            state.turn,
            attempt,
            retry.base,
            retry.cap,
            error.retry_after,
        );
        let delay_ms = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
        return EventBody::RunRetrying {
            turn: state.turn,
            attempt,
            error: error.to_string(),
            delay_ms,
        };
    }
    let error = if attempt > 1 {
        format!("after {attempt} attempts: {error}")
    } else {
        error.to_string()
    };
    EventBody::RunFailed {
        error,
        usage: state.usage,
    }
}

// ---- acting

fn act(state: &RunState, around: &Surroundings<'_>) -> Vec<Effect> {
    state
        .open_calls()
        .flat_map(|(step, call)| act_on(state, around, step, call))
        .collect()
}

fn act_on(state: &RunState, around: &Surroundings<'_>, step: Step, call: &Call) -> Vec<Effect> {
    match &call.phase {
        CallPhase::Planned => plan(around, step, call),
        CallPhase::Started { epoch, .. } if *epoch == state.epoch => vec![Effect::Call(step)],
        CallPhase::Started { class, .. } => orphaned(step, call, *class),
        CallPhase::Delegated(run) => delegated(state, around, step, *run),
        CallPhase::InDoubt {
            policy: InDoubtPolicy::Compensate,
            ..
        } => vec![Effect::Compensate(step)],
        CallPhase::InDoubt { .. } | CallPhase::Done { .. } => Vec::new(),
    }
}

fn plan(around: &Surroundings<'_>, step: Step, call: &Call) -> Vec<Effect> {
    let name = call.call.name.as_str();
    let Some(spec) = around
        .tools
        .get(name)
        .filter(|_| around.agent.tools.iter().any(|tool| tool == name))
    else {
        return refuse(step, no_such_tool(name, &around.agent.tools));
    };
    if !call.call.args.is_object() {
        return refuse(
            step,
            format!(
                "the arguments of {name} must be a JSON object, not {}",
                call.call.args
            ),
        );
    }
    match name {
        CREATE_RUN => plan_delegation(around, step, call),
        POST_MESSAGE => post(around, step, call),
        _ => {
            let class = around
                .agent
                .effects
                .get(name)
                .copied()
                .unwrap_or(spec.effect);
            let started = Effect::Record(vec![EventBody::ToolCallStarted {
                step,
                tool: name.to_owned(),
                class,
            }]);
            // For what cannot hurt, *started* is written without being waited for.
            if class.records_start() {
                vec![started]
            } else {
                vec![started, Effect::Call(step)]
            }
        }
    }
}

fn refuse(step: Step, why: String) -> Vec<Effect> {
    vec![Effect::Record(vec![completed(step, Outcome::Error, why)])]
}

fn completed(step: Step, outcome: Outcome, text: String) -> EventBody {
    EventBody::ToolCallCompleted {
        step,
        outcome,
        content: Content::Inline(text),
    }
}

fn no_such_tool(name: &str, tools: &[String]) -> String {
    if tools.is_empty() {
        return format!("there is no tool `{name}`: you have no tools");
    }
    format!("there is no tool `{name}`; you have {}", tools.join(", "))
}

fn plan_delegation(around: &Surroundings<'_>, step: Step, call: &Call) -> Vec<Effect> {
    let mut wish = match tools::read::<CreateRun>(CREATE_RUN, &call.call.args) {
        Ok(wish) => wish,
        Err(why) => return refuse(step, why),
    };
    let agent = wish.agent.get_or_insert_with(|| around.name.clone());
    if agent != around.name && !around.colleagues.contains(agent) {
        let others: Vec<_> = around
            .colleagues
            .iter()
            .filter(|name| *name != around.name)
            .map(AgentName::as_str)
            .collect();
        let known = match others.is_empty() {
            true => "there is nobody else to delegate to".to_owned(),
            false => format!("available: {}", others.join(", ")),
        };
        return refuse(
            step,
            format!("agent `{agent}` is not available to this task; {known}"),
        );
    }
    vec![Effect::Delegate(step, Box::new(wish))]
}

fn post(around: &Surroundings<'_>, step: Step, call: &Call) -> Vec<Effect> {
    let message = match tools::read::<PostMessage>(POST_MESSAGE, &call.call.args) {
        Ok(message) => message,
        Err(why) => return refuse(step, why),
    };
    if let Some(stranger) = message
        .to
        .as_ref()
        .filter(|to| !around.colleagues.contains(to))
    {
        return refuse(step, format!("agent `{stranger}` is not in this room"));
    }
    let (from, tool) = (Sender::Agent(around.name.clone()), POST_MESSAGE.to_owned());
    vec![Effect::Record(vec![
        EventBody::ToolCallStarted {
            step,
            tool,
            class: EffectClass::Transactional,
        },
        EventBody::TaskMessage {
            from,
            to: message.to,
            content: message.content,
        },
        completed(step, Outcome::Ok, "posted".to_owned()),
    ])]
}

/// A call that an earlier incarnation had started.
fn orphaned(step: Step, call: &Call, class: EffectClass) -> Vec<Effect> {
    let started = EventBody::ToolCallStarted {
        step,
        tool: call.call.name.clone(),
        class,
    };
    match class {
        EffectClass::Pure | EffectClass::Transactional => {
            vec![Effect::Record(vec![started]), Effect::Call(step)]
        }
        EffectClass::Keyed | EffectClass::Ledgered => vec![Effect::Record(vec![started])],
        EffectClass::Queryable | EffectClass::Once => vec![Effect::Probe(step)],
    }
}

/// How often [`InDoubtPolicy::Retry`] makes one call again; after that the model is told that nobody knows.
pub const MAX_RETRIES: u32 = 5;

/// What to write about a call whose outcome is unknown. Whatever follows from the policy at once is written with it.
#[must_use]
pub fn in_doubt(
    state: &RunState,
    step: Step,
    reason: &str,
    policy: InDoubtPolicy,
) -> Vec<EventBody> {
    let tool = state
        .call(step)
        .map(|call| call.call.name.clone())
        .unwrap_or_default();
    let retries = state.call(step).map_or(0, |call| call.retries);
    let policy = match policy {
        InDoubtPolicy::Retry if retries >= MAX_RETRIES => InDoubtPolicy::TellModel,
        policy => policy,
    };
    let mut bodies = vec![EventBody::ToolCallInDoubt {
        step,
        tool: tool.clone(),
        reason: reason.to_owned(),
        policy,
    }];
    match policy {
        InDoubtPolicy::TellModel => {
            bodies.extend(resolve(step, Sender::System, Resolution::ToldModel, reason))
        }
        InDoubtPolicy::Retry => {
            bodies.extend(resolve(step, Sender::System, Resolution::Retried, reason))
        }
        InDoubtPolicy::Compensate => {}
        InDoubtPolicy::Ask => {
            let question = format!("did {tool} (step {step}) take effect? {reason}");
            let attention = Attention::InDoubt {
                run: state.id,
                question: question.clone(),
            };
            bodies.push(EventBody::RunWaiting {
                reason: WaitReason::Human { question },
            });
            bodies.push(EventBody::TaskNeedsAttention { attention });
        }
    }
    bodies
}

/// What to write when it is known what becomes of a call in doubt: the decision, and with it the call's one result.
#[must_use]
pub fn resolve(step: Step, by: Sender, resolution: Resolution, reason: &str) -> Vec<EventBody> {
    let result = match &resolution {
        Resolution::Retried => None,
        Resolution::Answered { result } => Some(completed(step, Outcome::Ok, result.clone())),
        Resolution::Compensated { note } => {
            let text = format!(
                "The outcome of this call was unknown ({reason}); it was compensated: {note}"
            );
            Some(completed(step, Outcome::Error, text))
        }
        Resolution::ToldModel => {
            let text = format!(
                "The outcome of this call is unknown: {reason}. It may or may not have taken effect. \
                 Find out before you do it again."
            );
            Some(completed(step, Outcome::Error, text))
        }
    };
    std::iter::once(EventBody::ToolCallResolved {
        step,
        by,
        resolution,
    })
    .chain(result)
    .collect()
}

// ---- delegated runs

fn delegated(state: &RunState, around: &Surroundings<'_>, step: Step, run: RunId) -> Vec<Effect> {
    let Some((child, end)) = state
        .children
        .get(&run)
        .and_then(|child| Some((child, child.end.as_ref()?)))
    else {
        return Vec::new();
    };
    let outcome = if end.status == RunStatus::Completed {
        Outcome::Ok
    } else {
        Outcome::Error
    };
    let content = Content::Inline(capsule(run, child, end, around.limits));
    vec![Effect::Record(vec![EventBody::ToolCallCompleted {
        step,
        outcome,
        content,
    }])]
}

/// Ends of background runs that the model has not been told of.
fn background_ends(state: &RunState, around: &Surroundings<'_>) -> Vec<EventBody> {
    let untold = |child: &Child| child.delegation == Delegation::Background && !child.delivered;
    let ended = state.children.iter().filter(|(_, child)| untold(child));
    ended
        .filter_map(|(run, child)| {
            let content = Content::Inline(capsule(*run, child, child.end.as_ref()?, around.limits));
            let from = Sender::Agent(child.agent.as_str().into());
            Some(EventBody::Message {
                from,
                content,
                about: Some(*run),
            })
        })
        .collect()
}

/// What a parent is shown of a delegated run: how it ended, and its result up to a limit.
#[must_use]
pub fn capsule(run: RunId, child: &Child, end: &ChildEnd, limits: &Limits) -> String {
    let text = match &end.content {
        Content::Inline(text) => text.as_str(),
        Content::Blob { preview, .. } => preview.as_str(),
    };
    let limit = limits.capsule_chars as usize;
    let status = match end.status {
        RunStatus::Completed => "completed",
        RunStatus::Cancelled => "was cancelled",
        _ => "failed",
    };
    let (shown, note) = match text.char_indices().nth(limit) {
        Some((cut, _)) => (
            &text[..cut],
            format!("\n[the first {limit} characters; the whole result is in the record of {run}]"),
        ),
        None => (text, String::new()),
    };
    format!("{} ({run}) {status}:\n{shown}{note}", child.agent)
}

// ---- the end

fn finish(state: &RunState, around: &Surroundings<'_>) -> Vec<Effect> {
    let ends = background_ends(state, around);
    if !ends.is_empty() {
        return vec![Effect::Record(ends)];
    }
    let count = state.live_children();
    if count > 0 {
        let reason = WaitReason::Children { count };
        let said = state.waiting.as_ref() == Some(&reason);
        return if said {
            Vec::new()
        } else {
            vec![Effect::Record(vec![EventBody::RunWaiting { reason }])]
        };
    }
    let text = state
        .last_turn()
        .map(|turn| turn.text.clone())
        .unwrap_or_default();
    let mut bodies = room_message(state, around.name, &text, around.limits);
    bodies.push(EventBody::RunCompleted {
        result: Content::Inline(text),
        usage: state.usage,
    });
    vec![Effect::Record(bodies)]
}

/// A delegated run's outcome, said in the room.
#[must_use]
pub fn room_message(
    state: &RunState,
    name: &AgentName,
    text: &str,
    limits: &Limits,
) -> Vec<EventBody> {
    let Some(spec) = state.spec.as_ref().filter(|spec| spec.parent.is_some()) else {
        return Vec::new();
    };
    let limit = limits.capsule_chars as usize;
    let shown = text
        .char_indices()
        .nth(limit)
        .map_or(text, |(cut, _)| &text[..cut]);
    let content = format!("{}: {shown}", spec.title);
    vec![EventBody::TaskMessage {
        from: Sender::Agent(name.clone()),
        to: None,
        content,
    }]
}
