//! `grep`: lines by a regular expression.

use std::io::BufReader;
use std::ops::ControlFlow;
use std::path::Path;

use actors::model::EffectClass;
use actors::model::executor::CallError;
use regex::{Regex, RegexBuilder};
use schemars::JsonSchema;
use serde::Deserialize;

use super::file_tool::{FileTool, Stop};
use super::lines::{Lines, cut};
use super::listing::{Listing, Page};
use super::pattern::Pattern;
use super::walk::{Walked, note, walk};
use super::workspace::{Kind, Workspace, plain};
use super::{bad_arguments, count};

const DESCRIPTION: &str = "Finds lines by a regular expression, shown as `path:line:text` in a fixed order. \
    Binary files, very large files, folders that are symbolic links and `.git` are passed over.";

/// How many lines are shown where the call does not say.
const LINES: usize = 200;

/// How much of a line is searched, and how much is shown.
const SEARCHED: usize = 256 * 1024;
const SHOWN: usize = 300;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Args {
    /// The regular expression, in Rust's syntax: no look-around, no references back.
    pattern: String,
    /// The file or folder to look in; the root where it is left out.
    path: Option<String>,
    /// Only files that match this, like `*.rs` or `src/**/*.py`.
    glob: Option<String>,
    /// Whether upper and lower case are the same.
    #[serde(default)]
    ignore_case: bool,
    /// How many lines to pass over; for the next page.
    offset: Option<usize>,
    /// How many lines to show; 200 where it is left out.
    limit: Option<usize>,
}

pub(super) const TOOL: FileTool<Args> = FileTool {
    name: "grep",
    description: DESCRIPTION,
    effect: EffectClass::Pure,
    run,
};

fn run(workspace: &Workspace, args: &Args, stop: &Stop) -> Result<String, CallError> {
    let base = workspace.locate(args.path.as_deref().unwrap_or("."))?;
    let page = Page::of(args.offset, args.limit, LINES);
    let mut search = Search {
        workspace,
        stop,
        wanted: expression(args)?,
        only: args.glob.as_deref().map(Pattern::new).transpose()?,
        found: Listing::new(page, workspace.limits().result_bytes),
        too_large: 0,
    };
    let walked = search.everything_in(&base)?;
    Ok(search.finish(&walked))
}

fn expression(args: &Args) -> Result<Regex, CallError> {
    RegexBuilder::new(&args.pattern)
        .case_insensitive(args.ignore_case)
        .build()
        .map_err(|error| bad_arguments(format!("the pattern is not a regular expression: {error}")))
}

struct Search<'a> {
    workspace: &'a Workspace,
    stop: &'a Stop,
    wanted: Regex,
    only: Option<Pattern>,
    found: Listing,
    too_large: usize,
}

impl Search<'_> {
    fn everything_in(&mut self, base: &Path) -> Result<Walked, CallError> {
        if !self.workspace.metadata(base)?.is_dir() {
            let _page_full_or_not = self.one(base)?;
            return Ok(Walked::Done);
        }
        let (workspace, stop) = (self.workspace, self.stop);
        walk(workspace, base, stop, |visit| {
            let below = visit.path.strip_prefix(base).unwrap_or(visit.path);
            let wanted = self.only.as_ref().is_none_or(|only| only.matches(below));
            match wanted && visit.kind == Kind::File {
                true => self.one_among_many(visit.path),
                false => Ok(ControlFlow::Continue(())),
            }
        })
    }

    /// A file among many that cannot be read, perhaps because it has gone meanwhile, does not end the search.
    fn one_among_many(&mut self, path: &Path) -> Result<ControlFlow<()>, CallError> {
        let searched = self.one(path);
        self.stop.check()?;
        Ok(searched.unwrap_or(ControlFlow::Continue(())))
    }

    fn one(&mut self, path: &Path) -> Result<ControlFlow<()>, CallError> {
        let (file, size) = self.workspace.open_file(path)?;
        if size > self.workspace.limits().file_bytes {
            self.too_large += 1;
            return Ok(ControlFlow::Continue(()));
        }
        let unreadable = |error: std::io::Error| {
            super::failed(format!("cannot read {}: {}", path.display(), plain(&error)))
        };
        let mut lines = Lines::new(BufReader::new(file), SEARCHED);
        if lines.is_binary().map_err(unreadable)? {
            return Ok(ControlFlow::Continue(()));
        }
        let mut number = 0usize;
        while let Some(line) = lines.next().map_err(unreadable)? {
            number += 1;
            if number.is_multiple_of(1024) {
                self.stop.check()?;
            }
            if self.take(path, number, &line.text()).is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    fn take(&mut self, path: &Path, number: usize, line: &str) -> ControlFlow<()> {
        if !self.wanted.is_match(line) {
            return ControlFlow::Continue(());
        }
        let shown = cut(line, SHOWN);
        let rest = if shown.len() < line.len() {
            " […]"
        } else {
            ""
        };
        self.found
            .push(|| format!("{}:{number}:{shown}{rest}", path.display()))
    }

    fn finish(self, walked: &Walked) -> String {
        let mut text = self.found.finish("[no line matches]\n");
        if self.too_large > 0 {
            text += &format!(
                "[{} larger than {} bytes passed over: search there with the shell]\n",
                count(self.too_large, "file"),
                self.workspace.limits().file_bytes
            );
        }
        text + &note(walked, self.workspace)
    }
}
