//! The thread that speaks to the server, with a runtime of its own: what is asked goes on whoever stops waiting for it.

use std::sync::{Arc, PoisonError};
use std::thread::JoinHandle;

use actors::store::{Announce, StoreError};
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::Options;
use super::link::Access;
use super::writer::{Announcing, Answer, Command, Writer};

/// Hands commands to the thread. Dropping it waits until everything that was handed over is written, or cannot be.
#[derive(Debug)]
pub(super) struct Thread {
    commands: Option<mpsc::Sender<Command>>,
    announcing: Announcing,
    /// Ends waiting for a server that is away.
    over: Option<DropGuard>,
    runtime: Handle,
    thread: Option<JoinHandle<()>>,
}

impl Thread {
    /// A thread with a writer that is connected.
    pub(super) async fn start(access: &Access, options: &Options) -> Result<Self, StoreError> {
        let failed = |error: std::io::Error| {
            access
                .place
                .io(format!("its thread does not start: {error}"))
        };
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(failed)?;
        let (commands, received) = mpsc::channel(options.queue.max(1));
        let (opened, is_open) = oneshot::channel();
        let over = CancellationToken::new();
        let announcing = Announcing::default();
        let mut thread = Self {
            commands: Some(commands),
            announcing: announcing.clone(),
            over: Some(over.clone().drop_guard()),
            runtime: runtime.handle().clone(),
            thread: None,
        };
        let (limit, patience) = (options.item_bytes, options.patience);
        let writer = Writer::open(access.clone(), limit, announcing, patience, over);
        let started = std::thread::Builder::new()
            .name("impresario-store".to_owned())
            .spawn(move || work(&runtime, writer, opened, received))
            .map_err(failed)?;
        thread.thread = Some(started);
        let opened: Result<(), _> = is_open.await.unwrap_or(Err(StoreError::Closed));
        opened.map(|()| thread)
    }

    /// Where the thread's work is done.
    pub(super) fn runtime(&self) -> Handle {
        self.runtime.clone()
    }

    /// From now on these events are announced.
    pub(super) fn announce(&self, what: Announce) {
        let announcing = self.announcing.write();
        *announcing.unwrap_or_else(PoisonError::into_inner) = Arc::new(what);
    }

    pub(super) async fn ask<T>(
        &self,
        command: impl FnOnce(Answer<T>) -> Command,
    ) -> Result<T, StoreError> {
        let (answer, answered) = oneshot::channel();
        let commands = self.commands.as_ref().ok_or(StoreError::Closed)?;
        let sent = commands.send(command(answer)).await;
        sent.map_err(|_| StoreError::Closed)?;
        answered.await.unwrap_or(Err(StoreError::Closed))
    }
}

fn work(
    runtime: &Runtime,
    opening: impl Future<Output = Result<Writer, StoreError>>,
    opened: oneshot::Sender<Result<(), StoreError>>,
    commands: mpsc::Receiver<Command>,
) {
    runtime.block_on(async {
        match opening.await {
            Ok(writer) => {
                let _ = opened.send(Ok(()));
                writer.work(commands).await;
            }
            Err(error) => {
                let _ = opened.send(Err(error));
            }
        }
    });
}

impl Drop for Thread {
    fn drop(&mut self) {
        self.commands = None;
        self.over = None;
        if let Some(thread) = self.thread.take() {
            // A panic of the thread was reported when it happened.
            let _ = thread.join();
        }
    }
}
