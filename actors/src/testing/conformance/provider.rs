//! What every provider must do.
//!
//! Write a [`Harness`] for your provider, which makes the other side of it behave as a [`Play`] says, and [`run`] the suite.
//! A case whose play the other side cannot have is declared in [`Harness::cannot`], with the reason, and stands in the
//! [`Report`]; nothing is passed over in silence.

mod cases;
mod checks;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use serde_json::Value;
use tokio::sync::Semaphore;

use crate::provider::{Provider, ProviderErrorKind};

pub use cases::Case;

/// How long a case may take.
const LIMIT: Duration = Duration::from_secs(20);

/// A tool call that the other side makes: the tool's name and its arguments.
pub type Called = (String, Value);

/// What the other side does in the next call.
#[derive(Debug, Clone)]
pub enum Play {
    /// Says these pieces and ends as it should.
    Say(Vec<String>),
    /// Says the text in one piece of its protocol, of which every byte arrives on its own.
    SayByteByByte(String),
    /// Says the first text, waits for the gate, says the second and ends as it should.
    SayWhen(String, Gate, String),
    /// Says the text, calls the tools and ends as it should.
    Call {
        /// What it says first; nothing where it is empty.
        text: String,
        /// The calls it makes.
        calls: Vec<Called>,
        /// Whether the arguments come in pieces of a few characters.
        in_fragments: bool,
    },
    /// Says the text, begins the call, and stops in the middle of it because its output limit is reached.
    RunOut {
        /// What it says first.
        text: String,
        /// The call it does not finish, if any.
        call: Option<Called>,
    },
    /// Says the text, begins the call, and then the answer breaks.
    Break {
        /// What it says first.
        text: String,
        /// The call in whose arguments the answer breaks, if any.
        call: Option<Called>,
        /// How it breaks.
        how: Break,
    },
    /// Refuses the request before it says anything.
    Refuse {
        /// The error the caller must get.
        kind: ProviderErrorKind,
        /// When it wants to be asked again.
        retry_after: Option<Duration>,
    },
    /// Says the text and then nothing, but keeps the line open. The provider's patience is to be short.
    Hold(String),
    /// Says the text again and again, at short intervals, until the caller is gone; takes the request and says nothing
    /// where it is empty.
    Endless(String),
    /// Answers something its protocol does not know.
    Garbage,
    /// Calls the tool with arguments that are not JSON, and ends as it should.
    GarbledCall(String, String),
    /// Is not there.
    Nobody,
}

/// How an answer breaks in its middle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Break {
    /// The response ends as if it were over, without its terminal event.
    End,
    /// The connection is reset.
    Reset,
    /// An error of this kind is reported in the stream.
    Error(ProviderErrorKind),
}

/// Lets the other side go on when the caller has seen something.
#[derive(Debug, Clone)]
pub struct Gate(Arc<Semaphore>);

impl Gate {
    fn new() -> Self {
        Self(Arc::new(Semaphore::new(0)))
    }

    fn open(&self) {
        self.0.add_permits(1);
    }

    /// Waits until the gate has been opened.
    pub async fn opened(&self) {
        let _ = self.0.acquire().await;
    }
}

/// A provider and power over the other side of it.
pub trait Harness: Sync {
    /// A provider whose next call meets another side that does this.
    fn stage(&self, play: Play) -> BoxFuture<'_, Arc<dyn Provider>>;

    /// Waits until the other side has the request of the newest call.
    fn called(&self) -> BoxFuture<'_, ()>;

    /// Waits until the other side of the newest call has seen that its caller is gone.
    fn caller_gone(&self) -> BoxFuture<'_, ()>;

    /// The cases whose play the other side cannot have, each with the reason.
    fn cannot(&self) -> Vec<(Case, &'static str)>;

    /// Texts that no error may hold, such as the API key in use.
    fn secrets(&self) -> Vec<String> {
        Vec::new()
    }
}

/// What became of a case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The provider did what it must.
    Kept,
    /// It did something else.
    Broken(String),
    /// The other side cannot be made to do it.
    Declared(&'static str),
}

/// What became of all cases.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report(pub BTreeMap<Case, Outcome>);

impl Report {
    /// Whether no case was broken.
    #[must_use]
    pub fn is_kept(&self) -> bool {
        !self
            .0
            .values()
            .any(|outcome| matches!(outcome, Outcome::Broken(_)))
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (case, outcome) in &self.0 {
            match outcome {
                Outcome::Kept => writeln!(f, "kept      {case:?}")?,
                Outcome::Broken(how) => writeln!(f, "BROKEN    {case:?}: {how}")?,
                Outcome::Declared(why) => writeln!(f, "declared  {case:?}: {why}")?,
            }
        }
        Ok(())
    }
}

/// Runs every case, one after the other.
pub async fn run(harness: &dyn Harness) -> Report {
    let declared: BTreeMap<Case, &'static str> = harness.cannot().into_iter().collect();
    let mut outcomes = BTreeMap::new();
    for case in Case::ALL.iter().copied() {
        let outcome = match declared.get(&case) {
            Some(reason) => Outcome::Declared(reason),
            None => outcome(case, harness).await,
        };
        outcomes.insert(case, outcome);
    }
    Report(outcomes)
}

async fn outcome(case: Case, harness: &dyn Harness) -> Outcome {
    match tokio::time::timeout(LIMIT, case.check(harness)).await {
        Ok(Ok(())) => Outcome::Kept,
        Ok(Err(how)) => Outcome::Broken(how),
        Err(_) => Outcome::Broken(format!("not over after {LIMIT:?}")),
    }
}
