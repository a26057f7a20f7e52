//! The ractor actor around the shell.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::FutureExt;
use ractor::{ActorProcessingErr, ActorRef};
use tokio::sync::{mpsc, watch};

use super::estate::{Estate, Inboxes};
use super::seat::{Desk, Message, Port, Seat};
use super::{AnyCore, Shell};
use crate::actor::{Failure, Slot, panic_message};
use crate::child::{
    FateSink, Launch, Launcher, Life, Live, Misfortune, Over, Start, spawn, suffer,
};
use crate::exit::Exit;
use crate::fault::Point;
use crate::health::Pulse;
use crate::incarnation::{Fate, Leash, StartFailure};
use crate::report::Doing;
use crate::restart::Event;
use crate::watchdog::Sight;

/// What an initialiser gives: a supervisor, or nothing if it declines. It is told the first key that its children may have.
pub(crate) type InitCore = Arc<dyn Fn(u64) -> Result<Option<Made>, Failure> + Send + Sync>;

/// A supervisor that is to be.
pub(crate) struct Made {
    pub(crate) core: AnyCore,
    /// How the declared children are started, in start order.
    pub(crate) starts: Vec<Start>,
}

/// Starts supervisors of one description.
pub(crate) struct SupervisorLauncher {
    pub(crate) init: InitCore,
    pub(crate) seat: Seat,
}

impl Launcher for SupervisorLauncher {
    fn launch(&self, launch: Launch) -> Option<Live> {
        let slot = launch.slot;
        let (alive, mut nobody) = mpsc::channel(1);
        let (fate, ended) = overheard(launch.fate);
        let sight = launch.ambient.sight(&launch.supervisor, &launch.about);
        let misfortune = launch
            .ambient
            .misfortune(&launch.supervisor, &launch.path, &launch.about);
        let inboxes = Arc::new(Inboxes {
            ambient: launch.ambient,
            path: launch.path.whole().clone(),
            estate: launch.estate,
            children: Mutex::new(BTreeMap::new()),
        });
        let aftermath = {
            let inboxes = inboxes.clone();
            async move {
                let None::<Infallible> = nobody.recv().await;
                inboxes.close();
            }
        };
        let (desk, messages) = mpsc::unbounded_channel();
        let actor = SupervisorActor {
            desk: desk.clone(),
            messages: Mutex::new(Some(messages)),
            frame: Arc::new(Frame {
                slot: slot.clone(),
                inboxes,
                alive,
                fate: fate.clone(),
            }),
            ended: ended.clone(),
            seat: self.seat.clone(),
            sight,
            misfortune,
            shell: Mutex::new(None),
        };
        let life = Life {
            slot: slot.clone(),
            ready_at_once: false,
            aftermath: Some(aftermath),
            fate,
        };
        let actor = spawn(actor, self.init.clone(), life)?;
        let actor = actor.get_cell();
        let port = Port {
            actor: actor.clone(),
            desk,
            ended,
        };
        Some(Live::new(actor, slot, Some(port), Pulse::default()))
    }

    fn estate(&self) -> Option<Arc<Estate>> {
        Some(Arc::default())
    }
}

/// The same sink, and what the end that goes into it was.
fn overheard(fate: FateSink) -> (FateSink, watch::Receiver<Option<Exit>>) {
    let (ended, end) = watch::channel(None);
    let overhear = move |told: Fate| {
        let exit = match &told {
            Fate::Started(_) => None,
            Fate::Declined | Fate::InboxTaken => Some(Exit::Normal),
            Fate::StartFailed(failure) => Some(Exit::Failed(failure.reason.clone())),
            Fate::Exited(exit) => Some(exit.clone()),
        };
        if exit.is_some() {
            ended.send_replace(exit);
        }
        fate.tell(told);
    };
    (FateSink::Other(Arc::new(overhear)), end)
}

/// What a supervisor's actor and its shell share.
pub(super) struct Frame {
    pub(super) slot: Slot,
    pub(super) inboxes: Arc<Inboxes>,
    /// Everything below holds a copy for as long as anything of it is left; nothing is ever sent.
    pub(super) alive: Leash,
    pub(super) fate: FateSink,
}

/// It is to do its work now.
struct Run;

struct SupervisorActor {
    desk: Desk,
    messages: Mutex<Option<mpsc::UnboundedReceiver<Message>>>,
    frame: Arc<Frame>,
    ended: watch::Receiver<Option<Exit>>,
    seat: Seat,
    sight: Sight,
    misfortune: Option<Box<Misfortune>>,
    /// Here and not in ractor's state, so that it is dropped, and starting children killed, when this actor's task ends.
    shell: Mutex<Option<Shell>>,
}

impl SupervisorActor {
    fn shell(&self) -> MutexGuard<'_, Option<Shell>> {
        self.shell.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether it is over then.
    fn hear(&self, message: Message) -> bool {
        let _polled = self.sight.polled(Doing::Deciding);
        self.shell().as_mut().is_none_or(|shell| {
            shell.hear(message);
            shell.is_over
        })
    }

    async fn make(&self, init: &InitCore, myself: &ActorRef<Run>) -> Result<Made, Failure> {
        let fault = self.misfortune.as_ref();
        let fault = fault.and_then(|misfortune| misfortune.strike(Point::Start));
        // No two supervisors of one process count their children's keys from the same number.
        let first_key = myself.get_id().pid() << 32;
        let made = async {
            if let Some(fault) = fault {
                suffer(fault, || myself.kill()).await?;
            }
            init(first_key)
        };
        let made = self.sight.watch(Doing::Starting, made);
        let failure = match AssertUnwindSafe(made).catch_unwind().await {
            Ok(Ok(Some(made))) => return Ok(made),
            Ok(Ok(None)) => {
                self.frame.slot.decline();
                return Err("declined".into());
            }
            Ok(Err(failure)) => failure,
            Err(panic) => format!("panicked: {}", panic_message(&*panic)).into(),
        };
        let slot = &self.frame.slot;
        slot.start_failed(StartFailure::new(failure.to_string()));
        Err(failure)
    }
}

impl ractor::Actor for SupervisorActor {
    type Msg = Run;
    type State = ();
    type Arguments = InitCore;

    async fn pre_start(
        &self,
        myself: ActorRef<Run>,
        init: InitCore,
    ) -> Result<(), ActorProcessingErr> {
        let made = self.make(&init, &myself).await?;
        *self.seat.lock().unwrap_or_else(PoisonError::into_inner) = Some(Port {
            actor: myself.get_cell(),
            desk: self.desk.clone(),
            ended: self.ended.clone(),
        });
        let mut shell = Shell::new(self.frame.clone(), self.desk.clone(), made);
        shell.apply(Event::Boot);
        *self.shell() = Some(shell);
        let _ = myself.cast(Run);
        Ok(())
    }

    /// Hears of everything until it is over.
    async fn handle(
        &self,
        _: ActorRef<Run>,
        Run: Run,
        (): &mut (),
    ) -> Result<(), ActorProcessingErr> {
        let messages = self.messages.lock();
        let messages = messages.unwrap_or_else(PoisonError::into_inner).take();
        let Some(mut messages) = messages else {
            return Ok(());
        };
        while let Some(message) = messages.recv().await
            && !self.hear(message)
        {}
        Err(Over.into())
    }
}
