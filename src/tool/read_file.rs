//! `read_file`: a window of a text file, with line numbers.

use std::io::BufReader;

use actors::model::EffectClass;
use actors::model::executor::CallError;
use schemars::JsonSchema;
use serde::Deserialize;

use super::failed;
use super::file_tool::{FileTool, Stop};
use super::lines::{Line, Lines};
use super::listing::{Listing, Page};
use super::workspace::{Workspace, plain};

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

pub(super) const TOOL: FileTool<Args> = FileTool {
    name: "read_file",
    description: DESCRIPTION,
    effect: EffectClass::Pure,
    run,
};

fn run(workspace: &Workspace, args: &Args, stop: &Stop) -> Result<String, CallError> {
    let path = workspace.locate(&args.path)?;
    let (file, size) = workspace.open_file(&path)?;
    let unreadable = |error: std::io::Error| {
        failed(format!("cannot read {}: {}", path.display(), plain(&error)))
    };
    let mut lines = Lines::new(BufReader::new(file), LONGEST);
    if lines.is_binary().map_err(unreadable)? {
        return Err(failed(format!(
            "{} is not text ({size} bytes); look at it with a command in the shell",
            path.display()
        )));
    }
    let page = Page::from_one(args.offset, args.limit, LINES);
    let mut listing = Listing::new(page, workspace.limits().result_bytes);
    let mut number = 0usize;
    while let Some(line) = lines.next().map_err(unreadable)? {
        number += 1;
        if number.is_multiple_of(1024) {
            stop.check()?;
        }
        if listing.push(|| shown(number, &line)).is_break() {
            break;
        }
    }
    Ok(listing.finish("[the file is empty]\n"))
}

fn shown(number: usize, line: &Line) -> String {
    let text = line.text();
    match line.cut {
        0 => format!("{number:>6}\t{text}"),
        cut => format!("{number:>6}\t{text} [{cut} more bytes in this line]"),
    }
}
