//! What most tests stand on: children on command that leave a trace, a root that listens, and a check that nothing is left
//! running.

use std::fmt::Write as _;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use supervision::{
    Actor, AtRestart, ChildSpec, ChildState, Context, Exit, Failure, Flags, Handle, Inbox, Init,
    Reply, Report, Restart, Root, Start, Strategy, SupervisorHandle, SupervisorSpec, Tree, inbox,
    inbox_redelivering,
};
use tokio::runtime::{Builder, Runtime};
use tokio::time::Instant;

pub(crate) const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// Runs a test on a clock that jumps ahead when everybody waits. Nothing may be left running at its end.
pub(crate) fn virtual_time<F: Future<Output = ()>>(test: impl FnOnce(Bed) -> F) {
    let mut builder = Builder::new_current_thread();
    let runtime = builder.enable_time().start_paused(true).build();
    run(&runtime.expect("a runtime"), FOR_EVER, test);
}

/// In virtual time this is over at once when nothing else can happen.
const FOR_EVER: Duration = Duration::from_secs(1 << 30);

/// What real time is waited for at most, on a machine that does much else; it only ends what would hang.
const PATIENCE: Duration = Duration::from_secs(600);

/// Runs a test on real threads and real time. Nothing may be left running at its end.
pub(crate) fn on_threads<F: Future<Output = ()>>(threads: usize, test: impl FnOnce(Bed) -> F) {
    let mut builder = Builder::new_multi_thread();
    let runtime = builder.worker_threads(threads).enable_time().build();
    run(&runtime.expect("a runtime"), PATIENCE, test);
}

fn run<F: Future<Output = ()>>(runtime: &Runtime, limit: Duration, test: impl FnOnce(Bed) -> F) {
    runtime.block_on(async {
        let test = tokio::time::timeout(limit, test(Bed::default()));
        test.await.expect("it comes to an end");
        let metrics = runtime.metrics();
        for _ in 0..60_000 {
            if metrics.num_alive_tasks() == 0 {
                return;
            }
            tokio::time::sleep(ms(1)).await;
        }
        panic!("{} tasks are left running", metrics.num_alive_tasks());
    });
}

/// The place of one test.
#[derive(Clone, Default)]
pub(crate) struct Bed(Arc<Mutex<Seen>>);

#[derive(Default)]
struct Seen {
    trace: Vec<String>,
    reports: Vec<Report>,
    alive: Vec<String>,
}

impl Bed {
    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn log(&self, line: impl Into<String>) {
        self.seen().trace.push(line.into());
    }

    /// What happened since the last look.
    pub(crate) fn trace(&self) -> Vec<String> {
        std::mem::take(&mut self.seen().trace)
    }

    /// Fails unless this, line by line, is all that happened since the last look.
    #[track_caller]
    pub(crate) fn expect(&self, trace: &str) {
        let expected: Vec<_> = trace.lines().map(str::trim).collect();
        let expected: Vec<_> = expected
            .into_iter()
            .filter(|line| !line.is_empty())
            .collect();
        assert_eq!(self.trace(), expected);
    }

    pub(crate) fn reports(&self) -> Vec<Report> {
        std::mem::take(&mut self.seen().reports)
    }

    /// As a root that listens does.
    pub(crate) fn heard(&self, report: &Report) {
        self.seen().reports.push(report.clone());
    }

    /// The children that are alive, from the start of their initialiser's success to their drop.
    pub(crate) fn alive(&self) -> Vec<String> {
        self.seen().alive.clone()
    }

    /// A root that listens.
    pub(crate) fn root(&self) -> Root {
        let bed = self.clone();
        Root::new("root").listener(Arc::new(move |report: &Report| {
            bed.heard(report);
        }))
    }

    /// Starts a supervisor of these players.
    pub(crate) async fn start(&self, flags: Flags, players: &[&Player]) -> SupervisorHandle {
        self.root()
            .start(cast(flags, players))
            .await
            .expect("it starts")
    }

    pub(crate) fn player(&self, id: &str) -> Player {
        let (handle, reads) = inbox(1_000, AtRestart::DeadLetter);
        Player {
            bed: self.clone(),
            id: id.to_owned(),
            handle,
            reads,
            starts: Arc::default(),
            stop: Duration::ZERO,
            configure: Arc::new(|spec| spec),
        }
    }

