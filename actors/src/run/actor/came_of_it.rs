//! What came of what was done.

use std::time::Duration;

use supervision::{CallError, Reply};

use crate::agent::Thought;
use crate::model::event::{Outcome, Resolution};
use crate::model::run::Parent;
use crate::model::{
    Content, Delegation, EffectClass, EventBody, InDoubtPolicy, Question, RunId, RunSpec, Sender,
    Seq, Step,
};
use crate::provider::ProviderError;
use crate::run::load;
use crate::run::next::{in_doubt, model_call_failed, question, resolve};
use crate::run::state::{Call, CallPhase};
use crate::run::tools::{CREATE_RUN, CreateRun};
use crate::tool::{Probe, ToolError};

use super::{Doing, Out, RunActor};

/// A human's answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The question.
    pub question: String,
    /// The event with which it was asked.
    pub asked: Seq,
    /// The answer.
    pub text: String,
    /// What else is open, and is asked again.
    pub rest: Vec<Question>,
}

/// The longest wait that a provider may ask for, where its `retry.cap` is not longer.
const LONGEST_ASKED: Duration = Duration::from_secs(600);

/// A provider that wants to be left alone for a day does not park a run for a day.
fn not_too_long(error: &mut ProviderError, cap: Duration) {
    let most = cap.max(LONGEST_ASKED);
    if let Some(asked) = error.retry_after.filter(|asked| *asked > most) {
        error.retry_after = Some(most);
        let shortened = format!("; it wants to be left alone for {asked:?}, and is for {most:?}");
        error.message.push_str(&shortened);
    }
}

impl RunActor {
    pub(super) fn thought(&mut self, thought: Result<Thought, CallError>) {
        self.doing.remove(&Doing::Think);
        let turn = self.state.turn;
        match thought {
            Ok(Ok(reply)) => self.write([EventBody::ModelCallCompleted {
                turn,
                text: reply.text,
                calls: reply.calls,
                usage: self.priced(reply.usage),
                stop: reply.stop,
                opaque: reply.opaque,
            }]),
            Ok(Err(error)) => self.call_failed(&error),
            // Whoever closed the gate says what follows.
            Err(_) if self.gate.is_closed() => {}
            Err(CallError::Stopped) => {
                let error = format!("agent `{}` has stopped and is not coming back", self.name);
                self.write([EventBody::RunFailed {
                    error,
                    usage: self.state.usage_at_end(),
                }]);
            }
            Err(_) => self.agent_was_lost(),
        }
    }

    pub(super) fn call_failed(&mut self, error: &ProviderError) {
        let (mut error, retry) = (error.clone(), self.retry());
        not_too_long(&mut error, retry.cap);
        let body = model_call_failed(&self.state, &error, retry);
        self.write([body]);
    }

    /// The run is claimed anew under a higher epoch, by the agent's recovery policy. Why the agent ended, its supervisor says.
    fn agent_was_lost(&mut self) {
        let reason = format!("agent `{}` ended in the middle of a model call", self.name);
        self.write(load::claim(
            &self.state,
            self.agent().recovery,
            &self.context.definition.limits,
            load::Before::Ended(&reason),
        ));
    }

    /// A call has ended that was made under this epoch, by this incarnation or by one that was given up before.
    pub(super) fn called(&mut self, step: Step, epoch: u64, result: Result<String, ToolError>) {
        if epoch == self.state.epoch {
            self.doing.remove(&Doing::Call(step));
        }
        let (outcome, text) = match result {
            Ok(text) => (Outcome::Ok, text),
            Err(ToolError::Failed(why)) => (Outcome::Error, why),
            Err(ToolError::Unknown(why)) => return self.unknown(step, &why),
        };
        let content = Content::Inline(text);
        if epoch != self.state.epoch {
            self.write([EventBody::ToolCallLate {
                step,
                started_epoch: epoch,
                outcome,
                content,
            }]);
        } else if self.state.call(step).is_some_and(|call| call.is_open()) {
            self.write([EventBody::ToolCallCompleted {
                step,
                outcome,
                content,
            }]);
        }
    }

    pub(super) fn unknown(&mut self, step: Step, why: &str) {
        let Some(call) = self.state.call(step) else {
            return;
        };
        let CallPhase::Started { class, .. } = call.phase else {
            return;
        };
        // Whatever a file says of it: a tool that knows of an effect is believed.
        let own = self.context.tools.specs().get(&call.call.name);
        if class.records_start() || own.is_some_and(|spec| spec.effect.records_start()) {
            self.doubt(step, why);
        } else {
            self.complete(step, Outcome::Error, why.to_owned());
        }
    }

    pub(super) fn complete(&mut self, step: Step, outcome: Outcome, text: String) {
        self.write([EventBody::ToolCallCompleted {
            step,
            outcome,
            content: Content::Inline(text),
        }]);
    }

    pub(super) fn doubt(&mut self, step: Step, why: &str) {
        let bodies = in_doubt(&self.state, step, why, self.agent().in_doubt);
        self.write(bodies);
    }

