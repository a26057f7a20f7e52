//! Starting instances, side by side.

use std::sync::Arc;

use super::{AdminError, Child, ChildKey, DynamicCore, Incarnation, Instance, RequestId, of};
use crate::exit::Exit;
use crate::report::Decision;
use crate::restart::event::{ChildState, Reply};
use crate::spec::{Plan, SpecError};

impl<P: Clone> DynamicCore<P> {
    pub(super) fn add(
        &mut self,
        request: RequestId,
        mut plan: Plan,
        payload: P,
    ) -> Result<(), AdminError> {
        if self.instances.len() >= self.flags.max_children {
            return Err(SpecError::TooMany {
                max: self.flags.max_children,
            }
            .into());
        }
        let key = ChildKey(self.next_key);
        self.next_key += 1;
        if plan.id == self.template.id {
            plan.id = format!("{}-{}", plan.id, self.next_key - self.first_key).into();
        }
        let instance = Instance {
            child: Child::new(plan, payload),
            adding: Some(request),
            terminating: Vec::new(),
        };
        self.instances.insert(key, instance);
        self.start(key);
        Ok(())
    }

    pub(super) fn start(&mut self, key: ChildKey) {
        if let Some(Instance { child, .. }) = self.instances.get_mut(&key) {
            child.start(key, &mut self.ledger);
        }
    }

    pub(super) fn started(&mut self, key: ChildKey, incarnation: Incarnation) {
        let Some(instance) = of(&mut self.instances, key, incarnation) else {
            return;
        };
        if instance.child.state != ChildState::Starting {
            return instance.child.up_late(&mut self.ledger);
        }
        instance.child.up(key, &mut self.ledger);
        let (about, adding) = (instance.child.about(), instance.adding.take());
        self.ledger.report(Decision::Started(about));
        if let Some(request) = adding {
            self.ledger.reply(request, Reply::Started(key, incarnation));
        }
    }

    pub(super) fn declined(&mut self, key: ChildKey, incarnation: Incarnation) {
        let Some(instance) = self.instance(key, incarnation) else {
            return;
        };
        match instance.child.state {
            ChildState::Starting => {
                let (about, adding) = (instance.child.about(), instance.adding.take());
                self.ledger.report(Decision::Declined(about));
                if let Some(request) = adding {
                    self.ledger.reply(request, Reply::Declined);
                }
                self.remove(key);
            }
            ChildState::Stopping => self.stopped(key, &Exit::SHUTDOWN),
            _ => {}
        }
    }

    pub(super) fn start_failed(
        &mut self,
        key: ChildKey,
        incarnation: Incarnation,
        reason: Arc<str>,
    ) {
        let now = self.ledger.now;
        let Some(instance) = of(&mut self.instances, key, incarnation) else {
            return;
        };
        match instance.child.state {
            ChildState::Stopping => self.stopped(key, &Exit::Failed(reason)),
            ChildState::Starting => {
                instance.child.disarm(&mut self.ledger);
                instance.child.ended(now, Exit::Failed(reason.clone()));
                let (about, adding) = (instance.child.about(), instance.adding.take());
                self.ledger
                    .report(Decision::StartFailed(about, reason.clone()));
                match adding {
                    Some(request) => {
                        self.ledger.refuse(request, AdminError::StartFailed(reason));
                        self.remove(key);
                    }
                    None => self.restart(key),
                }
            }
            _ => {}
        }
    }
}
