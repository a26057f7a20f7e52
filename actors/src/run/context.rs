//! What a model is shown: from a run's state to a request. Pure.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;

use super::state::{Call, CallPhase, Item, Note, RunState, Turn};
use super::tools::{self, CREATE_RUN};
use crate::model::event::Outcome;
use crate::model::{
    AgentName, AgentSpec, ChatMessage, Content, ContextMode, EffectClass, ModelRequest, RunSpec,
    Sender, Seq, TaskDefinition, TeamMode, ToolSpec,
};

/// What a request is made from besides the run's state.
#[derive(Debug, Clone, Copy)]
pub struct Scene<'a> {
    /// The task.
    pub task: &'a TaskDefinition,
    /// The agent that thinks.
    pub name: &'a AgentName,
    /// The parent's conversation, already in words, where the run was given it.
    pub inherited: Option<&'a str>,
    /// Every tool there is.
    pub tools: &'a BTreeMap<String, ToolSpec>,
    /// Texts of blobs, by hash.
    pub blobs: &'a HashMap<String, String>,
}

/// The request for the next turn, showing what was said up to `seen`.
#[must_use]
pub fn request(state: &RunState, seen: Seq, scene: Scene<'_>) -> ModelRequest {
    let agent = scene
        .task
        .agents
        .get(scene.name)
        .cloned()
        .unwrap_or_default();
    let brief = state
        .spec
        .as_ref()
        .map(|spec| spec.input.clone())
        .unwrap_or_default();
    let own = agent.tools.iter();
    let own = own.filter_map(|tool| scene.tools.get(tool)).cloned();
    let tools = own
        .chain(state.is_undecided().then(tools::decline))
        .collect();
    ModelRequest {
        run: state.id,
        agent: scene.name.to_string(),
        model: agent.model.clone(),
        brief,
        system: system(&agent, scene),
        messages: messages(state, seen, scene),
        tools,
        settings: agent.settings,
    }
}

/// The system prompt: instructions, and whom work can be delegated to.
fn system(agent: &AgentSpec, scene: Scene<'_>) -> String {
    let mut text = agent.instructions.trim_end().to_owned();
    if let Some(workflow) = &scene.task.workflow {
        let _ = write!(
            text,
            "\n\nThe workflow of this task, {} version {}:\n{}",
            workflow.name, workflow.version, workflow.instructions
        );
    }
    if agent.tools.iter().any(|tool| tool == CREATE_RUN) {
        let others = scene
            .task
            .available_agents
            .iter()
            .filter(|name| *name != scene.name);
        let lines: Vec<_> = others
            .map(|name| {
                match scene
                    .task
                    .agents
                    .get(name)
                    .map(|agent| agent.description.as_str())
                {
                    None | Some("") => format!("- {name}"),
                    Some(description) => format!("- {name}: {description}"),
                }
            })
            .collect();
        if !lines.is_empty() {
            let _ = write!(
                text,
                "\n\nAgents you can delegate to:\n{}",
                lines.join("\n")
            );
        }
    }
    text + &peers(scene)
}

/// What the lead of peers has to know; they are told when they are asked.
fn peers(scene: Scene<'_>) -> String {
    let team = scene.task.team.as_ref();
    let Some(team) = team.filter(|it| it.mode == TeamMode::Peers && it.lead == *scene.name) else {
        return String::new();
    };
    let names: Vec<_> = team.members.iter().map(AgentName::as_str).collect();
    format!(
        "\n\nIn the room with you: {}. They hear what is said there and decide for themselves whether they engage. When the \
         room has gone quiet, you are asked again for the result.",
        names.join(", ")
    )
}

fn messages(state: &RunState, seen: Seq, scene: Scene<'_>) -> Vec<ChatMessage> {
    let mut messages = Vec::new();
    let mut said = vec![opening(state, scene)];
    for item in &state.items {
        match item {
            Item::Note(note) => said.extend(shown_note(state, note, scene)),
            Item::Turn(turn) => {
                flush(&mut said, &mut messages);
                shown_turn(turn, scene, &mut messages);
            }
        }
    }
    let unseen = state.unseen.iter().filter(|note| note.is_shown(seen));
    said.extend(unseen.filter_map(|note| shown_note(state, note, scene)));
    flush(&mut said, &mut messages);
    messages
}

/// Several things said in between become one message: some providers refuse two in a row.
fn flush(said: &mut Vec<String>, messages: &mut Vec<ChatMessage>) {
    if !said.is_empty() {
        messages.push(ChatMessage::User {
            text: said.join("\n\n"),
        });
        said.clear();
    }
}

