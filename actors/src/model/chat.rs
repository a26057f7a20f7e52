//! A conversation as providers take and give it.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::id::RunId;
use super::tool::ToolSpec;
use super::usage::Usage;

/// A model's wish to call a tool.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ToolCall {
    /// The id the provider gave the call; good for answering it, not for recognising it after a restart (that is [`super::Step`]).
    pub id: String,
    /// The tool's name.
    pub name: String,
    /// Its arguments, a JSON object.
    pub args: Value,
}

/// One message of a conversation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "role", rename_all = "snake_case")]
pub enum ChatMessage {
    /// From outside the model: its brief, a room message, a person.
    User {
        /// What was said.
        text: String,
    },
    /// What the model said and which tools it called.
    Assistant {
        /// Its text; may be empty when it only calls tools.
        text: String,
        /// Its calls.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        calls: Vec<ToolCall>,
        /// Blocks only its provider understands (thinking signatures and the like), carried back verbatim.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        opaque: Vec<Value>,
    },
    /// A tool's answer.
    Tool {
        /// The provider's id of the call that is answered.
        call_id: String,
        /// The tool's name.
        name: String,
        /// What came back.
        text: String,
        /// Whether it is an error.
        is_error: bool,
    },
}

/// One model call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelRequest {
    /// The run on whose behalf the call is made.
    pub run: RunId,
    /// The agent that thinks; the scripted provider chooses its script by it.
    pub agent: String,
    /// The model's name; empty for the provider's default.
    pub model: String,
    /// The run's brief, also part of the conversation; the scripted provider quotes it.
    pub brief: String,
    /// The system prompt.
    pub system: String,
    /// The conversation so far.
    pub messages: Vec<ChatMessage>,
    /// The tools the model may call.
    pub tools: Vec<ToolSpec>,
    /// `temperature`, `max_tokens` and whatever else the provider takes.
    pub settings: Map<String, Value>,
}

/// Why a model stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StopReason {
    /// It had said all.
    End,
    /// It wants tools called.
    ToolCalls,
    /// It ran into its output limit.
    Length,
}

/// A model's whole answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reply {
    /// Its text.
    pub text: String,
    /// The calls it wants made; only those whose arguments arrived whole.
    pub calls: Vec<ToolCall>,
    /// What it cost.
    pub usage: Usage,
    /// Why it stopped.
    pub stop: StopReason,
    /// Blocks to be carried back verbatim.
    pub opaque: Vec<Value>,
}
