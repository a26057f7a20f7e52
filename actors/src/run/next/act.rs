//! Tool calls: which are made, refused, or taken up again.

use crate::model::agent::WhenBusy;
use crate::model::event::Outcome;
use crate::model::{AgentName, Content, EffectClass, EventBody, InDoubtPolicy, Sender, Step};
use crate::run::state::{Call, CallPhase, RunState};
use crate::run::tools::{self, CREATE_RUN, CreateRun, POST_MESSAGE, PostMessage};

use super::ends::delegated;
use super::{Effect, Surroundings};

pub(super) fn act(state: &RunState, around: &Surroundings<'_>) -> Vec<Effect> {
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
        CallPhase::InDoubt { .. } | CallPhase::Done { .. } | CallPhase::Dropped => Vec::new(),
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
                executor: None,
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

pub(super) fn completed(step: Step, outcome: Outcome, text: String) -> EventBody {
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
        let names: Vec<_> = around.colleagues.iter().map(AgentName::as_str).collect();
        let there = names.join(", ");
        let why = format!("agent `{stranger}` is not in this room; {there} are");
        return refuse(step, why);
    }
    let to = message.to.as_ref().and_then(|to| around.agents.get(to));
    if to.is_some_and(|to| to.when_busy == WhenBusy::Reject) {
        return vec![Effect::Say(step, Box::new(message))];
    }
    vec![Effect::Record(posted(around.name, step, &message))]
}

/// What is written when something is said in the room.
#[must_use]
pub fn posted(by: &AgentName, step: Step, message: &PostMessage) -> Vec<EventBody> {
    let (from, tool) = (Sender::Agent(by.clone()), POST_MESSAGE.to_owned());
    vec![
        EventBody::ToolCallStarted {
            step,
            tool,
            class: EffectClass::Transactional,
            executor: None,
        },
        EventBody::TaskMessage {
            from,
            to: message.to.clone(),
            content: message.content.clone(),
            outcome: false,
        },
        completed(step, Outcome::Ok, "posted".to_owned()),
    ]
}

/// A call that an earlier incarnation had started.
fn orphaned(step: Step, call: &Call, class: EffectClass) -> Vec<Effect> {
    let started = EventBody::ToolCallStarted {
        step,
        tool: call.call.name.clone(),
        class,
        executor: None,
    };
    match class {
        EffectClass::Pure | EffectClass::Transactional => {
            vec![Effect::Record(vec![started]), Effect::Call(step)]
        }
        EffectClass::Keyed | EffectClass::Ledgered => vec![Effect::Record(vec![started])],
        EffectClass::Queryable | EffectClass::Once => vec![Effect::Probe(step)],
    }
}
