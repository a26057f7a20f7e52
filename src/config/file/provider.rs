//! `[providers.NAME]`

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::required;
use crate::config::choice::choices;
use crate::config::read::table;
use crate::config::values::{Delay, Period, Rate};
use crate::config::whole::{Count, Whole};

/// From one kilobyte to one gigabyte: what an answer may measure.
pub type ReplyBytes = Whole<1_024, { 1 << 30 }>;

/// What agents think with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields, transform = required::<Self>)]
pub struct ProviderConfig {
    /// What is spoken to it.
    pub kind: ProviderKind,
    /// Where it is, with `http://` or `https://`; the vendor's own address when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub base_url: Option<String>,
    /// The environment variable that holds its key; none for servers that take no key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api_key_env: Option<String>,
    /// The model of agents that name none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Limit for one model call of agents that set none.
    pub timeout: Period,
    /// Limit for the connection to be made; 10s when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connect_timeout: Option<Period>,
    /// Limit for the time in which nothing comes, be it the answer's beginning or its next piece; 5m when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub silence_timeout: Option<Period>,
    /// How large an answer may be, with everything that is sent around it; 16777216 when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_reply_bytes: Option<ReplyBytes>,
    /// How many calls it may be asked at a time, whatever the pools allow; no limit of its own when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_concurrent: Option<Count>,
    /// How many calls it may be asked in a time, such as `["60/30s", "10/1m"]`, whenever that time begins; calls beyond wait.
    pub rate_limits: Vec<Rate>,
    /// How calls that failed in passing are tried again.
    pub retry: Retry,
    /// When it is left alone for a while, because it fails; never when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub breaker: Option<Breaker>,
    /// What its models cost, where it does not say itself what a call costs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub price: Option<PriceConfig>,
    /// Scripted only: the wait before each reply, at most an hour.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latency: Option<Delay>,
    /// Scripted only: an agent's name and its replies, one a turn. A run whose script is used up answers with the last `say`.
    pub scripts: BTreeMap<String, Vec<ScriptedReply>>,
}

table!(ProviderConfig { kind;
    base_url, api_key_env, model, timeout, connect_timeout, silence_timeout, max_reply_bytes, max_concurrent, rate_limits, retry,
    breaker, price, latency, scripts
});

/// What a model costs, in US dollars for a million tokens.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields)]
pub struct PriceConfig {
    /// Of what it reads.
    pub input: f64,
    /// Of what it writes.
    pub output: f64,
}

table!(PriceConfig { ; input, output });

choices! {
    /// What is spoken to a provider.
    #[serde(rename_all = "kebab-case")]
    pub enum ProviderKind {
        /// The Anthropic API.
        Anthropic,
        /// The OpenAI API.
        Openai,
        /// The Gemini API.
        Gemini,
        /// The OpenRouter API.
        Openrouter,
        /// Any server that speaks OpenAI's chat completions: Ollama, vLLM, llama.cpp and most vendors.
        OpenaiCompatible,
        /// Claude Code, a process for each session.
        ClaudeCode,
        /// A coding agent that speaks the Agent Client Protocol.
        Acp,
        /// The hosted Codegen agent API.
        Codegen,
        /// Replies from this file: deterministic and offline.
        #[default]
        Scripted,
    }
}

/// How model calls that failed in passing are tried again, after waits that double.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields)]
pub struct Retry {
    /// How often a call is made at most, the first time included.
    pub attempts: Count,
    /// The wait before the second attempt.
    pub base: Period,
    /// The longest wait; a provider may ask for up to 10 minutes, or this where it is longer.
    pub cap: Period,
}

table!(Retry { ; attempts, base, cap });

/// When a provider is left alone for a while. A call counts as failed that finds it overloaded, unreachable, silent or broken inside;
/// one that it refuses does not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields)]
pub struct Breaker {
    /// So many failures open it,
    pub failures: Count,
    /// if they happen within this time.
    pub within: Period,
    /// How long it is left alone before one call may try again; twice as long each time that fails, up to eight times.
    pub reset_after: Period,
}

table!(Breaker { ; failures, within, reset_after });

/// One turn of a script. `{{input}}`, `{{last}}` (the newest message) and `{{result.N}}` (the N-th tool result) are filled in.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields)]
pub struct ScriptedReply {
    /// A regular expression on the newest message; the turn is taken only if it is found there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub when: Option<String>,
    /// What is said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub say: Option<String>,
    /// The tool that is called, where it is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub call: Option<String>,
    /// The arguments of `call`.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub args: Map<String, Value>,
    /// The tools that are called, where they are several.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub calls: Vec<ScriptedCall>,
    /// The call fails, and how. With `disconnect`, `say` is what had arrived before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fail: Option<Failure>,
    /// The tokens it claims to have cost.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usage: Option<ScriptedUsage>,
}

table!(ScriptedReply { ; when, say, call, args, calls, fail, usage });

impl ScriptedReply {
    /// All tool calls of the turn, whether it was written with `call` or with `calls`.
    #[must_use]
    pub fn tool_calls(&self) -> Vec<ScriptedCall> {
        let one = self.call.iter().map(|tool| ScriptedCall {
            tool: tool.clone(),
            args: self.args.clone(),
        });
        one.chain(self.calls.iter().cloned()).collect()
    }
}

/// One tool call of a script.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields, transform = required::<Self>)]
pub struct ScriptedCall {
    /// The tool.
    pub tool: String,
    /// Its arguments.
    pub args: Map<String, Value>,
}

table!(ScriptedCall { tool; args });

choices! {
    /// How a scripted call fails.
    #[serde(rename_all = "snake_case")]
    pub enum Failure {
        /// Too many requests; tried again.
        #[default]
        RateLimited,
        /// Too much to do; tried again.
        Overloaded,
        /// No answer in time; tried again.
        Timeout,
        /// The connection breaks; tried again.
        Disconnect,
        /// The request is wrong; not tried again.
        BadRequest,
    }
}

/// The tokens a scripted reply claims to have cost.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields)]
pub struct ScriptedUsage {
    /// Tokens read.
    pub input: u64,
    /// Tokens written.
    pub output: u64,
}

table!(ScriptedUsage { ; input, output });
