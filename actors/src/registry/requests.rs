//! Requests that may be sent again: the same key gets the same answer, also after the node was started anew.
//!
//! A request is written down before anything is done for it, with an id that whatever it makes is given. So a request whose node
//! died over it can be carried out again where that makes the same thing, and is not where nobody can tell.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::model::Timestamp;

use super::{Registry, RegistryError};

/// The most bytes of an idempotency key.
pub const MAX_KEY: usize = 255;

/// How long an answer is kept: 24 hours.
pub const KEPT_MS: u64 = 24 * 60 * 60 * 1_000;

/// An answer that is given again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answered {
    /// The status.
    pub status: u16,
    /// The headers that belong to it.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: String,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Kept {
    fingerprint: String,
    /// Whatever is made for it has this id.
    id: Uuid,
    /// Which life of the node took it.
    life: Uuid,
    answer: Option<Answered>,
    at: Timestamp,
}

/// A request that is being carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ticket {
    key: String,
    version: u64,
    fingerprint: String,
    /// Whatever is made for the request has this id, however often it is sent.
    pub id: Uuid,
}

/// What to do about a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Begun {
    /// Carry it out.
    New(Ticket),
    /// An earlier life of the node took it, and may have carried it out: only where doing it again makes the same thing.
    Again(Ticket),
    /// It was answered so.
    Answered(Answered),
    /// It is being carried out.
    Running,
    /// The key belongs to another request.
    Different,
}

const REQUEST: &str = "request";

impl Registry {
    /// Takes a request that can be told from others by its key within `scope`, in this life of the node.
    ///
    /// # Errors
    /// When it cannot be read or written: the request must not be carried out then.
    pub async fn begin_request(
        &self,
        scope: &str,
        key: &str,
        fingerprint: &str,
        life: Uuid,
    ) -> Result<Begun, RegistryError> {
        let key = request_key(scope, key);
        loop {
            let found = self.get::<Kept>(REQUEST, &key).await?;
            let fresh = |kept: &Kept| kept.at.0.saturating_add(KEPT_MS) > self.now().0;
            let (kept, version) = match found {
                Some((kept, version)) if fresh(&kept) => (Some(kept), version),
                Some((_, version)) => (None, version),
                None => (None, 0),
            };
            let is_new = kept.is_none();
            let id = match kept {
                None => self.id(),
                Some(kept) if kept.fingerprint != fingerprint => return Ok(Begun::Different),
                Some(Kept {
                    answer: Some(answer),
                    ..
                }) => return Ok(Begun::Answered(answer)),
                Some(kept) if kept.life == life => return Ok(Begun::Running),
                Some(kept) => kept.id,
            };
            match self.take(&key, version, fingerprint, id, life).await {
                Ok(ticket) if is_new => return Ok(Begun::New(ticket)),
                Ok(ticket) => return Ok(Begun::Again(ticket)),
                // Somebody sent the same at the same moment.
                Err(RegistryError::Conflict(_)) => {}
                Err(error) => return Err(error),
            }
        }
    }

    async fn take(
        &self,
        key: &str,
        version: u64,
        fingerprint: &str,
        id: Uuid,
        life: Uuid,
    ) -> Result<Ticket, RegistryError> {
        let kept = Kept {
            fingerprint: fingerprint.to_owned(),
            id,
            life,
            answer: None,
            at: self.now(),
        };
        let version = self.put(REQUEST, key, Some(version), &kept).await?;
        Ok(Ticket {
            key: key.to_owned(),
            version,
            fingerprint: fingerprint.to_owned(),
            id,
        })
    }

    /// The request has this answer from now on.
    ///
    /// # Errors
    /// When it cannot be written.
    pub async fn answer_request(
        &self,
        ticket: &Ticket,
        life: Uuid,
        answer: Answered,
    ) -> Result<(), RegistryError> {
        let kept = Kept {
            fingerprint: ticket.fingerprint.clone(),
            id: ticket.id,
            life,
            answer: Some(answer),
            at: self.now(),
        };
        let put = self.put(REQUEST, &ticket.key, Some(ticket.version), &kept);
        put.await.map(|_| ())
    }

    /// The request came to nothing, and may be sent again as if it had never been.
    ///
    /// # Errors
    /// When it cannot be written.
    pub async fn forget_request(&self, ticket: &Ticket) -> Result<(), RegistryError> {
        self.remove(REQUEST, &ticket.key, Some(ticket.version))
            .await
    }

    /// Forgets the answers that are older than they are kept; how many.
    ///
    /// # Errors
    /// When they cannot be read or written.
    pub async fn forget_old_requests(&self) -> Result<usize, RegistryError> {
        let (mut after, mut forgotten) = (String::new(), 0);
        loop {
            let page = self.list::<Kept>(REQUEST, "", &after, 256).await?;
            let Some((last, _)) = page.last() else {
                return Ok(forgotten);
            };
            after = last.clone();
            for (key, kept) in page {
                if kept.at.0.saturating_add(KEPT_MS) <= self.now().0 {
                    self.remove(REQUEST, &key, None).await?;
                    forgotten += 1;
                }
            }
        }
    }
}

/// Keys are anything; what is kept is their hash.
fn request_key(scope: &str, key: &str) -> String {
    let mut hasher = blake3::Hasher::new();
    hasher.update(scope.as_bytes()).update(&[0]);
    hasher.update(key.as_bytes());
    hasher.finalize().to_hex().to_string()
}
