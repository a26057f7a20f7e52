//! When the room ends a task, or a run and what works for it.

use std::sync::Arc;

use supervision::{Context, Reply};

use crate::model::{Event, EventBody, RunId, Seq};
use crate::run::RunReport;
use crate::run::cause::Reason;

use super::closing::{Closing, end_after};
use super::{LOOK_ELSEWHERE, Room, RoomMessage};

/// Why a run is ended that works for nobody.
const ORPHANED: &str = "the run that delegated it has ended";

fn because(text: &str, end: Seq) -> Reason {
    Reason {
        text: text.to_owned(),
        cause: Some(end),
    }
}

impl Room {
    /// What an earlier incarnation had begun to end is ended.
    pub(super) fn go_on_ending(&mut self, cx: &Context<RoomMessage>) {
        if self.is_ending {
            return;
        }
        if let Some((reason, end)) = self.arguments.registry.ending() {
            return self.close(reason, end, cx);
        }
        for (top, reason) in self.arguments.registry.subtrees() {
            self.end_subtree(top, reason, None, cx);
        }
    }

    /// Ends the task if all of its runs have ended. Whether it does.
    pub(super) fn end_if_over(&mut self, cx: &Context<RoomMessage>) -> bool {
        if self.is_ending || self.is_floor_open() {
            return self.is_ending;
        }
        match self.roster.end().cloned() {
            Some(end) => self.end_task(&end, cx),
            None => return false,
        }
        true
    }

    /// Runs that work for one that has ended work for nobody.
    pub(super) fn cancel_orphans(&mut self, cx: &Context<RoomMessage>) {
        let orphans = self.roster.orphans();
        self.cancel_these(orphans, cx);
    }

    /// The same of runs that work for this one.
    pub(super) fn cancel_orphans_of(&mut self, parent: RunId, cx: &Context<RoomMessage>) {
        let orphans = self.roster.orphans_of(parent);
        self.cancel_these(orphans, cx);
    }

    /// The same of one run.
    pub(super) fn cancel_orphan(&mut self, run: RunId, cx: &Context<RoomMessage>) {
        let orphan = self.roster.is_orphan(run);
        self.cancel_these(orphan.into_iter().collect(), cx);
    }

    fn cancel_these(&mut self, orphans: Vec<(RunId, Seq)>, cx: &Context<RoomMessage>) {
        if self.is_ending {
            return;
        }
        for (run, end) in orphans {
            if !self.closing.contains(&run) {
                let reason = because(ORPHANED, end);
                self.end_subtree(run, reason, None, cx);
            }
        }
    }

    /// Ends one run and what works for it.
    pub(super) fn end_subtree(
        &mut self,
        top: RunId,
        reason: Reason,
        reply: Option<Reply<()>>,
        cx: &Context<RoomMessage>,
    ) {
        let runs = self.roster.subtree(top);
        let registry = &self.arguments.registry;
        registry.end_subtree(top, &reason, &runs);
        self.closing.extend(runs);
        let closing = Closing::new(&self.arguments);
        let _ = cx.attach(async move {
            let ended = closing.end_runs(Some(top), &reason).await;
            RoomMessage::SubtreeEnded(top, ended, reply)
        });
    }

    pub(super) fn subtree_ended(
        &mut self,
        top: RunId,
        ended: Result<Vec<Event>, crate::journal::JournalError>,
        reply: Option<Reply<()>>,
        cx: &Context<RoomMessage>,
    ) -> Result<(), supervision::Failure> {
        for event in ended? {
            self.reported(RunReport::Over(Arc::new(event)), cx);
        }
        self.arguments.registry.subtree_ended(top);
        for run in self.roster.subtree(top) {
            self.closing.remove(&run);
        }
        let live = |run: &RunId| self.roster.is_live(*run);
        let missed: Vec<_> = self.roster.subtree(top).into_iter().filter(live).collect();
        if !missed.is_empty() {
            let _ = cx.after(LOOK_ELSEWHERE, RoomMessage::Missed(missed));
        }
        self.settle_attention(cx);
        // Ends below it were not looked at, and its own may have been written before this room was up.
        self.end_if_over(cx);
        self.start_all(cx);
        reply.into_iter().for_each(|reply| reply.send(()));
        Ok(())
    }

    /// Of runs that were to end, those that nobody here has heard of yet: they may have told a room that is gone.
    pub(super) fn look_for_ends(&self, runs: &[RunId], cx: &Context<RoomMessage>) {
        let unheard = runs.iter().filter(|run| self.roster.is_live(**run));
        unheard.for_each(|run| self.watch_elsewhere(*run, cx));
    }

    pub(super) fn end_task(&mut self, end: &Event, cx: &Context<RoomMessage>) {
        if let Some(body) = end_after(&end.body) {
            self.close(because("the task has ended", end.id), body, cx);
        }
    }

    pub(super) fn cancel(&mut self, reason: String, reply: Reply<()>, cx: &Context<RoomMessage>) {
        self.cancelling.push(reply);
        if !self.is_ending {
            let body = EventBody::TaskCancelled {
                reason: reason.clone(),
            };
            self.close(reason.into(), body, cx);
        }
    }

    fn close(&mut self, reason: Reason, end: EventBody, cx: &Context<RoomMessage>) {
        self.is_ending = true;
        let registry = &self.arguments.registry;
        registry.end((reason.clone(), end.clone()));
        let closing = Closing::new(&self.arguments);
        let _ = cx.attach(async move { RoomMessage::Ended(closing.close(&reason, end).await) });
    }
}
