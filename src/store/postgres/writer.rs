//! The one task that writes, on a thread of its own.

use std::collections::VecDeque;
use std::time::Duration;

use actors::store::{Append, Appended, Snapshot, StoreError};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::batch::{self, Ended, Mark};
use super::changes::Limit;
use super::error::Failure;
use super::link::{Access, Link};
use super::readers::PAUSE;
use super::schema;

pub(super) type Answer<T> = oneshot::Sender<Result<T, StoreError>>;

pub(super) enum Command {
    Append(Vec<Append>, Answer<Appended>),
    PutSnapshot(Snapshot, Answer<()>),
    Close(Answer<()>),
}

/// How often a batch is tried that another node's transaction got in the way of.
const TRIES: u32 = 5;

/// How many batches are remembered whose callers were told that nobody knows, and have not asked again.
const REMEMBERED: usize = 16;

pub(super) struct Writer {
    access: Access,
    limit: Limit,
    patience: Duration,
    /// Nobody waits any more.
    over: CancellationToken,
    mark: Mark,
    link: Option<Link>,
    doubt: Option<Doubt>,
    settled: VecDeque<Settled>,
}

/// A batch that was to be committed when the connection broke.
struct Doubt {
    mark: Mark,
    settled: Settled,
}

/// A batch that was written after all, and what its caller is to be told when asking again.
struct Settled {
    batch: Vec<Append>,
    answers: Appended,
}

impl Writer {
    /// Connects and brings the schema up to date.
    pub(super) async fn open(
        access: Access,
        limit: Limit,
        patience: Duration,
        over: CancellationToken,
    ) -> Result<Self, StoreError> {
        let writer = Uuid::from_u128(fastrand::u128(..));
        let link = prepared(&access, writer).await;
        let link = link.map_err(|failure| access.place.error(&failure))?;
        Ok(Self {
            access,
            limit,
            patience,
            over,
            mark: Mark { writer, number: 0 },
            link: Some(link),
            doubt: None,
            settled: VecDeque::new(),
        })
    }

    /// Does what it is told until nobody is left to tell it anything. An error is the answer to one command and changes nothing for
    /// the next.
    pub(super) async fn work(mut self, mut commands: mpsc::Receiver<Command>) {
        // Whoever no longer waits for an answer does not want it.
        while let Some(command) = commands.recv().await {
            match command {
                Command::Append(batch, answer) => {
                    let done = self.append(batch).await;
                    let _ = answer.send(self.told(done));
                }
                Command::PutSnapshot(snapshot, answer) => {
                    let done = self.put_snapshot(&snapshot).await;
                    let _ = answer.send(self.told(done));
                }
                Command::Close(answer) => {
                    commands.close();
                    let done = self.finish().await;
                    let _ = answer.send(self.told(done));
                    return;
                }
            }
        }
        let _ = self.finish().await;
    }

    fn told<T>(&self, done: Result<T, Failure>) -> Result<T, StoreError> {
        done.map_err(|failure| self.access.place.error(&failure))
    }

    /// Writes a batch. What of its beginning was written in an earlier try that nobody knew the end of is not written again.
    async fn append(&mut self, batch: Vec<Append>) -> Result<Appended, Failure> {
        self.settle().await?;
        let known = self
            .settled
            .iter()
            .position(|it| batch.starts_with(&it.batch));
        let Some(at) = known else {
            return self.write(batch).await;
        };
        let rest = batch[self.settled[at].batch.len()..].to_vec();
        let answers = match rest.is_empty() {
            true => Vec::new(),
            false => self.write(rest).await?,
        };
        let known = self.settled.remove(at).map(|it| it.answers);
        Ok([known.unwrap_or_default(), answers].concat())
    }

    async fn write(&mut self, batch: Vec<Append>) -> Result<Appended, Failure> {
        let mut tries = 1;
        loop {
            let was_idle = self.link.is_some();
            let failure = match self.write_once(&batch).await {
                Ok(Ended::Written(answers)) => return Ok(answers),
                Ok(Ended::Unknown(answers, failure)) => {
                    let (mark, batch) = (self.mark, batch.clone());
                    let settled = Settled { batch, answers };
                    self.doubt = Some(Doubt { mark, settled });
                    match self.ask_whether_written(&failure).await? {
                        Some(answers) => return Ok(answers),
                        None => failure,
                    }
                }
                Err(failure) => failure,
            };
            // The server may have been restarted since it was spoken to last.
            let again = failure.is_conflict() || (failure.is_away() && was_idle);
            if !again || tries == TRIES || self.over.is_cancelled() {
                return Err(failure);
            }
            tries += 1;
        }
    }

