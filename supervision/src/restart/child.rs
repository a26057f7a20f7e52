//! What both cores remember of one child.

use std::sync::Arc;
use std::time::Duration;

use super::event::{ChildKey, ChildRow, ChildState, Effect, Hold, Incarnation, TimerId};
use super::ledger::{Ledger, ended_early};
use super::window::Window;
use crate::exit::Exit;
use crate::health::{Judgement, Step, Symptom, Vitals, judge, next_step};
use crate::report::{About, Decision};
use crate::spec::{Plan, Restart, Shutdown};

#[derive(Debug, Clone)]
pub(super) struct Child<P> {
    pub(super) plan: Plan,
    /// What starts it; gone for temporary children once they are started, so that nothing keeps their arguments.
    pub(super) payload: Option<P>,
    pub(super) incarnation: Incarnation,
    pub(super) state: ChildState,
    pub(super) last_exit: Option<Exit>,
    /// The deadline of its start or stop, or the end of its backoff.
    pub(super) timer: Option<TimerId>,
    /// What its restart waits for, beside its siblings.
    pub(super) hold: Option<Hold>,
    /// Whether its restart has been allowed and only waits for its time.
    pub(super) has_leave: bool,
    /// When it is looked at again.
    pub(super) look: Option<TimerId>,
    /// What was done against it because it hangs, and why.
    ill: Option<Box<Ill>>,
    is_late: bool,
    own: Option<Box<Window>>,
    up_since: Option<Duration>,
    /// Failures in a row, for the backoff.
    failures: u32,
}

impl<P> Child<P> {
    pub(super) fn new(plan: Plan, payload: P) -> Self {
        Self {
            own: plan.budget.map(|budget| Box::new(Window::new(budget))),
            hold: None,
            has_leave: false,
            look: None,
            ill: None,
            is_late: false,
            plan,
            payload: Some(payload),
            incarnation: Incarnation::default(),
            state: ChildState::Stopped,
            last_exit: None,
            timer: None,
            up_since: None,
            failures: 0,
        }
    }

    pub(super) fn is_temporary(&self) -> bool {
        self.plan.restart == Restart::Temporary
    }

    /// Whether an exit of this class leads to a restart.
    pub(super) fn restarts_after(&self, exit: &Exit) -> bool {
        match self.plan.restart {
            Restart::Permanent => true,
            Restart::Transient => exit.is_abnormal(),
            Restart::Temporary => false,
        }
    }

    /// Has the next incarnation started.
    pub(super) fn start(&mut self, key: ChildKey, ledger: &mut Ledger<P>)
    where
        P: Clone,
    {
        ledger.disarm(self.timer.take());
        let payload = if self.is_temporary() {
            self.payload.take()
        } else {
            self.payload.clone()
        };
        if let Some(payload) = payload {
            self.incarnation.0 += 1;
            self.state = ChildState::Starting;
            (self.hold, self.has_leave) = (None, false);
            (self.ill, self.is_late) = (None, false);
            let id = self.plan.id.clone();
            ledger.push(Effect::Start(key, self.incarnation, id, payload));
            let deadline = self.plan.start_within;
            self.timer = deadline.map(|limit| ledger.arm(Some(key), limit));
        }
    }

    pub(super) fn up(&mut self, key: ChildKey, ledger: &mut Ledger<P>) {
        self.state = ChildState::Running;
        self.up_since = Some(ledger.now);
        ledger.disarm(self.timer.take());
        self.look_after(
            key,
            self.plan.hang.as_ref().map(|limits| limits.shortest()),
            ledger,
        );
    }

    /// It is up, and was to stop before it was: the deadline of its start concerns it no more.
    pub(super) fn up_late(&mut self, ledger: &mut Ledger<P>) {
        if self.state == ChildState::Stopping && self.plan.shutdown == Shutdown::Infinity {
            ledger.disarm(self.timer.take());
        }
    }

    /// It is not up any more; if it was up for long enough, its earlier failures are forgotten.
    pub(super) fn ended(&mut self, now: Duration, exit: Exit) {
        self.last_exit = Some(exit);
        let stable = self
            .plan
            .backoff
            .as_ref()
            .map_or(Duration::MAX, |backoff| backoff.reset_after);
        let was_up = self.up_since.take();
        if was_up.is_some_and(|since| now.saturating_sub(since) >= stable) {
            self.failures = 0;
        }
    }

