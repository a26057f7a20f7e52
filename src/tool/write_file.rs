//! `write_file`: a whole file.

use actors::model::EffectClass;
use actors::model::executor::CallError;
use schemars::JsonSchema;
use serde::Deserialize;

use super::file_tool::{FileTool, Stop};
use super::workspace::Workspace;
use super::{bad_arguments, count};

const DESCRIPTION: &str = "Writes a file, in place of what was there before; folders on the way are made. \
    The file is replaced wholly or not at all. To change a part of a file use edit_file.";

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Args {
    /// The file, relative to the root.
    path: String,
    /// All that the file is to hold.
    content: String,
}

pub(super) const TOOL: FileTool<Args> = FileTool {
    name: "write_file",
    description: DESCRIPTION,
    effect: EffectClass::Ledgered,
    run,
};

fn run(workspace: &Workspace, args: &Args, stop: &Stop) -> Result<String, CallError> {
    let path = workspace.locate(&args.path)?;
    let most = workspace.limits().file_bytes;
    if args.content.len() as u64 > most {
        return Err(bad_arguments(format!(
            "the content is {} bytes long and a file may have {most}: write it in parts with the shell",
            args.content.len()
        )));
    }
    stop.check()?;
    let before = workspace.replace(&path, args.content.as_bytes())?;
    let verb = if before { "replaced" } else { "created" };
    let lines = count(args.content.lines().count(), "line");
    let bytes = count(args.content.len(), "byte");
    Ok(format!("{verb} {}: {lines}, {bytes}", path.display()))
}
