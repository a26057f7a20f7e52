//! Tables for people: columns as wide as what stands in them, the last one cut to the terminal. PURE.

use crate::cli::run::words::clean;
use crate::cli::run::{cut, width};

/// Rows under a head.
pub(super) struct Table<const N: usize> {
    head: [&'static str; N],
    rows: Vec<[String; N]>,
}

/// How wide the last column is at least.
const LEAST: usize = 12;
/// What stands between two columns.
const GAP: &str = "  ";

impl<const N: usize> Table<N> {
    pub(super) fn new(head: [&'static str; N]) -> Self {
        Self {
            head,
            rows: Vec::new(),
        }
    }

    pub(super) fn row(&mut self, cells: [String; N]) {
        self.rows.push(cells.map(|cell| clean(&cell)));
    }

    /// As text, cut to this many columns if there are so many. Without rows it is `nothing`.
    pub(super) fn text(self, columns: Option<usize>, nothing: &str) -> String {
        if self.rows.is_empty() {
            return format!("{nothing}\n");
        }
        let head = self.head.map(str::to_owned);
        let all: Vec<_> = [head].into_iter().chain(self.rows).collect();
        let widest = |n: usize| all.iter().map(|row| width(&row[n])).max().unwrap_or(0);
        let widths: [usize; N] = std::array::from_fn(widest);
        let before: usize = widths[..N - 1].iter().map(|width| width + GAP.len()).sum();
        let room = columns.map(|columns| columns.saturating_sub(before).max(LEAST));
        let rows = all.iter().map(|row| line(row, &widths, room));
        rows.collect()
    }
}

fn line<const N: usize>(row: &[String; N], widths: &[usize; N], room: Option<usize>) -> String {
    let mut out = String::new();
    for (n, cell) in row.iter().enumerate() {
        match (n + 1 == N, room) {
            (true, Some(room)) => out.push_str(&cut(cell, room)),
            (true, None) => out.push_str(cell),
            (false, _) => {
                out.push_str(cell);
                out.extend(std::iter::repeat_n(' ', widths[n] - width(cell)));
                out.push_str(GAP);
            }
        }
    }
    format!("{}\n", out.trim_end())
}

/// What is known about one thing, a line each; what is empty is left out.
pub(super) fn facts<const N: usize>(facts: [(&str, String); N]) -> String {
    let known = facts.into_iter().filter(|(_, text)| !text.is_empty());
    known
        .map(|(label, text)| format!("{label:<10}{}\n", clean(&text)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table<3> {
        let mut table = Table::new(["NAME", "STATE", "WHAT"]);
        table.row([
            "漢字".into(),
            "idle".into(),
            "says\u{1b}[2J a long word or two".into(),
        ]);
        table.row(["a".into(), "processing".into(), String::new()]);
        table
    }

    #[test]
    fn columns_stand_below_each_other() {
        insta::assert_snapshot!(table().text(None, "none"), @"
        NAME  STATE       WHAT
        漢字  idle        says[2J a long word or two
        a     processing
        ");
        insta::assert_snapshot!(table().text(Some(32), "none"), @"
        NAME  STATE       WHAT
        漢字  idle        says[2J a lon…
        a     processing
        ");
        insta::assert_snapshot!(Table::new(["A"]).text(None, "none"), @"none");
    }
}
