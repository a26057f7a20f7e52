//! Reading lines of a file of any size in little memory.

use std::io::{self, BufRead};

/// How much of the beginning of a file decides whether it is text.
const SNIFFED: usize = 8 * 1024;

/// Lines cut at a length, what is cut off being skipped.
pub(super) struct Lines<R> {
    from: R,
    longest: usize,
}

/// One line without its end.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) bytes: Vec<u8>,
    /// How many bytes were cut off.
    pub(super) cut: usize,
}

impl Line {
    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }
}

impl<R: BufRead> Lines<R> {
    /// Lines of at most `longest` bytes.
    pub(super) fn new(from: R, longest: usize) -> Self {
        Self { from, longest }
    }

    /// Whether what comes next does not look like text.
    pub(super) fn is_binary(&mut self) -> io::Result<bool> {
        let start = self.from.fill_buf()?;
        Ok(is_binary(start))
    }

    /// The next line; nothing at the end.
    pub(super) fn next(&mut self) -> io::Result<Option<Line>> {
        let mut line = Line {
            bytes: Vec::new(),
            cut: 0,
        };
        let mut any = false;
        loop {
            let buffer = self.from.fill_buf()?;
            if buffer.is_empty() {
                return Ok(any.then(|| line.without_return()));
            }
            any = true;
            let end = buffer.iter().position(|byte| *byte == b'\n');
            let part = &buffer[..end.unwrap_or(buffer.len())];
            let kept = part
                .len()
                .min(self.longest.saturating_sub(line.bytes.len()));
            line.bytes.extend_from_slice(&part[..kept]);
            line.cut += part.len() - kept;
            let used = part.len() + usize::from(end.is_some());
            self.from.consume(used);
            if end.is_some() {
                return Ok(Some(line.without_return()));
            }
        }
    }
}

impl Line {
    fn without_return(mut self) -> Self {
        if self.cut == 0 && self.bytes.last() == Some(&b'\r') {
            self.bytes.pop();
        }
        self
    }
}

/// Whether bytes from the beginning of a file do not look like text.
pub(super) fn is_binary(start: &[u8]) -> bool {
    start[..start.len().min(SNIFFED)].contains(&0)
}

/// `text` cut to at most `most` bytes, at a character's border.
pub(super) fn cut(text: &str, most: usize) -> &str {
    &text[..text.floor_char_boundary(most)]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn all(text: &[u8], longest: usize, buffer: usize) -> Vec<Line> {
        let mut lines = Lines::new(io::BufReader::with_capacity(buffer, text), longest);
        std::iter::from_fn(|| lines.next().unwrap()).collect()
    }

    #[test]
    fn a_long_line_is_cut_and_the_next_is_whole() {
        let lines = all(b"0123456789\r\nab\r\n\nend", 4, 3);
        let seen: Vec<_> = lines.iter().map(|line| (line.text(), line.cut)).collect();
        let expected = [("0123", 7), ("ab", 0), ("", 0), ("end", 0)];
        assert_eq!(seen, expected.map(|(text, cut)| (text.to_owned(), cut)));
    }

    proptest! {
        #[test]
        fn lines_are_those_of_the_standard_library(text in "[a-c\n]{0,40}", buffer in 1usize..9) {
            let seen: Vec<_> = all(text.as_bytes(), 1000, buffer).iter().map(Line::text).collect();
            prop_assert_eq!(seen, text.lines().map(str::to_owned).collect::<Vec<_>>());
        }
    }
}
