//! A supervisor of any number of instances of one template, as the program sees it.

use std::fmt;
use std::sync::Arc;

use crate::child::Start;
use crate::exit::Exit;
use crate::incarnation::StartFailure;
use crate::restart::{AdminError, ChildKey, DynamicCore, Request, Target};
use crate::root::{Root, StartError};
use crate::shell::{Made, SupervisorLauncher, ask};
use crate::spec::{Kind, Plan, SpecError};
use crate::strategy::Flags;
use crate::supervisor::{Added, SupervisorHandle, added, done};

type MakeInstance<A> = Arc<dyn Fn(A) -> Start + Send + Sync>;

/// A description of a dynamic supervisor whose instances are made from `A`.
pub struct DynamicSpec<A> {
    flags: Flags,
    templates: Vec<(Plan, MakeInstance<A>)>,
}

impl<A> fmt::Debug for DynamicSpec<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DynamicSpec")
            .field("flags", &self.flags)
            .field("templates", &self.templates.len())
            .finish()
    }
}

impl<A: 'static> DynamicSpec<A> {
    /// A description that lacks its template.
    #[must_use]
    pub fn new(flags: Flags) -> Self {
        Self {
            flags,
            templates: Vec::new(),
        }
    }

    /// The same with a template: what is said about each instance, and how one is made from its arguments. A start's
    /// [name](Start::named) is the instance's id; without one, it is the template's id and a number.
    #[must_use]
    pub fn template(
        mut self,
        plan: Plan,
        make: impl Fn(A) -> Start + Send + Sync + 'static,
    ) -> Self {
        self.templates.push((plan, Arc::new(make)));
        self
    }

    /// Checks the description, and makes of it the handle and the start of a supervisor's child.
    ///
    /// # Errors
    /// [`SpecError::Templates`] for any number of templates but one, and offences in the flags or the template.
    pub fn seat(self) -> Result<(DynamicHandle<A>, Start), SpecError> {
        let count = self.templates.len();
        let (Some((plan, make)), 1) = (self.templates.into_iter().next(), count) else {
            return Err(SpecError::Templates(count));
        };
        DynamicCore::<Start>::new(self.flags.clone(), plan.clone())?;
        let (flags, template) = (self.flags, plan.clone());
        let init = Arc::new(move |first| {
            let core = DynamicCore::new(flags.clone(), template.clone())?.first_key(first);
            let (core, starts) = (Box::new(core), Vec::new());
            Ok(Some(Made { core, starts }))
        });
        let supervisor = SupervisorHandle::vacant();
        let seat = supervisor.seat.clone();
        let start = Start::launched_by(SupervisorLauncher { init, seat });
        let handle = DynamicHandle {
            supervisor,
            plan,
            make,
        };
        Ok((handle, start))
    }

    /// Starts it as the root of a tree of its own.
    ///
    /// # Errors
    /// As [`DynamicSpec::seat`] and [`Root::start`].
    pub async fn start(self, root: Root) -> Result<DynamicHandle<A>, StartError> {
        let failed = |error: SpecError| StartError::Failed(StartFailure::new(error.to_string()));
        let (handle, start) = self.seat().map_err(failed)?;
        root.launch(&*start.launcher).await?;
        Ok(handle)
    }
}

/// What the program holds of a dynamic supervisor.
pub struct DynamicHandle<A> {
    supervisor: SupervisorHandle,
    plan: Plan,
    make: MakeInstance<A>,
}

impl<A> Clone for DynamicHandle<A> {
    fn clone(&self) -> Self {
        Self {
            supervisor: self.supervisor.clone(),
            plan: self.plan.clone(),
            make: self.make.clone(),
        }
    }
}

impl<A> fmt::Debug for DynamicHandle<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DynamicHandle")
            .field("template", &self.plan.id)
            .finish_non_exhaustive()
    }
}

impl<A> DynamicHandle<A> {
    /// Starts an instance; `None` if it declined. Should it be restarted, it is with the same arguments.
    ///
    /// # Errors
    /// An [`AdminError`]; nothing is kept of the instance then.
    pub async fn start_child(&self, arguments: A) -> Result<Option<Added>, AdminError> {
        let start = (self.make)(arguments);
        let mut plan = self.plan.clone();
        if let Some(name) = &start.name {
            plan.id = (&**name).into();
        }
        if let Some(limits) = &start.hang {
            limits.check()?;
            plan.hang = Some(limits.clone());
        }
        let answer = ask(&self.supervisor.seat, Request::Add(plan, start)).await?;
        added(answer.reply, answer.extra)
    }

    /// Stops an instance. One that is already gone is fine.
    ///
    /// # Errors
    /// [`AdminError::NotFound`] if it was never an instance of this supervisor.
    pub async fn terminate_child(&self, key: ChildKey) -> Result<(), AdminError> {
        done(
            ask(&self.supervisor.seat, Request::Terminate(Target::Key(key)))
                .await?
                .reply,
        )
    }

    /// Always refused: instances are not restarted by hand.
    ///
    /// # Errors
    /// [`AdminError::Dynamic`].
    pub async fn restart_child(&self, key: ChildKey) -> Result<(), AdminError> {
        done(
            ask(&self.supervisor.seat, Request::Restart(Target::Key(key)))
                .await?
                .reply,
        )
    }

    /// Always refused: instances leave nothing to delete.
    ///
    /// # Errors
    /// [`AdminError::Dynamic`].
    pub async fn delete_child(&self, key: ChildKey) -> Result<(), AdminError> {
        done(
            ask(&self.supervisor.seat, Request::Delete(Target::Key(key)))
                .await?
                .reply,
        )
    }

    /// Kills an instance from outside, as a fault; its supervisor then does what it does. Whether there was one to kill.
    pub async fn kill_child(&self, key: ChildKey) -> bool {
        self.supervisor.kill_target(Target::Key(key)).await
    }

    /// The supervisor itself: to look at, to stop, to wait for.
    #[must_use]
    pub fn supervisor(&self) -> &SupervisorHandle {
        &self.supervisor
    }

    /// Stops it, as [`SupervisorHandle::stop`] does.
    pub async fn stop(&self) -> Exit {
        self.supervisor.stop().await
    }
}

/// What is said about each instance, with OTP's defaults for a worker.
#[must_use]
pub fn template(id: &str) -> Plan {
    Plan::new(id, Kind::Worker)
}
