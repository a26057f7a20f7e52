//! Supervisors below supervisors: kills from above, starts that hang, escalation, and what becomes of the inboxes below.

mod ends;
mod inboxes;
mod kills;
mod starts;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use supervision::{
    Actor, ChildSpec, Context, Failure, Flags, Start, Strategy, SupervisorHandle, SupervisorSpec,
};

use crate::bed::{Bed, Player, cast, patient};

pub(super) const SECOND: Duration = Duration::from_secs(1);

/// A supervisor as a child, with these players below it.
pub(super) fn team(
    id: &str,
    handle: &SupervisorHandle,
    flags: Flags,
    players: &[&Player],
) -> ChildSpec {
    let players: Vec<_> = players.iter().map(|player| (*player).clone()).collect();
    let init = move || {
        let players: Vec<_> = players.iter().collect();
        Ok(Some(cast(flags.clone(), &players)))
    };
    ChildSpec::supervisor(id, Start::supervisor_at(handle, init))
}

pub(super) async fn root_of(
    bed: &Bed,
    strategy: Strategy,
    specs: impl IntoIterator<Item = ChildSpec>,
) -> SupervisorHandle {
    let spec = SupervisorSpec::new(patient(strategy));
    let spec = specs.into_iter().fold(spec, SupervisorSpec::child);
    bed.root().start(spec).await.expect("it starts")
}

/// How many there are of something.
#[derive(Clone, Default)]
pub(super) struct Count(pub(super) Arc<AtomicI64>);

pub(super) struct One(Count);

impl Count {
    pub(super) fn one(&self) -> One {
        self.0.fetch_add(1, Ordering::SeqCst);
        One(self.clone())
    }

    pub(super) fn get(&self) -> i64 {
        self.0.load(Ordering::SeqCst)
    }
}

impl Drop for One {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::SeqCst);
    }
}

pub(super) struct Silent(
    #[expect(dead_code, reason = "counts until it is dropped")] pub(super) One,
);

impl Actor for Silent {
    type Message = ();

    async fn handle(&mut self, (): (), _: &mut Context<()>) -> Result<(), Failure> {
        Ok(())
    }
}
