//! The actor of one executor's connection.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use supervision::{Actor, AtRestart, Context, Exit, Failure, Handle, Reply, Start, inbox};
use tokio::sync::{mpsc, oneshot};

use crate::model::executor::{CallOutcome, FromExecutor, ToExecutor};
use crate::model::{CallId, Timestamp};

use super::calls::{Calls, Heard, Introduced};
use super::directory::Executors;

/// The two directions of a link to an executor, whatever carries them.
#[derive(Debug)]
pub struct Link {
    /// To the executor.
    pub to: mpsc::Sender<ToExecutor>,
    /// From the executor.
    pub from: mpsc::Receiver<FromExecutor>,
}

/// A link that is to be taken on.
#[derive(Debug)]
pub struct Joining {
    /// The link.
    pub link: Link,
    /// The time.
    pub at: Timestamp,
    /// Told when a newer connection takes its place.
    pub replaced: oneshot::Sender<()>,
}

/// A link that was taken on.
#[derive(Debug)]
pub struct Attached(oneshot::Receiver<()>);

impl Joining {
    /// This link, now.
    #[must_use]
    pub fn new(link: Link, at: Timestamp) -> (Self, Attached) {
        let (replaced, is_replaced) = oneshot::channel();
        (Self { link, at, replaced }, Attached(is_replaced))
    }
}

impl Attached {
    /// Whether the link ended because a newer connection of the same executor has taken its place.
    pub fn is_replaced(&mut self) -> bool {
        self.0.try_recv().is_ok()
    }
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
    /// The same executor has a newer connection.
    Replaced,
    /// The link has room again for one frame.
    Room(mpsc::OwnedPermit<ToExecutor>),
    /// The executor said something; the receiver comes back for the next.
    Heard(Option<FromExecutor>, mpsc::Receiver<FromExecutor>),
}

/// How many messages an executor's actor holds.
const INBOX: usize = 1024;

struct ExecutorActor {
    project: String,
    at: Timestamp,
    replaced: Option<oneshot::Sender<()>>,
    to: mpsc::Sender<ToExecutor>,
    /// What the link has no room for; what may be in flight limits it.
    waiting: VecDeque<ToExecutor>,
    calls: Calls<Reply<CallOutcome>>,
    executors: Executors,
    handle: Handle<ExecutorMessage>,
}

/// How the actor of a link is started. A link is one connection: when it ends, so does the actor, and it does not come back.
#[must_use]
pub fn attach(project: &str, joining: Joining, executors: Executors) -> Start {
    let (handle, reads) = inbox(INBOX, AtRestart::DeadLetter);
    let project = project.to_owned();
    let joining = Arc::new(Mutex::new(Some(joining)));
    Start::actor(reads, move |cx| {
        let joining = joining
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        let (executors, project, handle) = (executors.clone(), project.clone(), handle.clone());
        let actor = joining.map(|joining| {
            listen(joining.link.from, cx);
            ExecutorActor {
                project,
                at: joining.at,
                replaced: Some(joining.replaced),
                to: joining.link.to,
                waiting: VecDeque::new(),
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
                self.count();
            }
            ExecutorMessage::Stop(call_id, reply) => {
                let frame = self.calls.stop(call_id, reply);
                self.send(Some(frame), cx);
                self.count();
            }
            ExecutorMessage::Ack(call_id) => self.send(Some(ToExecutor::Ack { call_id }), cx),
            ExecutorMessage::Room(room) => self.go_on_sending(room, cx),
            ExecutorMessage::Replaced => {
                self.replaced.take().map(|replaced| replaced.send(()));
                cx.exit(Exit::Normal);
            }
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
    /// In the order of the handler's calls, or as soon after it as the link takes it: an acknowledgement that overtook its call would
    /// have the executor forget it before it comes.
    fn send(&mut self, frame: Option<ToExecutor>, cx: &Context<ExecutorMessage>) {
        let Some(frame) = frame else { return };
        if !self.waiting.is_empty() {
            return self.waiting.push_back(frame);
        }
        if let Err(mpsc::error::TrySendError::Full(frame)) = self.to.try_send(frame) {
            self.waiting.push_back(frame);
            self.wait_for_room(cx);
        }
    }

    fn wait_for_room(&self, cx: &Context<ExecutorMessage>) {
        let to = self.to.clone();
        let _ = cx.attach_maybe(async move {
            let room = to.reserve_owned().await.ok()?;
            Some(ExecutorMessage::Room(room))
        });
    }

    fn go_on_sending(
        &mut self,
        room: mpsc::OwnedPermit<ToExecutor>,
        cx: &Context<ExecutorMessage>,
    ) {
        if let Some(frame) = self.waiting.pop_front() {
            room.send(frame);
        }
        if !self.waiting.is_empty() {
            self.wait_for_room(cx);
        }
    }

    fn heard(&mut self, frame: FromExecutor, cx: &Context<ExecutorMessage>) {
        match self.calls.hear(frame) {
            Heard::Hello { hello, again } => self.greeted(&hello, again, cx),
            Heard::Ended(waiters, outcome) => {
                self.count();
                waiters
                    .into_iter()
                    .for_each(|waiter| waiter.send(outcome.clone()));
            }
            // Its acknowledgement was lost with an earlier connection.
            Heard::Unasked(call_id) if self.executors.is_over(&call_id) => {
                self.send(Some(ToExecutor::Ack { call_id }), cx);
            }
            Heard::Unasked(_) | Heard::Output(..) | Heard::Nothing => {}
        }
    }

    fn greeted(
        &mut self,
        hello: &Introduced,
        again: Vec<ToExecutor>,
        cx: &Context<ExecutorMessage>,
    ) {
        let (name, project) = (&hello.executor.name, &self.project);
        tracing::info!("executor `{name}` is connected to project `{project}`");
        let executors = &self.executors;
        let replaced = executors.connected(project, self.at, hello, &self.handle);
        for older in replaced {
            let _ = cx.attach_maybe(async move {
                let _ = older.send(ExecutorMessage::Replaced).await;
                None
            });
        }
        let stops = executors.stops_for(project, &hello.executor).into_iter();
        let stops = stops.map(|call_id| ToExecutor::Cancel { call_id });
        again
            .into_iter()
            .chain(stops)
            .for_each(|frame| self.send(Some(frame), cx));
        self.count();
    }

    fn count(&self) {
        self.executors.in_flight(&self.handle, self.calls.len());
    }
}
