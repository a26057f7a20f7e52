//! What the administration asks for.

use super::{ChildKey, SupervisorCore, Then, Why};
use crate::restart::event::{AdminError, ChildState, Reply, Request, RequestId, Target};
use crate::spec::{Plan, SpecError};

impl<P: Clone> SupervisorCore<P> {
    pub(super) fn administer(&mut self, request: RequestId, wish: Request<P>) {
        let done = match wish {
            Request::Add(plan, payload) => self.add(request, plan, payload),
            Request::Terminate(target) => self.terminate(request, &target),
            Request::Restart(target) => self.restart_by_hand(request, &target),
            Request::Delete(target) => self.delete(request, &target),
        };
        if let Err(error) = done {
            self.ledger.refuse(request, error);
        }
    }

    fn find(&self, target: &Target) -> Result<(ChildKey, ChildState), AdminError> {
        let key = match target {
            Target::Id(id) => self.ids.get(id).copied(),
            Target::Key(key) => Some(*key),
        };
        key.and_then(|key| Some((key, self.children.get(&key)?.state)))
            .ok_or(AdminError::NotFound)
    }

    fn add(&mut self, request: RequestId, plan: Plan, payload: P) -> Result<(), AdminError> {
        plan.check(&self.flags)?;
        if let Some(key) = self.ids.get(&plan.id) {
            let child = &self.children[key];
            return Err(match child.state {
                ChildState::Stopped | ChildState::Restarting => AdminError::AlreadyPresent,
                _ => AdminError::AlreadyStarted(*key, child.incarnation),
            });
        }
        if self.children.len() >= self.flags.max_children {
            return Err(SpecError::TooMany {
                max: self.flags.max_children,
            }
            .into());
        }
        let key = self.insert(plan, payload);
        let keep = false;
        self.start_all([key], Why::Asked { request, keep });
        Ok(())
    }

    fn terminate(&mut self, request: RequestId, target: &Target) -> Result<(), AdminError> {
        let (key, state) = self.find(target)?;
        if state == ChildState::Stopped {
            self.ledger.reply(request, Reply::Done);
        } else {
            self.stop_all(vec![key], Then::Terminate { request });
        }
        Ok(())
    }

    fn restart_by_hand(&mut self, request: RequestId, target: &Target) -> Result<(), AdminError> {
        let key = self.find_stopped(target)?;
        let keep = true;
        self.start_all([key], Why::Asked { request, keep });
        Ok(())
    }

    fn delete(&mut self, request: RequestId, target: &Target) -> Result<(), AdminError> {
        let key = self.find_stopped(target)?;
        self.forget(key);
        self.ledger.reply(request, Reply::Done);
        Ok(())
    }

    fn find_stopped(&self, target: &Target) -> Result<ChildKey, AdminError> {
        match self.find(target)? {
            (key, ChildState::Stopped) => Ok(key),
            (_, ChildState::Restarting) => Err(AdminError::Restarting),
            _ => Err(AdminError::Running),
        }
    }
}
