//! What is wrong with a file: all of it, each with its place and what to do.

use std::fmt;
use std::ops::Range;

use miette::{Diagnostic, LabeledSpan, MietteError, SourceCode, SourceSpan, SpanContents};
use serde::Serialize;

use super::source::{Source, shortened};

/// How many problems of one file are kept; the rest is counted.
pub const MAX_PROBLEMS: usize = 100;

/// One mistake in a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, thiserror::Error)]
#[error("{message}")]
pub struct Problem {
    /// The file.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    /// The text that is wrong, shortened; secrets in it are overwritten.
    pub text: String,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
    /// Where it is wrong, in bytes of the file.
    pub span: Range<usize>,
}

/// Everything that is wrong with one file, in the order of the file; never empty.
///
/// To print it, see [`Problems::render`](crate::config::Problems::render).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problems {
    pub(super) source: Source,
    pub(super) list: Vec<Problem>,
    pub(super) omitted: usize,
}

impl Problems {
    /// The one thing wrong with a file that could not even be looked into.
    pub(super) fn only(source: Source, span: Range<usize>, complaint: Complaint) -> Self {
        let mut findings = Findings::new(source);
        findings.add(span, complaint);
        findings.into_problems()
    }

    /// The file's name as it was given.
    #[must_use]
    pub fn file(&self) -> &str {
        self.source.name()
    }

    /// The problems, at most [`MAX_PROBLEMS`].
    #[must_use]
    pub fn list(&self) -> &[Problem] {
        &self.list
    }

    /// How many problems there were beyond [`MAX_PROBLEMS`].
    #[must_use]
    pub fn omitted(&self) -> usize {
        self.omitted
    }

    /// How many problems the file has.
    pub(super) fn count(&self) -> String {
        match self.list.len() + self.omitted {
            1 => "1 problem".to_owned(),
            n => format!("{n} problems"),
        }
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} in {}", self.count(), self.file())?;
        match self.source.count() {
            1 => Ok(()),
            _ => f.write_str(" and the files it includes"),
        }
    }
}

impl std::error::Error for Problems {}

impl Diagnostic for Problems {
    fn related<'a>(&'a self) -> Option<Box<dyn Iterator<Item = &'a dyn Diagnostic> + 'a>> {
        Some(Box::new(self.list.iter().map(|p| p as &dyn Diagnostic)))
    }
}

/// The file that a problem is in.
#[derive(Debug)]
pub(super) struct FileOf<'p> {
    pub(super) source: &'p Source,
    pub(super) name: &'p str,
}

impl SourceCode for FileOf<'_> {
    fn read_span<'a>(
        &'a self,
        span: &SourceSpan,
        before: usize,
        after: usize,
    ) -> Result<Box<dyn SpanContents<'a> + 'a>, MietteError> {
        let text = self.source.part(self.name).0;
        let contents = text.read_span(span, before, after)?;
        Ok(Box::new(miette::MietteSpanContents::new_named(
            self.name.to_owned(),
            contents.data(),
            *contents.span(),
            contents.line(),
            contents.column(),
            contents.line_count(),
        )))
    }
}

impl Diagnostic for Problem {
    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.help.as_ref().map(|help| Box::new(help) as _)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let label = LabeledSpan::new(None, self.span.start, self.span.len());
        Some(Box::new(std::iter::once(label)))
    }
}

/// A problem before it has a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Complaint {
    message: String,
    help: Option<String>,
}

impl Complaint {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            help: None,
        }
    }

    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

/// Problems while they are being collected.
#[derive(Debug)]
pub(crate) struct Findings {
    source: Source,
    list: Vec<(Range<usize>, Complaint)>,
    omitted: usize,
}

impl Findings {
    pub(crate) fn new(source: Source) -> Self {
        Self {
            source,
            list: Vec::new(),
            omitted: 0,
        }
    }

    /// One more file is read; where its text begins.
    pub(crate) fn add_file(&mut self, name: &str, text: &str) -> usize {
        self.source.add(name, text)
    }

    /// The file and the line of a byte.
    pub(crate) fn place(&self, offset: usize) -> (String, usize) {
        let (line, _) = self.source.position(offset);
        (self.source.file(offset).0.to_owned(), line)
    }

    /// What is read.
    pub(crate) fn source(&self) -> &Source {
        &self.source
    }

    pub(crate) fn add(&mut self, span: Range<usize>, complaint: Complaint) {
        if self.is_full() {
            self.omit();
        } else {
            self.list.push((span, complaint));
        }
    }

    /// Whether further problems are only counted.
    pub(crate) fn is_full(&self) -> bool {
        self.list.len() >= MAX_PROBLEMS
    }

    pub(crate) fn omit(&mut self) {
        self.omitted += 1;
    }

    /// Keeps a part of the file out of everything that is shown.
    pub(crate) fn mask(&mut self, span: Range<usize>) {
        self.source.mask(span);
    }

    /// Whether a line ends between two bytes.
    pub(crate) fn line_ends_between(&self, start: usize, end: usize) -> bool {
        let text = self.source.text().as_bytes();
        let end = end.min(text.len());
        text[start.min(end)..end].contains(&b'\n')
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// In the order of the file. Places are worked out only now, when all secrets are masked.
    pub(crate) fn into_problems(mut self) -> Problems {
        self.list.sort_by_key(|(span, _)| span.start);
        let list = std::mem::take(&mut self.list);
        Problems {
            list: list.into_iter().map(|found| self.placed(found)).collect(),
            source: self.source,
            omitted: self.omitted,
        }
    }

    fn placed(&self, (span, complaint): (Range<usize>, Complaint)) -> Problem {
        let span = self.source.on_one_line(span);
        let (line, column) = self.source.position(span.start);
        let (file, start) = self.source.file(span.start);
        Problem {
            file: file.to_owned(),
            line,
            column,
            text: shortened(&self.source.text()[span.clone()], 80),
            message: complaint.message,
            help: complaint.help,
            span: span.start - start..span.end - start,
        }
    }
}
