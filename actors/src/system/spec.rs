//! What stands at the top of the tree.

use std::sync::Arc;
use std::time::Duration;

use supervision::{
    ChildSpec, DynamicHandle, DynamicSpec, Flags, Restart, Start, Strategy, SupervisorSpec,
    template,
};

use crate::executor::{Executors, Joining};
use crate::pool::Pools;
use crate::task::TaskArguments;
use crate::task::tree::{self, TaskWorld};

use super::SystemError;

pub(super) fn tasks(
    world: &TaskWorld,
) -> Result<(DynamicHandle<TaskArguments>, Start), SystemError> {
    let mut plan = template("task");
    (plan.kind, plan.shutdown) = (
        supervision::Kind::Supervisor,
        supervision::Shutdown::Infinity,
    );
    // A task whose tree gave up ends in an orderly way and is not started again by itself: a human is its last supervisor. One
    // that was killed is.
    plan.restart = Restart::Transient;
    let world = world.clone();
    let flags = Flags::default().intensity(100, Duration::from_secs(10));
    let spec =
        DynamicSpec::new(flags).template(plan, move |arguments| tree::start(&world, arguments));
    spec.seat()
        .map_err(|error| SystemError::Definition(error.to_string()))
}

pub(super) type LinkArguments = (String, Arc<std::sync::Mutex<Option<Joining>>>);

pub(super) fn links(
    executors: &Executors,
) -> Result<(DynamicHandle<LinkArguments>, Start), SystemError> {
    let mut plan = template("executor");
    plan.restart = Restart::Temporary;
    let executors = executors.clone();
    let spec =
        DynamicSpec::new(Flags::default()).template(plan, move |(project, link): LinkArguments| {
            let link = link
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner)
                .take();
            match link {
                Some(link) => crate::executor::attach(&project, link, executors.clone()),
                None => {
                    Start::worker(|| async { Err("the link of this executor has ended".into()) })
                }
            }
        });
    spec.seat()
        .map_err(|error| SystemError::Definition(error.to_string()))
}

/// Lets in those who wait for pools and providers when their time has come.
pub(super) fn pools(pools: &Pools) -> Start {
    let pools = pools.clone();
    Start::worker(move || {
        let pools = pools.clone();
        async move {
            pools.keep_time().await;
            Ok(())
        }
    })
}

pub(super) fn root_spec(
    journal: Start,
    chronicle: Start,
    pools: Start,
    links: Start,
    tasks: Start,
    opener: Start,
    faults: Option<Start>,
) -> SupervisorSpec {
    let mut services =
        SupervisorSpec::new(Flags::new(Strategy::OneForOne).intensity(10, Duration::from_secs(60)))
            .child(ChildSpec::new("chronicle", chronicle))
            .child(ChildSpec::new("pools", pools))
            .child(ChildSpec::supervisor("executors", links));
    if let Some(faults) = faults {
        services = services.child(ChildSpec::new("faults", faults));
    }
    SupervisorSpec::new(Flags::new(Strategy::RestForOne).intensity(10, Duration::from_secs(60)))
        .child(ChildSpec::new("journal", journal))
        .child(ChildSpec::supervisor(
            "services",
            Start::supervisor(move || Ok(Some(services.clone()))),
        ))
        .child(ChildSpec::supervisor("tasks", tasks))
        .child(ChildSpec::new("opener", opener))
}
