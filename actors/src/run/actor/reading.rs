//! What others do: read from the journal, in its order, before the run decides anything that depends on it.
//!
//! So a run that goes on after a crash decides from what it would have decided from without one, and nothing said to it is lost
//! or heard twice, whoever was told of it live.

use std::collections::BTreeSet;

use supervision::{Context, Exit, Failure};

use crate::model::event::Seq;
use crate::run::read::{Meanwhile, meanwhile, wiring};

use super::{RunActor, RunMessage};

/// How far the journal of the task was read.
#[derive(Debug)]
pub(super) struct Reading {
    to: Seq,
    /// Events after it that are folded already: the run's own.
    own: BTreeSet<Seq>,
    /// Whether nothing is known to have happened since.
    pub(super) is_current: bool,
    is_under_way: bool,
}

impl Reading {
    pub(super) fn new(to: Seq) -> Self {
        Self {
            to,
            own: BTreeSet::new(),
            is_current: false,
            is_under_way: false,
        }
    }

    pub(super) fn wrote(&mut self, event: Seq) {
        self.own.insert(event);
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
        // Whatever comes in meanwhile says that it is not so.
        (self.reading.is_current, self.reading.is_under_way) = (true, true);
        let (context, run, name) = (self.context.clone(), self.run, self.name.clone());
        let (wiring, to) = (wiring(&context, &self.state), self.reading.to);
        let _ = cx.attach(async move {
            RunMessage::Read(meanwhile(&context, wiring, run, &name, to).await)
        });
        false
    }

    pub(super) fn read(
        &mut self,
        read: Meanwhile,
        cx: &mut Context<RunMessage>,
    ) -> Result<(), Failure> {
        self.reading.is_under_way = false;
        self.reading.to = read.last;
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
        }
        self.state.head = self.state.head.max(read.last);
        // What is left was written after this was read.
        self.reading.own = self.reading.own.split_off(&read.last.saturating_add(1));
        self.drive(cx);
        Ok(())
    }
}
