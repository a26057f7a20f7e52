//! What a supervisor decided, one structured record a decision: for logs, for listeners, for tests.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use crate::actor::panic_message;
use crate::exit::Exit;
use crate::fault::{FaultKind, Point};
use crate::health::{Step, Symptom};
use crate::restart::Incarnation;
use crate::spec::{ChildId, Restart};
use crate::strategy::Strategy;

/// One decision of one supervisor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The supervisor's path, from the root.
    pub path: Arc<str>,
    /// The time since the root was started.
    pub at: Duration,
    /// What it was.
    pub decision: Decision,
}

/// Which child a decision concerns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct About {
    /// Its name.
    pub child: ChildId,
    /// Its incarnation.
    pub incarnation: Incarnation,
    /// Its restart type.
    pub restart: Restart,
}

/// What was decided or seen. The first five are OTP's report contexts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Progress: a child is up.
    Started(About),
    /// A child could not be started.
    StartFailed(About, Arc<str>),
    /// A child ended by itself in a way that counts as a failure.
    Terminated(About, Exit),
    /// A child did not stop as it was told to.
    UncleanStop(About, Exit),
    /// The restart intensity is exhausted: all children are stopped and the supervisor exits.
    GaveUp(About, Exit),
    /// A child declined to start.
    Declined(About),
    /// A child ended by itself in an orderly way.
    Ended(About, Exit),
    /// A child and those its strategy concerns are started again after this wait.
    Restarting {
        /// The child that ended.
        about: About,
        /// Whom the restart concerns.
        strategy: Strategy,
        /// The wait.
        after: Duration,
    },
    /// A child was stopped because its supervisor wanted it so.
    Stopped(About),
    /// A significant child's end ends the supervisor.
    AutoShutdown(About),
    /// A restart waits, uncharged, for something the child depends on.
    Parked {
        /// The child.
        about: About,
        /// What it waits for.
        need: Arc<str>,
    },
    /// A restart waits because too many happen in the whole tree.
    HeldBack {
        /// The child.
        about: About,
        /// The wait.
        after: Duration,
    },
    /// A child hangs, and this was done about it.
    Hung {
        /// The child.
        about: About,
        /// Which limit it exceeded.
        symptom: Symptom,
        /// What was done.
        step: Step,
        /// What it has under way.
        under_way: Vec<Arc<str>>,
    },
    /// A child that hung makes progress again.
    Recovered(About),
    /// A child did not end when it was killed and is waited for no more. It may still run: what it does is too late.
    Lost(About),
    /// A child that had been given up has ended after all.
    LostEnded(About, Exit),
    /// The message whose handling was cut off goes to the next incarnation, before all others.
    Redelivering {
        /// The incarnation that was handling it.
        about: About,
        /// How many incarnations have crashed over it.
        crashes: u32,
        /// After how many it is given up.
        allowed: u32,
    },
    /// A fault of the root's [plan](crate::fault) strikes.
    Injected {
        /// Whom.
        about: About,
        /// Where.
        point: Point,
        /// What happens.
        fault: FaultKind,
    },
    /// Something of the child blocks the thread it runs on: nothing else runs there. Told by the root's watchdog.
    Blocked {
        /// The child.
        about: About,
        /// What of it.
        doing: Doing,
        /// For how long so far.
        seen: Duration,
    },
    /// What blocked its thread has come to its end.
    Unblocked {
        /// The child.
        about: About,
        /// What of it.
        doing: Doing,
        /// How long it took in all.
        seen: Duration,
    },
    /// Messages were given up: their receiver ended.
    DeadLetters {
        /// The receiver.
        about: About,
        /// How many.
        count: usize,
        /// Why.
        reason: DeadLetterReason,
    },
}

/// What of a child is being polled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Doing {
    /// Its initialiser.
    Starting,
    /// Its handler.
    Handling,
    /// A future that it attached.
    Attached,
    /// Its clean-up.
    Stopping,
    /// A supervisor's decision.
    Deciding,
}

impl fmt::Display for Doing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Starting => "its initialiser",
            Self::Handling => "its handler",
            Self::Attached => "what it attached",
            Self::Stopping => "its clean-up",
            Self::Deciding => "its decision",
        })
    }
}

/// Why a message was given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeadLetterReason {
    /// It was being handled when its receiver crashed. It is never redelivered silently.
    InFlight,
    /// So many incarnations of its receiver crashed over it, as many as its inbox allows.
    Crashes(u32),
    /// A fault of the root's [plan](crate::fault) made it vanish.
    Dropped,
    /// It waited when its receiver was restarted, and the inbox does not carry messages over.
    NotCarried,
    /// It waited when its receiver was stopped for good.
    ReceiverStopped,
}

impl Decision {
    /// The child it concerns.
    #[must_use]
    pub fn about(&self) -> &About {
        match self {
            Self::Started(about)
            | Self::StartFailed(about, _)
            | Self::Terminated(about, _)
            | Self::UncleanStop(about, _)
            | Self::GaveUp(about, _)
            | Self::Declined(about)
            | Self::Ended(about, _)
            | Self::Stopped(about)
            | Self::AutoShutdown(about)
            | Self::Recovered(about)
            | Self::Lost(about)
            | Self::LostEnded(about, _)
            | Self::Parked { about, .. }
            | Self::HeldBack { about, .. }
            | Self::Hung { about, .. }
            | Self::Redelivering { about, .. }
            | Self::Injected { about, .. }
            | Self::Blocked { about, .. }
            | Self::Unblocked { about, .. }
            | Self::Restarting { about, .. }
            | Self::DeadLetters { about, .. } => about,
        }
    }