    /// Charges one restart to what is forgiven to this child alone; whether that covers it.
    pub(super) fn charge_own(&mut self, now: Duration, key: ChildKey) -> bool {
        self.own.as_mut().is_some_and(|own| own.charge(now, key))
    }

    pub(super) fn hold_own(&mut self, now: Duration, wait: Duration) {
        if let Some(own) = &mut self.own {
            own.hold(now, wait, |_| true);
        }
    }

    /// Whether a failed start is charged when it fails, and not when the next attempt begins.
    pub(super) fn is_charged_at_once(&self) -> bool {
        self.plan.backoff.is_some() || self.plan.budget.is_some() || !self.plan.needs.is_empty()
    }

    /// The wait its backoff asks for after one more failure.
    pub(super) fn wait(&mut self, random: &mut fastrand::Rng) -> Duration {
        self.failures = self.failures.saturating_add(1);
        self.plan
            .backoff
            .as_ref()
            .map_or(Duration::ZERO, |backoff| {
                backoff.wait(self.failures, random)
            })
    }

    pub(super) fn disarm(&mut self, ledger: &mut Ledger<P>) {
        ledger.disarm(self.timer.take());
        ledger.disarm(self.look.take());
    }

    /// Has it stopped, in the way it wants; returns how long it gets.
    pub(super) fn stop(&mut self, key: ChildKey, ledger: &mut Ledger<P>) -> Option<Duration> {
        let is_starting = self.state == ChildState::Starting;
        self.state = ChildState::Stopping;
        ledger.disarm(self.look.take());
        // A start that hears of nothing is waited for until its deadline, and not for ever.
        if !(is_starting && self.plan.shutdown == Shutdown::Infinity) {
            ledger.disarm(self.timer.take());
        }
        let ask = Effect::RequestStop(key, self.incarnation);
        match self.plan.shutdown {
            // It hangs and was killed already: it is waited for as long as after a kill, and not for ever.
            _ if self.is_killed() => self.kill(key, ledger),
            Shutdown::Kill => self.kill(key, ledger),
            Shutdown::After(_) | Shutdown::Infinity => ledger.push(ask),
        }
        match self.plan.shutdown {
            Shutdown::After(limit) => Some(limit),
            Shutdown::Kill | Shutdown::Infinity => None,
        }
    }

    /// How its end is reported when its supervisor wanted it to end.
    pub(super) fn stop_decision(&self, exit: &Exit) -> Decision {
        let is_clean = match (self.plan.shutdown, exit) {
            (Shutdown::Kill, exit) => *exit == Exit::Killed,
            (_, Exit::Shutdown(_)) => true,
            (_, Exit::Normal) => self.plan.restart != Restart::Permanent,
            _ => false,
        };
        if is_clean {
            Decision::Stopped(self.about())
        } else {
            Decision::UncleanStop(self.about(), exit.clone())
        }
    }

    /// How its end is reported when it ended by itself.
    pub(super) fn end_decision(&self, exit: &Exit) -> Decision {
        if exit.is_abnormal() || self.restarts_after(exit) {
            Decision::Terminated(self.about(), exit.clone())
        } else {
            Decision::Ended(self.about(), exit.clone())
        }
    }

    pub(super) fn about(&self) -> About {
        About {
            child: self.plan.id.clone(),
            incarnation: self.incarnation,
            restart: self.plan.restart,
        }
    }

    pub(super) fn row(&self, key: ChildKey, now: Duration, shared: usize) -> ChildRow {
        let own = self
            .own
            .as_ref()
            .map_or(0, |own| own.counts(now).values().sum());
        let restarts = shared + own;
        ChildRow {
            hold: self.hold.clone(),
            step: self.step(),
            key,
            id: self.plan.id.clone(),
            kind: self.plan.kind,
            incarnation: self.incarnation,
            state: self.state,
            restarts,
            last_exit: self.last_exit.clone(),
        }
    }
}

/// What was done last against a child that hangs, and why and when.
#[derive(Debug, Clone)]
struct Ill {
    step: Step,
    symptom: Symptom,
    at: Duration,
}

impl Ill {
    /// Whether what is seen now began after the last step: the child made progress in between, which nobody saw because the look at it
    /// came late. It is not to be cancelled or killed for two short silences.
    fn is_other_than(&self, symptom: &Symptom, now: Duration) -> bool {
        symptom.seen < now.saturating_sub(self.at)
    }
}

