//! What a core hears and what it wants done.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::exit::Exit;
use crate::health::{Step, Vitals};
use crate::report::Decision;
use crate::spec::{ChildId, Kind, Plan, SpecError};

/// A child of one supervisor, for as long as its spec is kept. Never given out twice by one supervisor; those of instances of a
/// dynamic supervisor never twice in one process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ChildKey(pub u64);

/// One life of a child, counted from 1.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Incarnation(pub u64);

impl fmt::Display for Incarnation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// A timer, never given out twice by one supervisor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TimerId(pub u64);

/// A question of the administration, answered by one [`Effect::Reply`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RequestId(pub u64);

/// What a core is told. `P` is whatever starts a child; the core only keeps it.
#[derive(Debug, Clone)]
pub enum Event<P> {
    /// Start all declared children.
    Boot,
    /// A child is up.
    Started(ChildKey, Incarnation),
    /// A child could not be started, and nothing of it is left.
    StartFailed(ChildKey, Incarnation, Arc<str>),
    /// A child declined to start, and nothing of it is left.
    Declined(ChildKey, Incarnation),
    /// A child ended, and nothing of it is left.
    Exited(ChildKey, Incarnation, Exit),
    /// A timer ran out.
    Timer(TimerId),
    /// The administration wants something.
    Request(RequestId, Request<P>),
    /// The supervisor is to stop.
    Stop,
    /// Something that children may depend on is available, or is not any more.
    Need(Arc<str>, bool),
    /// What is seen of a child.
    Vitals(ChildKey, Incarnation, Vitals),
    /// A restart may go ahead after this time.
    Leave(ChildKey, Incarnation, Duration),
}

/// Whom a request means: static children have names, instances of a dynamic supervisor have keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// A declared child.
    Id(ChildId),
    /// An instance.
    Key(ChildKey),
}

/// What the administration can ask for.
#[derive(Debug, Clone)]
pub enum Request<P> {
    /// A new child.
    Add(Plan, P),
    /// Stop a child; its spec stays unless it is temporary.
    Terminate(Target),
    /// Start a stopped child.
    Restart(Target),
    /// Forget a stopped child's spec.
    Delete(Target),
}

/// What the administration is answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// The child is up.
    Started(ChildKey, Incarnation),
    /// The child declined to start.
    Declined,
    /// Done.
    Done,
    /// Not done.
    Refused(AdminError),
}

/// Why the administration was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AdminError {
    /// A child of this name is up.
    #[error("the child is already started")]
    AlreadyStarted(ChildKey, Incarnation),
    /// A child of this name is known and not up.
    #[error("a child of this name is already there, stopped: restart it, or delete it first")]
    AlreadyPresent,
    /// No such child.
    #[error("there is no such child")]
    NotFound,
    /// The child is up.
    #[error("the child is running: terminate it first")]
    Running,
    /// The child is about to be restarted.
    #[error("the child is restarting: terminate it first")]
    Restarting,
    /// The child could not be started.
    #[error("the child could not be started: {0}")]
    StartFailed(Arc<str>),
    /// The description is wrong.
    #[error(transparent)]
    Invalid(#[from] SpecError),
    /// Instances of a dynamic supervisor are neither restarted nor deleted by hand.
    #[error("instances of a dynamic supervisor cannot be restarted or deleted: start another")]
    Dynamic,
    /// The supervisor is stopping or gone.
    #[error("the supervisor is stopping")]
    Stopping,
    /// Too many requests wait for the supervisor already.
    #[error("too many requests wait for the supervisor: ask again later")]
    Busy,
}

/// What is known about whether a child that is down comes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Availability {
    /// It will be started again.
    Restarting,
    /// It will not, unless somebody says so.
    Stopped,
    /// Its supervisor ends too; whether that is started again is for those above it to say.
    Undecided,
}

