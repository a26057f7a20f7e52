//! What can be done about a task's budget.

use crate::model::{Attention, Budget, BudgetScope, EventBody, TaskId};
use crate::run::next::GO_ON;
use crate::task::room::open_questions;

use super::{System, SystemError};

impl System {
    /// Allows a task to use up more, now or while it waits for a person to allow it. Without a number of its own a measure stays
    /// as it is.
    ///
    /// # Errors
    /// [`SystemError::NoSuchTask`], [`SystemError::Over`], or why it could not be written.
    pub async fn raise_budget(&self, task: TaskId, more: Budget) -> Result<(), SystemError> {
        self.live(task).await?;
        let budget = BudgetScope::Task;
        let raised = EventBody::BudgetRaised { budget, more };
        self.append_task(task, vec![raised]).await?;
        let questions = open_questions(self.deps.store.as_ref(), task).await?;
        let asks = |open: &Attention| matches!(open, Attention::Limit { exceeded: Some(it), .. } if it.budget == budget);
        if questions.first().is_some_and(asks) {
            self.answer(task, GO_ON).await?;
        }
        Ok(())
    }
}
