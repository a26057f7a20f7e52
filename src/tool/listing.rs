//! A list of lines, shown a page at a time.

use std::fmt::Write as _;
use std::ops::ControlFlow;

/// Which part of a list is asked for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Page {
    pub(super) offset: usize,
    pub(super) limit: usize,
}

/// Collects the lines of one page.
#[derive(Debug)]
pub(super) struct Listing {
    page: Page,
    most_bytes: usize,
    text: String,
    seen: usize,
    shown: usize,
    more: bool,
}

impl Listing {
    pub(super) fn new(page: Page, most_bytes: usize) -> Self {
        Self {
            page,
            most_bytes,
            text: String::new(),
            seen: 0,
            shown: 0,
            more: false,
        }
    }

    /// Takes the next line; breaks once the page is full and a line was left over.
    pub(super) fn push(&mut self, line: &str) -> ControlFlow<()> {
        self.seen += 1;
        if self.seen <= self.page.offset {
            return ControlFlow::Continue(());
        }
        let full = self.shown >= self.page.limit || self.text.len() + line.len() > self.most_bytes;
        if full && self.shown > 0 {
            self.more = true;
            return ControlFlow::Break(());
        }
        self.shown += 1;
        self.text.push_str(line);
        self.text.push('\n');
        ControlFlow::Continue(())
    }

    /// The page, with `nothing` where the list is empty, and a line that says how to see the rest.
    pub(super) fn finish(mut self, nothing: &str) -> String {
        if self.shown == 0 {
            return match self.seen {
                0 => nothing.to_owned(),
                seen => format!("[there are only {seen}: the offset is behind the end]\n"),
            };
        }
        let next = self.page.offset + self.shown;
        if self.more {
            let _ = writeln!(self.text, "[more follow: call again with offset={next}]");
        }
        self.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn show(offset: usize, limit: usize, bytes: usize) -> String {
        let mut listing = Listing::new(Page { offset, limit }, bytes);
        for line in ["one", "two", "three"] {
            if listing.push(line).is_break() {
                break;
            }
        }
        listing.finish("nothing")
    }

    #[test]
    fn pages_name_the_next_page() {
        assert_eq!(show(0, 9, 99), "one\ntwo\nthree\n");
        assert_eq!(
            show(0, 2, 99),
            "one\ntwo\n[more follow: call again with offset=2]\n"
        );
        assert_eq!(show(2, 2, 99), "three\n");
        assert_eq!(
            show(0, 9, 7),
            "one\n[more follow: call again with offset=1]\n"
        );
        assert_eq!(
            show(9, 9, 99),
            "[there are only 3: the offset is behind the end]\n"
        );
    }
}