/// What is done about a child that hangs, or does not come up or end in time.
impl<P> Child<P> {
    fn look_after(&mut self, key: ChildKey, wait: Option<Duration>, ledger: &mut Ledger<P>) {
        ledger.disarm(self.look.take());
        self.look = wait.map(|wait| ledger.arm(Some(key), wait));
    }

    /// Kills it. If it is watched for hanging, it is given up when that does not help in time.
    pub(super) fn kill(&mut self, key: ChildKey, ledger: &mut Ledger<P>) {
        ledger.push(Effect::Kill(key, self.incarnation));
        let limit = self.plan.hang.as_ref().map(|limits| limits.after_kill);
        self.look_after(key, limit, ledger);
    }

    /// It was not up in time.
    pub(super) fn late(&mut self, key: ChildKey, ledger: &mut Ledger<P>) {
        (self.is_late, self.timer) = (true, None);
        self.kill(key, ledger);
    }

    /// The last step against it.
    fn step(&self) -> Option<Step> {
        self.ill.as_ref().map(|ill| ill.step)
    }

    fn is_killed(&self) -> bool {
        self.is_late || self.step() >= Some(Step::Killed)
    }

    /// Whether its time to be looked at has come, and it is to be given up.
    pub(super) fn is_looked_at(&mut self, timer: TimerId) -> Option<bool> {
        self.look.take_if(|look| *look == timer)?;
        Some(self.is_killed() || self.state != ChildState::Running)
    }

    /// What is seen of it, and what follows.
    pub(super) fn examined(&mut self, key: ChildKey, vitals: &Vitals, ledger: &mut Ledger<P>) {
        let Some(limits) = self.plan.hang.clone() else {
            return;
        };
        match judge(&limits, vitals) {
            Judgement::Well(again) => {
                self.recovers(ledger);
                self.look_after(key, Some(again), ledger);
            }
            Judgement::Hung(symptom) => {
                let is_another = |ill: &Ill| ill.is_other_than(&symptom, ledger.now);
                if self.ill.as_deref().is_some_and(is_another) {
                    self.recovers(ledger);
                }
                if let Some((step, wait)) = next_step(&limits, self.step()) {
                    let at = ledger.now;
                    self.ill = Some(Box::new(Ill { step, symptom, at }));
                    let about = self.about();
                    let under_way = vitals.under_way.clone();
                    ledger.report(Decision::Hung {
                        about,
                        symptom,
                        step,
                        under_way,
                    });
                    self.act(key, step, wait, ledger);
                }
            }
        }
    }

    fn recovers(&mut self, ledger: &mut Ledger<P>) {
        if self.ill.take().is_some() {
            ledger.report(Decision::Recovered(self.about()));
        }
    }

    fn act(&mut self, key: ChildKey, step: Step, wait: Duration, ledger: &mut Ledger<P>) {
        match step {
            Step::Nudged => ledger.push(Effect::Nudge(key, self.incarnation)),
            Step::Cancelled => ledger.push(Effect::Cancel(key, self.incarnation)),
            Step::Killed | Step::Lost => return self.kill(key, ledger),
        }
        self.look_after(key, Some(wait), ledger);
    }

    /// It is waited for no more; what its end is taken to be.
    pub(super) fn lose(&mut self, key: ChildKey, ledger: &mut Ledger<P>) -> Exit {
        ledger.report(Decision::Lost(self.about()));
        ledger.push(Effect::Abandon(key, self.incarnation));
        Exit::Failed("it did not end when it was killed and was given up".into())
    }

    /// How an end is taken that its supervisor brought about because it hung.
    pub(super) fn taken(&mut self, exit: Exit, ledger: &mut Ledger<P>) -> Exit {
        ledger.disarm(self.look.take());
        match self.ill.as_deref() {
            Some(Ill {
                step: Step::Killed | Step::Lost,
                symptom,
                ..
            }) if self.state == ChildState::Running => {
                Exit::Failed(format!("hung: {symptom}").into())
            }
            _ => exit,
        }
    }

    /// Why it could not be started, given how it ended before it was up.
    pub(super) fn not_up(&self, exit: &Exit) -> Arc<str> {
        match self.plan.start_within {
            Some(limit) if self.is_late => format!("it was not up within {limit:?}").into(),
            _ => ended_early(exit),
        }
    }
}
