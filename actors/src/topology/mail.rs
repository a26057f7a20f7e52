//! The team's bus as it is seen from outside: who was sent what. A fold of the journal, pure.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

use super::routing::{Said, Wiring};
use crate::model::event::Seq;
use crate::model::{AgentName, Event, Sender, Timestamp};

/// A message of the room, and who sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Letter {
    /// Its event.
    pub id: Seq,
    /// When it was said.
    pub at: Timestamp,
    /// Who said it.
    pub from: Sender,
    /// To whom alone; none if it was broadcast.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<AgentName>,
    /// What.
    pub content: String,
    /// The agents that see it, without its author: as the topology was when it was said.
    pub readers: Vec<AgentName>,
}

/// How many messages one agent sent and was sent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Messages it sent.
    pub sent: u64,
    /// Messages it was sent.
    pub received: u64,
}

/// Messages that are kept; older ones are counted only.
pub const KEPT: usize = 10_000;

/// All messages of a task.
#[derive(Debug, Clone)]
pub struct Mail {
    wiring: Wiring,
    letters: VecDeque<Letter>,
    said: u64,
    counts: BTreeMap<AgentName, Counts>,
}

/// What one agent was sent and has sent, oldest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mailbox {
    /// The agent.
    pub agent: AgentName,
    /// How many messages it sent and was sent in all.
    pub counts: Counts,
    /// What it was sent, alone or with others; the newest [`KEPT`] messages of the task at most.
    pub inbox: Vec<Letter>,
    /// What it has sent.
    pub outbox: Vec<Letter>,
}

impl Mailbox {
    /// Both, in the order in which they were said.
    #[must_use]
    pub fn history(&self) -> Vec<&Letter> {
        let mut all: Vec<_> = self.inbox.iter().chain(&self.outbox).collect();
        all.sort_by_key(|letter| letter.id);
        all
    }
}

impl Mail {
    /// The bus of a room in which nothing was said.
    #[must_use]
    pub fn new(wiring: Wiring) -> Self {
        let all = wiring.company().all();
        let counts = all.map(|name| (name.clone(), Counts::default())).collect();
        Self {
            wiring,
            letters: VecDeque::new(),
            said: 0,
            counts,
        }
    }

    /// Takes the next event of the task in.
    pub fn fold(&mut self, event: &Event) {
        self.wiring.fold(event);
        let Some(said) = Said::of(event) else { return };
        let letter = Letter {
            id: event.id,
            at: event.at,
            from: said.from.clone(),
            to: said.to.cloned(),
            content: said.content.to_owned(),
            readers: self.wiring.readers(said).cloned().collect(),
        };
        self.count(&letter);
        if self.letters.len() == KEPT {
            self.letters.pop_front();
        }
        self.letters.push_back(letter);
    }

    fn count(&mut self, letter: &Letter) {
        self.said += 1;
        if let Sender::Agent(author) = &letter.from
            && let Some(counts) = self.counts.get_mut(author)
        {
            counts.sent += 1;
        }
        for reader in &letter.readers {
            if let Some(counts) = self.counts.get_mut(reader) {
                counts.received += 1;
            }
        }
    }

    /// Messages exchanged in all, whoever said them.
    #[must_use]
    pub fn exchanged(&self) -> u64 {
        self.said
    }

    /// Messages that each agent sent and was sent.
    #[must_use]
    pub fn counts(&self) -> &BTreeMap<AgentName, Counts> {
        &self.counts
    }

    /// All messages, oldest first.
    pub fn history(&self) -> impl Iterator<Item = &Letter> {
        self.letters.iter()
    }

    /// What one agent was sent and has sent; none if it is not in the room.
    #[must_use]
    pub fn mailbox(&self, agent: &AgentName) -> Option<Mailbox> {
        let counts = *self.counts.get(agent)?;
        let those = |is_one: &dyn Fn(&Letter) -> bool| {
            let letters = self.letters.iter().filter(|letter| is_one(letter));
            letters.cloned().collect()
        };
        let by_it = Sender::Agent(agent.clone());
        Some(Mailbox {
            agent: agent.clone(),
            counts,
            inbox: those(&|letter| letter.readers.contains(agent)),
            outbox: those(&|letter| letter.from == by_it),
        })
    }
}
