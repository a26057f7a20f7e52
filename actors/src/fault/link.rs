//! What becomes of what one agent tells another.

use std::time::Duration;

use crate::model::{AgentName, Sender, TaskId};

use super::plan::{Kind, Target};
use super::shared::Faults;
use super::victims::fits;

/// How somebody is told of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Passage {
    /// At once.
    Straight,
    /// So much later.
    Late(Duration),
    /// Not at all: it stands in the journal, and is found there at the next look.
    Lost,
    /// At once, and once more.
    Twice,
}

impl Faults {
    /// Whether any can strike what agents tell each other.
    #[must_use]
    pub fn are_on_links(&self) -> bool {
        self.has(|target| matches!(target, Target::Link(..)))
    }

    /// How `reader` is told what `from` said in this task.
    #[must_use]
    pub fn passage(&self, task: TaskId, from: &Sender, reader: &AgentName) -> Passage {
        let Sender::Agent(from) = from else {
            return Passage::Straight;
        };
        let (from, to) = (from.as_str(), reader.as_str());
        let is_it = |target: &Target| matches!(target, Target::Link(one, other) if fits(one, from) && fits(other, to));
        let target = Target::Link(from.to_owned(), to.to_owned());
        match self.strike(Some(task), &target, is_it) {
            Some(Kind::Delay(time)) => Passage::Late(time),
            Some(Kind::Drop) => Passage::Lost,
            Some(Kind::Duplicate) => Passage::Twice,
            _ => Passage::Straight,
        }
    }
}
