//! What is written, and where to.

use std::io::{self, IsTerminal, Write};

use anstream::{AutoStream, ColorChoice};
use serde_json::Value;

use crate::config::{Problems, Rendering};

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
    writeln!(anstream::stderr(), "{message}")
}

/// An error for stderr.
pub(super) fn error(message: &str) -> io::Result<()> {
    writeln!(anstream::stderr(), "error: {message}")
}
