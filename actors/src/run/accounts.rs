//! What a run's limits make of it, and what it wasted: the part of the fold that is about them. Pure.

use crate::model::{AlertKind, Attention, Content, Event, EventBody, Sender};

use super::notes::private;
use super::state::{Asked, RunState};

impl RunState {
    pub(super) fn fold_limits(&mut self, event: &Event) {
        match &event.body {
            EventBody::BudgetExceeded { .. } => self.thinking = None,
            EventBody::BudgetRaised { .. } => self.is_warned = false,
            EventBody::Alert { about: Some(_), .. } => {}
            EventBody::Alert { kind, note, .. } => {
                match kind {
                    AlertKind::Budget => self.is_warned = true,
                    AlertKind::Loop => self.warned_of_loop = Some(self.turn),
                    AlertKind::Stuck | AlertKind::Failed => {}
                }
                self.heard(private(
                    event.id,
                    &Sender::System,
                    Content::Inline(note.clone()),
                ));
            }
            EventBody::TaskNeedsAttention {
                attention:
                    Attention::Limit {
                        run,
                        question,
                        exceeded,
                    },
            } if *run == self.id => {
                let (question, exceeded) = (question.clone(), *exceeded);
                self.asked = Some(Asked { question, exceeded });
            }
            EventBody::TaskResumed { .. } => self.asked = None,
            _ => {}
        }
    }

    /// A model call that was under way when its incarnation ended came to nothing.
    pub(super) fn lost(&mut self) {
        if let Some(thinking) = self.thinking.take() {
            self.wasted_calls = self.wasted_calls.saturating_add(1);
            self.usage += thinking.reserved.lost();
        }
    }
}
