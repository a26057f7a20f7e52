//! A supervisor of declared children, as the program sees it.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;

use crate::actor::Failure;
use crate::backoff::Backoff;
use crate::child::Start;
use crate::exit::Exit;
use crate::health::HangLimits;
use crate::incarnation::Extra;
use crate::restart::{AdminError, ChildKey, Incarnation, Reply, Request, SupervisorCore, Target};
use crate::shell::{Made, Message, Seat, SupervisorLauncher, ask, port};
use crate::spec::{ChildId, Kind, Plan, Restart, Shutdown};
use crate::strategy::{Flags, Intensity};

/// A child: what is said about it, and how it is started.
#[derive(Debug, Clone)]
pub struct ChildSpec {
    /// What is said about it.
    pub plan: Plan,
    /// How it is started.
    pub start: Start,
}

impl ChildSpec {
    /// A worker with OTP's defaults: permanent, five seconds to stop.
    #[must_use]
    pub fn new(id: impl Into<ChildId>, start: Start) -> Self {
        Self {
            plan: Plan::new(id, Kind::Worker),
            start,
        }
    }

    /// A supervisor as a child, with OTP's defaults: permanent, no limit to its stop.
    #[must_use]
    pub fn supervisor(id: impl Into<ChildId>, start: Start) -> Self {
        Self {
            plan: Plan::new(id, Kind::Supervisor),
            start,
        }
    }

    /// The same with another restart type.
    #[must_use]
    pub fn restart(mut self, restart: Restart) -> Self {
        self.plan.restart = restart;
        self
    }

    /// The same with another way to stop.
    #[must_use]
    pub fn shutdown(mut self, shutdown: Shutdown) -> Self {
        self.plan.shutdown = shutdown;
        self
    }

    /// The same, significant.
    #[must_use]
    pub fn significant(mut self) -> Self {
        self.plan.significant = true;
        self
    }

    /// The same with waits before restarts.
    #[must_use]
    pub fn backoff(mut self, backoff: Backoff) -> Self {
        self.plan.backoff = Some(backoff);
        self
    }

    /// The same with restarts that are forgiven to this child alone, before the supervisor's intensity is charged.
    #[must_use]
    pub fn budget(mut self, budget: Intensity) -> Self {
        self.plan.budget = Some(budget);
        self
    }

    /// The same with a deadline for its start.
    #[must_use]
    pub fn start_within(mut self, limit: Duration) -> Self {
        self.plan.start_within = Some(limit);
        self
    }

    /// The same with limits whose excess makes it count as hung.
    #[must_use]
    pub fn hang(mut self, limits: HangLimits) -> Self {
        self.plan.hang = Some(Arc::new(limits));
        self
    }
}

/// A supervisor's flags and its children in start order.
#[derive(Debug, Clone, Default)]
pub struct SupervisorSpec {
    /// What is said about the supervisor.
    pub flags: Flags,
    /// Its children, in start order.
    pub children: Vec<ChildSpec>,
}

impl SupervisorSpec {
    /// A supervisor without children.
    #[must_use]
    pub fn new(flags: Flags) -> Self {
        Self {
            flags,
            children: Vec::new(),
        }
    }

    /// The same with one more child, started last.
    #[must_use]
    pub fn child(mut self, child: ChildSpec) -> Self {
        self.children.push(child);
        self
    }

    fn make(self) -> Result<Made, Failure> {
        let children = self.children.into_iter();
        let children = children.map(|ChildSpec { mut plan, start }| {
            plan.needs = start.needs_of();
            (plan, start)
        });
        let children: Vec<_> = children.collect();
        let starts = children.iter().map(|(_, start)| start.clone()).collect();
        let core = Box::new(SupervisorCore::new(self.flags, children)?);
        Ok(Made { core, starts })
    }
}

/// What a supervisor's initialiser says: its spec, `None` to decline, or why not.
pub type InitResult = Result<Option<SupervisorSpec>, Failure>;

impl Start {
    /// A supervisor as a child; `init` says at each start what it supervises, so children added at run time do not come back.
    pub fn supervisor(init: impl Fn() -> InitResult + Send + Sync + 'static) -> Self {
        Self::supervisor_at(&SupervisorHandle::default(), init)
    }

    /// Like [`Start::supervisor`], findable through `handle` for as long as it is up, whichever incarnation it is.
    pub fn supervisor_at(
        handle: &SupervisorHandle,
        init: impl Fn() -> InitResult + Send + Sync + 'static,
    ) -> Self {
        Self::launched_by(SupervisorLauncher {
            init: Arc::new(move |_| init()?.map(SupervisorSpec::make).transpose()),
            seat: handle.seat.clone(),
        })
    }
}

