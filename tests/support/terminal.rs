//! A terminal as far as the program uses one. A sequence it does not know fails the test: it would be garbage on a real one.

use unicode_width::UnicodeWidthChar;

/// What stands in the second cell of a wide character.
const BESIDE: char = '\0';

/// A terminal and what is on it.
pub(crate) struct Terminal {
    columns: usize,
    rows: usize,
    cells: Vec<Vec<char>>,
    /// Rows that went out at the top.
    history: Vec<String>,
    row: usize,
    column: usize,
    wraps: bool,
    shows_cursor: bool,
    pending: Vec<u8>,
}

impl Terminal {
    pub(crate) fn new(columns: usize, rows: usize) -> Self {
        Self {
            columns,
            rows,
            cells: vec![vec![' '; columns]; rows],
            history: Vec::new(),
            row: 0,
            column: 0,
            wraps: true,
            shows_cursor: true,
            pending: Vec::new(),
        }
    }

    /// Another size. What is on it is cut, or moved to where the cursor stays on it, as most terminals do; nobody may rely on more.
    pub(crate) fn resize(&mut self, columns: usize, rows: usize) {
        while self.row >= rows {
            self.scroll();
            self.row -= 1;
        }
        (self.columns, self.rows) = (columns, rows);
        self.cells.resize(rows, Vec::new());
        for row in &mut self.cells {
            row.resize(columns, ' ');
        }
        self.column = self.column.min(columns - 1);
    }

    /// What can be read on it, without blanks at the ends of rows.
    pub(crate) fn screen(&self) -> Vec<String> {
        self.cells.iter().map(|row| text(row)).collect()
    }

    /// Everything that was ever left on it.
    pub(crate) fn all(&self) -> String {
        let rows = self.history.iter().cloned().chain(self.screen());
        rows.collect::<Vec<_>>().join("\n").trim_end().to_owned()
    }

    /// The row and the column of the cursor, from 0.
    pub(crate) fn cursor(&self) -> (usize, usize) {
        (self.row, self.column)
    }

    /// Whether it is as a program should leave it: the cursor is seen, and long lines wrap.
    pub(crate) fn is_in_order(&self) -> bool {
        self.shows_cursor && self.wraps && self.pending.is_empty()
    }

    /// Takes bytes in, in whatever pieces they come.
    pub(crate) fn feed(&mut self, bytes: &[u8]) {
        self.pending.extend_from_slice(bytes);
        let bytes = std::mem::take(&mut self.pending);
        let valid = match std::str::from_utf8(&bytes) {
            Ok(text) => text,
            Err(error) if error.error_len().is_none() => {
                std::str::from_utf8(&bytes[..error.valid_up_to()]).expect("it is valid so far")
            }
            Err(error) => panic!("not UTF-8: {error}"),
        };
        let mut rest = valid;
        while let Some(c) = rest.chars().next() {
            let used = match c {
                '\u{1b}' => match self.sequence(rest) {
                    Some(used) => used,
                    None => break,
                },
                c => {
                    self.char(c);
                    c.len_utf8()
                }
            };
            rest = &rest[used..];
        }
        let used = valid.len() - rest.len();
        self.pending = bytes[used..].to_vec();
    }

    /// How long the sequence at the beginning is, which is carried out; none if it is not whole.
    fn sequence(&mut self, text: &str) -> Option<usize> {
        let body = match text.as_bytes().get(1)? {
            b'[' => &text[2..],
            _ => panic!("an unknown sequence: {text:?}"),
        };
        let end = body.find(|c: char| ('\u{40}'..='\u{7e}').contains(&c))?;
        let (given, last) = (&body[..end], body.as_bytes()[end]);
        match (given, last) {
            (_, b'm') => {}
            ("?25", _) => self.shows_cursor = last == b'h',
            ("?7", _) => self.wraps = last == b'h',
            ("", b'H') => (self.row, self.column) = (0, 0),
            ("2", b'J') => self.cells.iter_mut().for_each(|row| row.fill(' ')),
            ("", b'J') => self.clear_below(),
            ("", b'K') => self.cells[self.row][self.column..].fill(' '),
            (up, b'A') => self.row = self.row.saturating_sub(up.parse().expect("a number")),
            _ => panic!("an unknown sequence: {:?}", &text[..end + 3]),
        }
        Some(end + 3)
    }

    fn clear_below(&mut self) {
        self.cells[self.row][self.column..].fill(' ');
        let below = self.row + 1;
        self.cells[below..].iter_mut().for_each(|row| row.fill(' '));
    }

    fn char(&mut self, c: char) {
        match c {
            '\r' => self.column = 0,
            '\n' => self.line_feed(),
            c if c.is_control() => panic!("an unknown control character: {c:?}"),
            c => self.print(c, c.width().unwrap_or(0)),
        }
    }

    fn print(&mut self, c: char, width: usize) {
        if width == 0 {
            return;
        }
        if self.column + width > self.columns {
            if !self.wraps {
                return;
            }
            self.column = 0;
            self.line_feed();
        }
        if self.column + width > self.columns {
            return;
        }
        self.cells[self.row][self.column] = c;
        self.cells[self.row][self.column + 1..self.column + width].fill(BESIDE);
        self.column += width;
        if !self.wraps {
            self.column = self.column.min(self.columns - 1);
        }
    }

    fn line_feed(&mut self) {
        match self.row + 1 < self.rows {
            true => self.row += 1,
            false => self.scroll(),
        }
    }

    fn scroll(&mut self) {
        let gone = self.cells.remove(0);
        self.history.push(text(&gone));
        self.cells.push(vec![' '; self.columns]);
    }
}

fn text(row: &[char]) -> String {
    let text: String = row.iter().filter(|c| **c != BESIDE).collect();
    text.trim_end().to_owned()
}
