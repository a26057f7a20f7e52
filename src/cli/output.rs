//! What is written, and where to.

use std::io::{self, IsTerminal, Write};

use anstream::{AutoStream, ColorChoice};
use serde_json::Value;

use crate::config::{Problems, Rendering, turns_or_hides};

/// Text for stdout.
pub(super) fn data(text: &str) -> io::Result<()> {
    let mut out = anstream::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

/// One JSON document for stdout.
pub(super) fn json(document: &Value) -> io::Result<()> {
    data(&format!("{document:#}\n"))
}

/// How many columns and rows the terminal has that stdout is; none where it is none.
pub(super) fn size() -> Option<(usize, usize)> {
    let stdout = io::stdout();
    if !stdout.is_terminal() {
        return None;
    }
    let size = rustix::termios::tcgetwinsize(stdout).ok()?;
    (size.ws_col > 0 && size.ws_row > 0).then(|| (size.ws_col.into(), size.ws_row.into()))
}

/// How wide lines for stdout may be; as wide as they are where it is no terminal.
pub(super) fn columns() -> Option<usize> {
    size().map(|(columns, _)| columns)
}

/// The problems of a file for stderr: drawn on a terminal, one after the other elsewhere.
pub(super) fn problems(problems: &Problems) -> io::Result<()> {
    let stderr = io::stderr();
    let rendering = match stderr.is_terminal() {
        true => Rendering::Fancy {
            color: AutoStream::choice(&stderr) != ColorChoice::Never,
        },
        false => Rendering::Plain,
    };
    anstream::stderr().write_all(problems.render(rendering).as_bytes())
}

/// Something to know, for stderr.
pub(super) fn note(message: &str) -> io::Result<()> {
    writeln!(anstream::stderr(), "{}", visible(message))
}

/// An error for stderr.
pub(super) fn error(message: &str) -> io::Result<()> {
    writeln!(anstream::stderr(), "error: {}", visible(message))
}

/// A message may hold names and texts from anywhere: what would control the terminal or turn the writing direction is spelled out.
fn visible(message: &str) -> String {
    let seen = |c: char| match c != '\n' && turns_or_hides(c) {
        true => c.escape_default().to_string(),
        false => c.to_string(),
    };
    message.chars().map(seen).collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn what_controls_a_terminal_is_spelled_out() {
        let shown = super::visible("a\u{1b}[2Jb\u{202e}c\nd\u{e9}");
        assert_eq!(shown, "a\\u{1b}[2Jb\\u{202e}c\nd\u{e9}");
    }
}
