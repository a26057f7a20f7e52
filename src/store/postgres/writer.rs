//! The one task that writes, on a thread of its own.

use std::collections::VecDeque;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use actors::model::TaskId;
use actors::store::{Announce, Append, Appended, Snapshot, StoreError};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::batch::{self, Ended, Mark};
use super::changes::Limit;
use super::error::Failure;
use super::link::{Access, Link};
use super::readers::PAUSE;
use super::{records, remove, schema};
use crate::store::group::{self, Call, Group};

pub(super) type Answer<T> = oneshot::Sender<Result<T, StoreError>>;

pub(super) enum Command {
    Append(Vec<Append>, Answer<Appended>),
    PutSnapshot(Snapshot, Answer<()>),
    PutRecords(Call),
    Forget(u64, Answer<()>),
    Remove(TaskId, Answer<bool>),
    Close(Answer<()>),
}

/// Which events are announced from now on.
pub(super) type Announcing = Arc<RwLock<Arc<Announce>>>;

/// How often a transaction is tried that another node's transaction got in the way of.
const TRIES: u32 = 5;

/// How many batches are remembered whose callers were told that nobody knows, and have not asked again.
const REMEMBERED: usize = 16;

pub(super) struct Writer {
    access: Access,
    limit: Limit,
    announcing: Announcing,
    patience: Duration,
    /// Nobody waits any more.
    over: CancellationToken,
    mark: Mark,
    link: Option<Link>,
    doubt: Option<Doubt>,
    settled: VecDeque<Settled>,
}

