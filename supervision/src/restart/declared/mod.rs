//! OTP's rules for declared children.

mod admin;
mod decide;
mod start;
mod stop;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use super::child::Child;
use super::event::{
    AdminError, ChildKey, ChildRow, ChildState, Core, Effect, Event, Incarnation, Request,
    RequestId, TimerId,
};
use super::ledger::Ledger;
use crate::exit::Exit;
use crate::spec::{self, ChildId, Plan, SpecError};
use crate::strategy::Flags;

/// How many requests may wait for their turn.
const REQUESTS_WAITING: usize = 10_000;

/// A supervisor of declared children: one at a time is started or stopped, in order, as OTP does it.
///
/// While it is in the middle of that, exits and requests wait in the order in which they came; the end of the supervisor itself
/// does not wait.
#[derive(Debug, Clone)]
pub struct SupervisorCore<P> {
    flags: Flags,
    children: BTreeMap<ChildKey, Child<P>>,
    ids: HashMap<ChildId, ChildKey>,
    pending: VecDeque<Pending<P>>,
    requests_waiting: usize,
    work: Work,
    next_key: u64,
    ledger: Ledger<P>,
}

/// What waits for its turn.
#[derive(Debug, Clone)]
enum Pending<P> {
    Exited(ChildKey, Incarnation, Exit),
    Request(RequestId, Request<P>),
    TryAgain(ChildKey, Incarnation),
    BackoffOver(ChildKey, TimerId),
    Released(ChildKey),
}

/// What it is in the middle of.
#[derive(Debug, Clone)]
enum Work {
    Idle,
    /// The first of `rest` follows the child that is starting.
    Starting {
        rest: VecDeque<ChildKey>,
        why: Why,
    },
    /// The last of `rest` follows the child that is stopping.
    Stopping {
        child: Option<ChildKey>,
        rest: Vec<ChildKey>,
        then: Then,
    },
    Over,
}

/// What children are started for.
#[derive(Debug, Clone)]
enum Why {
    Boot,
    /// Somebody asked for it; `keep` the spec if it fails.
    Asked {
        request: RequestId,
        keep: bool,
    },
    Restart,
}

/// What follows when children are stopped.
#[derive(Debug, Clone)]
enum Then {
    Unwind { child: ChildId, reason: Arc<str> },
    Group { origin: ChildKey, wait: Duration },
    Terminate { request: RequestId },
    Exit(Exit),
}

impl<P: Clone> SupervisorCore<P> {
    /// A core for these children, in start order. Nothing happens before [`Event::Boot`].
    ///
    /// # Errors
    /// The first offence in the flags or the set of children.
    pub fn new(flags: Flags, children: Vec<(Plan, P)>) -> Result<Self, SpecError> {
        spec::check(&flags, children.iter().map(|(plan, _)| plan))?;
        let next_key = children.len() as u64;
        let keys = || (0..next_key).map(ChildKey);
        let ids = children.iter().map(|(plan, _)| plan.id.clone());
        let ids = ids.zip(keys()).collect();
        let children = children.into_iter();
        let children = children.map(|(plan, payload)| Child::new(plan, payload));
        Ok(Self {
            ledger: Ledger::new(&flags),
            flags,
            // At once: that packs them twice as densely as one after another.
            children: keys().zip(children).collect(),
            ids,
            pending: VecDeque::new(),
            requests_waiting: 0,
            work: Work::Idle,
            next_key,
        })
    }

    fn insert(&mut self, plan: Plan, payload: P) -> ChildKey {
        let key = ChildKey(self.next_key);
        self.next_key += 1;
        self.ids.insert(plan.id.clone(), key);
        self.children.insert(key, Child::new(plan, payload));
        key
    }

    fn child(&mut self, key: ChildKey, incarnation: Incarnation) -> Option<&mut Child<P>> {
        of(&mut self.children, key, incarnation)
    }

    fn keys(&self) -> Vec<ChildKey> {
        self.children.keys().copied().collect()
    }

    fn is_ending(&self) -> bool {
        let ends = |then: &Then| matches!(then, Then::Exit(_) | Then::Unwind { .. });
        match &self.work {
            Work::Over => true,
            Work::Stopping { then, .. } => ends(then),
            Work::Idle | Work::Starting { .. } => false,
        }
    }

