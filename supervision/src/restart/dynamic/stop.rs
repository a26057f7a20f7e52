//! Stopping instances, side by side, and the end of the supervisor.

use super::{AdminError, ChildKey, DynamicCore, Instance, RequestId};
use crate::exit::Exit;
use crate::restart::event::{Availability, ChildState, Effect, Reply, Target};

impl<P: Clone> DynamicCore<P> {
    pub(super) fn terminate(
        &mut self,
        request: RequestId,
        target: &Target,
    ) -> Result<(), AdminError> {
        let Target::Key(key) = *target else {
            return Err(AdminError::NotFound);
        };
        let Some(instance) = self.instances.get_mut(&key) else {
            // An own instance that is already gone: that is what was asked for.
            if !(self.first_key..self.next_key).contains(&key.0) {
                return Err(AdminError::NotFound);
            }
            self.ledger.reply(request, Reply::Done);
            return Ok(());
        };
        instance.terminating.push(request);
        match instance.child.state {
            ChildState::Stopping => {}
            ChildState::Running | ChildState::Starting => {
                if let Some(limit) = instance.child.stop(key, &mut self.ledger) {
                    instance.child.timer = Some(self.ledger.arm(Some(key), limit));
                }
            }
            _ => self.remove(key),
        }
        Ok(())
    }

    pub(super) fn stopped(&mut self, key: ChildKey, exit: &Exit) {
        if let Some(Instance { child, .. }) = self.instances.get(&key) {
            self.ledger.report(child.stop_decision(exit));
        }
        self.remove(key);
    }

    /// Nothing of it is left, and its record goes too.
    pub(super) fn remove(&mut self, key: ChildKey) {
        let Some(mut instance) = self.instances.remove(&key) else {
            return;
        };
        instance.child.disarm(&mut self.ledger);
        self.ledger.push(Effect::Down(key, Availability::Stopped));
        self.ledger.push(Effect::Forget(key));
        if let Some(request) = instance.adding {
            let stopped = AdminError::StartFailed("it was stopped while it started".into());
            let error = if self.ending.is_some() {
                AdminError::Stopping
            } else {
                stopped
            };
            self.ledger.refuse(request, error);
        }
        for request in instance.terminating {
            self.ledger.reply(request, Reply::Done);
        }
    }

    pub(super) fn shut_down(&mut self, exit: Exit) {
        if self.ending.is_some() {
            return;
        }
        self.ending = Some(exit);
        let mut deadline = None;
        for key in self.keys() {
            let Some(Instance { child, .. }) = self.instances.get_mut(&key) else {
                continue;
            };
            match child.state {
                ChildState::Running | ChildState::Starting => {
                    deadline = child.stop(key, &mut self.ledger).max(deadline);
                }
                ChildState::Stopping => {}
                _ => self.remove(key),
            }
        }
        self.deadline = deadline.map(|limit| self.ledger.arm(None, limit));
    }

    pub(super) fn kill(&mut self, key: ChildKey) {
        if let Some(Instance { child, .. }) = self.instances.get_mut(&key)
            && child.state == ChildState::Stopping
        {
            child.kill(key, &mut self.ledger);
        }
    }
}
