//! How the program reaches the current incarnation of a supervisor.

use std::sync::{Arc, Mutex, PoisonError};

use ractor::ActorCell;
use tokio::sync::{mpsc, oneshot, watch};

use crate::child::Start;
use crate::exit::Exit;
use crate::incarnation::{Extra, Fate};
use crate::restart::{
    AdminError, ChildKey, ChildRow, Incarnation, Reply, Request, Target, TimerId,
};

/// What a supervisor's actor is told.
pub(crate) enum Message {
    Fate(ChildKey, Incarnation, Fate),
    Timer(TimerId),
    Need(Arc<str>, bool),
    /// Nobody says any more whether it is there.
    NeedGone(Arc<str>),
    Ask(Box<Request<Start>>, oneshot::Sender<Answer>),
    Rows(oneshot::Sender<Vec<Row>>),
    Kill(Target, oneshot::Sender<bool>),
    Stop,
    #[cfg(feature = "testing")]
    Hold(oneshot::Sender<()>),
    #[cfg(feature = "testing")]
    Release,
}

#[cfg(feature = "testing")]
impl Message {
    /// Whether it is answered also by a supervisor that is held still.
    pub(super) fn is_question(&self) -> bool {
        matches!(self, Self::Rows(_) | Self::Kill(..))
    }
}

/// A reply with what a start handed over.
pub(crate) struct Answer {
    pub(crate) reply: Reply,
    pub(crate) extra: Option<Extra>,
}

/// A child's row with what only the shell knows.
pub(crate) struct Row {
    pub(crate) row: ChildRow,
    pub(crate) inbox: Option<(usize, usize)>,
    pub(crate) port: Option<Port>,
    pub(crate) under_way: Vec<Arc<str>>,
    pub(crate) since_progress: Option<std::time::Duration>,
}

/// Where one incarnation of a supervisor is told something. Its own and not the actor library's mailbox, which costs several times
/// as much for each message, and a supervisor hears two for each child that it restarts.
pub(crate) type Desk = mpsc::UnboundedSender<Message>;

/// How one incarnation of a supervisor is reached, and how that ended.
#[derive(Clone)]
pub(crate) struct Port {
    pub(super) actor: ActorCell,
    pub(super) desk: Desk,
    pub(super) ended: watch::Receiver<Option<Exit>>,
}

impl Port {
    pub(crate) fn tell(&self, message: Message) {
        let _ = self.desk.send(message);
    }

    pub(crate) fn stop(&self) {
        self.tell(Message::Stop);
    }

    pub(crate) fn kill(&self) {
        self.actor.kill();
    }

    /// How it ended, when nothing of it and of all below it is left.
    pub(crate) async fn end(mut self) -> Exit {
        let exit = self.ended.wait_for(Option::is_some).await;
        exit.ok()
            .and_then(|exit| exit.clone())
            .unwrap_or(Exit::Killed)
    }

    /// How it ended, if it has.
    pub(crate) fn exit(&self) -> Option<Exit> {
        self.ended.borrow().clone()
    }
}

/// Where the program finds the current incarnation of a supervisor, or the last one.
pub(crate) type Seat = Arc<Mutex<Option<Port>>>;

/// The current incarnation of a supervisor.
pub(crate) fn port(seat: &Seat) -> Option<Port> {
    seat.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

/// Asks the current incarnation of a supervisor.
pub(crate) async fn ask(seat: &Seat, request: Request<Start>) -> Result<Answer, AdminError> {
    let (reply, answer) = oneshot::channel();
    port(seat)
        .ok_or(AdminError::Stopping)?
        .tell(Message::Ask(Box::new(request), reply));
    answer.await.map_err(|_| AdminError::Stopping)
}
