//! A run's journal for people: what each event says. Pure.

use actors::model::event::Outcome;
use actors::model::{Event, EventBody, Sender, StopReason};

use super::lines;
use super::view::{View, text};
use super::words::{clean, counted, first_line, quoted};

/// What an event says, with the view before it, which takes it in.
pub(in crate::cli) fn told(view: &mut View, event: &Event) -> String {
    let line = lines::line(view, event).map(|line| line.what);
    view.fold(event);
    let shown = match &event.body {
        // Beside the words there are calls and costs.
        EventBody::ModelCallCompleted { .. } => None,
        _ => line,
    };
    shown.unwrap_or_else(|| detail(&event.body))
}

fn detail(body: &EventBody) -> String {
    match body {
        EventBody::RunStarted => "begins".to_owned(),
        EventBody::ModelCallStarted { turn, .. } => format!("asks its model, turn {}", turn + 1),
        EventBody::ModelCallInterrupted { .. } => "its model is interrupted".to_owned(),
        EventBody::ModelCallCompleted { .. } => reply(body),
        EventBody::ToolCallStarted { tool, executor, .. } => {
            let place = executor
                .as_ref()
                .map(|name| format!(" on {}", clean(&name.name)));
            format!("calls {}{}", clean(tool), place.unwrap_or_default())
        }
        EventBody::ToolCallCompleted {
            outcome, content, ..
        } => match outcome {
            Outcome::Ok => format!("gets {}", shortly(text(content))),
            Outcome::Error => format!("gets an error: {}", shortly(text(content))),
        },
        EventBody::Message { from, content, .. } => {
            let by = match from {
                Sender::Human => "a human",
                Sender::System => "the node",
                Sender::Agent(agent) => agent.as_str(),
            };
            format!("hears from {}: {}", clean(by), first_line(text(content)))
        }
        _ => String::new(),
    }
}

fn reply(body: &EventBody) -> String {
    let EventBody::ModelCallCompleted {
        text,
        calls,
        usage,
        stop,
        ..
    } = body
    else {
        return String::new();
    };
    let mut parts = Vec::new();
    if !first_line(text).is_empty() {
        parts.push(format!("says {}", quoted(text)));
    }
    if !calls.is_empty() {
        let names: Vec<_> = calls.iter().map(|call| clean(&call.name)).collect();
        parts.push(format!("wants {}", names.join(", ")));
    }
    parts.push(counted(usage.tokens(), "token"));
    if *stop == StopReason::Length {
        parts.push("cut off".to_owned());
    }
    parts.join("; ")
}

/// The first and the last line that say something.
fn shortly(text: &str) -> String {
    let mut lines = text.lines().map(clean).filter(|line| !line.is_empty());
    let first = lines.next().unwrap_or_default();
    match lines.next_back() {
        Some(last) => format!("{first} … {last}"),
        None => first,
    }
}
