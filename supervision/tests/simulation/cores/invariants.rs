//! What must hold of every effect, and of every picture a core gives of itself.

use std::time::Duration;

use supervision::health::Vitals;
use supervision::report::Decision;
use supervision::restart::{
    Availability, ChildKey, ChildState, Core, Effect, Event, Incarnation, Reply, RequestId, TimerId,
};
use supervision::{ChildId, Exit};

use super::world::{Known, Process, Timer, World};

impl<C: Core<()>> World<C> {
    pub(super) fn perform(&mut self, effect: Effect<()>) {
        let is_answer = matches!(effect, Effect::Reply(..));
        assert!(is_answer || !self.is_over, "after the end: {effect:?}");
        match effect {
            Effect::Start(key, incarnation, id, ()) => self.start(key, incarnation, id),
            Effect::RequestStop(key, incarnation) => {
                self.expect_alive(key, incarnation);
                if let Some(process) = self.processes.get_mut(&(key, incarnation)) {
                    assert!(!process.is_asked, "asked twice to stop: {key:?}");
                    process.is_asked = true;
                }
            }
            Effect::Kill(key, incarnation) => {
                self.expect_alive(key, incarnation);
                if let Some(process) = self.processes.get_mut(&(key, incarnation)) {
                    process.is_killed = true;
                }
            }
            Effect::Arm(timer, after) => {
                let armed = Timer::Armed(self.now + after);
                assert_eq!(self.timers.insert(timer, armed), None, "armed twice");
            }
            Effect::Disarm(timer) => {
                let before = self.timers.insert(timer, Timer::Done);
                assert!(
                    matches!(before, Some(Timer::Armed(_) | Timer::Fired)),
                    "{timer:?} was not armed"
                );
            }
            Effect::Examine(key, incarnation) => {
                self.expect_alive(key, incarnation);
                if !self.is_settling {
                    let vitals = self.vitals();
                    self.send(Event::Vitals(key, incarnation, vitals));
                }
            }
            Effect::Nudge(key, incarnation) | Effect::Cancel(key, incarnation) => {
                self.expect_alive(key, incarnation);
            }
            Effect::Abandon(key, incarnation) => {
                self.expect_alive(key, incarnation);
                self.known.get_mut(&key).expect("a child").is_alive = false;
                self.known.get_mut(&key).expect("a child").is_up = false;
                if self.processes.remove(&(key, incarnation)).is_some() {
                    self.lost.push((key, incarnation));
                }
            }
            Effect::AskLeave(key, incarnation) => {
                assert!(!self.is_alive(key), "asks for leave alive: {key:?}");
                let wait = Duration::from_millis(self.random.u64(0..3) * 100);
                self.send(Event::Leave(key, incarnation, wait));
            }
            Effect::Reply(request, reply) => self.answer(request, &reply),
            Effect::Down(key, availability) => self.down(key, availability),
            Effect::Forget(key) => {
                assert!(!self.is_alive(key), "forgotten alive: {key:?}");
                assert!(self.forgotten.insert(key), "forgotten twice: {key:?}");
            }
            Effect::Report(decision) => self.report(&decision),
            Effect::Ready => {
                assert!(
                    !self.is_ready && !self.is_ending,
                    "not the time to be ready"
                );
                self.is_ready = true;
            }
            Effect::BootFailed(..) => {
                assert!(!self.is_ready, "it had booted");
                self.end();
            }
            Effect::Exit(exit) => {
                assert!(matches!(exit, Exit::Shutdown(_)), "{exit:?}");
                self.end();
            }
        }
    }

    fn vitals(&mut self) -> Vitals {
        let silent = self.random.u64(0..2000);
        Vitals {
            silent: Some(Duration::from_millis(silent)),
            ..Vitals::default()
        }
    }

    fn end(&mut self) {
        assert!(self.processes.is_empty(), "{:?} outlive it", self.processes);
        let is_armed = |timer: &Timer| matches!(timer, Timer::Armed(_));
        assert!(!self.timers.values().any(is_armed), "{:?}", self.timers);
        (self.is_ending, self.is_over) = (true, true);
    }

    fn is_alive(&self, key: ChildKey) -> bool {
        self.known.get(&key).is_some_and(|known| known.is_alive)
    }

    fn expect_alive(&self, key: ChildKey, incarnation: Incarnation) {
        let known = self.known.get(&key).expect("a child that was started");
        assert!(known.is_alive && known.incarnation == incarnation);
    }