/// A transaction that was to be committed when the connection broke.
struct Doubt {
    mark: Mark,
    /// What is remembered of it if it was written after all.
    settled: Option<Settled>,
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
        announcing: Announcing,
        patience: Duration,
        over: CancellationToken,
    ) -> Result<Self, StoreError> {
        let writer = Uuid::from_u128(fastrand::u128(..));
        let link = prepared(&access, writer).await;
        let link = link.map_err(|failure| access.place.error(&failure))?;
        Ok(Self {
            access,
            limit,
            announcing,
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
        let mut next = None;
        // Whoever no longer waits for an answer does not want it.
        loop {
            let command = match next.take() {
                Some(command) => command,
                None => match commands.recv().await {
                    Some(command) => command,
                    None => break,
                },
            };
            match command {
                Command::PutRecords(first) => next = self.put_records(first, &mut commands).await,
                Command::Close(answer) => {
                    commands.close();
                    let done = self.finish().await;
                    let _ = answer.send(self.told(done));
                    return;
                }
                other => self.one(other).await,
            }
        }
        let _ = self.finish().await;
    }

    async fn one(&mut self, command: Command) {
        match command {
            Command::Append(batch, answer) => {
                let done = self.append(batch).await;
                let _ = answer.send(self.told(done));
            }
            Command::PutSnapshot(snapshot, answer) => {
                let limit = self.limit;
                let put = async |link: &mut Link| batch::put_snapshot(link, &snapshot, limit).await;
                let done = self.harmless(put).await;
                let _ = answer.send(self.told(done));
            }
            Command::Forget(up_to, answer) => {
                let forget = async |link: &mut Link| batch::forget(link, up_to).await;
                let done = self.harmless(forget).await;
                let _ = answer.send(self.told(done));
            }
            Command::Remove(task, answer) => {
                let done = self.remove(task).await;
                let _ = answer.send(self.told(done));
            }
            Command::PutRecords(_) | Command::Close(_) => {}
        }
    }

    /// The command that came after the changes.
    async fn put_records(
        &mut self,
        first: Call,
        commands: &mut mpsc::Receiver<Command>,
    ) -> Option<Command> {
        let waiting = || {
            Some(match commands.try_recv().ok()? {
                Command::PutRecords(call) => Ok(call),
                other => Err(other),
            })
        };
        let (group, next) = Group::gather(first, waiting);
        let done = self.put(&group).await;
        group.tell(self.told(done));
        next
    }

    async fn put(&mut self, group: &Group) -> Result<Vec<group::Answer>, Failure> {
        self.settle().await?;
        let put = async |link: &mut Link, mark| records::put(link, mark, group.calls()).await;
        self.write(put, |_| None).await
    }

    async fn remove(&mut self, task: TaskId) -> Result<bool, Failure> {
        self.settle().await?;
        let remove = async |link: &mut Link, mark| remove::task(link, mark, task).await;
        self.write(remove, |_| None).await
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
            return self.write_batch(batch).await;
        };
        let rest = batch[self.settled[at].batch.len()..].to_vec();
        let answers = match rest.is_empty() {
            true => Vec::new(),
            false => self.write_batch(rest).await?,
        };
        let known = self.settled.remove(at).map(|it| it.answers);
        Ok([known.unwrap_or_default(), answers].concat())
    }

    async fn write_batch(&mut self, batch: Vec<Append>) -> Result<Appended, Failure> {
        let announce = self.announcing.read();
        let announce = announce.unwrap_or_else(PoisonError::into_inner).clone();
        let limit = self.limit;
        let append = async |link: &mut Link, mark| {
            batch::append(link, mark, &batch, (limit, &announce)).await
        };
        let settled = |answers: &Appended| {
            let (batch, answers) = (batch.clone(), answers.clone());
            Some(Settled { batch, answers })
        };
        self.write(append, settled).await
    }

    /// Does a transaction, again where something got in its way; `settled` is what is remembered of one that nobody knows the end of.
    async fn write<T>(
        &mut self,
        transaction: impl AsyncFn(&mut Link, Mark) -> Result<Ended<T>, Failure>,
        settled: impl Fn(&T) -> Option<Settled>,
    ) -> Result<T, Failure> {
        let mut tries = 1;
        loop {
            let was_idle = self.link.is_some();
            let failure = match self.write_once(&transaction).await {
                Ok(Ended::Written(answers)) => return Ok(answers),
                Ok(Ended::Unknown(answers, failure)) => {
                    let (mark, settled) = (self.mark, settled(&answers));
                    self.doubt = Some(Doubt { mark, settled });
                    match self.ask_whether_written(&failure).await? {
                        true => return Ok(answers),
                        false => failure,
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

    async fn write_once<T>(
        &mut self,
        transaction: impl AsyncFn(&mut Link, Mark) -> Result<Ended<T>, Failure>,
    ) -> Result<Ended<T>, Failure> {
        self.mark.number += 1;
        let mark = self.mark;
        let link = self.link().await?;
        let ended = transaction(link, mark).await;
        let is_good = match &ended {
            Ok(ended) => matches!(ended, Ended::Written(_)),
            Err(failure) if failure.leaves_link() => take_back(link, mark, failure).await.is_ok(),
            Err(_) => false,
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

    /// Asks until there is an answer or no time left. If nobody knows, it is asked again before the next transaction.
    async fn ask_whether_written(&mut self, broken: &Failure) -> Result<bool, Failure> {
        let place = self.access.place.name();
        tracing::warn!(
            "{place}: the answer to a commit was lost, asking whether it was written ({broken:?})"
        );
        let remembered = self.doubt.as_ref().is_some_and(|it| it.settled.is_some());
        let until = Instant::now() + self.patience;
        let (mut pause, longest) = PAUSE;
        loop {
            let failure = match self.settle().await {
                Ok(was_written) => {
                    // Its caller is told now.
                    if was_written && remembered {
                        self.settled.pop_back();
                    }
                    return Ok(was_written);
                }
                Err(failure) => failure,
            };
            if Instant::now() + pause >= until || self.over.is_cancelled() {
                return Err(failure);
            }
            let _ = timeout(pause, self.over.cancelled()).await;
            pause = longest.min(pause * 2);
        }
    }

    /// Finds out about the transaction that nobody knows of, if there is one, and whether it was written: then a batch is the newest of
    /// those settled.
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
        let doubt = self.doubt.take().filter(|_| was_written);
        if let Some(settled) = doubt.and_then(|doubt| doubt.settled) {
            self.settled.push_back(settled);
            if self.settled.len() > REMEMBERED {
                self.settled.pop_front();
            }
        }
        Ok(was_written)
    }

    /// Does what may be done twice.
    async fn harmless(
        &mut self,
        statement: impl AsyncFn(&mut Link) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let was_idle = self.link.is_some();
        let mut done = statement(self.link().await?).await;
        if done.as_ref().is_err_and(Failure::is_away) && was_idle {
            self.link = None;
            done = statement(self.link().await?).await;
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

/// Makes the connection ready for the next try.
async fn take_back(link: &mut Link, mark: Mark, failure: &Failure) -> Result<(), Failure> {
    link.batch("ROLLBACK").await?;
    match failure {
        Failure::Forgotten => batch::enter(link, mark.writer).await,
        _ => Ok(()),
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
