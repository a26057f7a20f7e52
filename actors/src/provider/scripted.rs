//! The scripted provider: deterministic, offline, for the first run, tests and experiments.
//!
//! # Which entry answers
//! Every turn takes one entry, and every entry is used at most once. A turn takes the first entry, in order, that is not
//! used yet and has no `when` or one that matches the newest message of that turn. An entry whose `when` does not match is
//! passed over for that turn only: it stays there for later ones. How many turns there were, and which entries they took,
//! is read from the conversation alone, so a run goes on correctly in another process.
//!
//! When nothing is left that fits, the script is used up: the answer is its last `say` (of an entry without `when`, if there
//! is one), filled in anew, without calls. A script that says nothing at all answers that it is used up.
//!
//! # Failures
//! An entry with `fail` is not a turn: it fails one attempt of the model call of the turn that meets it, and the next
//! attempt passes it over. Two of them in a row fail two attempts. Since nothing of a failed call stands in the conversation,
//! the failures of the turn in progress are counted in memory: a process that resumes a run in the middle of such a turn
//! meets each of them once more, those of earlier turns not. An attempt that is dropped before it has failed uses up nothing.
//!
//! # What is filled in
//! In `say` and in all strings of `args`: `{{input}}`, the run's brief, as it was delegated; `{{last}}`, the newest
//! message; `{{result.N}}`, the N-th tool result of the conversation, from 0. A result that is not there is an error; any
//! other pair of braces stands for itself.

mod choose;
mod decide;
mod fill;
mod ready;
mod script;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::BoxFuture;

use self::decide::{Decision, bad_request, decide};
use self::ready::{Ready, prepare};
use super::{Delta, DeltaSink, Provider, ProviderError, turn};
use crate::model::{ModelRequest, Reply, RunId, ToolCall};

pub use self::script::{
    Entry, Failure, MAX_ENTRIES, MAX_LATENCY, Script, ScriptError, ScriptErrors, ScriptedCall,
    ScriptedSettings, ScriptedUsage,
};

/// How many runs in the middle of a failing turn are remembered; the oldest run is forgotten first.
const MAX_FAILING_RUNS: usize = 10_000;
/// Into how many pieces a text is streamed at most.
const MAX_PIECES: usize = 64;

/// A provider that plays scripts.
#[derive(Debug)]
pub struct Scripted {
    latency: Duration,
    scripts: BTreeMap<String, Ready>,
    failing: Mutex<BTreeMap<RunId, Failing>>,
}

/// How often the newest turn of a run has failed.
#[derive(Debug, Clone, Copy, Default)]
struct Failing {
    turn: usize,
    times: usize,
}

impl Scripted {
    /// A provider that plays these scripts.
    ///
    /// # Errors
    /// Every mistake in them, with agent and entry.
    pub fn new(settings: &ScriptedSettings) -> Result<Self, ScriptErrors> {
        Ok(Self {
            latency: settings.latency,
            scripts: prepare(settings)?,
            failing: Mutex::default(),
        })
    }

    fn failing(&self) -> MutexGuard<'_, BTreeMap<RunId, Failing>> {
        self.failing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn failures(&self, request: &ModelRequest) -> usize {
        let turn = turn(&request.messages);
        let failing = self.failing().get(&request.run).copied();
        failing.filter(|f| f.turn == turn).map_or(0, |f| f.times)
    }

    fn remember(&self, request: &ModelRequest) {
        let times = self.failures(request) + 1;
        let turn = turn(&request.messages);
        let mut failing = self.failing();
        failing.insert(request.run, Failing { turn, times });
        if failing.len() > MAX_FAILING_RUNS {
            failing.pop_first();
        }
    }

    fn decide(&self, request: &ModelRequest) -> Result<Decision, ProviderError> {
        let script = self
            .scripts
            .get(&request.agent)
            .ok_or_else(|| self.unknown(&request.agent))?;
        decide(script, request, self.failures(request))
    }

    fn unknown(&self, agent: &str) -> ProviderError {
        let known: Vec<String> = self
            .scripts
            .keys()
            .map(|name| format!("`{name}`"))
            .collect();
        bad_request(format!(
            "the scripted provider has no script for agent `{agent}`, only for {}: add one to its `scripts`",
            if known.is_empty() {
                "nobody".to_owned()
            } else {
                known.join(", ")
            }
        ))
    }
}

impl Provider for Scripted {
    fn kind(&self) -> &'static str {
        "scripted"
    }

    fn call<'a>(
        &'a self,
        request: &'a ModelRequest,
        deltas: DeltaSink<'a>,
    ) -> BoxFuture<'a, Result<Reply, ProviderError>> {
        Box::pin(async move {
            let decision = self.decide(request)?;
            tokio::time::sleep(self.latency).await;
            match decision {
                Decision::Answer(reply) => {
                    stream(&reply.text, &reply.calls, deltas).await;
                    self.failing().remove(&request.run);
                    Ok(reply)
                }
                Decision::Failure { said, error } => {
                    stream(&said, &[], deltas).await;
                    self.remember(request);
                    Err(error)
                }
            }
        })
    }
}

async fn stream(text: &str, calls: &[ToolCall], deltas: DeltaSink<'_>) {
    for piece in pieces(text) {
        deltas(Delta::Text(piece.to_owned()));
        tokio::task::yield_now().await;
    }
    for call in calls {
        deltas(Delta::ToolCall(call.name.clone()));
    }
}

/// The text word by word, or in [`MAX_PIECES`] pieces where it has more words.
fn pieces(text: &str) -> Vec<&str> {
    let least = text.len().div_ceil(MAX_PIECES);
    let (mut pieces, mut start, mut end) = (Vec::new(), 0, 0);
    for word in text.split_inclusive(char::is_whitespace) {
        end += word.len();
        if end - start >= least {
            pieces.push(&text[start..end]);
            start = end;
        }
    }
    pieces.extend(Some(&text[start..]).filter(|rest| !rest.is_empty()));
    pieces
}
