//! Budgets: what may be used up, what is set aside for a model call, and what a refusal says.

use std::fmt;
use std::ops::AddAssign;

use serde::{Deserialize, Serialize};

use super::id::RunId;
use super::usage::Usage;

/// What may be used up; without a number there is no limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Budget {
    /// Tokens, read and written, wasted ones included.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens: Option<u64>,
    /// Millionths of a US dollar, as far as the price is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost_usd_micros: Option<u64>,
    /// Answers of models.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub turns: Option<u64>,
}

impl Budget {
    /// The limit of a measure.
    #[must_use]
    pub fn of(&self, measure: Measure) -> Option<u64> {
        match measure {
            Measure::Tokens => self.tokens,
            Measure::Cost => self.cost_usd_micros,
            Measure::Turns => self.turns,
        }
    }

    /// The same with more of what it limits.
    #[must_use]
    pub fn raised(self, more: Self) -> Self {
        let add = |most: Option<u64>, more: Option<u64>| {
            most.map(|most| most.saturating_add(more.unwrap_or_default()))
        };
        Self {
            tokens: add(self.tokens, more.tokens),
            cost_usd_micros: add(self.cost_usd_micros, more.cost_usd_micros),
            turns: add(self.turns, more.turns),
        }
    }
}

/// What a budget counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    /// Tokens.
    Tokens,
    /// Money.
    Cost,
    /// Answers of models.
    Turns,
}

impl Measure {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Tokens, Self::Cost, Self::Turns];

    /// A part of an amount in words: `800 of 900 tokens`.
    #[must_use]
    pub fn share(self, part: u64, whole: u64) -> String {
        match self {
            Self::Cost => format!("{} of {}", self.words(part), self.words(whole)),
            _ => format!("{part} of {}", self.words(whole)),
        }
    }

    /// An amount in words.
    #[must_use]
    pub fn words(self, n: u64) -> String {
        match self {
            Self::Tokens => format!("{n} tokens"),
            Self::Cost => format!("${}.{:06}", n / 1_000_000, n % 1_000_000),
            Self::Turns => format!("{n} turns"),
        }
    }
}

/// Whose budget it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BudgetScope {
    /// The whole task's.
    Task,
    /// One run's, with all it delegates.
    Run(RunId),
}

/// An amount of everything a budget counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Amount {
    /// Tokens.
    pub tokens: u64,
    /// Millionths of a US dollar.
    pub cost_usd_micros: u64,
    /// Answers of models.
    pub turns: u64,
}

impl Amount {
    /// The amount of a measure.
    #[must_use]
    pub fn of(&self, measure: Measure) -> u64 {
        match measure {
            Measure::Tokens => self.tokens,
            Measure::Cost => self.cost_usd_micros,
            Measure::Turns => self.turns,
        }
    }

    /// This much and so much more.
    #[must_use]
    pub fn more(mut self, other: Self) -> Self {
        self += other;
        self
    }

    /// This much without so much.
    #[must_use]
    pub fn less(self, other: Self) -> Self {
        Self {
            tokens: self.tokens.saturating_sub(other.tokens),
            cost_usd_micros: self.cost_usd_micros.saturating_sub(other.cost_usd_micros),
            turns: self.turns.saturating_sub(other.turns),
        }
    }

    /// What was used up, with what was wasted.
    #[must_use]
    pub fn used(usage: &Usage, turns: u64) -> Self {
        Self {
            tokens: usage.tokens().saturating_add(usage.wasted_tokens),
            cost_usd_micros: usage
                .cost_usd_micros
                .saturating_add(usage.wasted_cost_usd_micros),
            turns,
        }
    }
}

impl AddAssign for Amount {
    fn add_assign(&mut self, other: Self) {
        self.tokens = self.tokens.saturating_add(other.tokens);
        self.cost_usd_micros = self.cost_usd_micros.saturating_add(other.cost_usd_micros);
        self.turns = self.turns.saturating_add(other.turns);
    }
}

/// What is set aside for a model call before it is made: what it reads, as it is estimated, and the most it may write.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Reservation {
    /// Tokens that are read.
    pub input_tokens: u64,
    /// Tokens that may be written.
    pub output_tokens: u64,
    /// The price of what is read, as far as it is known.
    #[serde(skip_serializing_if = "is_zero")]
    pub input_cost_usd_micros: u64,
    /// The price of what may be written.
    #[serde(skip_serializing_if = "is_zero")]
    pub output_cost_usd_micros: u64,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde's skip_serializing_if hands over a reference"
)]
fn is_zero(n: &u64) -> bool {
    *n == 0
}

impl Reservation {
    /// All of it, as a budget counts it.
    #[must_use]
    pub fn amount(&self) -> Amount {
        Amount {
            tokens: self.input_tokens.saturating_add(self.output_tokens),
            cost_usd_micros: self
                .input_cost_usd_micros
                .saturating_add(self.output_cost_usd_micros),
            turns: 1,
        }
    }

    /// What a call has wasted whose answer was lost: what it read. What it may have written nobody knows.
    #[must_use]
    pub fn lost(&self) -> Usage {
        Usage {
            wasted_tokens: self.input_tokens,
            wasted_cost_usd_micros: self.input_cost_usd_micros,
            ..Usage::default()
        }
    }

    pub(crate) fn is_nothing(&self) -> bool {
        *self == Self::default()
    }
}

/// The price of a model, in millionths of a US dollar for a million tokens.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Price {
    /// Of what it reads.
    pub input: u64,
    /// Of what it writes.
    pub output: u64,
}

impl Price {
    /// What so many tokens read and written cost, rounded up.
    #[must_use]
    pub fn of(&self, input: u64, output: u64) -> (u64, u64) {
        let cost = |tokens: u64, price: u64| {
            let micros = u128::from(tokens) * u128::from(price);
            u64::try_from(micros.div_ceil(1_000_000)).unwrap_or(u64::MAX)
        };
        (cost(input, self.input), cost(output, self.output))
    }
}

/// What happens to a run whose next model call a budget does not allow.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnExceeded {
    #[default]
    /// It fails, and whoever delegated it reads why.
    Fail,
    /// It waits, and a human is asked for more.
    Ask,
}

/// A budget that does not allow a model call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exceeded {
    /// Whose budget.
    pub budget: BudgetScope,
    /// What of it.
    pub measure: Measure,
    /// The limit.
    pub most: u64,
    /// What is used up.
    pub used: u64,
    /// What is set aside for calls that are under way.
    pub reserved: u64,
    /// What the call would need.
    pub needed: u64,
}

impl Exceeded {
    /// What is neither used nor set aside.
    #[must_use]
    pub fn left(&self) -> u64 {
        self.most
            .saturating_sub(self.used.saturating_add(self.reserved))
    }
}

impl fmt::Display for Exceeded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whose = match self.budget {
            BudgetScope::Task => "the task".to_owned(),
            BudgetScope::Run(run) => format!("{run} and all it delegated"),
        };
        let words = |n| self.measure.words(n);
        let share = self.measure.share(self.used, self.most);
        write!(f, "the budget of {whose} is used up: {share}")?;
        if self.reserved > 0 {
            write!(
                f,
                ", {} set aside for calls under way",
                words(self.reserved)
            )?;
        }
        write!(
            f,
            ", and the next model call needs up to {}",
            words(self.needed)
        )
    }
}

/// What an alert is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AlertKind {
    /// A run does the same again and again.
    Loop,
    /// A budget is nearly used up.
    Budget,
    /// A run makes no progress, and waits for nobody.
    Stuck,
    /// A run has failed.
    Failed,
}
