//! A scenario through the real supervisor.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use super::{
    DEATH, Fault, Player, QUIET, SETTLE, Scenario, StartPlay, Step, exit_for, shown,
    shown_boot_error, shown_children, shown_exit, shown_refusal,
};
use crate::restart::AdminError;
use crate::spec;
use crate::{
    Actor, Added, AtRestart, ChildSpec, ChildState, Context, Exit, Failure, Handle, Init, Root,
    Start, StartError, SupervisorHandle, SupervisorSpec, inbox,
};

/// Plays a scenario through the real supervisor and returns its trace. Meant for a paused clock: nothing waits for real then.
pub async fn run(scenario: &Scenario) -> Vec<String> {
    let stage = Stage {
        world: Arc::default(),
        flags: scenario.flags.clone(),
        supervisor: None,
        is_over: false,
    };
    stage.play(scenario).await
}

/// What the children of one scenario share.
#[derive(Default)]
struct World(Mutex<Shared>);

#[derive(Default)]
struct Shared {
    trace: Vec<String>,
    starts: HashMap<String, u32>,
    alive: HashMap<String, (Handle<Cue>, watch::Receiver<()>)>,
    /// OTP's children notice that their supervisor was killed and still clean up; ours are gone with it, and only say so.
    supervisor_killed: bool,
}

impl World {
    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn log(&self, line: String) {
        self.lock().trace.push(line);
    }
}

enum Cue {
    Exit(String),
    Block(Duration),
}

struct Child {
    id: String,
    stop: Duration,
    world: Arc<World>,
    said: bool,
    _gone: watch::Sender<()>,
}

impl Child {
    async fn die(&mut self, reason: &str) {
        self.said = true;
        self.world.log(format!("stop {} {reason}", self.id));
        sleep(self.stop).await;
        self.world.log(format!("stopped {}", self.id));
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if self.world.lock().supervisor_killed && !self.said {
            self.world.log(format!("stop {} killed", self.id));
            self.world.log(format!("stopped {}", self.id));
        }
    }
}

impl Actor for Child {
    type Message = Cue;

    async fn handle(&mut self, cue: Cue, cx: &mut Context<Cue>) -> Result<(), Failure> {
        match cue {
            Cue::Block(time) => sleep(time).await,
            Cue::Exit(reason) => {
                self.die(shown(&reason)).await;
                match exit_for(&reason) {
                    Exit::Failed(reason) => return Err(reason.to_string().into()),
                    exit => cx.exit(exit),
                }
            }
        }
        Ok(())
    }

    async fn terminate(&mut self, exit: &Exit) {
        if !self.said {
            self.die(&shown_exit(exit)).await;
        }
    }
}

fn spec(player: &Player, world: &Arc<World>) -> ChildSpec {
    let (handle, reads) = inbox(16, AtRestart::DeadLetter);
    let (id, play, stop, world) = (
        player.plan.id.to_string(),
        player.start,
        player.stop,
        world.clone(),
    );
    let start = Start::init(reads, move |_| {
        let (id, world, handle) = (id.clone(), world.clone(), handle.clone());
        async move {
            if let StartPlay::Slow(time) = play {
                sleep(time).await;
            }
            let fails = play.fails(&mut world.lock().starts, &id);
            if fails {
                world.log(format!("start_failed {id}"));
                return Err("nope".into());
            }
            if play == StartPlay::Ignore {
                world.log(format!("ignored {id}"));
                return Ok(Init::Declined);
            }
            world.log(format!("start {id}"));
            let (gone, wait) = watch::channel(());
            world.lock().alive.insert(id.clone(), (handle, wait));
            Ok(Init::Up(Child {
                id,
                stop,
                world,
                said: false,
                _gone: gone,
            }))
        }
    });
    ChildSpec {
        plan: player.plan.clone(),
        start,
    }
}

struct Stage {
    world: Arc<World>,
    flags: crate::Flags,
    supervisor: Option<SupervisorHandle>,
    is_over: bool,
}

impl Stage {
    async fn play(mut self, scenario: &Scenario) -> Vec<String> {
        for step in &scenario.steps {
            match step {
                Step::Go => self.go(&scenario.children).await,
                Step::Sleep(time) => {
                    sleep(*time).await;
                    self.drain().await;
                }
                step => match self
                    .supervisor
                    .clone()
                    .filter(|supervisor| !self.is_over && supervisor.exit().is_none())
                {
                    Some(supervisor) => self.step(step, &supervisor).await,
                    None => self.out("no_supervisor"),
                },
            }
        }
        self.drain().await;
        let trace = std::mem::take(&mut self.world.lock().trace);
        if let Some(supervisor) = &self.supervisor {
            supervisor.kill().await;
        }
        trace
    }

    fn out(&self, line: impl Into<String>) {
        self.world.log(line.into());
    }

    async fn drain(&self) {
        loop {
            let before = self.world.lock().trace.len();
            sleep(QUIET).await;
            if self.world.lock().trace.len() == before {
                return;
            }
        }
    }

    async fn go(&mut self, children: &[Player]) {
        if let Err(error) = spec::check(&self.flags, children.iter().map(|child| &child.plan)) {
            return self.out(shown_boot_error(&self.flags, &error));
        }
        let children = children
            .iter()
            .map(|child| spec(child, &self.world))
            .collect();
        let started = Root::new("scenario")
            .start(SupervisorSpec {
                flags: self.flags.clone(),
                children,
            })
            .await;
        self.drain().await;
        match started {
            Ok(supervisor) => {
                self.supervisor = Some(supervisor);
                self.out("boot ok");
            }
            Err(StartError::Failed(failure)) => {
                let child = failure
                    .child
                    .map_or_else(String::new, |child| child.to_string());
                self.out(format!("boot error failed_to_start {child}"));
            }
            Err(StartError::Ignored) => self.out("boot ignored"),
        }
    }