    pub(super) fn probed(&mut self, step: Step, probe: Probe) {
        self.doing.remove(&Doing::Probe(step));
        let Some(CallPhase::Started { class, .. }) =
            self.state.call(step).map(|call| call.phase.clone())
        else {
            return;
        };
        match probe {
            Probe::Done(text) => self.complete(step, Outcome::Ok, text),
            Probe::Failed(why) => self.complete(step, Outcome::Error, why),
            Probe::NotDone => {
                let tool = self
                    .state
                    .call(step)
                    .map(|call| call.call.name.clone())
                    .unwrap_or_default();
                self.write([EventBody::ToolCallStarted {
                    step,
                    tool,
                    class,
                    executor: None,
                }]);
            }
            Probe::Unknown(why) => self.doubt(step, &why),
        }
    }

    pub(super) fn compensated(&mut self, step: Step, result: Result<String, ToolError>) {
        self.doing.remove(&Doing::Compensate(step));
        let Some(CallPhase::InDoubt { reason, .. }) =
            self.state.call(step).map(|call| call.phase.clone())
        else {
            return;
        };
        let bodies = match result {
            Ok(note) => resolve(
                step,
                Sender::System,
                Resolution::Compensated { note },
                &reason,
            ),
            Err(error) => in_doubt(
                &self.state,
                step,
                &format!("{reason}; {error}"),
                InDoubtPolicy::Ask,
            ),
        };
        self.write(bodies);
    }

    pub(super) fn granted(
        &mut self,
        step: Step,
        wish: CreateRun,
        answer: Option<Result<RunId, String>>,
    ) {
        self.doing.remove(&Doing::Delegate(step));
        // Nobody answered because the room was restarted: it is asked again.
        let Some(answer) = answer.filter(|_| !self.is_held()) else {
            return;
        };
        if !matches!(
            self.state.call(step).map(|call| &call.phase),
            Some(CallPhase::Planned)
        ) {
            return;
        }
        let child = match answer {
            Ok(child) => child,
            Err(limit) => {
                let content = Content::Inline(format!("not delegated: {limit}"));
                return self.write([
                    EventBody::BudgetExceeded {
                        limit,
                        exceeded: None,
                    },
                    EventBody::ToolCallCompleted {
                        step,
                        outcome: Outcome::Error,
                        content,
                    },
                ]);
            }
        };
        let spec = self.child_spec(step, &wish);
        let agent = spec.agent.clone();
        let class = EffectClass::Transactional;
        self.write([EventBody::ToolCallStarted {
            step,
            tool: CREATE_RUN.to_owned(),
            class,
            executor: None,
        }]);
        self.outbox
            .push(Out::Child(child, spec.agent.clone(), Box::new(spec)));
        if wish.mode == Delegation::Background {
            let content = Content::Inline(format!(
                "{child} of {agent} was started; its result comes as a message"
            ));
            self.write([EventBody::ToolCallCompleted {
                step,
                outcome: Outcome::Ok,
                content,
            }]);
        }
    }

    pub(super) fn child_spec(&self, step: Step, wish: &CreateRun) -> RunSpec {
        let agent = wish.agent.clone().unwrap_or_else(|| self.name.clone());
        RunSpec {
            worker: agent == self.name,
            agent,
            title: wish.title(),
            input: wish.input.clone(),
            depth: self.state.spec.as_ref().map_or(0, |spec| spec.depth) + 1,
            context: wish.context,
            snippets: wish.snippets.clone(),
            parent: Some(Parent {
                run: self.run,
                step,
                delegation: wish.mode,
                up_to: self.state.head,
            }),
            heard: None,
        }
    }

    /// A person's answer to this question; what else the task waits for is asked again. The reply says whether it was still open,
    /// once that is durable.
    pub(super) fn answered(&mut self, answer: Answer, reply: Reply<bool>) {
        let asked = answer.question.as_str();
        let is_it = |(step, call): (Step, &Call)| match &call.phase {
            CallPhase::InDoubt {
                policy: InDoubtPolicy::Ask,
                reason,
            } if question(call, step, reason) == asked => Some((step, reason.clone())),
            _ => None,
        };
        let found = self.state.open_calls().find_map(is_it);
        let is_free = self.cancel.is_none() && self.answering.is_none();
        let of_limit = self.state.asked.as_ref();
        if is_free && of_limit.is_some_and(|open| open.question == asked) {
            self.answering = Some(reply);
            return self.limit_answered(answer);
        }
        let Some((step, reason)) = found.filter(|_| is_free) else {
            return reply.send(false);
        };
        self.answering = Some(reply);
        let Answer { text, rest, .. } = answer;
        let resolution = match text.as_str() {
            "retry" => Resolution::Retried,
            text => Resolution::Answered {
                result: text.to_owned(),
            },
        };
        self.write_after(answer.asked, [EventBody::TaskResumed { answer: text }]);
        self.write(resolve(step, Sender::Human, resolution, &reason));
        self.ask_again(rest);
    }
}
