//! This project's `supervision`: everything that a supervisor of OTP does, bounded inboxes that outlive restarts, reports.

use std::time::Duration;

use supervision::{
    Actor, AtRestart, ChildSpec, Context, Failure, Flags, Handle, Inbox, Reply, Root, Start,
    SupervisorHandle, SupervisorSpec, inbox,
};

use crate::measure::{Op, Peer, Spec, Strategy, Worker};

pub struct Ours;

pub enum Message {
    Op(Op),
    Ping(Reply<()>),
}

struct Child(Worker<Ours>);

impl Actor for Child {
    type Message = Message;

    async fn handle(&mut self, message: Message, _: &mut Context<Message>) -> Result<(), Failure> {
        match message {
            Message::Op(op) => self.0.handle(op)?,
            Message::Ping(reply) => reply.send(()),
        }
        Ok(())
    }
}

/// A router is sent half a million messages by one sender that does not wait.
pub const CAPACITY: usize = 1 << 20;

fn start(inbox: Inbox<Message>, make: impl Fn() -> Worker<Ours> + Send + Sync + 'static) -> Start {
    Start::actor(inbox, move |cx| {
        let mut worker = make();
        worker.started(&cx.handle());
        std::future::ready(Ok(Child(worker)))
    })
}

impl Peer for Ours {
    type Ref = Handle<Message>;
    type Sup = SupervisorHandle;

    async fn spawn(worker: Worker<Self>) -> Self::Ref {
        // An actor outside any supervisor does not exist here: it is a root's only child.
        let (handle, reads) = inbox(CAPACITY, AtRestart::Carry);
        let worker = std::sync::Mutex::new(Some(worker));
        let make = move || {
            worker
                .lock()
                .ok()
                .and_then(|mut it| it.take())
                .expect("started once")
        };
        let spec =
            SupervisorSpec::new(Flags::default()).child(ChildSpec::new("one", start(reads, make)));
        let root = Root::new("alone").start(spec).await.expect("a root");
        std::mem::forget(root);
        handle
    }

    fn cast(to: &Self::Ref, op: Op) {
        let _ = to.try_send(Message::Op(op));
    }

    async fn ping(to: &Self::Ref) -> bool {
        to.call(Message::Ping, Duration::from_secs(5)).await.is_ok()
    }

    async fn supervise(spec: Spec<Self>) -> SupervisorHandle {
        let strategy = match spec.strategy {
            Strategy::OneForOne => supervision::Strategy::OneForOne,
            Strategy::OneForAll => supervision::Strategy::OneForAll,
        };
        // Below a million, so that the window is really kept.
        let flags = Flags::new(strategy).intensity(900_000, Duration::from_millis(1));
        let children = (0..spec.n).map(|n| {
            let (_, reads) = inbox(64, AtRestart::Carry);
            let env = spec.env.clone();
            ChildSpec::new(format!("{n}"), start(reads, move || Worker::new(n, &env)))
        });
        let supervisor = children.fold(SupervisorSpec::new(flags), SupervisorSpec::child);
        Root::new("bench")
            .start(supervisor)
            .await
            .expect("a supervisor")
    }

    async fn shutdown(sup: SupervisorHandle) {
        sup.stop().await;
    }
}