    /// Lets everything happen that takes no time, and a little more.
    pub(crate) async fn settle(&self) {
        tokio::time::sleep(ms(1)).await;
    }
}

/// All reports since the last look, one a line.
pub(crate) fn said(bed: &Bed) -> String {
    let mut text = String::new();
    for report in bed.reports() {
        let about = report.decision.about();
        let _ = writeln!(
            text,
            "{}ms {} {} #{} {:?}: {}{}",
            report.at.as_millis(),
            report.path,
            about.child,
            about.incarnation,
            about.restart,
            report.decision,
            if report.decision.is_trouble() {
                " !"
            } else {
                ""
            },
        );
    }
    text
}

/// A spec of these players, in this order.
pub(crate) fn cast(flags: Flags, players: &[&Player]) -> SupervisorSpec {
    let spec = SupervisorSpec::new(flags);
    players
        .iter()
        .fold(spec, |spec, player| spec.child(player.spec()))
}

/// Flags with room for many restarts.
pub(crate) fn patient(strategy: Strategy) -> Flags {
    Flags::new(strategy).intensity(1_000, Duration::from_secs(1_000))
}

/// How one start goes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Play {
    Ok,
    Slow(u64),
    Fail,
    Panic,
    Decline,
    /// Comes up, and hands its incarnation over.
    HandOver,
}

/// What a player can be told.
#[derive(Clone)]
pub(crate) enum Cue {
    Exit(Exit),
    Panic,
    /// Its handler waits so long.
    Work(u64),
    Ask(Reply<u64>),
    /// It takes this note and says so.
    Note(String),
}

type Configure = Arc<dyn Fn(ChildSpec) -> ChildSpec + Send + Sync>;

/// A child that does as it is told and leaves a trace.
#[derive(Clone)]
pub(crate) struct Player {
    bed: Bed,
    id: String,
    pub(crate) handle: Handle<Cue>,
    reads: Inbox<Cue>,
    /// The starts to come; afterwards all go as the last.
    starts: Arc<Mutex<Vec<Play>>>,
    stop: Duration,
    configure: Configure,
}

impl Player {
    /// How its starts go, one after another; the last is repeated.
    pub(crate) fn starts(self, plays: impl IntoIterator<Item = Play>) -> Self {
        let mut plays: Vec<_> = plays.into_iter().collect();
        plays.reverse();
        *self.starts.lock().unwrap_or_else(PoisonError::into_inner) = plays;
        self
    }

    /// How long its clean-up takes.
    pub(crate) fn stops_in(mut self, millis: u64) -> Self {
        self.stop = ms(millis);
        self
    }

    pub(crate) fn inbox(mut self, capacity: usize, at_restart: AtRestart) -> Self {
        (self.handle, self.reads) = inbox(capacity, at_restart);
        self
    }

    pub(crate) fn redelivering(mut self, at_restart: AtRestart, crashes: u32) -> Self {
        (self.handle, self.reads) = inbox_redelivering(8, at_restart, crashes);
        self
    }

    pub(crate) fn restart(self, restart: Restart) -> Self {
        self.with(move |spec| spec.restart(restart))
    }

    pub(crate) fn with(
        mut self,
        change: impl Fn(ChildSpec) -> ChildSpec + Send + Sync + 'static,
    ) -> Self {
        let before = self.configure.clone();
        self.configure = Arc::new(move |spec| change(before(spec)));
        self
    }

    pub(crate) fn spec(&self) -> ChildSpec {
        (self.configure)(ChildSpec::new(&self.id, self.start()))
    }

    pub(crate) fn start(&self) -> Start {
        let player = self.clone();
        Start::init(self.reads.clone(), move |cx| {
            player.clone().begin(cx.incarnation().0)
        })
    }

