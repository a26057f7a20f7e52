//! A machine with an executor on it, which keeps a ledger, as the program's own executor does.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::{AbortHandle, Abortable, BoxFuture, FutureExt, pending};
use futures_util::stream::FuturesUnordered;
use serde_json::Value;
use tokio::sync::mpsc;

use super::moments::Moments;
use super::outside::{Outside, what, work};
use crate::executor::Link;
use crate::model::CallId;
use crate::model::executor::{
    CallError, CallErrorCode, CallOutcome, FromExecutor, PROTOCOL, ToExecutor,
};

/// An executor with one tool.
#[derive(Debug, Clone)]
pub struct Machine {
    /// Its name, under which its ledger is kept.
    pub name: String,
    /// Its tool.
    pub tool: String,
    /// Where it pays.
    pub outside: Outside,
    /// A moment passes before and after each effect.
    pub moments: Moments,
}

type Running = FuturesUnordered<BoxFuture<'static, (CallId, Option<CallOutcome>)>>;

/// A machine that is up: it works whether or not it has a connection.
pub struct Life {
    machine: Machine,
    says: mpsc::Sender<FromExecutor>,
    running: Running,
    stops: BTreeMap<CallId, AbortHandle>,
}

impl std::fmt::Debug for Life {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Life")
            .field("machine", &self.machine.name)
            .finish_non_exhaustive()
    }
}

impl Machine {
    /// Starts it, without a connection.
    #[must_use]
    pub fn start(&self) -> Life {
        Life {
            machine: self.clone(),
            says: mpsc::channel(1).0,
            running: Running::new(),
            stops: BTreeMap::new(),
        }
    }

    /// A link to it; the future is its life, which ends with the link.
    #[must_use]
    pub fn connect(&self) -> (Link, BoxFuture<'static, ()>) {
        let mut life = self.start();
        let (link, hears) = life.plug();
        (link, async move { life.live(hears).await }.boxed())
    }
}

impl Life {
    /// A new connection to it, and what it hears there.
    #[must_use]
    pub fn plug(&mut self) -> (Link, mpsc::Receiver<ToExecutor>) {
        let (to, hears) = mpsc::channel::<ToExecutor>(64);
        let (says, from) = mpsc::channel(64);
        self.says = says;
        (Link { to, from }, hears)
    }

    /// Works until its connection ends.
    pub async fn live(&mut self, mut hears: mpsc::Receiver<ToExecutor>) {
        self.introduce().await;
        loop {
            tokio::select! {
                biased;
                frame = hears.recv() => match frame {
                    Some(frame) => self.take(frame).await,
                    None => return,
                },
                Some((call_id, outcome)) = self.running.next() => self.ended(call_id, outcome).await,
            }
        }
    }

    /// Works on without a connection, for so long or for ever.
    pub async fn alone(&mut self, time: Option<Duration>) {
        self.says = mpsc::channel(1).0;
        let enough = async {
            match time {
                Some(time) => tokio::time::sleep(time).await,
                None => pending().await,
            }
        };
        tokio::pin!(enough);
        loop {
            tokio::select! {
                biased;
                () = &mut enough => return,
                Some((call_id, outcome)) = self.running.next() => self.ended(call_id, outcome).await,
            }
        }
    }

    /// Hello, and what was never acknowledged. Calls without an end were interrupted.
    async fn introduce(&mut self) {
        let hello = FromExecutor::Hello {
            protocol: PROTOCOL,
            name: self.machine.name.clone(),
            tools: vec![Outside::executor_tool(&self.machine.tool)],
            root: "/".to_owned(),
            session: "s".to_owned(),
            ledger: None,
        };
        let _ = self.says.send(hello).await;
        for (call_id, outcome) in self.machine.outside.ledger(&self.machine.name) {
            let outcome = outcome.unwrap_or_else(interrupted);
            self.answer(call_id, outcome).await;
        }
    }

    async fn take(&mut self, frame: ToExecutor) {
        match frame {
            ToExecutor::Call {
                call_id,
                epoch,
                args,
                ..
            } => self.asked(call_id, epoch, args).await,
            ToExecutor::Ack { call_id } => {
                self.machine.outside.forget(&self.machine.name, &call_id);
            }
            ToExecutor::Cancel { call_id } => match self.stops.get(&call_id) {
                Some(stop) => stop.abort(),
                None => {
                    let known = self.machine.outside.ledger(&self.machine.name);
                    let known = known.get(&call_id).cloned();
                    let outcome = known.map(|end| end.unwrap_or_else(interrupted));
                    self.answer(call_id, outcome.unwrap_or_else(cancelled))
                        .await;
                }
            },
        }
    }

    async fn asked(&mut self, call_id: CallId, epoch: u64, args: Value) {
        if self.stops.contains_key(&call_id) {
            return;
        }
        let known = self.machine.outside.ledger(&self.machine.name);
        if let Some(outcome) = known.get(&call_id) {
            let outcome = outcome.clone().unwrap_or_else(interrupted);
            return self.answer(call_id, outcome).await;
        }
        let machine = self.machine.clone();
        let under_way = machine.outside.begins(&call_id, epoch);
        machine.outside.enter(&machine.name, &call_id, None);
        let id = call_id.clone();
        let job = async move {
            let _under_way = under_way;
            machine.do_it(&id, &args).await
        };
        let (stop, registration) = AbortHandle::new_pair();
        self.stops.insert(call_id.clone(), stop);
        let job = Abortable::new(job, registration).map(|outcome| (call_id, outcome.ok()));
        self.running.push(job.boxed());
    }

    async fn ended(&mut self, call_id: CallId, outcome: Option<CallOutcome>) {
        self.stops.remove(&call_id);
        let outcome = outcome.unwrap_or_else(cancelled);
        let outside = &self.machine.outside;
        outside.enter(&self.machine.name, &call_id, Some(outcome.clone()));
        self.answer(call_id, outcome).await;
    }

    async fn answer(&mut self, call_id: CallId, outcome: CallOutcome) {
        let _ = self
            .says
            .send(FromExecutor::Result { call_id, outcome })
            .await;
    }
}

impl Machine {
    async fn do_it(&self, call_id: &CallId, args: &Value) -> CallOutcome {
        work(args).await;
        self.moments.pass().await;
        let text = self.outside.pay(call_id, &self.tool, &what(args));
        self.moments.pass().await;
        match args["then"].as_str() {
            Some("fail") => error(CallErrorCode::Failed, format!("{text}, and then it failed")),
            Some("hang") => std::future::pending().await,
            _ => CallOutcome::Ok(text),
        }
    }
}

fn error(code: CallErrorCode, message: impl Into<String>) -> CallOutcome {
    let message = message.into();
    CallOutcome::Error(CallError { code, message })
}

fn interrupted() -> CallOutcome {
    error(CallErrorCode::Interrupted, "the executor died in it")
}

fn cancelled() -> CallOutcome {
    error(
        CallErrorCode::Cancelled,
        "it was cancelled and its processes are gone",
    )
}
