//! The supervision tree of a node.

use actors::model::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Value, json};

use super::ask::Ask;
use super::{Client, Error};

/// An actor, and those below it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Node {
    /// Where it stands in the tree.
    pub path: String,
    /// Its name.
    pub name: String,
    /// What it is doing.
    pub state: String,
    /// How often it was started again.
    #[serde(deserialize_with = "if_any")]
    pub restarts: Option<u64>,
    /// How many messages wait for it.
    #[serde(deserialize_with = "if_any")]
    pub inbox: Option<u64>,
    /// When it last got on.
    #[serde(deserialize_with = "if_any")]
    pub last_progress_at: Option<Timestamp>,
    /// Those below it, in the order in which they are started.
    pub children: Vec<Node>,
}

/// What is written otherwise is as good as nothing: the tree is for looking at.
fn if_any<'de, T: DeserializeOwned, D: Deserializer<'de>>(from: D) -> Result<Option<T>, D::Error> {
    let value = Value::deserialize(from)?;
    Ok(serde_json::from_value(value).ok())
}

impl Client {
    /// The tree as it is now.
    ///
    /// # Errors
    /// Why it cannot be had.
    pub async fn supervision(&self) -> Result<Node, Error> {
        self.ask(Ask::get(["supervision"])).await
    }

    /// Kills an actor by its path; its supervisor deals with that as with any crash.
    ///
    /// # Errors
    /// Why it was not killed.
    pub async fn kill(&self, path: &str) -> Result<(), Error> {
        let body = json!({ "path": path });
        self.remove(Ask::post(["supervision", "kill"], &body)).await
    }
}
