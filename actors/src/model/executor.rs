//! The executor link's frames, as CONTRACT describes them. Over a socket each is one JSON text; in process they travel as they are.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::id::{CallId, ExecutorId};
use super::time::Timestamp;
use super::tool::ToolSpec;

/// The protocol's version, sent in [`FromExecutor::Hello`].
pub const PROTOCOL: u32 = 1;

/// Which executor it is that a call goes to.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ExecutorName {
    /// Its name, for people.
    pub name: String,
    /// Its ledger, if it says which it keeps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ledger: Option<String>,
}

impl ExecutorName {
    /// Whether this one knows what became of a call that went to `other`.
    #[must_use]
    pub fn is(&self, other: &Self) -> bool {
        match (&self.ledger, &other.ledger) {
            (Some(own), Some(ledger)) => own == ledger,
            _ => self.name == other.name,
        }
    }
}

/// An executor that is connected, as it is listed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConnectedExecutor {
    /// The connection's id.
    pub id: ExecutorId,
    /// The project whose calls it does.
    pub project: String,
    /// Its name, for people.
    pub name: String,
    /// Its ledger, if it says which it keeps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ledger: Option<String>,
    /// The names of its tools.
    pub tools: Vec<String>,
    /// The folder it works in.
    pub root: String,
    /// The life of its process.
    pub session: String,
    /// Since when it has been connected.
    pub connected_at: Timestamp,
    /// How many calls it was sent that have not ended.
    pub calls_in_flight: usize,
}

/// What the node says to an executor.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ToExecutor {
    /// Do this, once: a call id seen before returns the recorded result.
    Call {
        /// The call, for ever.
        call_id: CallId,
        /// The run's epoch; a lower one than seen before for this call is refused.
        epoch: u64,
        /// The tool.
        tool: String,
        /// Its arguments.
        args: Value,
        /// How long it may take, in milliseconds.
        timeout_ms: u64,
    },
    /// Stop it and everything it started.
    Cancel {
        /// The call.
        call_id: CallId,
    },
    /// The result is durable with the node: the executor may forget it.
    Ack {
        /// The call.
        call_id: CallId,
    },
}

/// What an executor says to the node.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum FromExecutor {
    /// The first frame of a connection.
    Hello {
        /// The version of the protocol: 1, as in [`PROTOCOL`].
        protocol: u32,
        /// A name for people.
        name: String,
        /// What it can do.
        tools: Vec<ToolSpec>,
        /// The folder it works in.
        root: String,
        /// One life of the executor process; another session means it died in between.
        session: String,
        /// Which ledger it keeps, for as long as that is the same: what was begun under one ledger is asked of no other. An executor
        /// that does not say is known by its name.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        ledger: Option<String>,
    },
    /// The call has begun; recorded in the executor's ledger.
    Started {
        /// The call.
        call_id: CallId,
    },
    /// Output while it runs, for people to watch; the result repeats what counts.
    Output {
        /// The call.
        call_id: CallId,
        /// Some text.
        chunk: String,
    },
    /// The call's end. Sent again until acknowledged.
    Result {
        /// The call.
        call_id: CallId,
        /// How it went.
        #[serde(flatten)]
        outcome: CallOutcome,
    },
}

/// How a call on an executor ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CallOutcome {
    /// It worked; the text is for the model.
    Ok(String),
    /// It did not.
    Error(CallError),
}

/// Why a call on an executor did not work.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CallError {
    /// The kind, to branch on.
    pub code: CallErrorCode,
    /// What, where, and what to do; for the model.
    pub message: String,
}

/// The kinds of [`CallError`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CallErrorCode {
    /// The tool ran and failed; the message says how.
    Failed,
    /// The arguments do not fit the tool.
    BadArguments,
    /// There is no such tool here.
    UnknownTool,
    /// A path outside the root.
    Confined,
    /// It took longer than `timeout_ms`; its process tree is gone.
    Timeout,
    /// It was cancelled; its process tree is gone.
    Cancelled,
    /// It was started and the executor died in it: whether it took effect is unknown. It is never run again under this id.
    Interrupted,
    /// A later epoch of the run has spoken for this call.
    StaleEpoch,
}
