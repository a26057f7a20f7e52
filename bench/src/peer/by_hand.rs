//! ractor alone, with the smallest supervisor one would write by hand: it starts its children in order, stops them in reverse order,
//! one by one, and starts again whoever ended. No intensity, no backoff, no reports, no inbox that outlives a restart.

use std::collections::HashMap;
use std::ops::Range;

use ractor::{
    Actor, ActorCell, ActorId, ActorProcessingErr, ActorRef, RpcReplyPort, SupervisionEvent,
    rpc::CallResult,
};

use crate::measure::{Op, Peer, Spec, Strategy, Worker};

pub struct ByHand;

pub enum Message {
    Op(Op),
    Ping(RpcReplyPort<()>),
}

struct Child;

impl Actor for Child {
    type Msg = Message;
    type State = Worker<ByHand>;
    type Arguments = Worker<ByHand>;

    async fn pre_start(
        &self,
        _: ActorRef<Message>,
        worker: Worker<ByHand>,
    ) -> Result<Worker<ByHand>, ActorProcessingErr> {
        Ok(worker)
    }

    async fn post_start(
        &self,
        me: ActorRef<Message>,
        worker: &mut Worker<ByHand>,
    ) -> Result<(), ActorProcessingErr> {
        worker.started(&me);
        Ok(())
    }

    async fn handle(
        &self,
        _: ActorRef<Message>,
        message: Message,
        worker: &mut Worker<ByHand>,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            Message::Op(op) => worker.handle(op)?,
            Message::Ping(port) => port.send(())?,
        }
        Ok(())
    }
}

struct Supervisor;

struct Children {
    spec: Spec<ByHand>,
    cells: Vec<ActorCell>,
    index: HashMap<ActorId, usize>,
}

impl Children {
    async fn start(&mut self, n: usize, me: &ActorRef<()>) -> Result<(), ActorProcessingErr> {
        let worker = Worker::new(n, &self.spec.env);
        let (child, _) = Child::spawn_linked(None, Child, worker, me.get_cell()).await?;
        let cell = child.get_cell();
        self.index.insert(cell.get_id(), n);
        if n == self.cells.len() {
            self.cells.push(cell);
        } else {
            self.cells[n] = cell;
        }
        Ok(())
    }

    async fn stop(&mut self, range: Range<usize>, but: usize) {
        for n in range.rev().filter(|n| *n != but) {
            self.index.remove(&self.cells[n].get_id());
            let _ = self.cells[n].stop_and_wait(None, None).await;
        }
    }
}

impl Actor for Supervisor {
    type Msg = ();
    type State = Children;
    type Arguments = Spec<ByHand>;

    async fn pre_start(
        &self,
        me: ActorRef<()>,
        spec: Spec<ByHand>,
    ) -> Result<Children, ActorProcessingErr> {
        let mut children = Children {
            spec,
            cells: Vec::new(),
            index: HashMap::new(),
        };
        for n in 0..children.spec.n {
            children.start(n, &me).await?;
        }
        Ok(children)
    }

    async fn handle_supervisor_evt(
        &self,
        me: ActorRef<()>,
        event: SupervisionEvent,
        children: &mut Children,
    ) -> Result<(), ActorProcessingErr> {
        let (SupervisionEvent::ActorFailed(cell, _) | SupervisionEvent::ActorTerminated(cell, ..)) =
            event
        else {
            return Ok(());
        };
        let Some(n) = children.index.remove(&cell.get_id()) else {
            return Ok(());
        };
        let range = match children.spec.strategy {
            Strategy::OneForOne => n..n + 1,
            Strategy::OneForAll => 0..children.spec.n,
        };
        children.stop(range.clone(), n).await;
        for n in range {
            children.start(n, &me).await?;
        }
        Ok(())
    }

    async fn post_stop(
        &self,
        _: ActorRef<()>,
        children: &mut Children,
    ) -> Result<(), ActorProcessingErr> {
        let n = children.spec.n;
        children.stop(0..n, n).await;
        Ok(())
    }
}

impl Peer for ByHand {
    type Ref = ActorRef<Message>;
    type Sup = ActorRef<()>;

    async fn spawn(worker: Worker<Self>) -> Self::Ref {
        Child::spawn(None, Child, worker).await.expect("a child").0
    }

    fn cast(to: &Self::Ref, op: Op) {
        let _ = to.cast(Message::Op(op));
    }

    async fn ping(to: &Self::Ref) -> bool {
        matches!(
            to.call(Message::Ping, None).await,
            Ok(CallResult::Success(()))
        )
    }

    async fn supervise(spec: Spec<Self>) -> Self::Sup {
        Supervisor::spawn(None, Supervisor, spec)
            .await
            .expect("a supervisor")
            .0
    }

    async fn shutdown(sup: Self::Sup) {
        let _ = sup.stop_and_wait(None, None).await;
    }
}
