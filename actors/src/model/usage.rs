//! What model calls cost.

use std::ops::AddAssign;

use serde::{Deserialize, Serialize};

/// Tokens and money. Money is whole micro-dollars, so that children add up to their parent exactly.
///
/// What came to nothing stands apart: calls whose answers were lost (failed, cut off, cancelled), of which only what they read is
/// known, as an estimate, and answers that a clean slate threw away.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Usage {
    /// Tokens read by the model, without those that came from its cache.
    pub input_tokens: u64,
    /// Tokens written by the model.
    pub output_tokens: u64,
    /// Tokens read from the provider's prompt cache.
    #[serde(skip_serializing_if = "is_zero")]
    pub cache_read_tokens: u64,
    /// Tokens written to the provider's prompt cache.
    #[serde(skip_serializing_if = "is_zero")]
    pub cache_write_tokens: u64,
    /// The price in millionths of a US dollar, as far as it is known.
    #[serde(skip_serializing_if = "is_zero")]
    pub cost_usd_micros: u64,
    /// Tokens that were used for nothing; not among the others.
    #[serde(skip_serializing_if = "is_zero")]
    pub wasted_tokens: u64,
    /// Their price, as far as it is known.
    #[serde(skip_serializing_if = "is_zero")]
    pub wasted_cost_usd_micros: u64,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde's skip_serializing_if hands over a reference"
)]
fn is_zero(n: &u64) -> bool {
    *n == 0
}

impl Usage {
    /// The same, come to nothing.
    #[must_use]
    pub fn thrown_away(self) -> Self {
        Self {
            wasted_tokens: self.tokens().saturating_add(self.wasted_tokens),
            wasted_cost_usd_micros: self
                .cost_usd_micros
                .saturating_add(self.wasted_cost_usd_micros),
            ..Self::default()
        }
    }

    /// All tokens together, without those that were wasted.
    #[must_use]
    pub fn tokens(&self) -> u64 {
        let cached = self
            .cache_read_tokens
            .saturating_add(self.cache_write_tokens);
        let plain = self.input_tokens.saturating_add(self.output_tokens);
        plain.saturating_add(cached)
    }
}

impl AddAssign for Usage {
    fn add_assign(&mut self, other: Self) {
        self.input_tokens = self.input_tokens.saturating_add(other.input_tokens);
        self.output_tokens = self.output_tokens.saturating_add(other.output_tokens);
        self.cache_read_tokens = self
            .cache_read_tokens
            .saturating_add(other.cache_read_tokens);
        self.cache_write_tokens = self
            .cache_write_tokens
            .saturating_add(other.cache_write_tokens);
        self.cost_usd_micros = self.cost_usd_micros.saturating_add(other.cost_usd_micros);
        self.wasted_tokens = self.wasted_tokens.saturating_add(other.wasted_tokens);
        self.wasted_cost_usd_micros = self
            .wasted_cost_usd_micros
            .saturating_add(other.wasted_cost_usd_micros);
    }
}
