//! `impresario tree`

use std::io::{self, IsTerminal};
use std::time::Duration;

use actors::clock::Clock;
use actors::model::Timestamp;
use clap::Args;
use tokio::signal::ctrl_c;
use tokio::time::{MissedTickBehavior, interval};

use super::{Exit, Failure, Remote, output};
use crate::cli::run::words::{clean, counted, time};
use crate::cli::run::{cut, width};
use crate::client::{Client, Node};
use crate::local::SystemClock;

/// Show the supervision tree of a running node, or kill a part of it
#[derive(Debug, Args)]
#[command(after_help = "\
What is killed is dealt with by its supervisor as any crash is: that is what --kill is for. It needs an admin key of the node.

Example:
  impresario tree --watch
  impresario tree --kill impresario/tasks/task_0190…/agents/developer")]
pub(in crate::cli) struct Tree {
    /// Show it again every second, until Ctrl-C
    #[arg(long)]
    watch: bool,
    /// Kill the actor at this path instead
    #[arg(long, value_name = "PATH", conflicts_with = "watch")]
    kill: Option<String>,
    #[command(flatten)]
    remote: Remote,
}

/// How often it is shown.
const BEAT: Duration = Duration::from_secs(1);

impl Tree {
    pub(in crate::cli) fn run(&self) -> io::Result<Exit> {
        self.remote.with(async |client| match &self.kill {
            Some(path) => self.kill(client, path).await,
            None if self.watch => self.watch(client).await,
            None => {
                let tree = client.supervision().await?;
                self.remote
                    .print(&tree, || text(&rows(&tree, SystemClock.now()), None))?;
                Ok(Exit::Done)
            }
        })
    }

    async fn kill(&self, client: &Client, path: &str) -> Result<Exit, Failure> {
        client.kill(path).await?;
        let killed = serde_json::json!({ "killed": path });
        self.remote.print(&killed, || format!("{path}  killed\n"))?;
        Ok(Exit::Done)
    }

    async fn watch(&self, client: &Client) -> Result<Exit, Failure> {
        let mut beat = interval(BEAT);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut drawn = 0;
        loop {
            tokio::select! {
                _ = ctrl_c() => return Ok(Exit::Interrupted),
                _ = beat.tick() => {}
            }
            let tree = tokio::select! {
                _ = ctrl_c() => return Ok(Exit::Interrupted),
                tree = client.supervision() => tree?,
            };
            if self.remote.json {
                let tree = serde_json::to_string(&tree).map_err(io::Error::from)?;
                output::data(&format!("{tree}\n"))?;
                continue;
            }
            let size = output::size().filter(|_| io::stdout().is_terminal());
            let shown = text(&rows(&tree, SystemClock.now()), size);
            output::data(&over(&shown, drawn, size.is_some()))?;
            drawn = shown.lines().count();
        }
    }
}

/// In the place of the drawing before; into a pipe below it, with a free line between them.
fn over(shown: &str, drawn: usize, is_terminal: bool) -> String {
    match (is_terminal, drawn) {
        (false, 0) | (true, 0) => shown.to_owned(),
        (false, _) => format!("\n{shown}"),
        (true, drawn) => {
            let lines = shown.replace('\n', "\u{1b}[K\n");
            format!("\u{1b}[{drawn}A\r{lines}\u{1b}[J")
        }
    }
}

/// A place in the tree, and what is to be said about it.
type Row = (String, String);

fn rows(root: &Node, now: Timestamp) -> Vec<Row> {
    let mut out = Vec::new();
    branch(root, "", "", now, &mut out);
    out
}

fn branch(node: &Node, lead: &str, own: &str, now: Timestamp, out: &mut Vec<Row>) {
    let name = match node.name.is_empty() {
        true => node.path.rsplit('/').next().unwrap_or_default(),
        false => &node.name,
    };
    out.push((format!("{own}{}", clean(name)), about(node, now)));
    for (place, child) in node.children.iter().enumerate() {
        let (own, next) = match place + 1 == node.children.len() {
            true => ("└ ", "  "),
            false => ("├ ", "│ "),
        };
        branch(
            child,
            &format!("{lead}{next}"),
            &format!("{lead}{own}"),
            now,
            out,
        );
    }
}

fn about(node: &Node, now: Timestamp) -> String {
    let mut parts = vec![clean(&node.state)];
    parts.extend(
        node.restarts
            .filter(|n| *n > 0)
            .map(|n| counted(n, "restart")),
    );
    parts.extend(
        node.inbox
            .filter(|n| *n > 0)
            .map(|n| format!("{n} in its inbox")),
    );
    let got_on = node.last_progress_at.map(|at| now.since(at));
    parts.extend(got_on.map(|since| format!("got on {} ago", time(since))));
    parts.retain(|part| !part.is_empty());
    parts.join(", ")
}

/// Aligned, and no larger than this many columns and rows.
fn text(rows: &[Row], size: Option<(usize, usize)>) -> String {
    let widest = rows.iter().map(|(name, _)| width(name)).max().unwrap_or(0);
    let room = size.map_or(usize::MAX, |(_, rows)| rows.saturating_sub(2).max(1));
    let line = |(name, about): &Row| {
        let gap = " ".repeat(widest - width(name) + 2);
        let line = format!("{name}{gap}{about}");
        let line = match size {
            Some((columns, _)) => cut(&line, columns.saturating_sub(1)),
            None => line,
        };
        format!("{}\n", line.trim_end())
    };
    let mut out: String = rows.iter().take(room).map(line).collect();
    if rows.len() > room {
        out.push_str(&format!("… and {} more\n", rows.len() - room));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree() -> Node {
        let text = r#"{"name": "impresario", "state": "running", "restarts": 0, "later": {}, "children": [
            {"path": "impresario/journal", "state": "idle", "inbox": 3, "last_progress_at": "1970-01-01T00:00:01.000Z"},
            {"name": "tasks", "restarts": 2, "inbox": {"length": 1}, "last_progress_at": null, "children": [
                {"name": "task\u001b[2J_1", "state": "restarting", "restarts": 1, "children": []}]}]}"#;
        serde_json::from_str(text).expect("a tree")
    }

    #[test]
    fn a_tree_is_drawn_however_much_of_it_is_known() {
        let rows = rows(&tree(), Timestamp(3_500));
        insta::assert_snapshot!(text(&rows, None), @"
        impresario     running
        ├ journal      idle, 3 in its inbox, got on 2.5 s ago
        └ tasks        2 restarts
          └ task[2J_1  restarting, 1 restart
        ");
        insta::assert_snapshot!(text(&rows, Some((20, 4))), @"
        impresario     run…
        ├ journal      idl…
        … and 2 more
        ");
        insta::assert_snapshot!(text(&super::rows(&Node::default(), Timestamp(0)), None), @"");
    }

    #[test]
    fn the_next_drawing_stands_where_the_last_one_stood() {
        assert_eq!(
            over("a\nb\n", 3, true),
            "\u{1b}[3A\ra\u{1b}[K\nb\u{1b}[K\n\u{1b}[J"
        );
        assert_eq!(over("a\n", 3, false), "\na\n");
        assert_eq!(over("a\n", 0, true), "a\n");
    }
}
