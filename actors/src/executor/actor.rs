//! The actor of one executor's connection.

use std::sync::{Arc, Mutex, PoisonError};

use supervision::{Actor, AtRestart, Context, Exit, Failure, Handle, Reply, Start, inbox};
use tokio::sync::mpsc;

use crate::model::CallId;
use crate::model::executor::{CallOutcome, FromExecutor, ToExecutor};

use super::calls::{Calls, Heard};
use super::tool::Executors;

/// The two directions of a link to an executor, whatever carries them.
#[derive(Debug)]
pub struct Link {
    /// To the executor.
    pub to: mpsc::Sender<ToExecutor>,
    /// From the executor.
    pub from: mpsc::Receiver<FromExecutor>,
}

/// What an executor's actor is told.
#[derive(Debug)]
pub enum ExecutorMessage {
    /// Make this call; answered at its end.
    Call(CallId, ToExecutor, Reply<CallOutcome>),
    /// Stop this call; answered when nothing of it runs any more.
    Stop(CallId, Reply<CallOutcome>),
    /// The result of this call is durable.
    Ack(CallId),
    /// The executor said something; the receiver comes back for the next.
    Heard(Option<FromExecutor>, mpsc::Receiver<FromExecutor>),
}

/// How many messages an executor's actor holds.
const INBOX: usize = 1024;

struct ExecutorActor {
    project: String,
    to: mpsc::Sender<ToExecutor>,
    calls: Calls<Reply<CallOutcome>>,
    executors: Executors,
    handle: Handle<ExecutorMessage>,
}

/// How the actor of a link is started. A link is one connection: when it ends, so does the actor, and it does not come back.
#[must_use]
pub fn attach(project: &str, link: Link, executors: Executors) -> Start {
    let (handle, reads) = inbox(INBOX, AtRestart::DeadLetter);
    let project = project.to_owned();
    let link = Arc::new(Mutex::new(Some(link)));
    Start::actor(reads, move |cx| {
        let link = link.lock().unwrap_or_else(PoisonError::into_inner).take();
        let (executors, project, handle) = (executors.clone(), project.clone(), handle.clone());
        let actor = link.map(|Link { to, from }| {
            listen(from, cx);
            ExecutorActor {
                project,
                to,
                calls: Calls::default(),
                executors,
                handle,
            }
        });
        std::future::ready(actor.ok_or_else(|| "the link of this executor has ended".into()))
    })
}

fn listen(mut from: mpsc::Receiver<FromExecutor>, cx: &Context<ExecutorMessage>) {
    let _ = cx.attach(async move {
        let frame = from.recv().await;
        ExecutorMessage::Heard(frame, from)
    });
}

impl Actor for ExecutorActor {
    type Message = ExecutorMessage;

    async fn handle(
        &mut self,
        message: ExecutorMessage,
        cx: &mut Context<ExecutorMessage>,
    ) -> Result<(), Failure> {
        match message {
            ExecutorMessage::Call(call_id, frame, reply) => {
                let frame = self.calls.call(call_id, frame, reply);
                self.send(frame, cx);
            }
            ExecutorMessage::Stop(call_id, reply) => {
                let frame = self.calls.stop(call_id, reply);
                self.send(Some(frame), cx);
            }
            ExecutorMessage::Ack(call_id) => self.send(Some(ToExecutor::Ack { call_id }), cx),
            ExecutorMessage::Heard(Some(frame), from) => {
                listen(from, cx);
                self.heard(frame, cx);
            }
            ExecutorMessage::Heard(None, _) => cx.exit(Exit::Normal),
        }
        Ok(())
    }

    async fn terminate(&mut self, _: &Exit) {
        self.executors.disconnected(&self.handle);
    }
}

impl ExecutorActor {
    /// In the order of the handler's calls, or as soon after it as the link takes it.
    fn send(&self, frame: Option<ToExecutor>, cx: &Context<ExecutorMessage>) {
        let Some(frame) = frame else { return };
        if let Err(mpsc::error::TrySendError::Full(frame)) = self.to.try_send(frame) {
            let to = self.to.clone();
            let _ = cx.attach_maybe(async move {
                let _ = to.send(frame).await;
                None
            });
        }
    }

    fn heard(&mut self, frame: FromExecutor, cx: &Context<ExecutorMessage>) {
        match self.calls.hear(frame) {
            Heard::Hello {
                executor,
                tools,
                again,
            } => {
                let (name, project) = (&executor.name, &self.project);
                tracing::info!("executor `{name}` is connected to project `{project}`");
                self.executors
                    .connected(project, executor, &tools, &self.handle);
                again
                    .into_iter()
                    .for_each(|frame| self.send(Some(frame), cx));
            }
            Heard::Ended(waiters, outcome) => waiters
                .into_iter()
                .for_each(|waiter| waiter.send(outcome.clone())),
            Heard::Output(..) | Heard::Nothing => {}
        }
    }
}
