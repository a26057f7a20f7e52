//! A terminal that is drawn on: lines go up, the drawing below them is replaced in place. What is to be written comes back as bytes.
//!
//! The cursor is hidden and lines are kept from wrapping only within one write, and it rests at the beginning of the row below the
//! drawing. So the terminal is as it was at every moment, also when the program is killed.

use std::collections::VecDeque;

use super::super::lines::Line;
use super::{Scene, above, rows};

/// How large a terminal is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cli::run) struct Size {
    /// Characters in a row.
    pub(in crate::cli::run) columns: usize,
    /// Rows.
    pub(in crate::cli::run) rows: usize,
}

/// How many lines may wait for the next drawing.
const WAITING: usize = 1000;
/// How many lines are kept for drawing anew.
const KEPT: usize = 500;

const BEGIN: &str = "\u{1b}[?25l\u{1b}[?7l";
const END: &str = "\u{1b}[?7h\u{1b}[?25h";
const TOP: &str = "\u{1b}[H";
const CLEAR_BELOW: &str = "\u{1b}[J";
const CLEAR_RIGHT: &str = "\u{1b}[K";

/// What is on the terminal.
#[derive(Debug)]
pub(in crate::cli::run) struct Screen {
    color: bool,
    size: Option<Size>,
    /// How many rows of it the drawing takes.
    drawn: usize,
    /// Lines that are to go up.
    waiting: Vec<Line>,
    /// Those that went up last.
    recent: VecDeque<Line>,
}

impl Screen {
    pub(in crate::cli::run) fn new(color: bool) -> Self {
        Self {
            color,
            size: None,
            drawn: 0,
            waiting: Vec::new(),
            recent: VecDeque::new(),
        }
    }

    /// A line to go up with the next drawing.
    pub(in crate::cli::run) fn say(&mut self, line: Line) {
        self.waiting.push(line);
    }

    /// Whether no more lines should come before the next drawing.
    pub(in crate::cli::run) fn is_full(&self) -> bool {
        self.waiting.len() >= WAITING
    }

    /// The next drawing, in one piece.
    pub(in crate::cli::run) fn draw(&mut self, scene: &Scene<'_>, size: Size) -> Vec<u8> {
        let rows = rows(scene, size);
        let mut out = self.begin(size, rows.len());
        for row in &rows {
            self.put(&mut out, &row.render(inner(size), self.color));
        }
        self.drawn = rows.len();
        self.end(out)
    }

    /// Takes the drawing away; the lines stay.
    pub(in crate::cli::run) fn leave(&mut self, size: Size) -> Vec<u8> {
        let out = self.begin(size, 0);
        self.drawn = 0;
        self.end(out)
    }

    /// Goes to where the drawing begins, with the lines above it written.
    fn begin(&mut self, size: Size, below: usize) -> String {
        let mut out = BEGIN.to_owned();
        let is_resized = self.size.replace(size).is_some_and(|before| before != size);
        if is_resized && self.drawn > 0 {
            // Where the rows are now depends on how the terminal wrapped them anew: all of it is written over.
            out.push_str(TOP);
            let fit = size.rows.saturating_sub(below + 1);
            for line in self
                .recent
                .iter()
                .skip(self.recent.len().saturating_sub(fit))
            {
                self.put(&mut out, &above(line).render(inner(size), self.color));
            }
        } else if self.drawn > 0 {
            out.push_str(&format!("\u{1b}[{}A\r", self.drawn));
        }
        for line in std::mem::take(&mut self.waiting) {
            self.put(&mut out, &above(&line).render(inner(size), self.color));
            self.recent.push_back(line);
        }
        let old = self.recent.len().saturating_sub(KEPT);
        self.recent.drain(..old);
        out
    }

    fn put(&self, out: &mut String, row: &str) {
        out.push_str(row);
        out.push_str(CLEAR_RIGHT);
        out.push_str("\r\n");
    }

    fn end(&self, mut out: String) -> Vec<u8> {
        out.push_str(CLEAR_BELOW);
        out.push_str(END);
        out.into_bytes()
    }
}

/// The last column stays free: clearing what is right of a full row would take its last character along.
fn inner(size: Size) -> usize {
    size.columns.saturating_sub(1)
}
