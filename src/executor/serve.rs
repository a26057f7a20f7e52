//! The link: frames come in, calls run side by side, frames go out.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use actors::model::CallId;
use actors::model::executor::{CallError, CallErrorCode, CallOutcome, FromExecutor, ToExecutor};
use futures_util::FutureExt;
use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use serde_json::Value;
use tokio::sync::mpsc::{Receiver, Sender};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::Executor;
use super::call::{Call, finish, in_a_thread};
use super::decide::{Asked, Verdict, decide, not_running};
use super::ledger::{LedgerError, interrupted};
use super::outbox::Outbox;

/// How many answers may wait to be sent, besides the calls that run, before no more frames are read.
const ANSWERS: usize = 64;

/// How long calls may take to end when the link closes.
const PATIENCE: Duration = Duration::from_secs(15);

/// Why an executor stopped serving.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// Another link is being served.
    #[error("this executor already serves a link; end that one first")]
    Busy,
    /// What calls do cannot be recorded any more. What was running has been ended; open the executor again.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// Calls did not end in time when the link closed.
    #[error("the link closed and {calls} calls did not end within {} s; they are left to their supervisors", PATIENCE.as_secs())]
    Stuck {
        /// How many.
        calls: usize,
    },
}

/// One connection of an executor's link.
#[derive(Debug)]
pub struct Line {
    /// What the node says; the connection ends when this does.
    pub inbound: Receiver<ToExecutor>,
    /// What the executor says.
    pub outbound: Sender<FromExecutor>,
}

impl Executor {
    /// Serves a link until `inbound` closes: says hello, sends results that were never acknowledged, and does what it is asked for.
    /// When it returns, and soon after it is dropped, nothing that it started runs any more; calls that were running then are
    /// interrupted. One link at a time. Needs a runtime with input, output and time switched on.
    ///
    /// # Errors
    /// See [`ServeError`].
    pub async fn serve(
        &self,
        inbound: Receiver<ToExecutor>,
        outbound: Sender<FromExecutor>,
    ) -> Result<(), ServeError> {
        let _alone = self.serving.try_lock().map_err(|_| ServeError::Busy)?;
        let mut link = Link::new(self);
        link.plug(Line { inbound, outbound });
        while link.is_plugged() {
            link.step().await?;
        }
        link.close().await
    }

    /// Serves a link whose connections come and go, until `stop`: what runs when a connection ends runs on, and its result is for whoever
    /// asks on a later one, where everything begins as in [`Self::serve`]. A newer connection takes an older one's place.
    ///
    /// # Errors
    /// See [`ServeError`].
    pub async fn serve_lines(
        &self,
        mut lines: Receiver<Line>,
        stop: CancellationToken,
    ) -> Result<(), ServeError> {
        let _alone = self.serving.try_lock().map_err(|_| ServeError::Busy)?;
        let mut link = Link::new(self);
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => return link.close().await,
                Some(line) = lines.recv() => link.plug(line),
                done = link.step() => done?,
            }
        }
    }
}

struct Running {
    epoch: u64,
    stop: CancellationToken,
}

/// A piece of work; the call that has ended with it.
type Work<'a> = BoxFuture<'a, Result<Option<CallId>, ServeError>>;

struct Link<'a> {
    executor: &'a Executor,
    inbound: Option<Receiver<ToExecutor>>,
    outbox: Outbox,
    running: HashMap<CallId, Running>,
    work: FuturesUnordered<Work<'a>>,
}

impl<'a> Link<'a> {
    fn new(executor: &'a Executor) -> Self {
        Self {
            executor,
            inbound: None,
            outbox: Outbox::default(),
            running: HashMap::new(),
            work: FuturesUnordered::new(),
        }
    }

    /// Goes on over this connection. Its hello is its first frame, and every result that is recorded from now on goes there.
    fn plug(&mut self, line: Line) {
        // There is room: it is the first.
        let _ = line.outbound.try_send(self.executor.hello());
        self.outbox.plug(line.outbound);
        self.inbound = Some(line.inbound);
        let outbox = self.outbox.here();
        let waiting = self.executor.unacknowledged();
        self.aside(async move {
            for result in waiting {
                outbox.send(result).await;
            }
            Ok(())
        });
    }

    fn is_plugged(&self) -> bool {
        self.inbound.is_some()
    }

    /// Takes a frame in, or settles what is done. Nothing is lost when it is given up in between.
    async fn step(&mut self) -> Result<(), ServeError> {
        let most = self.executor.limits.calls + ANSWERS;
        let may_take = self.work.len() < most;
        tokio::select! {
            frame = next(&mut self.inbound), if may_take => match frame {
                Some(frame) => self.take(frame),
                None => self.inbound = None,
            },
            Some(done) = self.work.next() => self.settle(done)?,
            else => std::future::pending().await,
        }
        Ok(())
    }

    /// Does something that is no call.
    fn aside(&self, work: impl Future<Output = Result<(), ServeError>> + Send + 'a) {
        self.work.push(work.map(|done| done.map(|()| None)).boxed());
    }

    fn settle(&mut self, done: Result<Option<CallId>, ServeError>) -> Result<(), ServeError> {
        if let Some(call) = done? {
            self.running.remove(&call);
        }
        Ok(())
    }

