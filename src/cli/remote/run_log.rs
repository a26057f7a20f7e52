//! `impresario run-log`

use std::io;

use actors::model::{Event, RunId, Timestamp};
use clap::Args;
use serde_json::Value;

use super::table::{Table, facts};
use super::task::tokens;
use super::{Exit, Failure, Remote, output};
use crate::cli::run::words::stamp;
use crate::cli::run::{Seen, told};
use crate::client::{Client, Page, Paging, RunDetail, Update};

/// Print everything that happened to a run of a running node
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  impresario run-log run_0190…")]
pub(in crate::cli) struct RunLog {
    /// The run
    #[arg(value_name = "RUN")]
    id: RunId,
    #[command(flatten)]
    remote: Remote,
}

/// How many events are asked for at once.
const AT_ONCE: usize = 500;

impl RunLog {
    pub(in crate::cli) fn run(&self) -> io::Result<Exit> {
        self.remote.with(async |client| self.play(client).await)
    }

    async fn play(&self, client: &Client) -> Result<Exit, Failure> {
        let run = client.run(self.id).await?;
        if !self.remote.json {
            output::data(&head(&run))?;
        }
        let mut log = Log::default();
        let mut next = Some(Paging::first(AT_ONCE));
        while let Some(paging) = next {
            let page = client.journal(self.id, &paging).await?;
            self.page(&mut log, &page)?;
            next = paging.after(&page);
        }
        Ok(Exit::Done)
    }

    fn page(&self, log: &mut Log, page: &Page<Update>) -> io::Result<()> {
        if !self.remote.json {
            return output::data(&log.rows(&page.data));
        }
        let mut lines = String::new();
        for update in &page.data {
            let value = match update {
                Update::Event(event) => serde_json::to_value(event)?,
                Update::Unknown(value) => value.clone(),
                _ => continue,
            };
            lines.push_str(&format!("{value}\n"));
        }
        output::data(&lines)
    }
}

fn head(detail: &RunDetail) -> String {
    let run = &detail.run;
    let why = detail.why.as_ref().map(|why| why.sentence.clone());
    let facts = facts([
        ("run", run.id.to_string()),
        ("task", run.task_id.to_string()),
        ("agent", run.agent.clone()),
        ("status", format!("{:?}", run.status).to_lowercase()),
        ("queued", run.queued_at.to_string()),
        ("tokens", tokens(&run.usage)),
        ("now", why.unwrap_or_default()),
        ("error", detail.error.clone().unwrap_or_default()),
    ]);
    format!("{facts}\n")
}

/// What was told so far.
#[derive(Default)]
struct Log {
    view: Seen,
    began: Option<Timestamp>,
}

impl Log {
    fn rows(&mut self, updates: &[Update]) -> String {
        let mut table = Table::new(["EVENT", "AT", "TYPE", "WHAT"]);
        for update in updates {
            match update {
                Update::Event(event) => table.row(self.event(event)),
                Update::Unknown(value) => table.row(unknown(value)),
                _ => {}
            }
        }
        table.text(output::columns(), "nothing has happened")
    }

    fn event(&mut self, event: &Event) -> [String; 4] {
        let began = *self.began.get_or_insert(event.at);
        let what = told(&mut self.view, event);
        [
            event.id.to_string(),
            stamp(event.at.since(began)),
            event.body.kind().to_owned(),
            what,
        ]
    }
}

fn unknown(value: &Value) -> [String; 4] {
    let kind = value["type"].as_str().unwrap_or_default();
    [
        value["id"].to_string(),
        String::new(),
        kind.to_owned(),
        "this version does not know it: --json shows it".to_owned(),
    ]
}
