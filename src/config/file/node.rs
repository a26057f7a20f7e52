//! `[node]`

use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::config::choice::choices;
use crate::config::read::{Node, Read, Report, table};
use crate::config::values::{Notation, NotationError, notation};
use crate::config::whole::Whole;
use crate::store::postgres::{Url, UrlError};

/// The node itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields)]
pub struct NodeConfig {
    /// The node's name, for people.
    pub name: String,
    /// The address the HTTP server listens on, such as `127.0.0.1:7700`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub listen: Option<String>,
    /// The folder for everything the node keeps, relative to the folder it is started in.
    pub data_dir: String,
    /// Where the journal is kept, `sqlite:FILE` or `postgres://…`; an SQLite file in the data folder when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub store: Option<StoreUrl>,
    /// What a record has survived once it is acknowledged.
    pub durability: Durability,
    /// What runs the actors: `local`, this process, or `restate:http://…`, several nodes.
    pub engine: Engine,
    /// Whether unfinished runs go on when the node starts; if not, they are marked failed.
    pub auto_recover: bool,
    /// How many model calls may wait for one pool; a call beyond that fails, and is tried again like one that its provider refused.
    pub max_waiting_calls: Whole<1, 1_000_000>,
}

table!(NodeConfig { ; name, listen, data_dir, store, durability, engine, auto_recover, max_waiting_calls });

choices! {
    /// What a record has survived once it is acknowledged.
    #[serde(rename_all = "snake_case")]
    pub enum Durability {
        /// A power cut.
        #[default]
        Power,
        /// A kill of the process; faster.
        Process,
    }
}

/// Where the journal is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreUrl {
    /// In an SQLite file.
    Sqlite(String),
    /// In a PostgreSQL database, by its whole URL.
    Postgres(String),
}

impl Default for StoreUrl {
    fn default() -> Self {
        Self::Sqlite(String::new())
    }
}

impl FromStr for StoreUrl {
    type Err = NotationError;

    fn from_str(text: &str) -> Result<Self, NotationError> {
        match text.split_once(':') {
            Some(("sqlite", file)) if !file.is_empty() => Ok(Self::Sqlite(file.to_owned())),
            Some(("postgres" | "postgresql", _)) => postgres(text),
            _ => Err(NotationError(
                "it names neither an SQLite file nor a PostgreSQL database".to_owned(),
            )),
        }
    }
}

fn postgres(text: &str) -> Result<StoreUrl, NotationError> {
    let url: Url = text
        .parse()
        .map_err(|error: UrlError| NotationError(error.to_string()))?;
    match url.has_password() {
        true => Err(NotationError(
            "passwords never stand in the file: set PGPASSWORD".to_owned(),
        )),
        false => Ok(StoreUrl::Postgres(text.to_owned())),
    }
}

impl fmt::Display for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(file) => write!(f, "sqlite:{file}"),
            Self::Postgres(url) => f.write_str(url),
        }
    }
}

impl Notation for StoreUrl {
    const WHAT: &'static str = "a store such as `sqlite:journal.db` or `postgres://host/database`";
    const EXAMPLES: &'static [&'static str] =
        &["sqlite:journal.db", "postgres://localhost/impresario"];
}

/// What runs the actors.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Engine {
    /// This process.
    #[default]
    Local,
    /// A distributed engine at this address.
    Restate(String),
}

impl FromStr for Engine {
    type Err = NotationError;

    fn from_str(text: &str) -> Result<Self, NotationError> {
        match (text, text.strip_prefix("restate:")) {
            ("local", _) => Ok(Self::Local),
            (_, Some(url)) if url.starts_with("http://") || url.starts_with("https://") => {
                Ok(Self::Restate(url.to_owned()))
            }
            _ => Err(NotationError("no engine is called so".to_owned())),
        }
    }
}

impl fmt::Display for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Local => f.write_str("local"),
            Self::Restate(url) => write!(f, "restate:{url}"),
        }
    }
}

impl Notation for Engine {
    const WHAT: &'static str = "an engine such as `local` or `restate:http://host:port`";
    const EXAMPLES: &'static [&'static str] = &["local", "restate:http://localhost:8080"];
}

notation!(StoreUrl);
notation!(Engine);
