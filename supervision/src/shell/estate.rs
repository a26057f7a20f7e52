//! The inboxes of a supervisor's children: in its time, and between two incarnations of it.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::child::{Ambient, Launcher};
use crate::inbox::{InboxControl, Losses};
use crate::report::{About, DeadLetterReason, Decision};
use crate::restart::{Availability, ChildKey};

/// The inbox of a child, whose it is, and who speaks of it.
#[derive(Clone)]
struct Mailbox {
    ambient: Ambient,
    supervisor: Arc<str>,
    about: About,
    inbox: Arc<dyn InboxControl>,
}

impl Mailbox {
    fn down(&self, outlook: Availability) {
        self.report(self.inbox.down(outlook), outlook);
    }

    fn abandon(&self) {
        self.report(self.inbox.abandon(), Availability::Stopped);
    }

    fn report(&self, losses: Losses, outlook: Availability) {
        let decisions = decisions(&self.about, losses, outlook);
        decisions.for_each(|decision| self.ambient.report(&self.supervisor, decision));
    }
}

/// What is told of the messages that an inbox gave up.
fn decisions(
    about: &About,
    losses: Losses,
    outlook: Availability,
) -> impl Iterator<Item = Decision> {
    let verdict = losses.in_flight;
    let in_flight = verdict.map(|verdict| verdict.decision(about.clone()));
    let waiting = (losses.waiting > 0).then(|| Decision::DeadLetters {
        about: about.clone(),
        count: losses.waiting,
        reason: match outlook {
            Availability::Stopped => DeadLetterReason::ReceiverStopped,
            _ => DeadLetterReason::NotCarried,
        },
    });
    in_flight.into_iter().chain(waiting)
}

/// What the supervisors that end leave behind at one place of the tree. Whether their children come back is decided above: until
/// then senders wait, and what they sent waits with them.
#[derive(Default)]
pub(crate) struct Estate(Mutex<Left>);

#[derive(Default)]
struct Left {
    mailboxes: HashMap<usize, Mailbox>,
    /// Of supervisors that were children of those that ended.
    below: Vec<Arc<Estate>>,
}

impl Estate {
    fn lock(&self) -> MutexGuard<'_, Left> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn leave(&self, mailbox: Mailbox) {
        mailbox.down(Availability::Undecided);
        let identity = mailbox.inbox.identity();
        self.lock().mailboxes.insert(identity, mailbox);
    }

    fn leave_below(&self, below: Arc<Estate>) {
        let mut left = self.lock();
        if !left.below.iter().any(|other| Arc::ptr_eq(other, &below)) {
            left.below.push(below);
        }
    }

    /// It has been decided whether the supervisor comes back.
    fn settle(&self, outlook: Availability) {
        let (mailboxes, below) = {
            let mut left = self.lock();
            if outlook == Availability::Stopped {
                let left = std::mem::take(&mut *left);
                (left.mailboxes.into_values().collect(), left.below)
            } else {
                let mailboxes: Vec<_> = left.mailboxes.values().cloned().collect();
                (mailboxes, left.below.clone())
            }
        };
        mailboxes.iter().for_each(|mailbox| mailbox.down(outlook));
        below.iter().for_each(|below| below.settle(outlook));
    }

    /// It is back: what none of its children reads from is given up.
    fn inherited(&self) {
        let left = std::mem::take(&mut *self.lock());
        left.mailboxes.values().for_each(Mailbox::abandon);
        left.below.iter().for_each(|below| below.inherited());
    }
}

/// The inboxes of the children of one incarnation of a supervisor.
pub(crate) struct Inboxes {
    pub(super) ambient: Ambient,
    /// The supervisor's path.
    pub(super) path: Arc<str>,
    /// Where it leaves them when it ends; a root has nobody to leave them to.
    pub(super) estate: Option<Arc<Estate>>,
    pub(super) children: Mutex<BTreeMap<ChildKey, Belonging>>,
}

/// What a child has that outlives its incarnations.
#[derive(Clone)]
pub(super) enum Belonging {
    Inbox(About, Arc<dyn InboxControl>),
    Estate(Arc<Estate>),
}

impl Inboxes {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<ChildKey, Belonging>> {
        self.children.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A child is about to be started, or declared. Where it leaves what is below it, if it is a supervisor.
    pub(super) fn meet(
        &self,
        key: ChildKey,
        about: &About,
        launcher: &dyn Launcher,
    ) -> Option<Arc<Estate>> {
        let mut children = self.lock();
        let known = match children.entry(key) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(place) => {
                let inbox = launcher.inbox();
                let inbox = inbox.map(|inbox| Belonging::Inbox(about.clone(), inbox));
                let belonging = inbox.or_else(|| launcher.estate().map(Belonging::Estate));
                place.insert(belonging?)
            }
        };
        match known {
            Belonging::Inbox(known, _) => {
                known.clone_from(about);
                None
            }
            Belonging::Estate(estate) => Some(estate.clone()),
        }
    }

    pub(super) fn depth(&self, key: ChildKey) -> Option<(usize, usize)> {
        match self.lock().get(&key) {
            Some(Belonging::Inbox(_, inbox)) => Some(inbox.depth()),
            _ => None,
        }
    }

    pub(super) fn down(&self, key: ChildKey, outlook: Availability) {
        let belonging = self.lock().get(&key).cloned();
        if let Some(belonging) = belonging {
            self.fall(belonging, outlook);
        }
    }

    fn fall(&self, belonging: Belonging, outlook: Availability) {
        match (outlook, &self.estate) {
            (Availability::Undecided, Some(estate)) => self.leave(belonging, estate),
            (Availability::Undecided, None) => self.settle(belonging, Availability::Stopped),
            (outlook, _) => self.settle(belonging, outlook),
        }
    }

    fn leave(&self, belonging: Belonging, estate: &Estate) {
        match belonging {
            Belonging::Inbox(about, inbox) => estate.leave(self.mailbox(about, inbox)),
            Belonging::Estate(below) => estate.leave_below(below),
        }
    }

    fn settle(&self, belonging: Belonging, outlook: Availability) {
        match belonging {
            Belonging::Inbox(about, inbox) => {
                let decisions = decisions(&about, inbox.down(outlook), outlook);
                decisions.for_each(|decision| self.ambient.report(&self.path, decision));
            }
            Belonging::Estate(below) => below.settle(outlook),
        }
    }

    fn mailbox(&self, about: About, inbox: Arc<dyn InboxControl>) -> Mailbox {
        Mailbox {
            ambient: self.ambient.clone(),
            supervisor: self.path.clone(),
            about,
            inbox,
        }
    }

    pub(super) fn forget(&self, key: ChildKey) {
        self.lock().remove(&key);
    }

    /// All declared children are up.
    pub(super) fn ready(&self) {
        if let Some(estate) = &self.estate {
            estate.inherited();
        }
    }

    /// The supervisor and all below it are gone.
    pub(super) fn close(&self) {
        let children = std::mem::take(&mut *self.lock());
        for belonging in children.into_values() {
            self.fall(belonging, Availability::Undecided);
        }
    }
}