/// A child that was started by hand.
#[derive(Clone)]
pub struct Added {
    /// Its key.
    pub key: ChildKey,
    /// Which life of it this is.
    pub incarnation: Incarnation,
    /// What its start handed over.
    pub extra: Option<Extra>,
}

impl std::fmt::Debug for Added {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Added")
            .field("key", &self.key)
            .field("incarnation", &self.incarnation)
            .finish_non_exhaustive()
    }
}

/// What the program holds of a supervisor: it means the supervisor, not one incarnation of it. Dropping it stops nothing.
#[derive(Clone, Default)]
pub struct SupervisorHandle {
    pub(crate) seat: Seat,
}

impl std::fmt::Debug for SupervisorHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SupervisorHandle").finish_non_exhaustive()
    }
}

impl SupervisorHandle {
    /// A handle for a supervisor that is yet to be started with [`Start::supervisor_at`].
    #[must_use]
    pub fn vacant() -> Self {
        Self::default()
    }

    /// Adds a child and starts it; `None` if it declined.
    ///
    /// # Errors
    /// An [`AdminError`]; the child is then not kept.
    pub async fn start_child(&self, child: ChildSpec) -> Result<Option<Added>, AdminError> {
        let answer = ask(&self.seat, Request::Add(child.plan, child.start)).await?;
        added(answer.reply, answer.extra)
    }

    /// Stops a child. It stays known, stopped, unless it is temporary.
    ///
    /// # Errors
    /// [`AdminError::NotFound`].
    pub async fn terminate_child(&self, id: impl Into<ChildId>) -> Result<(), AdminError> {
        done(
            ask(&self.seat, Request::Terminate(Target::Id(id.into())))
                .await?
                .reply,
        )
    }

    /// Starts a stopped child; `None` if it declined.
    ///
    /// # Errors
    /// An [`AdminError`]; there is no retry.
    pub async fn restart_child(&self, id: impl Into<ChildId>) -> Result<Option<Added>, AdminError> {
        let answer = ask(&self.seat, Request::Restart(Target::Id(id.into()))).await?;
        added(answer.reply, answer.extra)
    }

    /// Forgets a stopped child.
    ///
    /// # Errors
    /// An [`AdminError`].
    pub async fn delete_child(&self, id: impl Into<ChildId>) -> Result<(), AdminError> {
        done(
            ask(&self.seat, Request::Delete(Target::Id(id.into())))
                .await?
                .reply,
        )
    }

    /// Kills a child from outside, as a fault; its supervisor then does what it does. Whether there was one to kill.
    pub async fn kill_child(&self, id: impl Into<ChildId>) -> bool {
        self.kill_target(Target::Id(id.into())).await
    }

    pub(crate) async fn kill_target(&self, target: Target) -> bool {
        let (reply, answer) = oneshot::channel();
        let Some(port) = port(&self.seat) else {
            return false;
        };
        port.tell(Message::Kill(target, reply));
        answer.await.unwrap_or(false)
    }

    /// Asks the supervisor to stop its children and itself, and waits until nothing of it is left. What becomes of one that is a
    /// child is then for its own supervisor to decide, as after any orderly end.
    pub async fn stop(&self) -> Exit {
        if let Some(port) = port(&self.seat) {
            port.stop();
        }
        self.wait().await
    }

    /// Kills the supervisor; everything below dies with it. Returns when nothing of it is left.
    pub async fn kill(&self) -> Exit {
        if let Some(port) = port(&self.seat) {
            port.kill();
        }
        self.wait().await
    }

    /// Waits until nothing of the supervisor, as it is at the moment, and of all below it is left. One that was never up is not
    /// waited for.
    pub async fn wait(&self) -> Exit {
        match port(&self.seat) {
            Some(port) => port.end().await,
            None => Exit::SHUTDOWN,
        }
    }

    /// Waits like [`SupervisorHandle::wait`], but not longer than this.
    pub async fn wait_for(&self, limit: Duration) -> Option<Exit> {
        tokio::time::timeout(limit, self.wait()).await.ok()
    }

    /// How the supervisor ended, if it is not up.
    #[must_use]
    pub fn exit(&self) -> Option<Exit> {
        port(&self.seat).and_then(|port| port.exit())
    }
}

pub(crate) fn added(reply: Reply, extra: Option<Extra>) -> Result<Option<Added>, AdminError> {
    match reply {
        Reply::Started(key, incarnation) => Ok(Some(Added {
            key,
            incarnation,
            extra,
        })),
        Reply::Declined | Reply::Done => Ok(None),
        Reply::Refused(error) => Err(error),
    }
}

pub(crate) fn done(reply: Reply) -> Result<(), AdminError> {
    match reply {
        Reply::Refused(error) => Err(error),
        _ => Ok(()),
    }
}
