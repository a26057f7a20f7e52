//! `read_file`: a window of a text file, with line numbers.

use std::fmt::Write as _;
use std::io::BufReader;
use std::sync::Arc;

use actors::model::EffectClass;
use actors::model::executor::CallError;
use schemars::JsonSchema;
use serde::Deserialize;

use super::file_tool::{FileTool, Stop};
use super::lines::{Line, Lines};
use super::workspace::Workspace;
use super::{LocalTool, failed};

const DESCRIPTION: &str = "Reads a text file and shows its lines with their numbers. A long file is shown a window at a time: \
    the last line says which offset to go on with. Binary files are recognised and not shown.";

/// How many lines are shown where the call does not say.
const LINES: usize = 2000;

/// How much of a line is shown.
const LONGEST: usize = 2000;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Args {
    /// The file, relative to the root.
    path: String,
    /// The first line to show, counted from 1; 1 where it is left out.
    offset: Option<usize>,
    /// How many lines to show; 2000 where it is left out.
    limit: Option<usize>,
}

pub(super) fn tool(workspace: &Arc<Workspace>) -> Box<dyn LocalTool> {
    Box::new(FileTool {
        name: "read_file",
        description: DESCRIPTION,
        effect: EffectClass::Pure,
        run,
        workspace: Arc::clone(workspace),
    })
}

fn run(workspace: &Workspace, args: &Args, stop: &Stop) -> Result<String, CallError> {
    let path = workspace.locate(&args.path)?;
    let (file, size) = workspace.open_file(&path)?;
    let unreadable =
        |error: std::io::Error| failed(format!("cannot read {}: {error}", path.display()));
    let mut lines = Lines::new(BufReader::new(file), LONGEST);
    if lines.is_binary().map_err(unreadable)? {
        return Err(failed(format!(
            "{} is not text ({size} bytes); look at it with a command in the shell",
            path.display()
        )));
    }
    let mut window = Window::new(args, workspace.limits().result_bytes);
    while let Some(line) = lines.next().map_err(unreadable)? {
        if window.number % 1024 == 0 {
            stop.check()?;
        }
        if window.take(&line) == Taken::Full {
            break;
        }
    }
    Ok(window.finish())
}

/// The lines that were asked for.
struct Window {
    first: usize,
    limit: usize,
    most_bytes: usize,
    /// How many lines have been seen.
    number: usize,
    shown: usize,
    text: String,
    more: bool,
}

#[derive(PartialEq, Eq)]
enum Taken {
    Yes,
    Full,
}

impl Window {
    fn new(args: &Args, most_bytes: usize) -> Self {
        Self {
            first: args.offset.unwrap_or(1).max(1),
            limit: args.limit.unwrap_or(LINES).max(1),
            most_bytes,
            number: 0,
            shown: 0,
            text: String::new(),
            more: false,
        }
    }

    fn take(&mut self, line: &Line) -> Taken {
        self.number += 1;
        if self.number < self.first {
            return Taken::Yes;
        }
        let full = self.shown >= self.limit || self.text.len() + line.bytes.len() > self.most_bytes;
        if full && self.shown > 0 {
            self.more = true;
            return Taken::Full;
        }
        self.shown += 1;
        let _ = write!(self.text, "{:>6}\t{}", self.number, line.text());
        if line.cut > 0 {
            let _ = write!(self.text, " [{} more bytes in this line]", line.cut);
        }
        self.text.push('\n');
        Taken::Yes
    }

    fn finish(mut self) -> String {
        if self.shown == 0 {
            return match self.number {
                0 => "[the file is empty]\n".to_owned(),
                lines => {
                    format!("[the file has only {lines} lines: the offset is behind its end]\n")
                }
            };
        }
        let next = self.first + self.shown;
        if self.more {
            let _ = writeln!(self.text, "[more follows: call again with offset={next}]");
        }
        self.text
    }
}