/// The first message: what the run was given to begin with.
fn opening(state: &RunState, scene: Scene<'_>) -> String {
    let Some(spec) = &state.spec else {
        return String::new();
    };
    let parts = match spec.context {
        _ if spec.parent.is_none() => Vec::new(),
        ContextMode::None => Vec::new(),
        ContextMode::Scoped => scoped(spec, scene),
        ContextMode::Full => {
            let conversation = scene.inherited.unwrap_or_default();
            vec![format!(
                "The conversation that led to this:\n\n{conversation}"
            )]
        }
    };
    parts
        .into_iter()
        .chain([spec.input.clone()])
        .collect::<Vec<_>>()
        .join("\n\n")
}

fn scoped(spec: &RunSpec, scene: Scene<'_>) -> Vec<String> {
    let mut parts = vec![format!(
        "The task as a whole: {}\n{}",
        scene.task.name, scene.task.description
    )];
    parts.extend(
        spec.snippets
            .iter()
            .map(|snippet| format!("For your information:\n{snippet}")),
    );
    parts
}

fn shown_note(state: &RunState, note: &Note, scene: Scene<'_>) -> Option<String> {
    let alone = state
        .spec
        .as_ref()
        .is_some_and(|spec| spec.parent.is_some() && spec.context == ContextMode::None);
    if note.shared && alone && note.seq < state.queued {
        return None;
    }
    let text = text_of(&note.content, scene);
    let from = match &note.from {
        Sender::Human => "a person",
        Sender::System => return Some(text.to_owned()),
        Sender::Agent(agent) => agent.as_str(),
    };
    let place = match &note.to {
        Some(to) if to == scene.name => "to you".to_owned(),
        Some(to) => format!("to {to}"),
        None if note.shared => "in the room".to_owned(),
        None => "to you".to_owned(),
    };
    Some(format!("[{from}, {place}] {text}"))
}

fn shown_turn(turn: &Turn, scene: Scene<'_>, messages: &mut Vec<ChatMessage>) {
    let calls = turn.calls.iter().map(|call| call.call.clone()).collect();
    messages.push(ChatMessage::Assistant {
        text: turn.text.clone(),
        calls,
        opaque: turn.opaque.clone(),
    });
    for call in &turn.calls {
        let (text, is_error) = match &call.phase {
            CallPhase::Done {
                outcome, content, ..
            } => (shown_result(content, scene), *outcome == Outcome::Error),
            CallPhase::Dropped => (dropped(call).to_owned(), true),
            _ => continue,
        };
        messages.push(ChatMessage::Tool {
            call_id: call.call.id.clone(),
            name: call.call.name.clone(),
            text,
            is_error,
        });
    }
}

/// What stands for the result of a call whose run ended before it had one.
fn dropped(call: &Call) -> &'static str {
    if call.class.is_some_and(EffectClass::records_start) {
        "This call was running when the work was ended: it may or may not have taken effect. Find out before you do it again."
    } else {
        "This call was not made: the work was ended before."
    }
}

fn shown_result(content: &Content, scene: Scene<'_>) -> String {
    let text = text_of(content, scene);
    let limit = scene.task.limits.tool_result_bytes as usize;
    let whole = match content {
        Content::Inline(text) => text.len() as u64,
        Content::Blob { bytes, .. } => *bytes,
    };
    let cut = text.floor_char_boundary(limit);
    if whole <= cut as u64 {
        return text.to_owned();
    }
    format!(
        "{}\n[the first {cut} of {whole} bytes; ask for less, or for a part]",
        &text[..cut]
    )
}

fn text_of<'a>(content: &'a Content, scene: Scene<'a>) -> &'a str {
    match content {
        Content::Inline(text) => text,
        Content::Blob { blob, preview, .. } => scene.blobs.get(blob).unwrap_or(preview),
    }
}

/// A conversation in words, as its model was shown it, for a delegated run that is given all of it.
#[must_use]
pub fn in_words(state: &RunState, scene: Scene<'_>) -> String {
    let mut text = String::new();
    for message in messages(state, 0, scene) {
        let _ = match message {
            ChatMessage::User { text: said } => writeln!(text, "> {said}\n"),
            ChatMessage::Assistant {
                text: said, calls, ..
            } => {
                let calls: Vec<_> = calls
                    .iter()
                    .map(|call| format!("{}({})", call.name, call.args))
                    .collect();
                writeln!(text, "{}: {said} {}\n", scene.name, calls.join(" "))
            }
            ChatMessage::Tool {
                name, text: said, ..
            } => writeln!(text, "{name} → {said}\n"),
        };
    }
    text.trim_end().to_owned()
}
