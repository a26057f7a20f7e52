//! The tools every run has in the node itself: delegation and the room. Pure: their effects are events of our own store.

use serde::Deserialize;
use serde_json::{Value, json};

use crate::model::{AgentName, ContextMode, Delegation, EffectClass, Place, ToolSpec};

/// Delegates work to another agent.
pub const CREATE_RUN: &str = "create_run";
/// Says something in the room.
pub const POST_MESSAGE: &str = "post_message";

/// With peers: says that one does not engage.
pub const DECLINE: &str = "decline";

/// The specs of what agents can be given.
#[must_use]
pub fn specs() -> Vec<ToolSpec> {
    vec![create_run(), post_message()]
}

fn create_run() -> ToolSpec {
    ToolSpec {
        name: CREATE_RUN.to_owned(),
        description: "Delegates work to another agent of this task. In the foreground the call waits and returns the result; \
                      in the background it returns at once, and the result comes later as a message. Without `agent`, a worker \
                      does it: yourself, with your tools, in a conversation of its own."
            .to_owned(),
        parameters: json!({
            "type": "object",
            "properties": {
                "agent": { "type": "string", "description": "the agent's name; a worker of your own if left out" },
                "input": { "type": "string", "description": "the whole brief: the agent knows nothing else of your conversation" },
                "title": { "type": "string", "description": "a few words for lists" },
                "mode": { "enum": ["foreground", "background"], "default": "foreground" },
                "context": {
                    "enum": ["full", "scoped", "none"], "default": "scoped",
                    "description": "what it is shown besides the brief: your whole conversation, the task and your snippets, or nothing"
                },
                "snippets": { "type": "array", "items": { "type": "string" }, "description": "with scoped: excerpts to share" }
            },
            "required": ["input"],
            "additionalProperties": false
        }),
        effect: EffectClass::Transactional,
        place: Place::Node,
    }
}

/// The spec of [`DECLINE`], which a peer has in the first turn after it was asked, and nobody else.
#[must_use]
pub fn decline() -> ToolSpec {
    ToolSpec {
        name: DECLINE.to_owned(),
        description:
            "Leaves what was said in the room to the others. Nobody is told but the record."
                .to_owned(),
        parameters: json!({
            "type": "object",
            "properties": { "reason": { "type": "string", "description": "a few words for the record" } },
            "additionalProperties": false
        }),
        effect: EffectClass::Pure,
        place: Place::Node,
    }
}

fn post_message() -> ToolSpec {
    ToolSpec {
        name: POST_MESSAGE.to_owned(),
        description: "Says something in the room, where the other agents and people read it; with `to`, to one agent alone."
            .to_owned(),
        parameters: json!({
            "type": "object",
            "properties": { "content": { "type": "string" }, "to": { "type": "string", "description": "an agent's name" } },
            "required": ["content"],
            "additionalProperties": false
        }),
        effect: EffectClass::Transactional,
        place: Place::Node,
    }
}

/// The arguments of [`CREATE_RUN`].
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CreateRun {
    /// Who is to do it; a worker of the delegating agent if left out.
    #[serde(default)]
    pub agent: Option<AgentName>,
    /// The brief.
    pub input: String,
    /// What people read in lists; the beginning of the brief unless given.
    #[serde(default)]
    pub title: String,
    /// In the foreground or in the background.
    #[serde(default = "foreground")]
    pub mode: Delegation,
    /// What it begins with.
    #[serde(default)]
    pub context: ContextMode,
    /// With a scoped context: excerpts to share.
    #[serde(default)]
    pub snippets: Vec<String>,
}

fn foreground() -> Delegation {
    Delegation::Foreground
}

/// The arguments of [`POST_MESSAGE`].
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PostMessage {
    /// What to say.
    pub content: String,
    /// To whom alone.
    #[serde(default)]
    pub to: Option<AgentName>,
}

/// Reads a tool's arguments.
///
/// # Errors
/// What is wrong with them, for the model.
pub fn read<T: for<'de> Deserialize<'de>>(tool: &str, args: &Value) -> Result<T, String> {
    T::deserialize(args).map_err(|error| format!("the arguments do not fit {tool}: {error}"))
}

impl CreateRun {
    /// The title, or the beginning of the brief.
    #[must_use]
    pub fn title(&self) -> String {
        let text = if self.title.is_empty() {
            &self.input
        } else {
            &self.title
        };
        let line = text.lines().next().unwrap_or_default();
        match line.char_indices().nth(60) {
            Some((cut, _)) => format!("{}…", &line[..cut]),
            None => line.to_owned(),
        }
    }
}
