//! `openai-compatible`: Chat Completions, as OpenAI, OpenRouter, Ollama, vLLM, llama.cpp and many others speak it.
//!
//! What the others do differently and is borne: no usage (it is estimated), no `[DONE]`, no streaming at all, an error in the
//! middle of a stream in any of five shapes, calls without index or id, ids that come again, arguments as an object, `stop`
//! where tools are called, thinking under two names, comments to keep the line open.

mod answer;
mod body;
mod calls;
mod chunk;
mod encode;
mod reading;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use actors::model::{ModelRequest, Reply};
use actors::provider::{DeltaSink, Provider, ProviderError, ProviderErrorKind};
use futures_util::{StreamExt, future::BoxFuture};
use serde::Deserialize;
use serde_json::{Map, Value};
use tokio::time::timeout;

use self::reading::Patience;
use super::BuildError;
use super::endpoint::{Endpoint, Key, cause};

/// What an `openai-compatible` provider is made from. Durations are written `30s`.
#[derive(Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// The address above `/chat/completions`, as in `http://127.0.0.1:11434/v1`.
    pub base_url: String,
    /// The environment variable with the API key, sent as a bearer token; none for servers that want none.
    pub api_key_env: Option<String>,
    /// The model for agents that name none; empty for the server's own choice.
    pub model: String,
    /// Headers to send besides.
    pub headers: BTreeMap<String, String>,
    /// Fields to send with every request, under those of the agent: `temperature`, `max_tokens`, … `stream_options = false`
    /// leaves out what some older servers refuse.
    pub settings: Map<String, Value>,
    /// Limit for the whole call.
    #[serde(deserialize_with = "super::duration")]
    pub timeout: Duration,
    /// Limit for the connection to be made.
    #[serde(deserialize_with = "super::duration")]
    pub connect_timeout: Duration,
    /// Limit for the time in which nothing comes, be it the answer's beginning or its next piece.
    #[serde(deserialize_with = "super::duration")]
    pub silence_timeout: Duration,
    /// Limit for the size of an answer on the wire.
    pub max_reply_bytes: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            base_url: String::new(),
            api_key_env: None,
            model: String::new(),
            headers: BTreeMap::new(),
            settings: Map::new(),
            timeout: Duration::from_secs(900),
            connect_timeout: Duration::from_secs(10),
            silence_timeout: Duration::from_secs(300),
            max_reply_bytes: 16 * 1024 * 1024,
        }
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Settings");
        shown
            .field("base_url", &self.base_url)
            .field("api_key_env", &self.api_key_env);
        shown
            .field("model", &self.model)
            .field("headers", &self.headers.keys());
        shown
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

/// A provider that speaks Chat Completions.
#[derive(Debug)]
pub struct OpenAiCompatible {
    endpoint: Endpoint,
    model: String,
    settings: Map<String, Value>,
    whole: Duration,
    patience: Patience,
}

impl OpenAiCompatible {
    /// A provider with these settings, its key read from the environment of this process.
    ///
    /// A key that is not there is no error yet: calls fail with it, and [`Self::missing_key`] tells.
    ///
    /// # Errors
    /// The setting that is wrong.
    pub fn new(settings: Settings) -> Result<Self, BuildError> {
        Self::with_env(settings, |variable| std::env::var(variable).ok())
    }

    /// The same with another environment.
    ///
    /// # Errors
    /// The setting that is wrong.
    pub fn with_env(
        settings: Settings,
        env: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, BuildError> {
        if let Some(key) = encode::reserved(&settings.settings) {
            return Err(BuildError::Setting {
                key: format!("settings.{key}"),
                problem: "cannot be set: the request says it by itself".to_owned(),
            });
        }
        let key = settings
            .api_key_env
            .as_deref()
            .map(|variable| Key::read(variable, env));
        let path = ["chat", "completions"];
        Ok(Self {
            endpoint: Endpoint::new(
                &settings.base_url,
                &path,
                &settings.headers,
                key,
                settings.connect_timeout,
            )?,
            model: settings.model,
            settings: settings.settings,
            whole: settings.timeout,
            patience: Patience {
                silence: settings.silence_timeout,
                bytes: settings.max_reply_bytes,
            },
        })
    }

    /// The environment variable that should hold the key and does not.
    #[must_use]
    pub fn missing_key(&self) -> Option<&str> {
        self.endpoint.missing_key()
    }

    async fn exchange(
        &self,
        request: &ModelRequest,
        deltas: DeltaSink<'_>,
    ) -> Result<Reply, ProviderError> {
        let body = encode::body(request, &self.model, &self.settings)?
            .to_string()
            .into_bytes();
        let response = self.endpoint.post(body, self.patience.silence).await?;
        let bytes = response
            .bytes_stream()
            .map(|piece| piece.map_err(|error| cause(&error)));
        reading::read(bytes, self.patience, request, deltas).await
    }
}

impl Provider for OpenAiCompatible {
    fn kind(&self) -> &'static str {
        "openai-compatible"
    }

    fn call<'a>(
        &'a self,
        request: &'a ModelRequest,
        deltas: DeltaSink<'a>,
    ) -> BoxFuture<'a, Result<Reply, ProviderError>> {
        Box::pin(async move {
            let outcome = timeout(self.whole, self.exchange(request, deltas)).await;
            let outcome = outcome.unwrap_or_else(|_| Err(too_long(self.whole)));
            outcome.map_err(|error| self.endpoint.locate(error))
        })
    }
}

fn too_long(whole: Duration) -> ProviderError {
    ProviderError::new(
        ProviderErrorKind::Timeout,
        format!(
            "the answer took longer than {}: raise `timeout` if that is normal",
            humantime::format_duration(whole)
        ),
    )
}
