//! `glob`: files by name.

use actors::model::EffectClass;
use actors::model::executor::CallError;
use schemars::JsonSchema;
use serde::Deserialize;

use super::file_tool::{FileTool, Stop};
use super::listing::{Listing, Page};
use super::pattern::Pattern;
use super::walk::{note, walk};
use super::workspace::{Kind, Workspace};

const DESCRIPTION: &str = "Finds files by a pattern like `src/**/*.rs` or `*.{ts,tsx}`, in a fixed order. \
    A pattern without a slash matches names in any folder. Folders that are symbolic links and `.git` are passed over.";

/// How many files are shown where the call does not say.
const FILES: usize = 500;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Args {
    /// The pattern, matched against paths relative to `path`.
    pattern: String,
    /// The folder to look in; the root where it is left out.
    path: Option<String>,
    /// How many files to pass over; for the next page.
    offset: Option<usize>,
    /// How many files to show; 500 where it is left out.
    limit: Option<usize>,
}

pub(super) const TOOL: FileTool<Args> = FileTool {
    name: "glob",
    description: DESCRIPTION,
    effect: EffectClass::Pure,
    run,
};

fn run(workspace: &Workspace, args: &Args, stop: &Stop) -> Result<String, CallError> {
    let base = workspace.locate(args.path.as_deref().unwrap_or("."))?;
    let pattern = Pattern::new(&args.pattern)?;
    let page = Page::of(args.offset, args.limit, FILES);
    let mut listing = Listing::new(page, workspace.limits().result_bytes);
    let walked = walk(workspace, &base, stop, |visit| {
        let below = visit.path.strip_prefix(&base).unwrap_or(visit.path);
        let found = matches!(visit.kind, Kind::File | Kind::Link) && pattern.matches(below);
        Ok(match found {
            true => listing.push(|| visit.path.display().to_string()),
            false => std::ops::ControlFlow::Continue(()),
        })
    })?;
    Ok(listing.finish("[no file matches]\n") + &note(&walked, workspace))
}
