//! Standard output, written beside the work: a reader that is slow or gone holds up neither the task nor Ctrl-C.

use std::collections::VecDeque;
use std::future::pending;
use std::io::{self, Write};

use tokio::sync::{mpsc, oneshot};

/// How many pieces may wait before no more is taken in.
const WAITING: usize = 256;
/// How many pieces are handed over ahead of the writing.
const AHEAD: usize = 16;

/// Where the display goes.
pub(super) struct Out {
    to: Option<mpsc::Sender<Vec<u8>>>,
    waiting: VecDeque<Vec<u8>>,
    ended: oneshot::Receiver<io::Result<()>>,
}

impl Out {
    /// Starts the thread that writes to a reader.
    pub(super) fn start(mut reader: impl Write + Send + 'static) -> Self {
        let (to, mut pieces) = mpsc::channel::<Vec<u8>>(AHEAD);
        let (says, ended) = oneshot::channel();
        std::thread::spawn(move || {
            let mut write = || -> io::Result<()> {
                while let Some(piece) = pieces.blocking_recv() {
                    reader.write_all(&piece)?;
                    reader.flush()?;
                }
                Ok(())
            };
            // Nobody listens any more where the program is about to end.
            let _ = says.send(write());
        });
        Self {
            to: Some(to),
            waiting: VecDeque::new(),
            ended,
        }
    }

    /// Takes a piece in; whole pieces are written, in order, each flushed. After the reader has gone nothing is kept.
    pub(super) fn put(&mut self, piece: Vec<u8>) {
        if self.to.is_some() && !piece.is_empty() {
            self.waiting.push_back(piece);
        }
    }

    /// Whether no more should be put in for now.
    pub(super) fn is_full(&self) -> bool {
        self.waiting.len() >= WAITING
    }

    /// Whether everything was handed over.
    pub(super) fn is_idle(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Whether somebody may still read.
    pub(super) fn is_open(&self) -> bool {
        self.to.is_some()
    }

    /// Hands one piece over; waits where there is none. Dropping the future loses nothing.
    ///
    /// # Errors
    /// Once, why nothing can be written any more.
    pub(super) async fn pump(&mut self) -> io::Result<()> {
        let Some(to) = self.to.as_ref().filter(|_| !self.waiting.is_empty()) else {
            return pending().await;
        };
        let Ok(permit) = to.reserve().await else {
            return self.close().await;
        };
        if let Some(piece) = self.waiting.pop_front() {
            permit.send(piece);
        }
        Ok(())
    }

    /// Writes what is left.
    ///
    /// # Errors
    /// Why it could not be written.
    pub(super) async fn finish(mut self) -> io::Result<()> {
        while self.to.is_some() && !self.waiting.is_empty() {
            self.pump().await?;
        }
        match self.to.take() {
            Some(to) => {
                drop(to);
                self.close().await
            }
            None => Ok(()),
        }
    }

    async fn close(&mut self) -> io::Result<()> {
        self.to = None;
        self.waiting.clear();
        (&mut self.ended).await.unwrap_or(Ok(()))
    }
}
