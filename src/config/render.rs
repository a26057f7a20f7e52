//! Problems for people and for programs.

use std::fmt::{self, Write};

use miette::{Diagnostic, GraphicalReportHandler, GraphicalTheme, LabeledSpan, SourceCode};
use serde_json::{Value, json};

use super::problem::{FileOf, Problem, Problems};

/// Characters of a source line that the plain rendering shows.
const WINDOW: usize = 100;
/// A file with a longer line than this is always rendered plainly: the pictures show whole lines.
const LONGEST_DRAWN_LINE: usize = 1_000;

/// How problems are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rendering {
    /// For pipes, logs and tests: `file:line:column: message`, the line, and help.
    Plain,
    /// For terminals: drawn into the source.
    Fancy {
        /// With colours.
        color: bool,
    },
}

impl Problems {
    /// All problems as text that ends with a line end.
    #[must_use]
    pub fn render(&self, rendering: Rendering) -> String {
        match rendering {
            _ if self.source.text().is_empty() => self.unread(),
            Rendering::Fancy { color } if self.can_be_drawn() => self.drawn(color),
            _ => self.plain(),
        }
    }

    /// All problems as one JSON document: `{ file, valid, problems, omitted }`.
    #[must_use]
    pub fn to_json(&self) -> Value {
        json!({
            "file": self.file(),
            "valid": false,
            "problems": self.list,
            "omitted": self.omitted,
        })
    }

    /// Nothing requires anything of an empty file: it could not be read, and has no places.
    fn unread(&self) -> String {
        let said = |problem: &Problem| match &problem.help {
            Some(help) => format!("error: {}; {help}\n", problem.message),
            None => format!("error: {}\n", problem.message),
        };
        self.list.iter().map(said).collect()
    }

    fn can_be_drawn(&self) -> bool {
        let lines = self.source.text().lines();
        lines
            .map(str::len)
            .all(|length| length <= LONGEST_DRAWN_LINE)
    }

    fn drawn(&self, color: bool) -> String {
        let theme = match color {
            true => GraphicalTheme::unicode(),
            false => GraphicalTheme::unicode_nocolor(),
        };
        let mut out = String::new();
        let handler = GraphicalReportHandler::new_themed(theme).with_width(100);
        for problem in &self.list {
            let (source, name) = (&self.source, problem.file.as_str());
            let file = FileOf { source, name };
            if handler
                .render_report(&mut out, &Shown { file, problem })
                .is_err()
            {
                return self.plain();
            }
            out.push('\n');
        }
        out + &self.rest() + &format!("{self}\n")
    }

    fn plain(&self) -> String {
        let mut out = String::new();
        for problem in &self.list {
            self.plain_one(problem, &mut out);
        }
        out + &self.rest() + &format!("{self}\n")
    }

    fn rest(&self) -> String {
        match self.omitted {
            0 => String::new(),
            n => format!("… and {n} more\n"),
        }
    }

    fn plain_one(&self, problem: &Problem, out: &mut String) {
        let Problem {
            file, line, column, ..
        } = problem;
        let _ = writeln!(out, "{file}:{line}:{column}: {}", problem.message);
        let (shown, indent) = self.window(problem);
        if !shown.trim().is_empty() {
            let marks = problem.text.chars().count().clamp(1, WINDOW);
            let _ = writeln!(
                out,
                "    {shown}\n    {}{}",
                " ".repeat(indent),
                "^".repeat(marks)
            );
        }
        if let Some(help) = &problem.help {
            let _ = writeln!(out, "    help: {help}");
        }
        out.push('\n');
    }

    /// The part of the problem's line around it, and how far into that part it begins.
    fn window(&self, problem: &Problem) -> (String, usize) {
        let line = self
            .source
            .part(&problem.file)
            .line_around(problem.span.start);
        let into = problem.column - 1;
        let skipped = if into > WINDOW / 2 {
            into - WINDOW / 4
        } else {
            0
        };
        let shown: String = line.trim_end().chars().skip(skipped).take(WINDOW).collect();
        (shown.replace('\t', " "), into - skipped)
    }
}

/// One problem with the text it stands in.
#[derive(Debug, thiserror::Error)]
#[error("{problem}")]
struct Shown<'p> {
    file: FileOf<'p>,
    problem: &'p Problem,
}

impl Diagnostic for Shown<'_> {
    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.problem.help()
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        Some(&self.file)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        self.problem.labels()
    }
}
