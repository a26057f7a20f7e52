//! API keys, which are used and never shown.

use std::fmt;

use actors::provider::{ProviderError, ProviderErrorKind};
use reqwest::header::HeaderValue;

/// What is never shown.
#[derive(Clone)]
pub(super) struct Secret(String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[hidden]")
    }
}

impl Secret {
    /// The value of a header, if it is secret by the header's name.
    pub(super) fn of_header(name: &str, value: &str) -> Option<Self> {
        const SECRET: [&str; 5] = ["auth", "key", "token", "secret", "cookie"];
        let name = name.to_lowercase();
        let secret = SECRET.iter().any(|word| name.contains(word)) && !value.is_empty();
        secret.then(|| Self(value.to_owned()))
    }

    /// `text` without this.
    pub(super) fn strike(&self, text: &str) -> String {
        text.replace(&self.0, "[hidden]")
    }
}

/// The key of an API, and the environment variable it comes from.
#[derive(Debug, Clone)]
pub(crate) struct Key {
    pub(super) variable: String,
    pub(super) value: Option<Secret>,
}

impl Key {
    /// The key in `variable`, as `env` knows it. An empty one counts as missing.
    pub(crate) fn read(variable: &str, env: impl Fn(&str) -> Option<String>) -> Self {
        let value = env(variable).map(|text| text.trim().to_owned());
        Self {
            variable: variable.to_owned(),
            value: value.filter(|text| !text.is_empty()).map(Secret),
        }
    }

    /// The header that shows the key to the server.
    pub(super) fn bearer(&self) -> Result<HeaderValue, ProviderError> {
        let missing = || self.unusable("is not set: export it with a key");
        let secret = self.value.as_ref().ok_or_else(missing)?;
        let value = HeaderValue::from_str(&format!("Bearer {}", secret.0));
        let mut value = value.map_err(|_| self.unusable("holds characters that no key has"))?;
        value.set_sensitive(true);
        Ok(value)
    }

    fn unusable(&self, problem: &str) -> ProviderError {
        let variable = &self.variable;
        ProviderError::new(
            ProviderErrorKind::BadCredentials,
            format!("the environment variable `{variable}`, which `api_key_env` names, {problem}"),
        )
    }
}
