//! What is said about a task that has ended.

use std::io;

use actors::model::{Content, Event, EventBody, TaskStatus};
use actors::store::TaskRow;

use super::super::{Exit, output};

/// Says again how a task ended that needs nothing any more.
pub(super) fn again(row: &TaskRow, events: &[Event], json: bool) -> io::Result<Exit> {
    if json {
        for event in events {
            output::line(&serde_json::to_string(event)?)?;
        }
    } else {
        let end = events.iter().rev().find_map(|event| text(&event.body));
        output::note("this task has ended; nothing is left to do")?;
        output::line(&end.unwrap_or_default())?;
    }
    Ok(match row.status {
        TaskStatus::Completed => Exit::Done,
        TaskStatus::Cancelled => Exit::Interrupted,
        _ => Exit::Failed,
    })
}

/// The result of a task, or why it has none, from its last event.
pub(super) fn text(body: &EventBody) -> Option<String> {
    match body {
        EventBody::TaskCompleted { result } => Some(content(result).to_owned()),
        EventBody::TaskFailed { error } => Some(format!("failed: {error}")),
        EventBody::TaskCancelled { reason } => Some(format!("cancelled: {reason}")),
        _ => None,
    }
}

pub(super) fn content(content: &Content) -> &str {
    match content {
        Content::Inline(text) => text,
        Content::Blob { preview, .. } => preview,
    }
}
