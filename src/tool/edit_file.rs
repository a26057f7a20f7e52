//! `edit_file`: one text in a file replaced by another.

use std::io::Read;
use std::path::Path;

use actors::model::EffectClass;
use actors::model::executor::CallError;
use schemars::JsonSchema;
use serde::Deserialize;

use super::file_tool::{FileTool, Stop};
use super::lines::is_binary;
use super::workspace::{Workspace, plain};
use super::{bad_arguments, failed};

const DESCRIPTION: &str = "Replaces a text in a file. The old text must stand in the file exactly as given, white space included \
    and without the line numbers that read_file adds, and only once, or `all` must be true. \
    The file is replaced wholly or not at all.";

/// How many places an error names.
const NAMED: usize = 8;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Args {
    /// The file, relative to the root.
    path: String,
    /// The text to replace, with enough around it to be found only once.
    old_text: String,
    /// The text to put in its place.
    new_text: String,
    /// Replace every occurrence instead of the only one.
    #[serde(default)]
    all: bool,
}

pub(super) const TOOL: FileTool<Args> = FileTool {
    name: "edit_file",
    description: DESCRIPTION,
    effect: EffectClass::Ledgered,
    run,
};

fn run(workspace: &Workspace, args: &Args, stop: &Stop) -> Result<String, CallError> {
    let path = workspace.locate(&args.path)?;
    let text = read(workspace, &path)?;
    let edit = Edit {
        old: &args.old_text,
        new: &args.new_text,
        all: args.all,
    };
    let edited = edit
        .apply(&text)
        .map_err(|error| error.told(&path.display().to_string()))?;
    stop.check()?;
    workspace.replace(&path, edited.text.as_bytes())?;
    Ok(format!(
        "replaced {} in {}, from line {}",
        times(edited.places.len()),
        path.display(),
        edited.places[0]
    ))
}

fn read(workspace: &Workspace, path: &Path) -> Result<String, CallError> {
    let (file, size) = workspace.open_file(path)?;
    let most = workspace.limits().file_bytes;
    let name = path.display();
    let mut bytes = Vec::new();
    file.take(most + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| failed(format!("cannot read {name}: {}", plain(&error))))?;
    if bytes.len() as u64 > most {
        let message =
            format!("{name} is too large to edit ({size} bytes, at most {most}): use the shell");
        return Err(failed(message));
    }
    if is_binary(&bytes) {
        return Err(failed(format!("{name} is not text ({size} bytes)")));
    }
    String::from_utf8(bytes)
        .map_err(|_| failed(format!("{name} is not UTF-8 text: edit it with the shell")))
}

/// What is to be done to a text.
struct Edit<'a> {
    old: &'a str,
    new: &'a str,
    all: bool,
}

#[derive(Debug)]
struct Edited {
    text: String,
    /// The lines where a replaced text began.
    places: Vec<usize>,
}

#[derive(Debug, PartialEq, Eq)]
enum Refused {
    Empty,
    Same,
    /// Nowhere; but something much like it begins in this line.
    Absent(Option<usize>),
    /// It begins in each of these lines.
    Ambiguous(Vec<usize>),
}

impl Edit<'_> {
    fn apply(&self, text: &str) -> Result<Edited, Refused> {
        if self.old.is_empty() {
            return Err(Refused::Empty);
        }
        if self.old == self.new {
            return Err(Refused::Same);
        }
        let (old, new) = self.with_line_ends_of(text);
        let places = places(text, &old);
        match places.len() {
            0 => Err(Refused::Absent(nearly(text, self.old))),
            2.. if !self.all => Err(Refused::Ambiguous(places)),
            _ => Ok(Edited {
                text: text.replace(&old, &new),
                places,
            }),
        }
    }

    /// Models write lines that end in LF, also for files whose lines end in CRLF.
    fn with_line_ends_of(&self, text: &str) -> (String, String) {
        let crlf = |part: &str| part.replace("\r\n", "\n").replace('\n', "\r\n");
        match !text.contains(self.old) && text.contains(&crlf(self.old)) {
            true => (crlf(self.old), crlf(self.new)),
            false => (self.old.to_owned(), self.new.to_owned()),
        }
    }
}

/// The lines, from 1, in which `old` begins.
fn places(text: &str, old: &str) -> Vec<usize> {
    let mut line = 1;
    let mut counted = 0;
    text.match_indices(old)
        .map(|(at, _)| {
            line += text[counted..at].matches('\n').count();
            counted = at;
            line
        })
        .collect()
}

/// The line where the first line of `old` that is not blank stands, white space aside.
fn nearly(text: &str, old: &str) -> Option<usize> {
    let wanted = old.lines().map(str::trim).find(|line| !line.is_empty())?;
    text.lines()
        .position(|line| line.trim() == wanted)
        .map(|at| at + 1)
}

impl Refused {
    fn told(self, path: &str) -> CallError {
        match self {
            Self::Empty => bad_arguments("old_text is empty: to make a file use write_file"),
            Self::Same => {
                bad_arguments("old_text and new_text are the same: there is nothing to do")
            }
            Self::Absent(None) => {
                failed(format!("old_text does not stand in {path}: read it again"))
            }
            Self::Absent(Some(line)) => failed(format!(
                "old_text does not stand in {path} exactly; line {line} begins like it: compare white space and what follows"
            )),
            Self::Ambiguous(lines) => failed(format!(
                "old_text stands in {path} {}, beginning in lines {}: give more around it, or set all to true",
                times(lines.len()),
                named(&lines)
            )),
        }
    }
}

fn times(count: usize) -> String {
    match count {
        1 => "once".to_owned(),
        count => format!("{count} times"),
    }
}

fn named(lines: &[usize]) -> String {
    let mut names: Vec<String> = lines.iter().take(NAMED).map(usize::to_string).collect();
    if lines.len() > NAMED {
        names.push("…".to_owned());
    }
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edit(text: &str, old: &str, new: &str, all: bool) -> Result<String, Refused> {
        Edit { old, new, all }.apply(text).map(|edited| edited.text)
    }

    #[test]
    fn only_an_exact_and_unique_text_is_replaced() {
        assert_eq!(edit("a b c", "b", "x", false).unwrap(), "a x c");
        assert_eq!(
            edit("a\nb\nb\n", "b", "x", false),
            Err(Refused::Ambiguous(vec![2, 3]))
        );
        assert_eq!(edit("a\nb\nb\n", "b", "x", true).unwrap(), "a\nx\nx\n");
        assert_eq!(
            edit("a\n  b\n", "\tb\n", "x", false),
            Err(Refused::Absent(Some(2)))
        );
        assert_eq!(edit("a", "z", "x", false), Err(Refused::Absent(None)));
        assert_eq!(edit("a", "", "x", false), Err(Refused::Empty));
        assert_eq!(edit("a", "a", "a", false), Err(Refused::Same));
    }

    #[test]
    fn line_ends_of_the_file_are_kept() {
        assert_eq!(
            edit("a\r\nb\r\nc", "a\nb", "x\ny", false).unwrap(),
            "x\r\ny\r\nc"
        );
    }
}
