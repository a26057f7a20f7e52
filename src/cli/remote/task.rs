//! `impresario task`

use std::io;

use actors::model::{TaskId, TaskStatus, Usage};
use clap::builder::PossibleValuesParser;
use clap::{Args, Subcommand, value_parser};

use super::table::{Table, facts};
use super::{Exit, Failure, Part, Remote, output};
use crate::cli::run::words::{clean, clean_lines, grouped};
use crate::cli::run::{ask, follow};
use crate::client::{Client, NewTask, Paging, Run, Task as Row, TaskDetail, TaskFilter};

/// Create, follow and act on the tasks of a running node
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  impresario task create \"count the chairs\" --team studio --watch
  impresario task list --status needs_attention")]
pub(in crate::cli) struct Task {
    #[command(subcommand)]
    what: What,
    #[command(flatten)]
    remote: Remote,
}

#[derive(Debug, Subcommand)]
enum What {
    Create(Create),
    List(List),
    /// Show a task: where it stands, its result or what it waits for, and its runs
    #[command(after_help = "Example:\n  impresario task show task_0190…")]
    Show {
        /// The task
        #[arg(value_name = "TASK")]
        id: TaskId,
    },
    /// Follow a task live until it has ended or needs a human
    #[command(after_help = "\
Ends with 0 when the task is done, with 1 when it failed, was cancelled or does not go on without a human. Ctrl-C stops watching; the \
task goes on. When the node is away, it is asked again for ten minutes.

Example:
  impresario task watch task_0190…")]
    Watch {
        /// The task
        #[arg(value_name = "TASK")]
        id: TaskId,
    },
    /// Say something in the room of a task
    #[command(
        after_help = "Example:\n  impresario task message task_0190… \"mind the tests\" --to developer"
    )]
    Message {
        /// The task
        #[arg(value_name = "TASK")]
        id: TaskId,
        /// What is said
        text: String,
        /// To this agent alone
        #[arg(long, value_name = "AGENT")]
        to: Option<String>,
    },
    /// Answer what a task asks, of several questions the one that was asked first
    #[command(after_help = "Example:\n  impresario task answer task_0190… retry")]
    Answer {
        /// The task
        #[arg(value_name = "TASK")]
        id: TaskId,
        /// The answer
        text: String,
    },
    /// Cancel a task; when this returns nothing of it runs any more
    #[command(
        after_help = "Example:\n  impresario task cancel task_0190… --reason \"no longer needed\""
    )]
    Cancel {
        /// The task
        #[arg(value_name = "TASK")]
        id: TaskId,
        /// Why, for those who read the journal
        #[arg(long, value_name = "TEXT")]
        reason: Option<String>,
    },
    /// Pause a task or one agent in it; when this returns nothing of it begins any more
    #[command(after_help = "Example:\n  impresario task pause task_0190… --agent developer")]
    Pause(OfAgent),
    /// Let a paused task or agent go on
    #[command(after_help = "Example:\n  impresario task resume task_0190…")]
    Resume(OfAgent),
}

/// Create a task; prints its id
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  impresario task create \"count the chairs\" --agent counter --watch")]
struct Create {
    /// What is to be done
    description: String,
    /// A short name; the beginning of the description unless given
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// The team that does it
    #[arg(long, value_name = "NAME", conflicts_with = "agent")]
    team: Option<String>,
    /// The agent that does it
    #[arg(long, value_name = "NAME")]
    agent: Option<String>,
    /// The agents it may delegate to
    #[arg(long, value_name = "NAME,…", value_delimiter = ',', requires = "agent")]
    available: Vec<String>,
    /// The project; that of the key unless given
    #[arg(long, value_name = "NAME")]
    project: Option<String>,
    /// How urgent it is, from -10 to 10
    #[arg(
        long,
        value_name = "N",
        default_value_t = 0,
        allow_negative_numbers = true
    )]
    #[arg(value_parser = value_parser!(i32).range(-10..=10))]
    priority: i32,
    /// Follow it to its end, as `task watch` does
    #[arg(long)]
    watch: bool,
}

/// List tasks, the newest first
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  impresario task list --status running --limit 10")]
struct List {
    /// Only those that stand so
    #[arg(long, value_parser = PossibleValuesParser::new(TaskStatus::ALL.map(word)))]
    status: Option<String>,
    /// Only those of this project
    #[arg(long, value_name = "NAME")]
    project: Option<String>,
    /// The oldest first
    #[arg(long)]
    oldest_first: bool,
    #[command(flatten)]
    part: Part,
}

#[derive(Debug, Args)]
struct OfAgent {
    /// The task
    #[arg(value_name = "TASK")]
    id: TaskId,
    /// Only the runs of this agent
    #[arg(long, value_name = "NAME")]
    agent: Option<String>,
}

impl Task {
    pub(in crate::cli) fn run(&self) -> io::Result<Exit> {
        self.remote.with(async |client| self.play(client).await)
    }

    async fn play(&self, client: &Client) -> Result<Exit, Failure> {
        match &self.what {
            What::Create(create) => self.create(client, create).await,
            What::List(list) => self.list(client, list).await,
            What::Show { id } => self.show(client, *id).await,
            What::Watch { id } => {
                let task = client.task(*id).await?;
                self.watch(client, &task).await
            }
            What::Message { id, text, to } => {
                let event = client.say(*id, text, to.as_deref()).await?;
                let written = serde_json::json!({ "event": event });
                self.remote
                    .print(&written, || format!("said, as event {event}\n"))?;
                Ok(Exit::Done)
            }
            acts => self.act(client, acts).await,
        }
    }

