//! A world outside the system, which remembers across any number of systems: what was paid, by which call, and how often.
//!
//! One tool per effect class pays into it. What it says afterwards is what really happened, whatever the journal says. A payment
//! is told `what`, and if need be `ms`, how long it takes, and `then`, how it ends: `fail`, `unknown`, `panic` or `hang`.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::{BoxFuture, FutureExt};
use serde_json::{Value, json};

use super::moments::Moments;
use crate::model::executor::CallOutcome;
use crate::model::{CallId, EffectClass, Place, ToolSpec};
use crate::tool::{Invocation, Probe, Tool, ToolError};

/// What happened outside.
#[derive(Debug, Clone, Default)]
pub struct Outside(Arc<Mutex<Books>>);

#[derive(Debug, Default)]
struct Books {
    payments: Vec<Payment>,
    /// Calls that were undone, as often as they were.
    undone: Vec<CallId>,
    /// How many calls of tools in the node have begun, and how many were dropped before their end.
    begun: u64,
    dropped: u64,
    running: u64,
    /// The executors' ledgers, by executor: begun, and perhaps ended.
    ledgers: BTreeMap<String, BTreeMap<CallId, Option<CallOutcome>>>,
    witness: Option<Witness>,
}

/// Is told of each call at the instant in which it begins: its id, and the epoch of the run that makes it.
#[derive(Clone)]
pub struct Witness(pub Arc<Hears>);

/// What a witness does with what it is told.
pub type Hears = dyn Fn(&CallId, u64) + Send + Sync;

impl std::fmt::Debug for Witness {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Witness").finish_non_exhaustive()
    }
}

/// A payment that was really made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payment {
    /// By which call.
    pub call_id: CallId,
    /// By which tool.
    pub tool: String,
    /// For what.
    pub what: String,
}

impl Outside {
    fn books(&self) -> MutexGuard<'_, Books> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How often each payment was really made; those that were undone do not count.
    #[must_use]
    pub fn payments(&self) -> BTreeMap<String, u32> {
        let books = self.books();
        let mut paid = BTreeMap::new();
        let valid = |payment: &&Payment| !books.undone.contains(&payment.call_id);
        for payment in books.payments.iter().filter(valid) {
            *paid.entry(payment.what.clone()).or_default() += 1;
        }
        paid
    }

    /// Every payment, in order, those that were undone too.
    #[must_use]
    pub fn all_payments(&self) -> Vec<Payment> {
        self.books().payments.clone()
    }

    /// The calls that were undone.
    #[must_use]
    pub fn undone(&self) -> Vec<CallId> {
        self.books().undone.clone()
    }

    /// How many calls of tools in the node have begun, and how many of them were dropped before their end.
    #[must_use]
    pub fn calls(&self) -> (u64, u64) {
        let books = self.books();
        (books.begun, books.dropped)
    }

    /// How many calls are under way, in the node and on executors.
    #[must_use]
    pub fn under_way(&self) -> u64 {
        self.books().running
    }

    /// What stands in an executor's ledger: results that were not acknowledged, and calls without an end.
    #[must_use]
    pub fn ledger(&self, executor: &str) -> BTreeMap<CallId, Option<CallOutcome>> {
        let books = self.books();
        books.ledgers.get(executor).cloned().unwrap_or_default()
    }

    /// From now on this one is told of every call that begins, in the node or on an executor.
    pub fn watched_by(&self, witness: Witness) {
        self.books().witness = Some(witness);
    }

    /// A call begins; it is under way until what is returned is dropped.
    pub(super) fn begins(&self, call_id: &CallId, epoch: u64) -> UnderWay {
        let witness = self.books().witness.clone();
        if let Some(Witness(tell)) = witness {
            tell(call_id, epoch);
        }
        self.books().running += 1;
        UnderWay(self.clone())
    }

    pub(super) fn enter(&self, executor: &str, call_id: &CallId, outcome: Option<CallOutcome>) {
        let mut books = self.books();
        let ledger = books.ledgers.entry(executor.to_owned()).or_default();
        ledger.insert(call_id.clone(), outcome);
    }

    pub(super) fn forget(&self, executor: &str, call_id: &CallId) {
        let mut books = self.books();
        let ledger = books.ledgers.entry(executor.to_owned()).or_default();
        ledger.remove(call_id);
    }

    pub(super) fn pay(&self, call_id: &CallId, tool: &str, what: &str) -> String {
        self.books().payments.push(Payment {
            call_id: call_id.clone(),
            tool: tool.to_owned(),
            what: what.to_owned(),
        });
        format!("paid {what}")
    }

    fn has_paid(&self, call_id: &CallId) -> bool {
        let books = self.books();
        let mut payments = books.payments.iter();
        payments.any(|payment| payment.call_id == *call_id)
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
}

pub(super) fn what(args: &Value) -> String {
    args["what"].as_str().unwrap_or("nothing").to_owned()
}

/// What a payment is told of how it goes.
pub(super) async fn work(args: &Value) {
    // Somebody else may get a turn in between, as it would be with a real endpoint.
    tokio::task::yield_now().await;
    if let Some(time) = args["ms"].as_u64() {
        tokio::time::sleep(Duration::from_millis(time)).await;
    }
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

pub(super) struct UnderWay(Outside);

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.books().running -= 1;
    }
}

/// Notes that a call was dropped before its end.
struct Begun(Outside, bool);

impl Begun {
    fn new(outside: &Outside) -> Self {
        outside.books().begun += 1;
        Self(outside.clone(), false)
    }
}

impl Drop for Begun {
    fn drop(&mut self) {
        if !self.1 {
            self.0.books().dropped += 1;
        }
    }
}

impl Tool for Pay {
    fn spec(&self) -> ToolSpec {
        spec(&self.name, self.effect, Place::Node)
    }

    fn call(&self, call: Invocation) -> BoxFuture<'_, Result<String, ToolError>> {
        async move {
            let _under_way = self.outside.begins(&call.call_id, call.epoch);
            let mut begun = Begun::new(&self.outside);
            work(&call.args).await;
            self.moments.pass().await;
            let text = self.pay(&call);
            self.moments.pass().await;
            tokio::task::yield_now().await;
            begun.1 = true;
            match call.args["then"].as_str() {
                Some("fail") => Err(ToolError::Failed(format!("{text}, and then it failed"))),
                Some("unknown") => Err(ToolError::Unknown("nobody answered".to_owned())),
                Some("panic") => panic!("{text}, and then it panicked"),
                Some("hang") => std::future::pending().await,
                _ => Ok(text),
            }
        }
        .boxed()
    }

    fn probe(&self, call: Invocation) -> BoxFuture<'_, Probe> {
        async move {
            let what = what(&call.args);
            match (self.effect, self.outside.has_paid(&call.call_id)) {
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
            if what.contains("for good") {
                return Err(ToolError::Failed(format!("{what} cannot be taken back")));
            }
            self.outside.books().undone.push(call.call_id);
            Ok(format!("took {what} back"))
        }
        .boxed()
    }
}

impl Pay {
    fn pay(&self, call: &Invocation) -> String {
        let what = what(&call.args);
        let is_known = || self.outside.has_paid(&call.call_id);
        match self.effect {
            EffectClass::Pure => format!("{what} costs 5"),
            EffectClass::Keyed if is_known() => format!("paid {what}"),
            _ => self.outside.pay(&call.call_id, &self.name, &what),
        }
    }
}
