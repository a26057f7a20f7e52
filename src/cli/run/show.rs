//! How a task is shown: drawn on a terminal, as lines, or as events in JSON.

use std::io::{self, IsTerminal};

use actors::model::{Event, Timestamp};
use anstream::{AutoStream, ColorChoice};
use serde_json::Value;

use super::super::output;
use super::draw::{Scene, Screen, Size};
use super::lines::{self, Line, Tone};
use super::out::Out;
use super::summary::{Commands, Took, summary};
use super::view::View;

/// What is shown to whom.
pub(super) struct Show {
    how: How,
    pub(super) out: Out,
    commands: Commands,
    beat: usize,
}

enum How {
    Json,
    Lines,
    Screen(Box<Screen>),
}

/// What is not in the view.
#[derive(Debug, Default)]
pub(super) struct Aside {
    /// What keeps the journal from writing.
    pub(super) trouble: Option<String>,
    /// Whether the task is being cancelled.
    pub(super) is_cancelling: bool,
}

impl Show {
    pub(super) fn new(json: bool, commands: Commands) -> Self {
        let stdout = io::stdout();
        let how = match (json, stdout.is_terminal() && !is_dumb()) {
            (true, _) => How::Json,
            (false, false) => How::Lines,
            (false, true) => {
                let color = AutoStream::choice(&stdout) != ColorChoice::Never;
                How::Screen(Box::new(Screen::new(color)))
            }
        };
        Self {
            how,
            out: Out::start(stdout),
            commands,
            beat: 0,
        }
    }

    /// As lines, to this reader.
    #[cfg(test)]
    pub(super) fn to(reader: impl io::Write + Send + 'static, commands: Commands) -> Self {
        Self {
            how: How::Lines,
            out: Out::start(reader),
            commands,
            beat: 0,
        }
    }

    /// Whether it is to be drawn again and again.
    pub(super) fn is_drawn(&self) -> bool {
        matches!(self.how, How::Screen(_)) && self.out.is_open()
    }

    /// Whether no more should come for now.
    pub(super) fn is_full(&self) -> bool {
        match &self.how {
            How::Screen(screen) => screen.is_full() && self.out.is_open(),
            _ => self.out.is_full(),
        }
    }

    /// An event, with the view before it. A history is not told again but in JSON.
    pub(super) fn event(&mut self, view: &View, event: &Event, is_history: bool) -> io::Result<()> {
        match &mut self.how {
            How::Json => self
                .out
                .put(format!("{}\n", serde_json::to_string(event)?).into()),
            _ if is_history => {}
            _ => {
                if let Some(line) = lines::line(view, event) {
                    self.line(line);
                }
            }
        }
        Ok(())
    }

    /// An event that this version does not know.
    pub(super) fn unknown(&mut self, event: &Value) {
        if matches!(self.how, How::Json) {
            self.out.put(format!("{event}\n").into());
        }
    }

    /// The line in place of a history.
    pub(super) fn goes_on(&mut self, view: &View, now: Timestamp) {
        if !matches!(self.how, How::Json) {
            self.line(lines::goes_on(view, now.since(view.newest)));
        }
    }

    fn line(&mut self, line: Line) {
        match &mut self.how {
            How::Json => {}
            How::Lines => self.out.put(format!("{}\n", line.plain()).into()),
            How::Screen(screen) if self.out.is_open() => screen.say(line),
            How::Screen(_) => {}
        }
    }

    /// Something about the program itself.
    pub(super) fn note(&mut self, view: &View, now: Timestamp, what: &str) {
        match &self.how {
            How::Screen(_) if self.out.is_open() => self.line(Line {
                at: view.age(now),
                who: String::new(),
                what: what.to_owned(),
                tone: Tone::Warning,
            }),
            // With stderr gone as well there is nobody left to tell.
            _ => drop(output::note(what)),
        }
    }

    /// The next drawing, unless the terminal has not taken the last one.
    pub(super) fn draw(&mut self, view: &View, now: Timestamp, aside: &Aside) {
        let How::Screen(screen) = &mut self.how else {
            return;
        };
        if !self.out.is_idle() {
            return;
        }
        self.beat += 1;
        let scene = Scene {
            view,
            now,
            beat: self.beat,
            trouble: aside.trouble.as_deref(),
            answer: &self.commands.answer(),
            interrupt: self.commands.interrupt(aside.is_cancelling),
        };
        self.out.put(screen.draw(&scene, size()));
    }

    /// Leaves the terminal as it was found, below the lines.
    pub(super) fn leave(&mut self) {
        if let How::Screen(screen) = &mut self.how {
            self.out.put(screen.leave(size()));
        }
    }

    /// The end, or as far as it goes without a human.
    pub(super) fn end(&mut self, view: &View, took: Took) {
        self.leave();
        if matches!(self.how, How::Json) {
            if let (None, Some(ask)) = (&view.end, view.asks.first()) {
                let answer = self.commands.answer();
                let _ = output::note(&format!(
                    "needs a human: {}\nanswer: {answer}",
                    ask.question
                ));
            }
            return;
        }
        self.out.put(summary(view, took, &self.commands).into());
    }

    /// How to go on.
    pub(super) fn go_on(&self) -> String {
        self.commands.go_on()
    }
}

fn is_dumb() -> bool {
    std::env::var_os("TERM").is_none_or(|term| term == "dumb")
}

fn size() -> Size {
    let size = rustix::termios::tcgetwinsize(io::stdout());
    let (columns, rows) = size.map_or((0, 0), |size| (size.ws_col, size.ws_row));
    Size {
        columns: if columns == 0 { 80 } else { columns.into() },
        rows: if rows == 0 { 24 } else { rows.into() },
    }
}