    /// What changes a task and gives it back.
    async fn act(&self, client: &Client, what: &What) -> Result<Exit, Failure> {
        let task = match what {
            What::Answer { id, text } => client.answer(*id, text).await?,
            What::Cancel { id, reason } => client.cancel_task(*id, reason.as_deref()).await?,
            What::Pause(of) => client.pause_task(of.id, of.agent.as_deref()).await?,
            What::Resume(of) => client.resume_task(of.id, of.agent.as_deref()).await?,
            _ => return Ok(Exit::Done),
        };
        self.remote.print(&task, || stands(&task))?;
        Ok(Exit::Done)
    }

    async fn create(&self, client: &Client, create: &Create) -> Result<Exit, Failure> {
        let task = client.create_task(&create.task()).await?;
        if create.watch {
            return self.watch(client, &task).await;
        }
        self.remote.print(&task, || format!("{}\n", task.id()))?;
        if !self.remote.json {
            let watch = self.remote.commands(task.id()).go_on();
            output::note(&format!("follow it: {watch}"))?;
        }
        Ok(Exit::Done)
    }

    async fn list(&self, client: &Client, list: &List) -> Result<Exit, Failure> {
        let status = list.status.as_deref();
        let filter = TaskFilter {
            status: TaskStatus::ALL
                .into_iter()
                .find(|it| Some(word(*it)) == status),
            project: list.project.clone(),
            oldest_first: list.oldest_first,
            paging: list.part.paging(),
        };
        let page = client.tasks(&filter).await?;
        self.remote.list(&page, tasks)
    }

    async fn show(&self, client: &Client, id: TaskId) -> Result<Exit, Failure> {
        let task = client.task(id).await?;
        if self.remote.json {
            self.remote.print(&task, String::new)?;
            return Ok(Exit::Done);
        }
        let runs = client.runs(id, &Paging::first(SHOWN)).await?;
        let answer = self.remote.commands(id).answer();
        output::data(&shown(&task, &runs.data, &answer))?;
        if runs.next_cursor.is_some() {
            output::note(&format!("it has more than {SHOWN} runs"))?;
        }
        Ok(Exit::Done)
    }

    async fn watch(&self, client: &Client, task: &TaskDetail) -> Result<Exit, Failure> {
        let commands = self.remote.commands(task.id());
        follow(client, task, self.remote.json, commands).await
    }
}

/// How many runs are shown of one task.
const SHOWN: usize = 100;

impl Create {
    fn task(&self) -> NewTask {
        NewTask {
            name: self.name.clone(),
            description: self.description.clone(),
            team: self.team.clone(),
            root_agent: self.agent.clone(),
            available_agents: self.available.clone(),
            project: self.project.clone(),
            priority: self.priority,
            key: None,
        }
    }
}

fn word(status: TaskStatus) -> &'static str {
    match status {
        TaskStatus::Running => "running",
        TaskStatus::NeedsAttention => "needs_attention",
        TaskStatus::Completed => "completed",
        TaskStatus::Failed => "failed",
        TaskStatus::Cancelled => "cancelled",
    }
}

fn stands(task: &TaskDetail) -> String {
    format!("{}  {}\n", task.id(), word(task.task.status))
}

fn tasks(rows: &[Row]) -> String {
    let mut table = Table::new(["TASK", "STATUS", "CREATED", "PROJECT", "NAME"]);
    for task in rows {
        table.row([
            task.id.to_string(),
            word(task.status).to_owned(),
            task.created_at.to_string(),
            task.project.clone(),
            task.name.clone(),
        ]);
    }
    table.text(output::columns(), "no tasks")
}

/// A task in full.
fn shown(task: &TaskDetail, runs: &[Run], answer: &str) -> String {
    let done_by = match &task.team {
        Some(team) => format!("team {team}, led by {}", task.root_agent),
        None => task.root_agent.clone(),
    };
    let ask = task.attention.as_ref().map(ask);
    let asked = |text: &str| ask.as_ref().map_or_else(String::new, |_| text.to_owned());
    let mut out = facts([
        ("task", task.id().to_string()),
        ("name", task.task.name.clone()),
        ("status", word(task.task.status).to_owned()),
        ("project", task.task.project.clone()),
        ("done by", done_by),
        ("may ask", task.available_agents.join(", ")),
        ("priority", priority(task.priority)),
        ("created", task.task.created_at.to_string()),
        ("updated", task.task.updated_at.to_string()),
        ("error", task.error.clone().unwrap_or_default()),
        (
            "asks",
            ask.as_ref()
                .map_or_else(String::new, |ask| ask.question.clone()),
        ),
        ("answer", asked(answer)),
        (
            "",
            ask.as_ref()
                .map_or_else(String::new, |ask| ask.hint.to_owned()),
        ),
    ]);
    out.push_str(&format!(
        "\n{}\n",
        clean_lines(&task.description).trim_end()
    ));
    if let Some(result) = &task.result {
        out.push_str(&format!("\nresult:\n{}\n", clean_lines(result).trim_end()));
    }
    format!("{out}\n{}", runs_of(runs))
}

fn priority(priority: i32) -> String {
    match priority {
        0 => String::new(),
        other => other.to_string(),
    }
}

fn runs_of(runs: &[Run]) -> String {
    let mut table = Table::new(["RUN", "AGENT", "STATUS", "TOKENS", "TITLE"]);
    for run in runs {
        table.row([
            run.id.to_string(),
            format!(
                "{}{}",
                "· ".repeat(run.depth.min(8) as usize),
                clean(&run.agent)
            ),
            format!("{:?}", run.status).to_lowercase(),
            tokens(&run.usage),
            run.title.clone(),
        ]);
    }
    table.text(output::columns(), "no runs")
}

pub(super) fn tokens(usage: &Usage) -> String {
    grouped(usage.tokens())
}