    fn requested(&mut self, request: RequestId, wish: Request<P>) {
        if self.is_ending() {
            self.ledger.refuse(request, AdminError::Stopping);
        } else if self.requests_waiting >= REQUESTS_WAITING {
            self.ledger.refuse(request, AdminError::Busy);
        } else {
            self.requests_waiting += 1;
            self.pending.push_back(Pending::Request(request, wish));
        }
    }

    fn timer(&mut self, timer: TimerId) {
        let Some(Some(key)) = self.ledger.fired(timer) else {
            return;
        };
        let Some(child) = self.children.get_mut(&key) else {
            return;
        };
        if let Some(is_lost) = child.is_looked_at(timer) {
            return self.look(key, is_lost);
        }
        match child.state {
            ChildState::Starting => child.late(key, &mut self.ledger),
            ChildState::Stopping => child.kill(key, &mut self.ledger),
            ChildState::Restarting => self.pending.push_back(Pending::BackoffOver(key, timer)),
            _ => {}
        }
    }

    fn happens(&mut self, now: Duration, event: Event<P>) {
        self.ledger.now = now;
        match event {
            Event::Boot => self.start_all(self.keys(), Why::Boot),
            Event::Started(key, incarnation) => self.started(key, incarnation),
            Event::StartFailed(key, incarnation, reason) => {
                self.start_failed(key, incarnation, reason)
            }
            Event::Declined(key, incarnation) => self.declined(key, incarnation),
            Event::Exited(key, incarnation, exit) => self.exited(key, incarnation, exit),
            Event::Timer(timer) => self.timer(timer),
            Event::Request(request, wish) => self.requested(request, wish),
            Event::Stop => self.stop_requested(),
            Event::Need(need, is_there) => self.need(need, is_there),
            Event::Vitals(key, incarnation, vitals) => self.vitals(key, incarnation, &vitals),
            Event::Leave(key, incarnation, wait) => self.leave(key, incarnation, wait),
        }
        self.take_turns();
    }

    fn take_turns(&mut self) {
        while matches!(self.work, Work::Idle)
            && let Some(pending) = self.pending.pop_front()
        {
            self.take_turn(pending);
        }
    }

    fn take_turn(&mut self, pending: Pending<P>) {
        match pending {
            Pending::Exited(key, incarnation, exit) => self.decide(key, incarnation, exit),
            Pending::Request(request, wish) => {
                self.requests_waiting -= 1;
                self.administer(request, wish);
            }
            Pending::TryAgain(key, incarnation) => self.try_again(key, incarnation),
            Pending::BackoffOver(key, timer) => self.backoff_over(key, timer),
            Pending::Released(key) => self.released(key),
        }
    }
}

/// The child of which this is the newest incarnation. Borrows the children alone, so that the ledger stays free.
fn of<P>(
    children: &mut BTreeMap<ChildKey, Child<P>>,
    key: ChildKey,
    incarnation: Incarnation,
) -> Option<&mut Child<P>> {
    let child = children.get_mut(&key)?;
    (child.incarnation == incarnation).then_some(child)
}

impl<P: Clone> Core<P> for SupervisorCore<P> {
    fn apply(&mut self, now: Duration, event: Event<P>) -> Vec<Effect<P>> {
        self.happens(now, event);
        self.ledger.take()
    }

    fn apply_into(&mut self, now: Duration, event: Event<P>, effects: &mut Vec<Effect<P>>) {
        self.ledger.lend(effects);
        self.happens(now, event);
        self.ledger.give_back(effects);
    }

    fn rows(&self, now: Duration) -> Vec<ChildRow> {
        let children = self.children.iter().map(|(key, child)| (*key, child));
        self.ledger.rows(now, children)
    }

    fn plan(&self, key: ChildKey) -> Option<&Plan> {
        self.children.get(&key).map(|child| &child.plan)
    }

    fn state(&self, key: ChildKey) -> Option<ChildState> {
        self.children.get(&key).map(|child| child.state)
    }

    fn restrain(&mut self) {
        self.ledger.is_restrained = true;
    }
}
