//! `list_dir`: what a folder holds.

use std::path::Path;

use actors::model::EffectClass;
use actors::model::executor::CallError;
use schemars::JsonSchema;
use serde::Deserialize;

use super::file_tool::{FileTool, Stop};
use super::listing::{Listing, Page};
use super::workspace::{Entry, Kind, Workspace};

const DESCRIPTION: &str = "Lists a folder, sorted by name: folders end in `/`, files show their size in bytes, \
    symbolic links show where they lead.";

/// How many entries are shown where the call does not say.
const ENTRIES: usize = 1000;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Args {
    /// The folder, relative to the root; the root itself where it is left out.
    path: Option<String>,
    /// How many entries to pass over; for the next page.
    offset: Option<usize>,
    /// How many entries to show; 1000 where it is left out.
    limit: Option<usize>,
}

pub(super) const TOOL: FileTool<Args> = FileTool {
    name: "list_dir",
    description: DESCRIPTION,
    effect: EffectClass::Pure,
    run,
};

fn run(workspace: &Workspace, args: &Args, stop: &Stop) -> Result<String, CallError> {
    let folder = workspace.locate(args.path.as_deref().unwrap_or("."))?;
    let page = Page::of(args.offset, args.limit, ENTRIES);
    let mut listing = Listing::new(page, workspace.limits().result_bytes);
    for entry in workspace.entries(&folder)? {
        stop.check()?;
        if listing
            .push(|| shown(workspace, &folder, &entry))
            .is_break()
        {
            break;
        }
    }
    Ok(listing.finish("[the folder is empty]\n"))
}

fn shown(workspace: &Workspace, folder: &Path, entry: &Entry) -> String {
    let name = entry.name.to_string_lossy();
    let path = folder.join(&entry.name);
    match entry.kind {
        Kind::Folder => format!("{name}/"),
        Kind::Link => workspace.link_target(&path).map_or_else(
            || format!("{name} -> ?"),
            |target| format!("{name} -> {}", target.display()),
        ),
        Kind::File => workspace.metadata(&path).map_or_else(
            |_| name.to_string(),
            |found| format!("{name} ({})", found.len()),
        ),
        Kind::Other => format!("{name} (neither file nor folder)"),
    }
}