    /// Whether it is progress, or something somebody should look at.
    #[must_use]
    pub fn is_trouble(&self) -> bool {
        matches!(
            self,
            Self::StartFailed(..)
                | Self::Terminated(..)
                | Self::UncleanStop(..)
                | Self::GaveUp(..)
                | Self::Parked { .. }
                | Self::HeldBack { .. }
                | Self::Hung { .. }
                | Self::Lost(_)
                | Self::LostEnded(..)
                | Self::Redelivering { .. }
                | Self::Injected { .. }
                | Self::Blocked { .. }
                | Self::Unblocked { .. }
                | Self::DeadLetters { .. }
        )
    }
}

impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Started(_) => f.write_str("started"),
            Self::StartFailed(_, reason) => write!(f, "start failed: {reason}"),
            Self::Terminated(_, exit) => write!(f, "terminated: {exit}"),
            Self::UncleanStop(_, exit) => write!(f, "did not stop cleanly: {exit}"),
            Self::GaveUp(_, exit) => write!(f, "restart intensity exhausted: {exit}"),
            Self::Declined(_) => f.write_str("declined to start"),
            Self::Ended(_, exit) => write!(f, "ended: {exit}"),
            Self::Restarting {
                strategy, after, ..
            } => write!(f, "restarting {strategy:?} after {after:?}"),
            Self::Stopped(_) => f.write_str("stopped"),
            Self::AutoShutdown(_) => f.write_str("significant child ended: shutting down"),
            Self::Parked { need, .. } => write!(f, "restart waits for {need}"),
            Self::HeldBack { after, .. } => {
                write!(f, "restart waits {after:?}: too many in the whole tree")
            }
            Self::Hung {
                symptom,
                step,
                under_way,
                ..
            } => {
                write!(f, "hangs, {symptom}: {step:?}")?;
                match under_way.is_empty() {
                    true => Ok(()),
                    false => write!(f, "; under way: {}", under_way.join(", ")),
                }
            }
            Self::Recovered(_) => f.write_str("makes progress again"),
            Self::Lost(_) => f.write_str("does not end though killed: given up"),
            Self::LostEnded(_, exit) => write!(f, "ended after it was given up: {exit}"),
            Self::Redelivering {
                crashes, allowed, ..
            } => write!(
                f,
                "its message goes to the next incarnation, after {crashes} crashes of {allowed}"
            ),
            Self::Injected { point, fault, .. } => {
                write!(f, "a fault on purpose: {fault} at {point}")
            }
            Self::Blocked { doing, seen, .. } => {
                write!(f, "{doing} blocks its thread, for {seen:.1?} so far")
            }
            Self::Unblocked { doing, seen, .. } => {
                write!(f, "{doing} blocked its thread for {seen:.1?}")
            }
            Self::DeadLetters { count, reason, .. } => {
                write!(f, "{count} dead letters: {reason:?}")
            }
        }
    }
}

/// Somebody who wants to hear of every decision. Called by whoever decides, in the middle of it: it must be quick and must not
/// block. Should it panic, that is logged and changes nothing.
pub type Listener = Arc<dyn Fn(&Report) + Send + Sync>;

impl Report {
    pub(crate) fn log(&self) {
        let about = self.decision.about();
        if self.decision.is_trouble() {
            tracing::warn!(path = %self.path, child = %about.child, incarnation = about.incarnation.0, "{}", self.decision);
        } else {
            tracing::debug!(path = %self.path, child = %about.child, incarnation = about.incarnation.0, "{}", self.decision);
        }
    }
}

/// Through which a tree speaks.
#[derive(Clone)]
pub(crate) struct Voice {
    pub(crate) listener: Option<Listener>,
    /// When its root was started.
    pub(crate) origin: tokio::time::Instant,
}

impl Voice {
    /// The time since the root was started.
    pub(crate) fn now(&self) -> Duration {
        self.origin.elapsed()
    }

    /// Whether anybody hears a decision like this.
    fn is_heard(&self, decision: &Decision) -> bool {
        self.listener.is_some()
            || match decision.is_trouble() {
                true => tracing::enabled!(tracing::Level::WARN, path, child, incarnation, message),
                false => {
                    tracing::enabled!(tracing::Level::DEBUG, path, child, incarnation, message)
                }
            }
    }

    pub(crate) fn report(&self, path: &Arc<str>, decision: Decision) {
        if !self.is_heard(&decision) {
            return;
        }
        let report = Report {
            path: path.clone(),
            at: self.now(),
            decision,
        };
        report.log();
        let Some(listener) = &self.listener else {
            return;
        };
        // A listener that panics must not take a supervisor with it.
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| listener(&report))) {
            tracing::error!(path = %path, "the listener panicked: {}", panic_message(&*panic));
        }
    }
}