    async fn step(&mut self, step: &Step, supervisor: &SupervisorHandle) {
        match step {
            Step::Add(player) => {
                let result = supervisor.start_child(spec(player, &self.world)).await;
                self.reply("add", &started(result)).await;
            }
            Step::Restart(id) => {
                let result = supervisor.restart_child(id).await;
                self.reply("restart", &started(result)).await;
            }
            Step::Terminate(id) => {
                let result = supervisor.terminate_child(id).await;
                self.reply("terminate", &done(result)).await;
            }
            Step::Delete(id) => {
                let result = supervisor.delete_child(id).await;
                self.reply("delete", &done(result)).await;
            }
            Step::Fault(fault) => {
                match self.alive(supervisor, fault.child()).await {
                    Some(()) => self.befall(supervisor, fault).await,
                    None => self.out("skip"),
                }
                self.settle().await;
            }
            Step::Together(faults) => self.together(supervisor, faults).await,
            Step::Block(id, time) => self.block(supervisor, id, *time).await,
            Step::Which => self.which(supervisor).await,
            Step::Count => self.count(supervisor).await,
            Step::Stop => {
                let exit = supervisor.stop().await;
                self.drain().await;
                self.over(&exit);
            }
            Step::KillSupervisor => self.kill_supervisor(supervisor).await,
            Step::Go | Step::Sleep(_) => {}
        }
    }

    async fn reply(&self, name: &str, result: &str) {
        self.drain().await;
        self.out(format!("reply {name} {result}"));
    }

    fn over(&mut self, exit: &Exit) {
        self.is_over = true;
        self.out(format!("sup_exit {}", shown_exit(exit)));
    }

    async fn settle(&mut self) {
        sleep(SETTLE).await;
        self.drain().await;
        if let Some(exit) = self.supervisor.as_ref().and_then(SupervisorHandle::exit) {
            self.over(&exit);
        }
    }

    async fn alive(&self, supervisor: &SupervisorHandle, id: &str) -> Option<()> {
        let tree = supervisor.tree("scenario", DEATH).await;
        tree.find(&format!("scenario/{id}"))
            .filter(|child| child.state == ChildState::Running)
            .map(|_| ())
    }

    async fn befall(&self, supervisor: &SupervisorHandle, fault: &Fault) {
        let Some((handle, mut gone)) = self.world.lock().alive.get(fault.child()).cloned() else {
            return;
        };
        match fault {
            Fault::Exit(_, reason) => drop(handle.try_send(Cue::Exit(reason.clone()))),
            Fault::Kill(id) => drop(supervisor.kill_child(id).await),
        }
        // The sender is dropped with the child, which ends the wait.
        let _ = timeout(DEATH, gone.changed()).await;
    }

    async fn together(&mut self, supervisor: &SupervisorHandle, faults: &[Fault]) {
        let mut alive = Vec::new();
        for fault in faults {
            if self.alive(supervisor, fault.child()).await.is_some() {
                alive.push(fault);
            }
        }
        supervisor.hold().await;
        for fault in alive {
            self.befall(supervisor, fault).await;
        }
        supervisor.release();
        self.settle().await;
    }

    async fn block(&self, supervisor: &SupervisorHandle, id: &str, time: Duration) {
        let child = self.world.lock().alive.get(id).cloned();
        match (self.alive(supervisor, id).await, child) {
            (Some(()), Some((handle, _))) => {
                let _ = handle.try_send(Cue::Block(time));
                sleep(Duration::from_millis(5)).await;
            }
            _ => self.out("skip"),
        }
    }

    async fn which(&self, supervisor: &SupervisorHandle) {
        let tree = supervisor.tree("scenario", DEATH).await;
        self.drain().await;
        let name = |path: &'_ str| path.rsplit('/').next().unwrap_or_default().to_owned();
        let children: Vec<_> = tree
            .children
            .iter()
            .map(|child| (name(&child.path), child.state))
            .collect();
        self.out(shown_children(
            children.iter().map(|(id, state)| (id.as_str(), *state)),
        ));
    }

    async fn count(&self, supervisor: &SupervisorHandle) {
        let counts = supervisor.count_children().await;
        self.drain().await;
        self.out(format!(
            "counts {} {} {} {}",
            counts.specs, counts.active, counts.supervisors, counts.workers
        ));
    }

    async fn kill_supervisor(&mut self, supervisor: &SupervisorHandle) {
        self.world.lock().supervisor_killed = true;
        let children: Vec<_> = self
            .world
            .lock()
            .alive
            .values()
            .map(|(_, gone)| gone.clone())
            .collect();
        supervisor.kill().await;
        let mut alive = 0;
        for mut gone in children {
            alive += u32::from(timeout(DEATH, gone.changed()).await.is_err());
        }
        self.drain().await;
        self.is_over = true;
        self.out(format!("sup_exit killed children_alive {alive}"));
    }
}

fn started(result: Result<Option<Added>, AdminError>) -> String {
    match result {
        Ok(Some(_)) => "ok".to_owned(),
        Ok(None) => "ok_ignored".to_owned(),
        Err(error) => shown_refusal(&error),
    }
}

fn done(result: Result<(), AdminError>) -> String {
    result.map_or_else(|error| shown_refusal(&error), |()| "ok".to_owned())
}