    async fn begin(self, incarnation: u64) -> Result<Init<Life>, Failure> {
        let play = {
            let mut starts = self.starts.lock().unwrap_or_else(PoisonError::into_inner);
            match starts.len() {
                0 => Play::Ok,
                1 => starts[0],
                _ => starts.pop().unwrap_or(Play::Ok),
            }
        };
        match play {
            Play::Slow(millis) => tokio::time::sleep(ms(millis)).await,
            Play::Fail => {
                self.bed.log(format!("start failed {}", self.id));
                return Err("nope".into());
            }
            Play::Panic => {
                self.bed.log(format!("start panics {}", self.id));
                panic!("oh no");
            }
            Play::Decline => {
                self.bed.log(format!("declined {}", self.id));
                return Ok(Init::Declined);
            }
            Play::Ok | Play::HandOver => {}
        }
        self.bed.log(format!("start {}", self.id));
        self.bed.seen().alive.push(self.id.clone());
        let life = Life {
            player: self,
            said_goodbye: false,
        };
        Ok(match play {
            Play::HandOver => Init::UpWith(life, Arc::new(incarnation)),
            _ => Init::Up(life),
        })
    }

    pub(crate) fn tell(&self, cue: Cue) {
        self.handle.try_send(cue).expect("it is there to be told");
    }

    /// Has it end in this way, and waits for what follows at once.
    pub(crate) async fn exit(&self, exit: Exit) {
        self.tell(Cue::Exit(exit));
        self.bed.settle().await;
    }

    /// Has it fail, and waits for a few dozen failed attempts to start it. No time passes meanwhile.
    pub(crate) async fn loops(&self) {
        self.tell(Cue::Exit(Exit::failed("boom")));
        let mut attempts = 0;
        while attempts < 50 {
            tokio::task::yield_now().await;
            let trace = self.bed.trace();
            let failed = trace.iter().filter(|line| line.starts_with("start failed"));
            attempts += failed.count();
        }
    }

    pub(crate) async fn fail(&self) {
        self.exit(Exit::failed("boom")).await;
    }
}

struct Life {
    player: Player,
    said_goodbye: bool,
}

impl Drop for Life {
    fn drop(&mut self) {
        let Player { bed, id, .. } = &self.player;
        if !self.said_goodbye {
            bed.log(format!("killed {id}"));
        }
        let mut seen = bed.seen();
        let place = seen.alive.iter().position(|alive| alive == id);
        place.map(|place| seen.alive.remove(place));
    }
}

impl Actor for Life {
    type Message = Cue;

    async fn handle(&mut self, cue: Cue, cx: &mut Context<Cue>) -> Result<(), Failure> {
        match cue {
            Cue::Exit(Exit::Failed(reason)) => return Err(reason.to_string().into()),
            Cue::Exit(exit) => cx.exit(exit),
            Cue::Panic => panic!("oh no"),
            Cue::Work(millis) => tokio::time::sleep(ms(millis)).await,
            Cue::Ask(reply) => reply.send(cx.incarnation().0),
            Cue::Note(note) => self
                .player
                .bed
                .log(format!("{} takes {note}", self.player.id)),
        }
        Ok(())
    }

    async fn terminate(&mut self, exit: &Exit) {
        let Player { bed, id, stop, .. } = self.player.clone();
        bed.log(format!("stop {id} {exit}"));
        if !stop.is_zero() {
            tokio::time::sleep(stop).await;
        }
        bed.log(format!("stopped {id}"));
        self.said_goodbye = true;
    }
}

/// The children of a supervisor as `id:state#incarnation`.
pub(crate) async fn children(supervisor: &SupervisorHandle) -> String {
    let tree = supervisor.tree("root", Duration::from_secs(1)).await;
    let name = |child: &Tree| child.path.rsplit('/').next().unwrap_or_default().to_owned();
    let shown = |child: &Tree| {
        let state = match child.state {
            ChildState::Running => "running",
            ChildState::Stopped => "stopped",
            ChildState::Restarting => "restarting",
            ChildState::Starting => "starting",
            ChildState::Stopping => "stopping",
            ChildState::Down => "down",
        };
        format!("{}:{state}#{}", name(child), child.incarnation)
    };
    let shown: Vec<_> = tree.children.iter().map(shown).collect();
    shown.join(" ")
}

/// How long something takes.
pub(crate) async fn timed<T>(future: impl Future<Output = T>) -> (Duration, T) {
    let begin = Instant::now();
    let value = future.await;
    (begin.elapsed(), value)
}

/// Keeps the test's output free of the panics that are part of it.
pub(crate) fn quiet() {
    static QUIET: std::sync::Once = std::sync::Once::new();
    QUIET.call_once(|| {
        let default = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if info.payload().downcast_ref::<&str>() != Some(&"oh no") {
                default(info);
            }
        }));
    });
}