    async fn write_once(&mut self, batch: &[Append]) -> Result<Ended, Failure> {
        self.mark.number += 1;
        let (mark, limit) = (self.mark, self.limit);
        let link = self.link().await?;
        let ended = batch::append(link, mark, batch, limit).await;
        let is_good = match &ended {
            Ok(ended) => matches!(ended, Ended::Written(_)),
            Err(failure) => !failure.is_away() && link.batch("ROLLBACK").await.is_ok(),
        };
        if !is_good {
            self.link = None;
        }
        ended
    }

    async fn link(&mut self) -> Result<&mut Link, Failure> {
        let link = match self.link.take().filter(|link| !link.is_closed()) {
            Some(link) => link,
            None => Link::open(&self.access).await?,
        };
        Ok(self.link.insert(link))
    }

    /// Asks until there is an answer or no time left: the batch's answers if it was written, nothing if it was not. If nobody knows,
    /// the batch is remembered and asked about before the next one.
    async fn ask_whether_written(&mut self, broken: &Failure) -> Result<Option<Appended>, Failure> {
        let place = self.access.place.name();
        tracing::warn!(
            "{place}: the answer to a commit was lost, asking whether it was written ({broken:?})"
        );
        let until = Instant::now() + self.patience;
        let (mut pause, longest) = PAUSE;
        loop {
            let failure = match self.settle().await {
                Ok(true) => return Ok(self.settled.pop_back().map(|it| it.answers)),
                Ok(false) => return Ok(None),
                Err(failure) => failure,
            };
            if Instant::now() + pause >= until || self.over.is_cancelled() {
                return Err(failure);
            }
            let _ = timeout(pause, self.over.cancelled()).await;
            pause = longest.min(pause * 2);
        }
    }

    /// Finds out about the batch that nobody knows of, if there is one, and whether it was written: then it is the newest of those settled.
    async fn settle(&mut self) -> Result<bool, Failure> {
        let Some(mark) = self.doubt.as_ref().map(|doubt| doubt.mark) else {
            return Ok(false);
        };
        let link = self.link().await?;
        let written = batch::was_written(link, mark).await;
        if written.is_err() {
            self.link = None;
        }
        let was_written = written?;
        if let Some(doubt) = self.doubt.take().filter(|_| was_written) {
            self.settled.push_back(doubt.settled);
            if self.settled.len() > REMEMBERED {
                self.settled.pop_front();
            }
        }
        Ok(was_written)
    }

    /// Writing the same snapshot twice does no harm.
    async fn put_snapshot(&mut self, snapshot: &Snapshot) -> Result<(), Failure> {
        let (limit, was_idle) = (self.limit, self.link.is_some());
        let mut done = batch::put_snapshot(self.link().await?, snapshot, limit).await;
        if done.as_ref().is_err_and(Failure::is_away) && was_idle {
            self.link = None;
            done = batch::put_snapshot(self.link().await?, snapshot, limit).await;
        }
        if done.as_ref().is_err_and(Failure::is_away) {
            self.link = None;
        }
        done
    }

    /// Closes the connection. A batch that nobody knows of stays marked in the database.
    async fn finish(&mut self) -> Result<(), Failure> {
        let doubt = self.doubt.is_some();
        match self.link.take() {
            Some(mut link) if !doubt && !link.is_closed() => {
                batch::unmark(&mut link, self.mark.writer).await
            }
            _ => Ok(()),
        }
    }
}

async fn prepared(access: &Access, writer: Uuid) -> Result<Link, Failure> {
    let mut link = Link::open(access).await?;
    schema::migrate(&mut link, access).await?;
    batch::prepare(&mut link).await?;
    batch::enter(&mut link, writer).await?;
    warn_of_no_sync(&mut link, access).await?;
    Ok(link)
}

/// A server that never waits for its disk keeps no promise about power cuts.
async fn warn_of_no_sync(link: &mut Link, access: &Access) -> Result<(), Failure> {
    let found = link.query("SELECT current_setting('fsync')", &[]).await?;
    let is_off = found
        .first()
        .is_some_and(|row| row.try_get(0).is_ok_and(|setting: &str| setting == "off"));
    if is_off {
        let place = access.place.name();
        tracing::warn!(
            "{place}: this server runs with `fsync = off`, a power cut may take what was acknowledged"
        );
    }
    Ok(())
}