    fn take(&mut self, frame: ToExecutor) {
        match frame {
            ToExecutor::Call {
                call_id,
                epoch,
                tool,
                args,
                timeout_ms,
            } => {
                let timeout = Duration::from_millis(timeout_ms);
                self.asked(Ask {
                    call_id,
                    epoch,
                    tool,
                    args,
                    timeout,
                });
            }
            ToExecutor::Cancel { call_id } => match self.running.get(&call_id) {
                Some(running) => running.stop.cancel(),
                None => {
                    let outcome = not_running(self.executor.ledger.entry(&call_id));
                    self.answer(call_id, outcome);
                }
            },
            ToExecutor::Ack { call_id } => {
                let ledger = Arc::clone(&self.executor.ledger);
                if ledger.forget(&call_id) {
                    self.aside(async move {
                        Ok(in_a_thread(move || ledger.record_forgotten(call_id)).await?)
                    });
                }
            }
        }
    }

    fn asked(&mut self, ask: Ask) {
        let running = self.running.get(&ask.call_id).map(|running| running.epoch);
        let verdict = decide(Asked {
            epoch: ask.epoch,
            running,
            entry: self.executor.ledger.entry(&ask.call_id),
            calls: self.running.len(),
            most: self.executor.limits.calls,
        });
        match verdict {
            Verdict::Run => self.run(ask),
            Verdict::Join => self.join(&ask),
            Verdict::Replay(outcome) => self.replay(&ask, outcome),
            Verdict::Interrupted(tool) => self.replay(&ask, interrupted(&tool)),
            Verdict::Refuse(error) => self.answer(ask.call_id, CallOutcome::Error(error)),
        }
    }

    fn run(&mut self, ask: Ask) {
        let Some((tool, spec)) = self.executor.tool(&ask.tool) else {
            let error = self.unknown(&ask.tool);
            return self.answer(ask.call_id, CallOutcome::Error(error));
        };
        let job = match tool.prepare(ask.args) {
            Ok(job) => job,
            Err(error) => return self.answer(ask.call_id, CallOutcome::Error(error)),
        };
        let stop = CancellationToken::new();
        let running = Running {
            epoch: ask.epoch,
            stop: stop.clone(),
        };
        self.running.insert(ask.call_id.clone(), running);
        let call = Call {
            executor: self.executor,
            outbox: self.outbox.clone(),
            id: ask.call_id.clone(),
            epoch: ask.epoch,
            tool: ask.tool,
            effect: spec.effect,
            job,
            timeout: ask.timeout,
            stop,
        };
        let done = call.run().map(|done| done.map(|()| Some(ask.call_id)));
        self.work.push(done.boxed());
    }

    fn unknown(&self, tool: &str) -> CallError {
        let tools = self.executor.tools.iter();
        let names: Vec<_> = tools.map(|tool| tool.spec().name).collect();
        CallError {
            code: CallErrorCode::UnknownTool,
            message: format!(
                "there is no tool `{tool}` on this executor; there are {}",
                names.join(", ")
            ),
        }
    }

    /// Somebody asks again for a call that runs: it is one call, and its result is for both.
    fn join(&mut self, ask: &Ask) {
        if let Some(running) = self.running.get_mut(&ask.call_id) {
            running.epoch = ask.epoch;
        }
        let (call_id, epoch) = (ask.call_id.clone(), ask.epoch);
        let (ledger, outbox) = (Arc::clone(&self.executor.ledger), self.outbox.clone());
        self.aside(async move {
            outbox
                .send(FromExecutor::Started {
                    call_id: call_id.clone(),
                })
                .await;
            Ok(in_a_thread(move || ledger.raise(&call_id, epoch)).await?)
        });
    }

    /// Sends the result that is recorded, or records this one first.
    fn replay(&self, ask: &Ask, outcome: CallOutcome) {
        let (call_id, epoch) = (ask.call_id.clone(), ask.epoch);
        let (ledger, outbox) = (Arc::clone(&self.executor.ledger), self.outbox.clone());
        self.aside(async move {
            let (raised, id) = (Arc::clone(&ledger), call_id.clone());
            in_a_thread(move || raised.raise(&id, epoch)).await?;
            let outcome = finish(&ledger, &call_id, outcome).await?;
            outbox.result(call_id, outcome).await;
            Ok(())
        });
    }

    /// Answers without having done or recorded anything. That is true on this connection only: on a later one it may be asked again.
    fn answer(&self, call_id: CallId, outcome: CallOutcome) {
        let outbox = self.outbox.here();
        self.aside(async move {
            outbox.result(call_id, outcome).await;
            Ok(())
        });
    }

    /// Ends what runs and waits for it.
    async fn close(mut self) -> Result<(), ServeError> {
        self.inbound = None;
        self.outbox.closing.cancel();
        self.running
            .values()
            .for_each(|running| running.stop.cancel());
        let ended = timeout(PATIENCE, async {
            while let Some(done) = self.work.next().await {
                self.settle(done)?;
            }
            Ok(())
        });
        match ended.await {
            Ok(ended) => ended,
            Err(_) => Err(ServeError::Stuck {
                calls: self.running.len(),
            }),
        }
    }
}

/// The next frame; nothing when the connection has ended. Without one there is none.
async fn next(inbound: &mut Option<Receiver<ToExecutor>>) -> Option<ToExecutor> {
    match inbound {
        Some(inbound) => inbound.recv().await,
        None => std::future::pending().await,
    }
}

/// A call as it was asked for.
struct Ask {
    call_id: CallId,
    epoch: u64,
    tool: String,
    args: Value,
    timeout: Duration,
}
