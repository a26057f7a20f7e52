//! Text that keeps to its place: how wide it is, and where it is cut. Pure.

use owo_colors::{OwoColorize, Style};
use unicode_width::UnicodeWidthChar;

/// A piece of a row.
#[derive(Debug, Clone)]
pub(super) struct Span {
    text: String,
    style: Style,
}

/// One row: what stands on its left side, and what stands on its right side where there is room.
#[derive(Debug, Clone, Default)]
pub(super) struct Row {
    left: Vec<Span>,
    right: Vec<Span>,
}

impl Row {
    pub(super) fn with(mut self, text: impl Into<String>, style: Style) -> Self {
        self.left.push(Span {
            text: text.into(),
            style,
        });
        self
    }

    pub(super) fn plain(self, text: impl Into<String>) -> Self {
        self.with(text, Style::new())
    }

    pub(super) fn right(mut self, text: impl Into<String>, style: Style) -> Self {
        self.right.push(Span {
            text: text.into(),
            style,
        });
        self
    }

    /// As it is written: never wider than `columns`, with or without colours.
    pub(super) fn render(&self, columns: usize, color: bool) -> String {
        let aside = width_of(&self.right);
        // The right side is left out before it crowds the left one.
        let has_aside = aside > 0 && columns >= aside + LEAST + GAP;
        let room = match has_aside {
            true => columns - aside - GAP,
            false => columns,
        };
        let mut out = String::new();
        let used = write(&mut out, &self.left, room, color);
        if has_aside {
            out.extend(std::iter::repeat_n(' ', columns - aside - used));
            write(&mut out, &self.right, aside, color);
        }
        out
    }
}

/// How much room the left side must keep beside a right side.
const LEAST: usize = 40;
const GAP: usize = 2;

/// Writes spans into `room` columns; how many were used.
fn write(out: &mut String, spans: &[Span], room: usize, color: bool) -> usize {
    let mut used = 0;
    for span in spans {
        let text = cut(&span.text, room - used);
        used += width(&text);
        match color {
            true if !text.is_empty() => out.push_str(&text.style(span.style).to_string()),
            _ => out.push_str(&text),
        }
    }
    used
}

/// How many columns a terminal needs for a text.
pub(in crate::cli) fn width(text: &str) -> usize {
    text.chars().map(|c| c.width().unwrap_or(0)).sum()
}

fn width_of(spans: &[Span]) -> usize {
    spans.iter().map(|span| width(&span.text)).sum()
}

/// A text that is no wider than `columns`; one that was cut ends in an ellipsis.
pub(in crate::cli) fn cut(text: &str, columns: usize) -> String {
    if width(text) <= columns {
        return text.to_owned();
    }
    let Some(room) = columns.checked_sub(1) else {
        return String::new();
    };
    let mut used = 0;
    let fits = |c: &char| {
        used += c.width().unwrap_or(0);
        used <= room
    };
    let kept: String = text.chars().take_while(fits).collect();
    format!("{}…", kept.trim_end())
}

/// The end of a text that is no wider than `columns`: of words that are still coming, the newest.
pub(super) fn tail(text: &str, columns: usize) -> String {
    if width(text) <= columns {
        return text.to_owned();
    }
    let Some(room) = columns.checked_sub(1) else {
        return String::new();
    };
    let mut used = 0;
    let fits = |(_, c): &(usize, char)| {
        used += c.width().unwrap_or(0);
        used <= room
    };
    let from = text.char_indices().rev().take_while(fits).last();
    format!("…{}", from.map_or("", |(at, _)| &text[at..]))
}
