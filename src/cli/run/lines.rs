//! Progress as lines: for pipes and logs, and as events in JSON.

use std::io;
use std::pin::Pin;

use actors::model::{Event, EventBody, Timestamp, WaitReason};
use futures_util::future::{Future, pending};

use super::super::output;
use super::outcome;

/// Writes what happens, a line for each thing worth one.
pub(super) struct Lines {
    json: bool,
    began: Option<Timestamp>,
    beside: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

impl Lines {
    pub(super) fn new(json: bool) -> Self {
        Self {
            json,
            began: None,
            beside: None,
        }
    }

    /// Something to be done while events go on being shown.
    pub(super) fn beside(&mut self, work: impl Future<Output = ()> + Send + 'static) {
        self.beside = Some(Box::pin(work));
    }

    pub(super) async fn beside_done(&mut self) {
        match &mut self.beside {
            Some(work) => {
                work.await;
                self.beside = None;
            }
            None => pending().await,
        }
    }

    pub(super) fn event(&mut self, event: &Event) -> io::Result<()> {
        if self.json {
            return output::line(&serde_json::to_string(event)?);
        }
        let began = *self.began.get_or_insert(event.at);
        let Some(text) = said(event) else {
            return Ok(());
        };
        let passed = event.at.since(began);
        let who = event.agent.as_ref().map_or("", |agent| agent.as_str());
        let line = format!(
            "{:>3}.{:03}  {who:<12} {text}",
            passed.as_secs(),
            passed.subsec_millis()
        );
        output::line(&line)
    }

    pub(super) fn end(&mut self, event: &Event) -> io::Result<()> {
        if self.json {
            return Ok(());
        }
        match outcome::text(&event.body) {
            Some(text) => output::line(&format!("\n{text}")),
            None => output::note("answer with `impresario run --continue --answer TEXT`"),
        }
    }
}

/// One line about an event, or nothing.
fn said(event: &Event) -> Option<String> {
    Some(match &event.body {
        EventBody::TaskCreated { definition } => format!("task `{}`", definition.name),
        EventBody::TaskMessage { content, .. } => format!("says: {}", first_line(content)),
        EventBody::TaskNeedsAttention { attention } => format!("needs attention: {attention:?}"),
        EventBody::RunQueued { spec } => format!("is given: {}", spec.title),
        EventBody::RunRestarted { reason, .. } => format!("goes on: {reason}"),
        EventBody::RunWaiting { reason } => format!("waits for {}", waits(reason)),
        EventBody::RunRetrying {
            error, delay_ms, ..
        } => format!("tries again in {delay_ms} ms: {error}"),
        EventBody::RunCompleted { .. } => "is done".to_owned(),
        EventBody::RunFailed { error, .. } => format!("failed: {error}"),
        EventBody::RunCancelled { reason, .. } => format!("was cancelled: {reason}"),
        EventBody::RunQuarantined { reason } => format!("is quarantined: {reason}"),
        EventBody::ModelCallCompleted { text, .. } if !text.is_empty() => {
            format!("“{}”", first_line(text))
        }
        EventBody::ToolCallStarted { tool, .. } => format!("calls {tool}"),
        EventBody::ToolCallInDoubt { tool, reason, .. } => format!("{tool} is in doubt: {reason}"),
        EventBody::SupervisorRestart { child, reason, .. } => {
            format!("supervisor restarts {child}: {reason}")
        }
        EventBody::SupervisorGaveUp { reason, .. } => format!("supervisor gave up: {reason}"),
        EventBody::BudgetExceeded { limit } => format!("limit reached: {limit}"),
        _ => return None,
    })
}

fn waits(reason: &WaitReason) -> String {
    match reason {
        WaitReason::Permit { pool } => format!("a permit of {pool}"),
        WaitReason::Executor { tool } => format!("an executor with {tool}"),
        WaitReason::Children { count } => format!("{count} delegated runs"),
        WaitReason::Human { question } => format!("a human: {question}"),
        WaitReason::Retry { delay_ms } => format!("{delay_ms} ms"),
    }
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}
