//! Who sees which messages of a room, as it is declared. Data; [`crate::topology::routing`] decides.

use std::collections::BTreeSet;

use regex::{Regex, RegexBuilder};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::agent::AgentName;

/// Who sees which messages of the room. What is said to one agent alone is seen by no third one, whatever the topology.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Topology {
    /// Everybody sees everything.
    #[default]
    Broadcast,
    /// Everybody sees what is meant for them: what names nobody, and of what names somebody with an `@`, what names them.
    Filtered,
    /// The lead sees everything; members see the lead, people, and what is addressed to them.
    Hierarchical,
    /// Everybody sees the one before, the lead and people; the lead sees the last.
    Chain,
    /// What the first rule that fits says; where none does, people are heard and agents are not.
    Rules(Vec<Rule>),
    /// What the program that embeds the system has registered under this name.
    Custom(String),
}

/// One rule of [`Topology::Rules`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Who says it.
    pub from: Party,
    /// Who may see it.
    pub to: Party,
    /// What it says; anything where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<Pattern>,
    /// Whether it is seen.
    #[serde(default)]
    pub decide: Decide,
}

/// What a rule says about a message.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Decide {
    /// It is seen.
    #[default]
    Allow,
    /// It is not.
    Deny,
}

/// One side of a rule: an agent's name, or one of the words for several. No agent's name begins with `@` or `*`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum Party {
    /// `*`: every agent, every person and the runtime.
    Anybody,
    /// `@lead`
    Lead,
    /// `@members`: the agents that are not the lead.
    Members,
    /// `@human`: people.
    Human,
    /// `@system`: the runtime.
    System,
    /// An agent.
    Agent(AgentName),
}

/// The words for several, as a file has them.
const WORDS: [(&str, Party); 5] = [
    ("*", Party::Anybody),
    ("@lead", Party::Lead),
    ("@members", Party::Members),
    ("@human", Party::Human),
    ("@system", Party::System),
];

impl Party {
    /// The words that are no names of agents.
    pub fn words() -> impl Iterator<Item = &'static str> {
        WORDS.iter().map(|(word, _)| *word)
    }
}

impl From<String> for Party {
    fn from(text: String) -> Self {
        let word = WORDS.iter().find(|(word, _)| *word == text);
        word.map_or_else(|| Self::Agent(text.as_str().into()), |(_, it)| it.clone())
    }
}

impl From<Party> for String {
    fn from(party: Party) -> Self {
        if let Party::Agent(name) = &party {
            return name.to_string();
        }
        let word = WORDS.iter().find(|(_, it)| *it == party);
        word.map_or("", |(word, _)| word).to_owned()
    }
}

/// A regular expression on what is said. One that cannot be used fits nothing; [`Pattern::problem`] says what is wrong with it.
#[derive(Debug, Clone)]
pub struct Pattern {
    text: String,
    regex: Result<Regex, String>,
}

/// Characters of a pattern.
pub const MAX_PATTERN: usize = 512;

/// Bytes that one pattern may take once it is compiled.
const COMPILED: usize = 1 << 20;

impl Pattern {
    /// A pattern as a file has it.
    #[must_use]
    pub fn new(text: &str) -> Self {
        let regex = match text.chars().count() > MAX_PATTERN {
            true => Err(format!("it is longer than {MAX_PATTERN} characters")),
            false => RegexBuilder::new(text)
                .size_limit(COMPILED)
                .build()
                .map_err(|error| last_line(&error)),
        };
        let text = text.to_owned();
        Self { text, regex }
    }

    /// The pattern as it is written.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether a text fits.
    #[must_use]
    pub fn fits(&self, text: &str) -> bool {
        self.regex.as_ref().is_ok_and(|regex| regex.is_match(text))
    }

    /// Why it cannot be used.
    #[must_use]
    pub fn problem(&self) -> Option<&str> {
        self.regex.as_ref().err().map(String::as_str)
    }
}

/// A regular expression's error draws the pattern over several lines; what is wrong stands in the last.
fn last_line(error: &regex::Error) -> String {
    let text = error.to_string();
    let last = text.lines().last().unwrap_or_default();
    last.trim_start_matches("error: ").to_owned()
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Pattern {}

impl Serialize for Pattern {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for Pattern {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Ok(Self::new(&String::deserialize(from)?))
    }
}

/// Rules of one topology.
pub const MAX_RULES: usize = 64;

impl Topology {
    /// Its name, as a file has it.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Broadcast => "broadcast",
            Self::Filtered => "filtered",
            Self::Hierarchical => "hierarchical",
            Self::Chain => "chain",
            Self::Rules(_) => "rules",
            Self::Custom(name) => name,
        }
    }

    /// What is wrong with it in a room of these agents.
    ///
    /// # Errors
    /// The first rule that names an agent who is not there or has a pattern that cannot be used, or that there are too many.
    pub fn check(&self, there: &BTreeSet<&AgentName>) -> Result<(), String> {
        let Self::Rules(rules) = self else {
            return Ok(());
        };
        if rules.len() > MAX_RULES {
            let count = rules.len();
            return Err(format!(
                "the topology has {count} rules; {MAX_RULES} are the most"
            ));
        }
        let mut checked = (1..).zip(rules);
        checked.try_for_each(|(number, rule)| {
            let wrong = rule.problem(there);
            wrong.map_or(Ok(()), |wrong| {
                Err(format!("rule {number} of the topology: {wrong}"))
            })
        })
    }
}

impl Rule {
    fn problem(&self, there: &BTreeSet<&AgentName>) -> Option<String> {
        let stranger = [&self.from, &self.to].into_iter().find_map(|party| {
            let Party::Agent(name) = party else {
                return None;
            };
            (!there.contains(name)).then(|| format!("there is no agent `{name}` in the room"))
        });
        let pattern = || {
            let when = self.when.as_ref()?;
            let problem = when.problem()?;
            Some(format!("`{}` is no pattern: {problem}", when.text()))
        };
        stranger.or_else(pattern)
    }
}
