use actors::model::{Event, Timestamp};
use fastrand::Rng;

use super::*;
use crate::cli::run::lines;
use crate::cli::run::samples::{quickstart, run, trouble};
use terminal::Terminal;

#[path = "../../../../tests/support/terminal.rs"]
mod terminal;

fn folded(events: &[Event]) -> View {
    let mut view = View::default();
    events.iter().for_each(|event| view.fold(event));
    view
}

fn scene(view: &View, beat: usize) -> Scene<'_> {
    Scene {
        view,
        now: Timestamp(view.newest.0 + 1000),
        beat,
        trouble: None,
        answer: "impresario run --continue --answer TEXT",
        interrupt: "Ctrl-C cancels",
    }
}

fn size(columns: usize, rows: usize) -> Size {
    Size { columns, rows }
}

/// What a drawing of this view looks like on a terminal of this size.
fn drawn(view: &View, size: Size, color: bool) -> String {
    let rows = rows(&scene(view, 3), size);
    let rows = rows.iter().map(|row| row.render(size.columns - 1, color));
    format!(
        "{}x{}\n{}\n",
        size.columns,
        size.rows,
        rows.collect::<Vec<_>>().join("\n")
    )
}

#[test]
fn on_terminals_of_many_sizes() {
    let view = folded(&quickstart()[..47]);
    let sizes = [
        (120, 40),
        (80, 24),
        (60, 12),
        (40, 7),
        (40, 6),
        (40, 4),
        (20, 3),
        (9, 2),
        (2, 1),
    ];
    let drawn: String = sizes.map(|(c, r)| drawn(&view, size(c, r), false)).concat();
    insta::assert_snapshot!(drawn);
}

#[test]
fn trouble_is_drawn() {
    let events = trouble();
    let mut out = String::new();
    for count in [1, 5, 13, 15, 20, 29, 31, 33] {
        out.push_str(&drawn(&folded(&events[..count]), size(100, 24), false));
    }
    insta::assert_snapshot!(out);
}

#[test]
fn colours_change_no_text() {
    for count in [5, 20, 31] {
        let view = folded(&trouble()[..count]);
        let (plain, color) = (
            drawn(&view, size(90, 20), false),
            drawn(&view, size(90, 20), true),
        );
        assert_ne!(plain, color);
        assert_eq!(anstream::adapter::strip_str(&color).to_string(), plain);
    }
    let view = folded(&trouble()[..20]);
    insta::assert_snapshot!(drawn(&view, size(90, 20), true).replace('\u{1b}', "ESC"));
}

#[test]
fn no_row_is_ever_too_wide() {
    for events in [quickstart(), trouble()] {
        for count in 1..=events.len() {
            let view = folded(&events[..count]);
            for columns in 1..=130 {
                for row in rows(&scene(&view, 0), size(columns, 24)) {
                    let row = row.render(columns, false);
                    assert!(width(&row) <= columns, "{columns}: {row:?}");
                }
            }
        }
    }
}

#[test]
fn a_drawing_leaves_a_row_for_the_cursor() {
    let view = folded(&trouble()[..20]);
    for terminal_rows in 1..60 {
        let rows = rows(&scene(&view, 0), size(80, terminal_rows)).len();
        assert!(
            rows <= terminal_rows.saturating_sub(1).max(1),
            "{terminal_rows}: {rows}"
        );
    }
}

/// A task that is watched on a terminal, with everything that happens to terminals.
struct Watched {
    terminal: Terminal,
    screen: Screen,
    view: View,
    said: Vec<String>,
}

impl Watched {
    fn new(columns: usize, rows: usize) -> Self {
        Self {
            terminal: Terminal::new(columns, rows),
            screen: Screen::new(true),
            view: View::default(),
            said: Vec::new(),
        }
    }

    fn event(&mut self, event: &Event) {
        if let Some(line) = lines::line(&self.view, event) {
            self.said.push(line.what.clone());
            self.screen.say(line);
        }
        self.view.fold(event);
    }

    /// Draws, and sees that the terminal shows the drawing at its cursor, and above it nothing but lines.
    fn draw(&mut self, beat: usize, size: Size) {
        let scene = scene(&self.view, beat);
        let expected = rows(&scene, size);
        let expected: Vec<_> = expected
            .iter()
            .map(|row| row.render(size.columns - 1, false).trim_end().to_owned())
            .collect();
        self.terminal.feed(&self.screen.draw(&scene, size));
        assert!(self.terminal.is_in_order());
        let (row, column) = self.terminal.cursor();
        assert_eq!(column, 0);
        let shown = self.terminal.screen();
        let top = row.saturating_sub(expected.len());
        let visible = expected.len() - (expected.len() - row.min(expected.len()));
        assert_eq!(
            shown[top..row],
            expected[expected.len() - visible..],
            "{size:?}\n{}",
            shown.join("\n")
        );
        assert!(
            shown[row..].iter().all(String::is_empty),
            "below: {shown:?}"
        );
        for line in &shown[..top] {
            let is_line = line.is_empty()
                || line
                    .trim_start()
                    .starts_with(|c: char| c.is_ascii_digit() || c == '…');
            assert!(is_line, "left over: {line:?} in\n{}", shown.join("\n"));
        }
    }
}

#[test]
fn nothing_is_left_over_whatever_the_sizes() {
    for seed in 0..60 {
        let mut random = Rng::with_seed(seed);
        let mut now = size(random.usize(2..140), random.usize(2..40));
        let mut watched = Watched::new(now.columns, now.rows);
        let events = if random.bool() {
            quickstart()
        } else {
            trouble()
        };
        for (beat, event) in events.iter().enumerate() {
            watched.event(event);
            watched
                .view
                .words(run(random.u32(1..8)), "words 言葉 in bits ");
            if random.u8(..) < 40 {
                now = size(random.usize(2..140), random.usize(2..40));
                watched.terminal.resize(now.columns, now.rows);
            }
            if random.bool() {
                watched.draw(beat, now);
            }
        }
        let leave = watched.screen.leave(now);
        watched.terminal.feed(&leave);
        assert!(watched.terminal.is_in_order());
    }
}

#[test]
fn a_calm_terminal_keeps_every_line_and_no_drawing() {
    let mut watched = Watched::new(200, 12);
    for (beat, event) in quickstart().iter().enumerate() {
        watched.event(event);
        watched.draw(beat, size(200, 12));
    }
    let leave = watched.screen.leave(size(200, 12));
    watched.terminal.feed(&leave);
    insta::assert_snapshot!(watched.terminal.all());
    let said = watched.terminal.all().lines().count();
    assert_eq!(said, watched.said.len());
}

#[test]
fn what_is_cut_says_so() {
    assert_eq!(cut("abcdef", 6), "abcdef");
    assert_eq!(cut("abcdef", 5), "abcd…");
    assert_eq!(cut("引っ越し", 6), "引っ…");
    assert_eq!(cut("引っ越し", 1), "…");
    assert_eq!(cut("引っ越し", 0), "");
    assert_eq!(tail("abcdef", 5), "…cdef");
    assert_eq!(tail("引っ越し", 6), "…越し");
    assert_eq!(tail("引っ越し", 2), "…");
}

#[test]
fn a_journal_that_cannot_write_is_seen() {
    let view = folded(&quickstart()[..10]);
    let mut scene = scene(&view, 0);
    scene.trouble = Some("the disk is full at /srv: free some space");
    let foot = rows(&scene, size(80, 24))
        .pop()
        .expect("a foot")
        .render(80, false);
    insta::assert_snapshot!(foot, @"cannot write, goes on trying: the disk is full at /srv: free some space");
}
