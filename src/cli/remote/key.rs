//! `impresario key`

use std::collections::BTreeSet;
use std::io;

use actors::model::Timestamp;
use actors::registry::access::{KeyKind, Scope};
use clap::builder::PossibleValuesParser;
use clap::{Args, Subcommand};

use super::table::Table;
use super::{Exit, Failure, Part, Remote, output};
use crate::client::{Client, Key as Row, MadeKey, NewKey};

/// Create, list and revoke the keys of a running node
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  impresario key create --project shop --label \"the build\"")]
pub(in crate::cli) struct Key {
    #[command(subcommand)]
    what: What,
    #[command(flatten)]
    remote: Remote,
}

#[derive(Debug, Subcommand)]
enum What {
    Create(Create),
    /// List keys, those that were revoked too; never the secrets
    #[command(after_help = "Example:\n  impresario key list")]
    List(Part),
    /// Revoke a key: from the next request on it is refused
    #[command(after_help = "Example:\n  impresario key revoke key_0190…")]
    Revoke {
        /// The key's id
        #[arg(value_name = "ID")]
        id: String,
    },
}

/// Create a key; prints it, this once
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  impresario key create --executor --project shop --label \"the build machine\"")]
struct Create {
    /// The project it is for; that of the asking key unless given
    #[arg(long, value_name = "NAME")]
    project: Option<String>,
    /// A key for an executor (`ek_…`)
    #[arg(long, conflicts_with = "scope")]
    executor: bool,
    /// What it may do; reading and writing tasks unless given
    #[arg(long, value_name = "SCOPE,…", value_delimiter = ',')]
    #[arg(value_parser = PossibleValuesParser::new(Scope::ALL.map(Scope::as_str)))]
    scope: Vec<String>,
    /// What it is for
    #[arg(
        long,
        value_name = "TEXT",
        default_value = "",
        hide_default_value = true
    )]
    label: String,
    /// From when on it is refused, such as 2027-01-01T00:00:00Z
    #[arg(long, value_name = "TIME")]
    expires_at: Option<String>,
}

impl Key {
    pub(in crate::cli) fn run(&self) -> io::Result<Exit> {
        self.remote.with(async |client| self.play(client).await)
    }

    async fn play(&self, client: &Client) -> Result<Exit, Failure> {
        match &self.what {
            What::Create(create) => self.create(client, &create.key()?).await,
            What::List(part) => self.remote.list(&client.keys(&part.paging()).await?, keys),
            What::Revoke { id } => {
                let key = client.revoke_key(id).await?;
                self.remote
                    .print(&key, || format!("{}  revoked\n", key.id))?;
                Ok(Exit::Done)
            }
        }
    }

    async fn create(&self, client: &Client, new: &NewKey) -> Result<Exit, Failure> {
        let made = client.create_key(new).await?;
        self.remote.print(&made, || format!("{}\n", made.secret))?;
        if !self.remote.json {
            output::note(&about(&made))?;
        }
        Ok(Exit::Done)
    }
}

fn about(made: &MadeKey) -> String {
    let whose = project(&made.key);
    let scopes = scopes(&made.key);
    format!(
        "{}, for {whose}: {scopes}; it is not shown again",
        made.key.id
    )
}

impl Create {
    fn key(&self) -> Result<NewKey, Failure> {
        let expires_at = self.expires_at.as_ref().map(|text| {
            let time = serde_json::from_value::<Timestamp>(text.as_str().into());
            let wrong =
                |_| format!("--expires-at: `{text}` is no time such as 2027-01-01T00:00:00Z");
            time.map_err(|error| Failure::Usage(wrong(error)))
        });
        let is_named = |scope: &Scope| self.scope.iter().any(|name| name == scope.as_str());
        let scopes: BTreeSet<_> = Scope::ALL.into_iter().filter(is_named).collect();
        Ok(NewKey {
            project: self.project.clone(),
            executor: self.executor,
            scopes: Some(scopes).filter(|scopes| !scopes.is_empty()),
            label: self.label.clone(),
            expires_at: expires_at.transpose()?,
        })
    }
}

fn project(key: &Row) -> String {
    key.project
        .clone()
        .unwrap_or_else(|| "the whole node".to_owned())
}

fn scopes(key: &Row) -> String {
    let names: Vec<_> = key.scopes.iter().map(|scope| scope.as_str()).collect();
    names.join(", ")
}

fn keys(rows: &[Row]) -> String {
    let mut table = Table::new([
        "KEY", "KIND", "PROJECT", "CREATED", "ENDS", "SCOPES", "LABEL",
    ]);
    for key in rows {
        table.row([
            key.id.clone(),
            match key.kind {
                KeyKind::Api => "api".to_owned(),
                KeyKind::Executor => "executor".to_owned(),
            },
            project(key),
            key.created_at.to_string(),
            ends(key),
            scopes(key),
            key.label.clone(),
        ]);
    }
    table.text(output::columns(), "no keys")
}

fn ends(key: &Row) -> String {
    match (key.revoked_at, key.expires_at) {
        (Some(_), _) => "revoked".to_owned(),
        (None, Some(at)) => at.to_string(),
        (None, None) => "never".to_owned(),
    }
}
