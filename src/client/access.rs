//! Projects and keys.

use std::collections::BTreeSet;
use std::fmt;

use actors::model::Timestamp;
use actors::registry::access::Scope;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::ask::Ask;
use super::{Client, Error, Page, Paging};

pub use actors::registry::access::{Key, Project};

/// A key that was just made.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MadeKey {
    /// What lists say of it.
    #[serde(flatten)]
    pub key: Key,
    /// The key itself. It is not kept and not shown again.
    pub secret: String,
}

impl fmt::Debug for MadeKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("MadeKey");
        shown.field("key", &self.key).field("secret", &"[hidden]");
        shown.finish()
    }
}

/// A key that is to be made.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct NewKey {
    /// Its project; that of the caller's key when left out. A key of the whole node may make others of the whole node.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub project: Option<String>,
    /// Whether it is one with which an executor connects: `ek_…` instead of `ik_…`.
    #[serde(rename = "kind", serialize_with = "kind")]
    pub executor: bool,
    /// What it may do; everything about tasks when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scopes: Option<BTreeSet<Scope>>,
    /// What it is for.
    pub label: String,
    /// From when on it is refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde's serialize_with hands over a reference"
)]
fn kind<S: serde::Serializer>(executor: &bool, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(if *executor { "executor" } else { "api" })
}

impl Client {
    /// Makes a project.
    ///
    /// # Errors
    /// Why it was not made.
    pub async fn create_project(&self, name: &str, description: &str) -> Result<Project, Error> {
        let body = json!({ "name": name, "description": description });
        self.ask(Ask::post(["projects"], &body)).await
    }

    /// The projects that the key sees.
    ///
    /// # Errors
    /// Why they cannot be had.
    pub async fn projects(&self, paging: &Paging) -> Result<Page<Project>, Error> {
        self.ask(Ask::get(["projects"]).page(paging)).await
    }

    /// Removes a project that has no tasks, and revokes its keys.
    ///
    /// # Errors
    /// Why it was not removed.
    pub async fn remove_project(&self, name: &str) -> Result<(), Error> {
        self.remove(Ask::delete(["projects", name])).await
    }

    /// Makes a key. Its text is in this answer and nowhere else.
    ///
    /// # Errors
    /// Why it was not made; [`AlreadyMade`](super::ProblemKind::AlreadyMade) when it was, and the answer was lost.
    pub async fn create_key(&self, new: &NewKey) -> Result<MadeKey, Error> {
        self.ask(Ask::post(["keys"], new)).await
    }

    /// The keys of the caller's project, or of the whole node; those that were revoked too.
    ///
    /// # Errors
    /// Why they cannot be had.
    pub async fn keys(&self, paging: &Paging) -> Result<Page<Key>, Error> {
        self.ask(Ask::get(["keys"]).page(paging)).await
    }

    /// Revokes a key. From the next request on it is refused.
    ///
    /// # Errors
    /// Why it was not revoked.
    pub async fn revoke_key(&self, id: &str) -> Result<Key, Error> {
        self.ask(Ask::delete(["keys", id])).await
    }
}
