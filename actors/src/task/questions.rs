//! What a task waits for a person to decide: a fold of its events. Pure.

use std::collections::BTreeMap;

use crate::model::{Attention, Event, EventBody, Question, RunId, Seq};

/// The open questions of a task, in the order in which they were asked.
///
/// An answer is to the first of them. Those that stay open are asked again together with it. What was asked by somebody of whom
/// whoever took the answer did not know yet is passed over: it is to be asked again too.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Questions {
    open: Vec<Question>,
    passed_over: Vec<Question>,
    /// Each time that something was asked to which there is no answer yet.
    asks: Vec<Question>,
    ended: BTreeMap<RunId, Seq>,
    forgotten: Option<Seq>,
}

impl Questions {
    /// Takes one event of the task in.
    pub fn fold(&mut self, event: &Event) {
        match &event.body {
            EventBody::TaskNeedsAttention { attention } => self.asked(event.id, attention),
            EventBody::TaskResumed { .. } => self.answered(event.cause),
            EventBody::TaskReopened => self.clear(),
            EventBody::RunReleased => self.forget(event),
            EventBody::RunContinued { .. } => {
                event.run_id.map(|run| self.ended.remove(&run));
            }
            body if body.is_task_end() => self.clear(),
            body if body.is_run_end() => {
                self.forget(event);
                self.ended.extend(event.run_id.map(|run| (run, event.id)));
            }
            _ => {}
        }
    }

    fn asked(&mut self, asked: Seq, attention: &Attention) {
        // Asked again by somebody who did not know yet that whoever had asked it has ended.
        if let Some(end) = about(attention).and_then(|run| self.ended.get(&run)) {
            self.forgotten = Some(*end);
            return;
        }
        let attention = attention.clone();
        let question = Question { asked, attention };
        self.asks.push(question.clone());
        self.passed_over
            .retain(|it| it.attention != question.attention);
        if !self.is_open(&question.attention) {
            self.open.push(question);
        }
    }

    /// What an answer is to stands as its cause; in an old journal it is to all that was open.
    fn answered(&mut self, cause: Option<Seq>) {
        let Some(cause) = cause else {
            return self.clear();
        };
        self.passed_over.append(&mut self.open);
        let of = self.asks.iter().find(|it| it.asked == cause);
        if let Some(Question { attention, .. }) = of.cloned() {
            self.drop_those(|it| it.attention == attention);
        }
    }

    fn clear(&mut self) {
        self.drop_those(|_| true);
    }

    fn drop_those(&mut self, goes: impl Fn(&Question) -> bool) {
        for questions in [&mut self.open, &mut self.passed_over, &mut self.asks] {
            questions.retain(|it| !goes(it));
        }
    }

    /// Nobody waits any more for what was asked about this run.
    fn forget(&mut self, event: &Event) {
        let (run, before) = (event.run_id, self.open.len());
        self.drop_those(|it| run.is_some() && about(&it.attention) == run);
        if self.open.len() < before {
            self.forgotten = Some(event.id);
        }
    }

    /// What is still waited for and was passed over, in the order in which it was asked.
    #[must_use]
    pub fn passed_over(&self) -> &[Question] {
        &self.passed_over
    }

    /// The event after which nobody waited any more for what was asked last.
    #[must_use]
    pub fn forgotten(&self) -> Option<Seq> {
        self.forgotten
    }

    /// Whether this is open, whenever it was asked.
    #[must_use]
    pub fn is_open(&self, attention: &Attention) -> bool {
        self.open.iter().any(|open| open.attention == *attention)
    }

    /// The question an answer is to.
    #[must_use]
    pub fn first(&self) -> Option<&Attention> {
        self.open.first().map(|open| &open.attention)
    }

    /// All of them.
    #[must_use]
    pub fn all(&self) -> &[Question] {
        &self.open
    }

    /// All but this one.
    #[must_use]
    pub fn without(&self, answered: &Question) -> Vec<Question> {
        let rest = self.open.iter().filter(|open| *open != answered);
        rest.cloned().collect()
    }

    /// Why nothing of the task runs, if one of its supervisors has given up.
    #[must_use]
    pub fn gave_up(&self) -> Option<&Question> {
        let gave_up = |open: &&Question| matches!(open.attention, Attention::GaveUp { .. });
        self.open.iter().find(gave_up)
    }
}

/// The run a question is about.
fn about(attention: &Attention) -> Option<RunId> {
    match attention {
        Attention::InDoubt { run, .. }
        | Attention::Quarantined { run, .. }
        | Attention::Limit { run, .. } => Some(*run),
        Attention::GaveUp { .. } => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{TaskId, Timestamp, Usage};

    fn run(n: u128) -> RunId {
        RunId(uuid::Uuid::from_u128(n))
    }

    fn limit(n: u128) -> EventBody {
        let attention = Attention::Limit {
            run: run(n),
            question: format!("may {n} go on?"),
            exceeded: None,
        };
        EventBody::TaskNeedsAttention { attention }
    }

    fn resumed() -> EventBody {
        let answer = String::new();
        EventBody::TaskResumed { answer }
    }

    fn failed() -> EventBody {
        let (error, usage) = (String::new(), Usage::default());
        EventBody::RunFailed { error, usage }
    }

    fn fold(events: &[(Option<u128>, Option<Seq>, EventBody)]) -> Questions {
        let mut questions = Questions::default();
        for ((by, cause, body), id) in events.iter().zip(1..) {
            questions.fold(&Event {
                id,
                task_id: TaskId(uuid::Uuid::nil()),
                run_id: by.map(run),
                agent: None,
                at: Timestamp(0),
                epoch: 0,
                cause: *cause,
                body: body.clone(),
            });
        }
        questions
    }

    fn asked(questions: &[Question]) -> Vec<Seq> {
        questions.iter().map(|it| it.asked).collect()
    }

    #[test]
    fn what_nobody_knew_of_who_took_an_answer_is_asked_again() {
        let mut story = vec![
            (Some(1), None, limit(1)),
            (Some(2), None, limit(2)),
            (Some(1), Some(1), resumed()),
        ];
        let questions = fold(&story);
        assert_eq!(asked(questions.all()), [0; 0]);
        assert_eq!(asked(questions.passed_over()), [2]);
        story.push((None, Some(2), limit(2)));
        let questions = fold(&story);
        assert_eq!(asked(questions.all()), [4]);
        assert_eq!(asked(questions.passed_over()), [0; 0]);
        // An answer to what was asked first is one to what was asked again.
        story.push((Some(2), Some(2), resumed()));
        let questions = fold(&story);
        assert_eq!(asked(questions.all()), [0; 0]);
        assert_eq!(asked(questions.passed_over()), [0; 0]);
    }

    #[test]
    fn nobody_is_asked_for_a_run_that_has_ended() {
        let story = [
            (Some(1), None, limit(1)),
            (Some(1), None, failed()),
            (Some(2), None, limit(2)),
            (None, Some(2), resumed()),
            (None, Some(1), limit(1)),
        ];
        let questions = fold(&story);
        assert_eq!(asked(questions.all()), [0; 0]);
        assert_eq!(asked(questions.passed_over()), [3]);
        assert_eq!(questions.forgotten(), Some(2));
    }
}
