//! An executor that connects out to a node, and goes on doing so.

mod address;
mod dial;

use std::fmt;
use std::time::Duration;

use actors::model::executor::{FromExecutor, ToExecutor};
use futures_util::{Sink, Stream};
use tokio::sync::mpsc::{Sender, channel};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::{Executor, Line, ServeError};
use crate::link::{
    Close, Ending, FRAME_BYTES, FRAMES, Heard, Pace, Said, Written, code, fitting, hear, part,
    read, say,
};
pub use address::{Address, AddressError, ExecutorKey, KeyError};
use dial::Failed;

/// Where an executor connects to, and how patiently.
#[derive(Debug, Clone)]
pub struct ConnectOptions {
    /// The node.
    pub address: Address,
    /// The key to it.
    pub key: ExecutorKey,
    /// The longest frame, in bytes; the node takes no longer ones.
    pub frame_bytes: usize,
    /// How the node is known to be alive.
    pub pace: Pace,
    /// How long a connection may take to come about.
    pub connect_within: Duration,
    /// How long it waits after a first failure, and how long at most; half of each wait is left to chance.
    pub wait: (Duration, Duration),
    /// A connection that held for so long was a good one: the next failure is a first one.
    pub stable_after: Duration,
}

impl ConnectOptions {
    /// To this node; the rest as usual.
    #[must_use]
    pub fn new(address: Address, key: ExecutorKey) -> Self {
        Self {
            address,
            key,
            frame_bytes: FRAME_BYTES,
            pace: Pace::default(),
            connect_within: Duration::from_secs(10),
            wait: (Duration::from_secs(1), Duration::from_secs(30)),
            stable_after: Duration::from_secs(60),
        }
    }
}

/// Why an executor does not connect any more.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The node does not take the key.
    #[error("the node refuses: {0}; ask for a key of the project with `impresario key create`")]
    Refused(String),
    /// The node is of another version.
    #[error(
        "the node is of another version: {0}; use the same version of impresario on both sides"
    )]
    Version(String),
    /// The same executor is somewhere else as well.
    #[error(
        "another process has connected as this executor, with a copy of its state folder: give each of them a folder of its own"
    )]
    Replaced,
    /// It is no node.
    #[error(
        "what answers at {address} is no node that takes executors: it says {status}; look at the URL"
    )]
    NoNode {
        /// The address.
        address: String,
        /// What it said.
        status: u16,
    },
    /// The executor itself cannot go on.
    #[error(transparent)]
    Serve(#[from] ServeError),
}

/// What happens to the connection, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum News {
    /// It is there.
    Connected,
    /// It is not there any more.
    Lost {
        /// Why.
        why: String,
        /// When it is tried again.
        again: Duration,
    },
    /// It could not be made.
    Unreachable {
        /// Why.
        why: String,
        /// When it is tried again.
        again: Duration,
    },
}

impl fmt::Display for News {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (what, why, again) = match self {
            Self::Connected => return f.write_str("connected"),
            Self::Lost { why, again } => ("the connection is lost", why, again),
            Self::Unreachable { why, again } => ("the node cannot be reached", why, again),
        };
        write!(
            f,
            "{what}: {why}; trying again in {:.1} s",
            again.as_secs_f64()
        )
    }
}

impl Executor {
    /// Works for a node over the network until `stop`, connecting again whenever the connection is lost: calls run on meanwhile, and their
    /// results are sent when it is back. When this returns, nothing that was started runs any more.
    ///
    /// # Errors
    /// [`ConnectError`], when trying again would not help.
    pub async fn connect(
        &self,
        options: ConnectOptions,
        stop: CancellationToken,
        tell: impl FnMut(News),
    ) -> Result<(), ConnectError> {
        let (lines, plugged) = channel(1);
        // One is for the executor, the other for the connection, which is there until the executor has said its last word.
        let (end, ended) = (stop.child_token(), CancellationToken::new());
        let mut dialler = Dialler {
            options,
            lines,
            ended: ended.clone(),
            tell,
            failures: 0,
            has_connected: false,
        };
        let serving = async {
            let served = self.serve_lines(plugged, end.clone()).await;
            ended.cancel();
            served
        };
        let dialling = async {
            let dialled = dialler.run().await;
            end.cancel();
            dialled
        };
        let (served, dialled) = tokio::join!(serving, dialling);
        dialled?;
        Ok(served?)
    }
}

struct Dialler<F> {
    options: ConnectOptions,
    lines: Sender<Line>,
    ended: CancellationToken,
    tell: F,
    failures: u32,
    has_connected: bool,
}

impl<F: FnMut(News)> Dialler<F> {
    async fn run(&mut self) -> Result<(), ConnectError> {
        while !self.ended.is_cancelled() {
            let news = self.once().await?;
            if let (Some(news), false) = (news, self.ended.is_cancelled()) {
                self.pause(news).await;
            }
        }
        Ok(())
    }

