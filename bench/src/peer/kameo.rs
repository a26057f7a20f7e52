//! kameo with default features, unbounded mailboxes and its own supervision.

use std::sync::Arc;
use std::time::Duration;

use kameo::error::Infallible;
use kameo::mailbox;
use kameo::prelude::*;
use kameo::supervision::SupervisionStrategy;

use crate::measure::{Boom, Op, Peer, Spec, Strategy, Worker};

pub struct Kameo;

pub struct Child(Worker<Kameo>);

struct Ping;

impl Actor for Child {
    type Args = Worker<Kameo>;
    type Error = Infallible;

    async fn on_start(mut worker: Worker<Kameo>, me: ActorRef<Self>) -> Result<Self, Infallible> {
        worker.started(&me);
        Ok(Self(worker))
    }
}

impl Message<Op> for Child {
    type Reply = Result<(), Boom>;

    async fn handle(&mut self, op: Op, _: &mut Context<Self, Self::Reply>) -> Result<(), Boom> {
        self.0.handle(op)
    }
}

impl Message<Ping> for Child {
    type Reply = ();

    async fn handle(&mut self, _: Ping, _: &mut Context<Self, ()>) {}
}

pub struct Supervisor<const FOR_ALL: bool>;

impl<const FOR_ALL: bool> Actor for Supervisor<FOR_ALL> {
    type Args = Arc<Spec<Kameo>>;
    type Error = Infallible;

    fn supervision_strategy() -> SupervisionStrategy {
        match FOR_ALL {
            true => SupervisionStrategy::OneForAll,
            false => SupervisionStrategy::OneForOne,
        }
    }

    async fn on_start(spec: Self::Args, me: ActorRef<Self>) -> Result<Self, Infallible> {
        for n in 0..spec.n {
            let env = spec.env.clone();
            Child::supervise_with(&me, move || Worker::new(n, &env))
                .restart_limit(u32::MAX, Duration::from_millis(1))
                .spawn_with_mailbox(mailbox::unbounded())
                .await;
        }
        Ok(Self)
    }
}

pub enum AnySupervisor {
    One(ActorRef<Supervisor<false>>),
    All(ActorRef<Supervisor<true>>),
}

async fn stop<A: Actor>(sup: ActorRef<A>) {
    let _ = sup.stop_gracefully().await;
    sup.wait_for_shutdown().await;
}

impl Peer for Kameo {
    type Ref = ActorRef<Child>;
    type Sup = AnySupervisor;

    async fn spawn(worker: Worker<Self>) -> Self::Ref {
        Child::spawn_with_mailbox(worker, mailbox::unbounded())
    }

    fn cast(to: &Self::Ref, op: Op) {
        let _ = to.tell(op).try_send();
    }

    async fn ping(to: &Self::Ref) -> bool {
        to.ask(Ping).await.is_ok()
    }

    async fn supervise(spec: Spec<Self>) -> AnySupervisor {
        let (strategy, spec) = (spec.strategy, Arc::new(spec));
        match strategy {
            Strategy::OneForOne => {
                AnySupervisor::One(Supervisor::spawn_with_mailbox(spec, mailbox::unbounded()))
            }
            Strategy::OneForAll => {
                AnySupervisor::All(Supervisor::spawn_with_mailbox(spec, mailbox::unbounded()))
            }
        }
    }

    async fn shutdown(sup: AnySupervisor) {
        match sup {
            AnySupervisor::One(sup) => stop(sup).await,
            AnySupervisor::All(sup) => stop(sup).await,
        }
    }
}