    fn start(&mut self, key: ChildKey, incarnation: Incarnation, id: ChildId) {
        assert!(!self.is_ending, "started after the decision to end: {id}");
        assert!(!self.forgotten.contains(&key), "started forgotten: {id}");
        let same = |(other, _): &&(ChildKey, Incarnation)| self.ids[other] == id;
        assert!(
            !self.processes.keys().any(|one| same(&one)),
            "two live {id}"
        );
        let before = self.known.get(&key).map_or(0, |known| {
            assert!(!known.is_alive, "may be alive: {id}");
            known.incarnation.0
        });
        assert_eq!(incarnation.0, before + 1, "incarnations count");
        let known = Known {
            incarnation,
            is_alive: true,
            is_up: false,
        };
        self.ids.insert(key, id);
        self.known.insert(key, known);
        self.processes
            .insert((key, incarnation), Process::default());
    }

    fn answer(&mut self, request: RequestId, reply: &Reply) {
        let answers = self.answered.get_mut(&request).expect("a request");
        *answers += 1;
        assert_eq!(*answers, 1, "{request:?} was answered again: {reply:?}");
        if let Reply::Started(key, incarnation) = reply {
            self.expect_alive(*key, *incarnation);
        }
    }

    fn down(&mut self, key: ChildKey, availability: Availability) {
        assert!(!self.is_alive(key), "down, but alive: {key:?}");
        let returns = availability == Availability::Restarting;
        assert!(!(returns && self.is_ending), "{key:?} will not come back");
    }

    fn report(&mut self, decision: &Decision) {
        match decision {
            Decision::GaveUp(..) | Decision::AutoShutdown(_) => self.is_ending = true,
            Decision::Parked { need, .. } => {
                assert!(
                    self.missing.contains(&**need) || !self.mailbox.is_empty(),
                    "{need} is there"
                );
            }
            Decision::Restarting { .. } => {
                self.restarts.push(self.now);
                self.check_intensity();
            }
            _ => {}
        }
    }

    /// Waits of a backoff do not count towards the period, which is another test's business.
    pub(super) fn check_intensity(&self) {
        let from = self.now.saturating_sub(self.flags.intensity.within);
        let recent = self.restarts.iter().filter(|at| **at >= from).count();
        let allowed = self.flags.intensity.restarts as usize + self.budgets;
        assert!(
            self.has_backoff || recent <= allowed,
            "{recent} restarts, {allowed} allowed"
        );
    }

    pub(super) fn check_rows(&self) {
        let rows = self.core.rows(self.now);
        for row in &rows {
            let waits = row.hold.is_some();
            assert!(!waits || row.state == ChildState::Restarting, "{row:?}");
        }
        for row in &rows {
            assert!(!self.forgotten.contains(&row.key), "{row:?} was forgotten");
            let known = self.known.get(&row.key);
            let (is_alive, is_up) = known.map_or((false, false), |one| (one.is_alive, one.is_up));
            assert_eq!(row.state.is_active(), is_alive, "{row:?}");
            assert!(row.state != ChildState::Running || is_up, "{row:?}");
            assert!(row.state != ChildState::Starting || !is_up, "{row:?}");
            assert_eq!(
                row.incarnation,
                known.map_or(Incarnation(0), |one| one.incarnation)
            );
        }
        let listed = rows.iter().filter(|row| row.state.is_active()).count();
        let alive = self.known.values().filter(|known| known.is_alive).count();
        assert_eq!(listed, alive, "a live child is not listed");
    }

    pub(super) fn check_settled(&self) {
        let unanswered = self.answered.values().filter(|answers| **answers != 1);
        assert_eq!(unanswered.count(), 0, "unanswered: {:?}", self.answered);
        assert_eq!(self.is_ending, self.is_over, "it does not come to its end");
        assert!(self.is_ready || self.is_over, "neither up nor gone");
        let rests = |state| matches!(state, ChildState::Running | ChildState::Stopped);
        for row in self.core.rows(self.now) {
            assert!(rests(row.state), "{row:?} hangs");
        }
    }

    /// Whatever still arrives, nothing follows but answers.
    pub(super) fn check_aftermath(&mut self) {
        if !self.is_over {
            return;
        }
        self.request();
        self.send(Event::Stop);
        self.send(Event::Timer(TimerId(0)));
        let starts: Vec<_> = self
            .known
            .iter()
            .map(|(key, one)| (*key, one.incarnation))
            .collect();
        for (key, incarnation) in starts {
            self.send(Event::Exited(key, incarnation, Exit::Killed));
            self.send(Event::Started(key, incarnation));
        }
        while !self.mailbox.is_empty() {
            let event = self.mailbox.pop_front().expect("an event");
            for effect in self.core.apply(self.now, event) {
                self.perform(effect);
            }
        }
    }
}
