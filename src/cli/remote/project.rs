//! `impresario project`

use std::io;

use clap::{Args, Subcommand};

use super::table::Table;
use super::{Exit, Failure, Part, Remote, output};
use crate::client::{Client, Project as Row};

/// Create, list and remove the projects of a running node
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  impresario project create shop --description \"everything about the shop\"")]
pub(in crate::cli) struct Project {
    #[command(subcommand)]
    what: What,
    #[command(flatten)]
    remote: Remote,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Create a project
    #[command(after_help = "Example:\n  impresario project create shop")]
    Create {
        /// Its name: letters, digits, `-`, `_`, `.`
        name: String,
        /// What it is for
        #[arg(
            long,
            value_name = "TEXT",
            default_value = "",
            hide_default_value = true
        )]
        description: String,
    },
    /// List the projects that the key sees
    #[command(after_help = "Example:\n  impresario project list")]
    List(Part),
    /// Remove a project that has no tasks, and revoke its keys
    #[command(after_help = "Example:\n  impresario project remove shop")]
    Remove {
        /// Its name
        name: String,
    },
}

impl Project {
    pub(in crate::cli) fn run(&self) -> io::Result<Exit> {
        self.remote.with(async |client| self.play(client).await)
    }

    async fn play(&self, client: &Client) -> Result<Exit, Failure> {
        match &self.what {
            What::Create { name, description } => {
                let project = client.create_project(name, description).await?;
                self.remote
                    .print(&project, || format!("{}\n", project.name))?;
            }
            What::List(part) => {
                let page = client.projects(&part.paging()).await?;
                return self.remote.list(&page, projects);
            }
            What::Remove { name } => {
                client.remove_project(name).await?;
                let removed = serde_json::json!({ "removed": name });
                self.remote
                    .print(&removed, || format!("{name}  removed\n"))?;
            }
        }
        Ok(Exit::Done)
    }
}

fn projects(rows: &[Row]) -> String {
    let mut table = Table::new(["PROJECT", "CREATED", "DESCRIPTION"]);
    for project in rows {
        table.row([
            project.name.clone(),
            project.created_at.to_string(),
            project.description.clone(),
        ]);
    }
    table.text(output::columns(), "no projects")
}
