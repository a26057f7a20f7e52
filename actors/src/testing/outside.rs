//! A world outside the system, which remembers across any number of systems: payments that were made, and an executor's ledger.
//!
//! One tool per effect class pays into it. What it says afterwards is what really happened, whatever the journal says.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::future::{BoxFuture, FutureExt};
use serde_json::json;
use tokio::sync::mpsc;

use super::sim::Moments;
use crate::executor::Link;
use crate::model::executor::{
    CallError, CallErrorCode, CallOutcome, FromExecutor, PROTOCOL, ToExecutor,
};
use crate::model::{CallId, EffectClass, Place, ToolSpec};
use crate::tool::{Invocation, Probe, Tool, ToolError};

/// What happened outside.
#[derive(Debug, Clone, Default)]
pub struct Outside(Arc<Mutex<Books>>);

#[derive(Debug, Default)]
struct Books {
    /// How often each payment was made.
    payments: BTreeMap<String, u32>,
    /// Keys that keyed payments came with.
    keys: BTreeMap<String, String>,
    /// The executor's ledger: begun, and perhaps ended.
    ledger: BTreeMap<CallId, Option<String>>,
}

impl Outside {
    fn books(&self) -> MutexGuard<'_, Books> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How often each payment was really made.
    #[must_use]
    pub fn payments(&self) -> BTreeMap<String, u32> {
        self.books().payments.clone()
    }

    fn pay(&self, what: &str) -> String {
        *self.books().payments.entry(what.to_owned()).or_default() += 1;
        format!("paid {what}")
    }

    /// A tool of this class that pays. A moment passes right before and right after the effect.
    #[must_use]
    pub fn tool(&self, name: &str, effect: EffectClass, moments: Moments) -> Arc<dyn Tool> {
        Arc::new(Pay {
            name: name.to_owned(),
            effect,
            outside: self.clone(),
            moments,
        })
    }

    /// What an executor's tool of this name says of itself.
    #[must_use]
    pub fn executor_tool(name: &str) -> ToolSpec {
        spec(name, EffectClass::Ledgered, Place::Executor)
    }

    /// An executor with a ledger that pays, at the end of a link; the future is its life.
    #[must_use]
    pub fn executor(&self, name: &str, moments: Moments) -> (Link, BoxFuture<'static, ()>) {
        let (to, mut hears) = mpsc::channel::<ToExecutor>(64);
        let (says, from) = mpsc::channel(64);
        let (outside, name) = (self.clone(), name.to_owned());
        let life = async move {
            let tools = vec![Self::executor_tool(&name)];
            let (root, session) = ("/".to_owned(), "s".to_owned());
            let hello = FromExecutor::Hello {
                protocol: PROTOCOL,
                name: "outside".to_owned(),
                tools,
                root,
                session,
            };
            let _ = says.send(hello).await;
            while let Some(frame) = hears.recv().await {
                match frame {
                    ToExecutor::Call { call_id, args, .. } => {
                        let outcome = outside.on_executor(&call_id, &what(&args), &moments).await;
                        let _ = says.send(FromExecutor::Result { call_id, outcome }).await;
                    }
                    ToExecutor::Ack { call_id } => drop(outside.books().ledger.remove(&call_id)),
                    ToExecutor::Cancel { .. } => {}
                }
            }
        };
        (Link { to, from }, life.boxed())
    }

    async fn on_executor(&self, call_id: &CallId, what: &str, moments: &Moments) -> CallOutcome {
        let known = self.books().ledger.get(call_id).cloned();
        match known {
            Some(Some(text)) => return CallOutcome::Ok(text),
            Some(None) => {
                let message = "the executor died in it".to_owned();
                return CallOutcome::Error(CallError {
                    code: CallErrorCode::Interrupted,
                    message,
                });
            }
            None => {}
        }
        self.books().ledger.insert(call_id.clone(), None);
        moments.pass().await;
        let text = self.pay(what);
        moments.pass().await;
        self.books()
            .ledger
            .insert(call_id.clone(), Some(text.clone()));
        CallOutcome::Ok(text)
    }
}

fn what(args: &serde_json::Value) -> String {
    args["what"].as_str().unwrap_or("nothing").to_owned()
}

fn spec(name: &str, effect: EffectClass, place: Place) -> ToolSpec {
    ToolSpec {
        name: name.to_owned(),
        description: "pays".to_owned(),
        parameters: json!({ "type": "object", "properties": { "what": { "type": "string" } } }),
        effect,
        place,
    }
}

struct Pay {
    name: String,
    effect: EffectClass,
    outside: Outside,
    moments: Moments,
}

impl Tool for Pay {
    fn spec(&self) -> ToolSpec {
        spec(&self.name, self.effect, Place::Node)
    }

    fn call(&self, call: Invocation) -> BoxFuture<'_, Result<String, ToolError>> {
        async move {
            // Somebody else may get a turn in between, as it would be with a real endpoint.
            tokio::task::yield_now().await;
            self.moments.pass().await;
            let what = what(&call.args);
            let text = match self.effect {
                EffectClass::Pure => format!("{what} costs 5"),
                EffectClass::Keyed => self.pay_once_by(call.call_id.to_string(), &what),
                _ => self.outside.pay(&what),
            };
            self.moments.pass().await;
            tokio::task::yield_now().await;
            Ok(text)
        }
        .boxed()
    }

    fn probe(&self, call: Invocation) -> BoxFuture<'_, Probe> {
        async move {
            let what = what(&call.args);
            match (self.effect, self.outside.payments().contains_key(&what)) {
                (EffectClass::Queryable, true) => Probe::Done(format!("paid {what}")),
                (EffectClass::Queryable, false) => Probe::NotDone,
                _ => Probe::Unknown("nobody knows whether it was paid".to_owned()),
            }
        }
        .boxed()
    }

    fn compensate(&self, call: Invocation) -> BoxFuture<'_, Result<String, ToolError>> {
        async move {
            let what = what(&call.args);
            self.outside.books().payments.remove(&what);
            Ok(format!("took {what} back"))
        }
        .boxed()
    }
}

impl Pay {
    fn pay_once_by(&self, key: String, what: &str) -> String {
        if let Some(text) = self.outside.books().keys.get(&key) {
            return text.clone();
        }
        let text = self.outside.pay(what);
        self.outside.books().keys.insert(key, text.clone());
        text
    }
}