/// What a core wants done.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect<P> {
    /// Start this incarnation; answer with `Started`, `StartFailed` or `Declined`.
    Start(ChildKey, Incarnation, ChildId, P),
    /// Ask it to stop; answer with `Exited` when it is gone.
    RequestStop(ChildKey, Incarnation),
    /// Kill it; answer with `Exited` when it is gone.
    Kill(ChildKey, Incarnation),
    /// Say `Timer` after this time.
    Arm(TimerId, Duration),
    /// Do not say it.
    Disarm(TimerId),
    /// Answer the administration.
    Reply(RequestId, Reply),
    /// The child is down; tell those who hold its handle.
    Down(ChildKey, Availability),
    /// The child's spec is gone.
    Forget(ChildKey),
    /// Tell the world.
    Report(Decision),
    /// Say what is seen of it; answer with `Vitals`.
    Examine(ChildKey, Incarnation),
    /// Ask it whether it is still there.
    Nudge(ChildKey, Incarnation),
    /// Tell what it has under way to end.
    Cancel(ChildKey, Incarnation),
    /// It does not end: wait for it no more. What still comes of it is too late.
    Abandon(ChildKey, Incarnation),
    /// Ask whether a restart may go ahead; answer with `Leave`.
    AskLeave(ChildKey, Incarnation),
    /// All declared children are up.
    Ready,
    /// A declared child could not be started; all others are stopped again. Nothing else follows.
    BootFailed(ChildId, Arc<str>),
    /// All children are gone; the supervisor ends. Nothing else follows.
    Exit(Exit),
}

/// What a child is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ChildState {
    /// Its start is under way.
    Starting,
    /// It is up.
    Running,
    /// It ended, and its supervisor has not come to it yet.
    Down,
    /// It has been told to stop.
    Stopping,
    /// It failed and will be started again.
    Restarting,
    /// It is down; its spec is kept.
    Stopped,
}

impl ChildState {
    /// Whether an incarnation may be alive.
    #[must_use]
    pub fn is_active(self) -> bool {
        matches!(self, Self::Starting | Self::Running | Self::Stopping)
    }
}

/// What a core knows of one child.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChildRow {
    /// Its key.
    pub key: ChildKey,
    /// Its name.
    pub id: ChildId,
    /// What it is.
    pub kind: Kind,
    /// Its newest incarnation; 0 before the first.
    pub incarnation: Incarnation,
    /// What it is doing.
    pub state: ChildState,
    /// Restarts of it within the supervisor's period.
    pub restarts: usize,
    /// How its last incarnation ended.
    pub last_exit: Option<Exit>,
    /// What its restart waits for.
    pub hold: Option<Hold>,
    /// The last step against it, if it hangs.
    pub step: Option<Step>,
}

/// What a restart waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hold {
    /// Its backoff, until so long after the supervisor's start.
    Backoff(Duration),
    /// Something it depends on.
    Need(Arc<str>),
    /// The limit on restarts of the whole tree.
    Storm,
}

impl fmt::Display for Hold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Backoff(_) => f.write_str("its backoff"),
            Self::Need(need) => write!(f, "{need}"),
            Self::Storm => f.write_str("the limit on restarts of the whole tree"),
        }
    }
}

/// The part both cores have in common, for the shell around them.
pub trait Core<P> {
    /// Tells the core what happened at `now` (time since its start), and returns what it wants done, in order.
    fn apply(&mut self, now: Duration, event: Event<P>) -> Vec<Effect<P>>;

    /// The same into a list that is used again and again; what was in it is gone.
    fn apply_into(&mut self, now: Duration, event: Event<P>, effects: &mut Vec<Effect<P>>) {
        *effects = self.apply(now, event);
    }

    /// All children in start order.
    fn rows(&self, now: Duration) -> Vec<ChildRow>;

    /// What is said about a child.
    fn plan(&self, key: ChildKey) -> Option<&Plan>;

    /// What a child is doing.
    fn state(&self, key: ChildKey) -> Option<ChildState>;

    /// From now on every restart asks for leave.
    fn restrain(&mut self);
}
