//! What others do: read from the journal, in its order, before the run decides anything that depends on it.
//!
//! So a run that goes on after a crash decides from what it would have decided from without one, and nothing said to it is lost
//! or heard twice, whoever was told of it live.

use std::collections::BTreeSet;

use supervision::{Context, Exit, Failure};

use crate::journal::{Look, News};
use crate::model::Event;
use crate::model::event::Seq;
use crate::run::read::{Meanwhile, meanwhile, wiring};
use crate::run::state::Phase;

use super::{RunActor, RunMessage};

/// How far the journal of the task was read.
#[derive(Debug)]
pub(super) struct Reading {
    to: Seq,
    /// Events after it that are folded already: the run's own.
    own: BTreeSet<Seq>,
    /// The last of them.
    wrote: Seq,
    /// Whether nothing is known to have happened since.
    pub(super) is_current: bool,
    is_under_way: bool,
    /// Whether another node may have written something: the store alone says.
    pub(super) is_in_doubt: bool,
}

impl Reading {
    pub(super) fn new(to: Seq) -> Self {
        Self {
            to,
            own: BTreeSet::new(),
            wrote: to,
            is_current: false,
            is_under_way: false,
            is_in_doubt: false,
        }
    }

    pub(super) fn wrote(&mut self, event: Seq) {
        self.own.insert(event);
        self.wrote = event;
    }
}

impl RunActor {
    /// Whether it may decide; begins to read if it may not yet.
    pub(super) fn is_up_to_date(&mut self, cx: &Context<RunMessage>) -> bool {
        if !self.state.depends_on_others() {
            return true;
        }
        if self.reading.is_under_way || self.reading.is_current {
            return !self.reading.is_under_way;
        }
        if !std::mem::take(&mut self.reading.is_in_doubt) && self.is_up_to_date_at_once() {
            return true;
        }
        // Whatever comes in meanwhile says that it is not so.
        (self.reading.is_current, self.reading.is_under_way) = (true, true);
        let (context, run, name) = (self.context.clone(), self.run, self.name.clone());
        let (wiring, to) = (wiring(&context, &self.state), self.reading.to);
        let _ = cx.attach(async move {
            RunMessage::Read(meanwhile(&context, wiring, run, &name, to).await)
        });
        false
    }

    /// The same from what was written lately, without reading the store.
    fn is_up_to_date_at_once(&mut self) -> bool {
        self.looks_at_once(self.state.phase() == Phase::Think)
    }

    /// Whether it knows all that others said and did, and how the budgets stand.
    pub(super) fn knows_all(&mut self) -> bool {
        !self.reading.is_under_way && !self.reading.is_in_doubt && self.looks_at_once(true)
    }

    fn looks_at_once(&mut self, said: bool) -> bool {
        let look = Look {
            run: self.run,
            agent: &self.name,
            after: self.reading.to,
            wrote: self.reading.wrote,
            said,
        };
        let Some(news) = self.context.journal.recent().since(self.context.task, look) else {
            return false;
        };
        if let News::Events(events, last) = news {
            let mut wiring = wiring(&self.context, &self.state);
            for event in events {
                wiring.fold(&event);
                if wiring.shows(&self.name, &event) && !self.reading.own.remove(&event.id) {
                    self.state.fold(&event);
                    self.unsaved += 1;
                }
            }
            self.has_read(last);
        }
        !said || self.stands_at_once()
    }

    /// Whether it is known how the budgets stand, where that matters.
    fn stands_at_once(&mut self) -> bool {
        if !self.context.is_budgeted() {
            return true;
        }
        let caller = self.context.caller(self.run);
        let standing = self
            .context
            .purse
            .standing_now(&self.context.journal, caller);
        standing.map(|now| self.standing = now).is_some()
    }

    /// Somebody tells of an event that this node's journal does not know: another node wrote it, as one does that was taken for dead.
    pub(super) fn doubts(&mut self, event: &Event) {
        let last = self.context.journal.recent().last(self.context.task);
        self.reading.is_in_doubt |= last.is_some_and(|last| last < event.id);
    }

    fn has_read(&mut self, last: Seq) {
        self.reading.to = last;
        self.state.head = self.state.head.max(last);
        // What is left was written after this was read.
        self.reading.own = self.reading.own.split_off(&last.saturating_add(1));
    }

    pub(super) fn read(
        &mut self,
        read: Meanwhile,
        cx: &mut Context<RunMessage>,
    ) -> Result<(), Failure> {
        self.reading.is_under_way = false;
        self.blobs.extend(read.blobs);
        self.standing = read.standing;
        for event in read.events {
            if self.reading.own.remove(&event.id) {
                continue;
            }
            if event.run_id == Some(self.run) && event.body.is_claim() {
                tracing::info!(run = %self.run, "the run's actor stops: a later incarnation has taken over");
                cx.exit(Exit::Normal);
                return Ok(());
            }
            self.state.fold(&event);
            self.unsaved += 1;
        }
        self.has_read(read.last);
        self.drive(cx);
        Ok(())
    }
}