    /// One connection, from its beginning to its end; why there is none any more, without a time yet.
    async fn once(&mut self) -> Result<Option<News>, ConnectError> {
        let ended = self.ended.clone();
        let dialled = tokio::select! {
            () = ended.cancelled() => return Ok(None),
            dialled = dial::dial(&self.options) => dialled,
        };
        let again = Duration::ZERO;
        let socket = match dialled {
            Ok(socket) => socket,
            Err(Failed::Always(error)) => return Err(error),
            Err(Failed::Now(why)) => return Ok(Some(News::Unreachable { why, again })),
            Err(Failed::Strange(status)) => return self.strange(status).map(Some),
        };
        self.has_connected = true;
        (self.tell)(News::Connected);
        let since = Instant::now();
        let (mut to, mut from) = dial::halves(socket);
        let ending = self.attend(&mut to, &mut from).await;
        part(&mut to, &mut from, &self.options.pace, &ending).await;
        if since.elapsed() >= self.options.stable_after {
            self.failures = 0;
        }
        let why = lost(ending)?;
        Ok(Some(News::Lost { why, again }))
    }

    /// A node that was there may have something else in its place while it is set up anew.
    fn strange(&self, status: u16) -> Result<News, ConnectError> {
        match self.has_connected {
            true => Ok(News::Unreachable {
                why: format!("what answers there says {status}"),
                again: Duration::ZERO,
            }),
            false => Err(ConnectError::NoNode {
                address: self.options.address.to_string(),
                status,
            }),
        }
    }

    /// Carries frames until the connection ends, or the executor.
    async fn attend(
        &self,
        to: &mut (impl Sink<Said, Error = Ending> + Unpin),
        from: &mut (impl Stream<Item = Result<Heard, Ending>> + Unpin),
    ) -> Ending {
        let (pace, most) = (&self.options.pace, self.options.frame_bytes);
        let (heard, inbound) = channel::<ToExecutor>(FRAMES);
        let (outbound, mut frames) = channel::<FromExecutor>(FRAMES);
        // An executor that takes no line has ended, and so do the frames then.
        let _ = self.lines.send(Line { inbound, outbound }).await;
        let write = |frame| Written::Text(fitting(frame, most));
        let ending = tokio::select! {
            ending = hear(from, pace, read, &heard) => ending,
            ending = say(to, pace, &mut frames, write, &heard) => ending,
        };
        match ending {
            Ending::Done => Ending::Close(Close::new(code::AWAY, "the executor is stopping")),
            ending => ending,
        }
    }

    /// Waits longer after each failure.
    async fn pause(&mut self, news: News) {
        let (base, cap) = self.options.wait;
        let wait = wait(self.failures, base, cap, fastrand::f64());
        self.failures = self.failures.saturating_add(1);
        (self.tell)(match news {
            News::Connected => News::Connected,
            News::Lost { why, .. } => News::Lost { why, again: wait },
            News::Unreachable { why, .. } => News::Unreachable { why, again: wait },
        });
        tokio::select! {
            () = self.ended.cancelled() => {}
            () = sleep(wait) => {}
        }
    }
}

/// Twice as long after each failure, half of it by chance: those that lost their node together do not come back together.
fn wait(failures: u32, base: Duration, cap: Duration, chance: f64) -> Duration {
    let whole = base.saturating_mul(1 << failures.min(16)).min(cap);
    whole.mul_f64(0.5 + chance / 2.0)
}

/// Why a connection ended, if another one may be better.
fn lost(ending: Ending) -> Result<String, ConnectError> {
    match ending {
        Ending::Closed(close) => match close.code {
            code::UNAUTHORIZED | code::FORBIDDEN => Err(ConnectError::Refused(close.to_string())),
            code::VERSION => Err(ConnectError::Version(close.to_string())),
            code::REPLACED => Err(ConnectError::Replaced),
            _ => Ok(close.to_string()),
        },
        Ending::Close(close) => Ok(format!("the node does not keep to the protocol: {close}")),
        Ending::Lost(why) => Ok(why),
        Ending::Silent(time) => Ok(format!("no sign of life from the node for {time:?}")),
        Ending::Done => Ok("it is over".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_up_to_a_limit_and_are_spread_out() {
        let wait = |failures, chance| {
            wait(
                failures,
                Duration::from_secs(1),
                Duration::from_secs(30),
                chance,
            )
            .as_millis()
        };
        assert_eq!(
            [0, 1, 2, 4, 5, 99].map(|n| wait(n, 1.0)),
            [1000, 2000, 4000, 16000, 30000, 30000]
        );
        assert_eq!([0, 1, 99].map(|n| wait(n, 0.0)), [500, 1000, 15000]);
    }
}
