//! A scenario through the rules alone: no actor, no runtime, time is a number.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use super::{
    DEATH, Fault, Player, QUIET, SETTLE, Scenario, StartPlay, Step, exit_for, shown,
    shown_boot_error, shown_children, shown_exit, shown_refusal,
};
use crate::exit::Exit;
use crate::restart::{
    ChildKey, ChildState, Core, Effect, Event, Incarnation, Reply, Request, RequestId,
    SupervisorCore, Target, TimerId,
};
use crate::spec::Kind;

/// Plays a scenario through [`SupervisorCore`] alone and returns its trace.
#[must_use]
pub fn run_core(scenario: &Scenario) -> Vec<String> {
    let mut theatre = Theatre::default();
    for step in &scenario.steps {
        theatre.play(step, scenario);
    }
    theatre.drain();
    theatre.trace
}

type Id = (ChildKey, Incarnation);

enum Due {
    Start(Id, Player),
    Die(Id, String),
    Gone(Id, Exit),
    Timer(TimerId),
}

struct Process {
    name: String,
    stop: Duration,
    busy_until: Duration,
    is_dying: bool,
}

#[derive(Default)]
struct Theatre {
    core: Option<SupervisorCore<Player>>,
    now: Duration,
    order: u64,
    agenda: BTreeMap<(Duration, u64), Due>,
    processes: HashMap<Id, Process>,
    starts: HashMap<String, u32>,
    trace: Vec<String>,
    held: Option<Vec<Event<Player>>>,
    reply: Option<Reply>,
    boot: Option<Result<(), String>>,
    exit: Option<Exit>,
    is_over: bool,
}

impl Theatre {
    fn log(&mut self, line: impl Into<String>) {
        self.trace.push(line.into());
    }

    fn at(&mut self, wait: Duration, due: Due) {
        self.order += 1;
        self.agenda.insert((self.now + wait, self.order), due);
    }

    /// Everything that is due within `time` happens.
    fn pass(&mut self, time: Duration) {
        let until = self.now + time;
        while self.pass_one(until) {}
        self.now = until;
    }

    fn pass_one(&mut self, until: Duration) -> bool {
        let Some(entry) = self
            .agenda
            .first_entry()
            .filter(|entry| entry.key().0 <= until)
        else {
            return false;
        };
        let ((at, _), due) = entry.remove_entry();
        self.now = at;
        self.happen(due);
        true
    }

    fn drain(&mut self) {
        loop {
            let before = self.trace.len();
            self.pass(QUIET);
            if self.trace.len() == before {
                return;
            }
        }
    }

    fn happen(&mut self, due: Due) {
        match due {
            Due::Start(id, player) => self.start(id, &player),
            Due::Die(id, reason) => self.die(id, &reason),
            Due::Gone(id, exit) => {
                if let Some(process) = self.processes.remove(&id) {
                    self.log(format!("stopped {}", process.name));
                    self.tell(Event::Exited(id.0, id.1, exit));
                }
            }
            Due::Timer(timer) => self.tell(Event::Timer(timer)),
        }
    }

    fn start(&mut self, id: Id, player: &Player) {
        let name = player.plan.id.to_string();
        if player.start.fails(&mut self.starts, &name) {
            self.log(format!("start_failed {name}"));
            self.tell(Event::StartFailed(id.0, id.1, "nope".into()));
        } else if player.start == StartPlay::Ignore {
            self.log(format!("ignored {name}"));
            self.tell(Event::Declined(id.0, id.1));
        } else {
            self.log(format!("start {name}"));
            let process = Process {
                name,
                stop: player.stop,
                busy_until: self.now,
                is_dying: false,
            };
            self.processes.insert(id, process);
            self.tell(Event::Started(id.0, id.1));
        }
    }

    fn die(&mut self, id: Id, reason: &str) {
        let Some(process) = self
            .processes
            .get_mut(&id)
            .filter(|process| !process.is_dying)
        else {
            return;
        };
        process.is_dying = true;
        let (stop, line) = (
            process.stop,
            format!("stop {} {}", process.name, shown(reason)),
        );
        self.log(line);
        self.at(stop, Due::Gone(id, exit_for(reason)));
    }

    fn kill(&mut self, id: Id) {
        if self.processes.remove(&id).is_some() {
            self.tell(Event::Exited(id.0, id.1, Exit::Killed));
        }
    }

    fn cue(&mut self, id: Id, reason: &str) {
        if let Some(process) = self.processes.get(&id) {
            let wait = process.busy_until.saturating_sub(self.now);
            self.at(wait, Due::Die(id, reason.to_owned()));
        }
    }

    fn tell(&mut self, event: Event<Player>) {
        if let Some(held) = &mut self.held {
            return held.push(event);
        }
        let Some(core) = &mut self.core else { return };
        for effect in core.apply(self.now, event) {
            self.perform(effect);
        }
    }

    fn perform(&mut self, effect: Effect<Player>) {
        match effect {
            Effect::Start(key, incarnation, _, player) => {
                let wait = if let StartPlay::Slow(time) = player.start {
                    time
                } else {
                    Duration::ZERO
                };
                self.at(wait, Due::Start((key, incarnation), player));
            }
            Effect::RequestStop(key, incarnation) => self.cue((key, incarnation), "shutdown"),
            Effect::Kill(key, incarnation) => self.kill((key, incarnation)),
            Effect::Arm(timer, after) => self.at(after, Due::Timer(timer)),
            Effect::Reply(_, reply) => self.reply = Some(reply),
            Effect::Ready => self.boot = Some(Ok(())),
            Effect::BootFailed(child, _) => self.boot = Some(Err(child.to_string())),
            Effect::Exit(exit) => self.exit = Some(exit),
            // Beyond OTP: no scenario switches any of it on.
            Effect::Examine(..)
            | Effect::Nudge(..)
            | Effect::Cancel(..)
            | Effect::Abandon(..)
            | Effect::AskLeave(..) => {}
            Effect::Disarm(_) | Effect::Down(..) | Effect::Forget(_) | Effect::Report(_) => {}
        }
    }

