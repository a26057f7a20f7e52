//! A list of lines, shown a page at a time.

use std::fmt::Write as _;
use std::ops::ControlFlow;

use super::count;

/// Which part of a list is asked for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Page {
    /// How many lines to pass over.
    pub(super) skip: usize,
    pub(super) limit: usize,
    /// The offset of the first line of all.
    pub(super) first: usize,
}

impl Page {
    /// A page of a list counted from 0.
    pub(super) fn of(offset: Option<usize>, limit: Option<usize>, usual: usize) -> Self {
        Self {
            skip: offset.unwrap_or(0),
            limit: limit.unwrap_or(usual).max(1),
            first: 0,
        }
    }

    /// A page of a list counted from 1.
    pub(super) fn from_one(offset: Option<usize>, limit: Option<usize>, usual: usize) -> Self {
        Self {
            skip: offset.unwrap_or(1).saturating_sub(1),
            first: 1,
            ..Self::of(None, limit, usual)
        }
    }
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
    pub(super) fn push(&mut self, line: impl FnOnce() -> String) -> ControlFlow<()> {
        self.seen += 1;
        if self.seen <= self.page.skip {
            return ControlFlow::Continue(());
        }
        let line = line();
        let full = self.shown >= self.page.limit || self.text.len() + line.len() >= self.most_bytes;
        if full && self.shown > 0 {
            self.more = true;
            return ControlFlow::Break(());
        }
        self.shown += 1;
        self.text.push_str(&line);
        self.text.push('\n');
        ControlFlow::Continue(())
    }

    /// The page, with `nothing` where the list is empty, and a line that says how to see the rest.
    pub(super) fn finish(mut self, nothing: &str) -> String {
        if self.shown == 0 {
            return match self.seen {
                0 => nothing.to_owned(),
                seen => format!(
                    "[the offset is behind the end: {} in all]\n",
                    count(seen, "line")
                ),
            };
        }
        let next = self.page.skip + self.shown + self.page.first;
        if self.more {
            let _ = writeln!(self.text, "[more follows: call again with offset={next}]");
        }
        self.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn show(offset: usize, limit: usize, bytes: usize) -> String {
        pushed(Page::of(Some(offset), Some(limit), 0), bytes)
    }

    fn pushed(page: Page, bytes: usize) -> String {
        let mut listing = Listing::new(page, bytes);
        for line in ["one", "two", "three"] {
            if listing.push(|| line.to_owned()).is_break() {
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
            "one\ntwo\n[more follows: call again with offset=2]\n"
        );
        assert_eq!(show(2, 2, 99), "three\n");
        assert_eq!(
            show(0, 9, 7),
            "one\n[more follows: call again with offset=1]\n"
        );
        assert_eq!(
            show(9, 9, 99),
            "[the offset is behind the end: 3 lines in all]\n"
        );
    }

    #[test]
    fn a_list_may_be_counted_from_one() {
        let page = |offset, limit| pushed(Page::from_one(offset, limit, 9), 99);
        assert_eq!(
            page(None, Some(1)),
            "one\n[more follows: call again with offset=2]\n"
        );
        assert_eq!(
            page(Some(2), Some(1)),
            "two\n[more follows: call again with offset=3]\n"
        );
        assert_eq!(page(Some(0), None), "one\ntwo\nthree\n");
    }
}