    fn play(&mut self, step: &Step, scenario: &Scenario) {
        match step {
            Step::Go => self.go(scenario),
            Step::Sleep(time) => {
                self.pass(*time);
                self.drain();
            }
            _ if self.core.is_none() || self.is_over || self.exit.is_some() => {
                self.log("no_supervisor")
            }
            Step::Add(player) => {
                self.ask("add", Request::Add(player.plan.clone(), (**player).clone()))
            }
            Step::Terminate(id) => self.ask("terminate", Request::Terminate(Target::Id(id.into()))),
            Step::Restart(id) => self.ask("restart", Request::Restart(Target::Id(id.into()))),
            Step::Delete(id) => self.ask("delete", Request::Delete(Target::Id(id.into()))),
            Step::Fault(fault) => {
                match self.find(fault.child()) {
                    Some(id) => self.befall(id, fault),
                    None => self.log("skip"),
                }
                self.settle();
            }
            Step::Together(faults) => self.together(faults),
            Step::Block(name, time) => match self.find(name) {
                Some(id) => {
                    let until = self.now + *time;
                    self.processes
                        .entry(id)
                        .and_modify(|process| process.busy_until = until);
                    self.pass(Duration::from_millis(5));
                }
                None => self.log("skip"),
            },
            Step::Which => self.which(),
            Step::Count => self.count(),
            Step::Stop => self.stop(),
            Step::KillSupervisor => self.kill_supervisor(),
        }
    }

    fn go(&mut self, scenario: &Scenario) {
        let children = scenario
            .children
            .iter()
            .map(|child| (child.plan.clone(), child.clone()))
            .collect();
        match SupervisorCore::new(scenario.flags.clone(), children) {
            Ok(core) => self.core = Some(core),
            Err(error) => return self.log(shown_boot_error(&scenario.flags, &error)),
        }
        self.tell(Event::Boot);
        while self.boot.is_none() && self.pass_one(Duration::MAX) {}
        self.drain();
        match self.boot.take() {
            Some(Err(child)) => {
                self.core = None;
                self.log(format!("boot error failed_to_start {child}"));
            }
            _ => self.log("boot ok"),
        }
    }

    fn ask(&mut self, name: &str, request: Request<Player>) {
        self.reply = None;
        self.tell(Event::Request(RequestId(0), request));
        while self.reply.is_none() && self.pass_one(Duration::MAX) {}
        self.drain();
        let shown = match self.reply.take() {
            Some(Reply::Started(..) | Reply::Done) => "ok".to_owned(),
            Some(Reply::Declined) => "ok_ignored".to_owned(),
            Some(Reply::Refused(error)) => shown_refusal(&error),
            None => "none".to_owned(),
        };
        self.log(format!("reply {name} {shown}"));
    }

    fn rows(&self) -> Vec<crate::restart::ChildRow> {
        self.core
            .as_ref()
            .map(|core| core.rows(self.now))
            .unwrap_or_default()
    }

    fn find(&self, name: &str) -> Option<Id> {
        let row = self
            .rows()
            .into_iter()
            .find(|row| row.id.as_str() == name && row.state == ChildState::Running)?;
        Some((row.key, row.incarnation))
    }

    fn befall(&mut self, id: Id, fault: &Fault) {
        match fault {
            Fault::Exit(_, reason) => self.cue(id, reason),
            Fault::Kill(_) => self.kill(id),
        }
        let patience = self.now + DEATH;
        while self.processes.contains_key(&id) && self.pass_one(patience) {}
    }

    fn together(&mut self, faults: &[Fault]) {
        let alive: Vec<_> = faults
            .iter()
            .filter_map(|fault| Some((self.find(fault.child())?, fault)))
            .collect();
        self.held = Some(Vec::new());
        for (id, fault) in alive {
            self.befall(id, fault);
        }
        for event in self.held.take().unwrap_or_default() {
            self.tell(event);
        }
        self.settle();
    }

    fn settle(&mut self) {
        self.pass(SETTLE);
        self.drain();
        if let Some(exit) = &self.exit {
            let line = format!("sup_exit {}", shown_exit(exit));
            self.is_over = true;
            self.log(line);
        }
    }

    fn which(&mut self) {
        let rows = self.rows();
        self.drain();
        self.log(shown_children(
            rows.iter().map(|row| (row.id.as_str(), row.state)),
        ));
    }

    fn count(&mut self) {
        let rows = self.rows();
        self.drain();
        let active = rows.iter().filter(|row| row.state.is_active()).count();
        let supervisors = rows
            .iter()
            .filter(|row| row.kind == Kind::Supervisor)
            .count();
        self.log(format!(
            "counts {} {active} {supervisors} {}",
            rows.len(),
            rows.len() - supervisors
        ));
    }

    fn stop(&mut self) {
        self.tell(Event::Stop);
        while self.exit.is_none() && self.pass_one(Duration::MAX) {}
        self.settle();
    }

    /// No rule is involved: the supervisor is gone, and what was linked to it with it.
    fn kill_supervisor(&mut self) {
        let names: Vec<_> = self
            .processes
            .drain()
            .map(|(_, process)| process.name)
            .collect();
        for name in names {
            self.log(format!("stop {name} killed"));
            self.log(format!("stopped {name}"));
        }
        self.is_over = true;
        self.log("sup_exit killed children_alive 0");
    }
}
