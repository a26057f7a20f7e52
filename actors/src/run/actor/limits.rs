//! Budgets and time: what is set aside for a model call, and what becomes of a run that comes to a limit.

use std::time::Duration;

use supervision::{Context, Failure, Reply};
use tokio::task::AbortHandle;

use crate::budget::standing::not_delegated;
use crate::budget::{Admission, Refused, TimeLeft};
use crate::model::event::Outcome;
use crate::model::{
    AgentName, AgentSpec, Attention, Content, EventBody, Exceeded, Reservation, Sender, Seq, Step,
    Usage, WaitReason,
};
use crate::provider::{estimate, tokens_of};
use crate::run::context::{self, Scene};
use crate::run::next::{MayGoOn, budget_exceeded, may_go_on};
use crate::run::state::RunState;
use crate::run::tools::CreateRun;
use crate::store::StoreError;

use super::{Answer, Doing, RunActor, RunContext, RunMessage};

/// The settings that say how much a model may write.
const OUTPUT_SETTINGS: [&str; 3] = ["max_tokens", "max_completion_tokens", "max_output_tokens"];

/// What is set aside for an answer where no setting says how long it may be.
pub const OUTPUT_TOKENS: u64 = 4_096;

/// What is set aside for an answer at most: hardly any is longer, and what is set aside nobody else can use.
pub const MOST_OUTPUT_TOKENS: u64 = 32_768;

/// What is set aside for a model call of an agent that reads so many tokens.
#[must_use]
pub fn reservation(agent: &AgentSpec, input_tokens: u64, so_far: &Usage) -> Reservation {
    let set = OUTPUT_SETTINGS
        .iter()
        .find_map(|key| agent.settings.get(*key)?.as_u64());
    let output_tokens = set.unwrap_or(OUTPUT_TOKENS).min(MOST_OUTPUT_TOKENS);
    let (input_cost_usd_micros, output_cost_usd_micros) = match agent.price {
        Some(price) => price.of(input_tokens, output_tokens),
        None => (
            as_before(so_far, input_tokens),
            as_before(so_far, output_tokens),
        ),
    };
    Reservation {
        input_tokens,
        output_tokens,
        input_cost_usd_micros,
        output_cost_usd_micros,
    }
}

/// What so many tokens cost if they cost what a run's tokens cost so far.
fn as_before(so_far: &Usage, tokens: u64) -> u64 {
    let all = u128::from(so_far.tokens()).max(1);
    let cost = u128::from(so_far.cost_usd_micros) * u128::from(tokens);
    u64::try_from(cost.div_ceil(all)).unwrap_or(u64::MAX)
}

/// What an answer cost: what its provider says, or else what its agent's price makes of it.
fn priced(agent: &AgentSpec, mut usage: Usage) -> Usage {
    if let Some(price) = agent.price.filter(|_| usage.cost_usd_micros == 0) {
        let read = usage.tokens().saturating_sub(usage.output_tokens);
        let (input, output) = price.of(read, usage.output_tokens);
        usage.cost_usd_micros = input.saturating_add(output);
    }
    usage
}

impl RunActor {
    pub(super) fn scene(&self) -> Scene<'_> {
        Scene {
            task: &self.context.definition,
            name: &self.name,
            inherited: self.inherited.as_deref(),
            tools: self.context.tools.specs(),
            blobs: &self.blobs,
        }
    }

    pub(super) fn reserve(&self, state: &RunState, seen: Seq) -> Reservation {
        let request = context::request(state, seen, self.scene());
        let input = estimate(&request, "", &[]).input_tokens;
        reservation(self.agent(), input, &state.usage)
    }

    pub(super) fn priced(&self, usage: Usage) -> Usage {
        priced(self.agent(), usage)
    }

    /// Sets so much aside, if that needs no waiting.
    pub(super) fn sets_aside(&mut self, reserved: Reservation) -> bool {
        let (journal, caller) = (&self.context.journal, self.context.caller(self.run));
        let admission = self
            .context
            .purse
            .admit_now(journal, caller, reserved.amount());
        self.admission = admission;
        self.admission.is_some()
    }

    /// Waits for its turn to set so much aside.
    pub(super) fn admit(&self, reserved: Reservation, cx: &Context<RunMessage>) -> AbortHandle {
        let (context, own, run) = (self.context.clone(), cx.handle(), self.run);
        cx.attach(async move {
            let waits = || drop(own.try_send(RunMessage::Waits(WaitReason::Budget)));
            let (journal, caller) = (&context.journal, context.caller(run));
            let needed = reserved.amount();
            RunMessage::Admitted(context.purse.admit(journal, caller, needed, waits).await)
        })
    }

    pub(super) fn admitted(&mut self, admitted: Result<Admission, Refused>) -> Result<(), Failure> {
        match admitted {
            Ok(_) if self.cancel.is_some() => {}
            Ok(admission) => self.admission = Some(admission),
            Err(refused) => return self.refused(refused),
        }
        self.doing.remove(&Doing::Admit);
        Ok(())
    }

    // ---- refusals

    /// Its next model call was not admitted.
    fn refused(&mut self, refused: Refused) -> Result<(), Failure> {
        self.doing.remove(&Doing::Admit);
        match refused {
            Refused::Exceeded(exceeded) => {
                let bodies = budget_exceeded(&self.state, self.agent(), exceeded);
                self.write(bodies);
                Ok(())
            }
            Refused::Store(error) => Err(error.into()),
            Refused::Journal(error) => Err(error.into()),
        }
    }

    /// What it wanted to delegate can not be paid.
    pub(super) fn not_affordable(&mut self, step: Step, crowded: Exceeded) {
        self.doing.remove(&Doing::Delegate(step));
        let limit = not_delegated(&crowded);
        let content = Content::Inline(format!("not delegated: {limit}"));
        self.write([
            EventBody::BudgetExceeded {
                limit,
                exceeded: Some(crowded),
            },
            EventBody::ToolCallCompleted {
                step,
                outcome: Outcome::Error,
                content,
            },
        ]);
    }

    // ---- a person's answer

    /// A person's answer to the question whether it may go on.
    pub(super) fn limit_answered(&mut self, given: Answer) {
        let Some(asked) = self.state.asked.clone() else {
            return;
        };
        let meant = may_go_on(&asked, &given.text);
        let allowed = match meant.clone() {
            MayGoOn::With(budget, more) => Some(EventBody::BudgetRaised { budget, more }),
            MayGoOn::Told(text) => Some(EventBody::Message {
                from: Sender::Human,
                content: Content::Inline(text),
                about: None,
            }),
            MayGoOn::Again | MayGoOn::Stop | MayGoOn::Unclear => None,
        };
        let resumed = EventBody::TaskResumed { answer: given.text };
        self.write_after(given.asked, allowed.into_iter().chain([resumed]));
        match meant {
            MayGoOn::Stop => self.write([EventBody::RunFailed {
                error: format!("a person stopped it: {}", asked.question),
                usage: self.state.usage,
            }]),
            MayGoOn::Unclear => {
                let attention = Attention::Limit {
                    run: self.run,
                    question: asked.question,
                    exceeded: asked.exceeded,
                };
                self.write_after(given.asked, [EventBody::TaskNeedsAttention { attention }]);
            }
            _ => {}
        }
        self.ask_again(given.rest);
    }

    // ---- time

    /// Looks now and then whether its time is over: that of an agent's run, or the task's for the root run.
    pub(super) fn watch_time(&self, cx: &Context<RunMessage>) {
        let (context, run) = (self.context.clone(), self.run);
        let is_limited = self.agent().run_timeout_ms.is_some()
            || self
                .state
                .spec
                .as_ref()
                .is_some_and(|spec| spec.parent.is_none());
        if !is_limited {
            return;
        }
        let _ = cx.attach_maybe(async move {
            loop {
                let left = time_left(&context, run).await.ok()??;
                if left.ms == 0 {
                    return Some(RunMessage::OutOfTime(left));
                }
                tokio::time::sleep(Duration::from_millis(left.ms.clamp(10, LOOK_MS))).await;
            }
        });
    }

    pub(super) fn out_of_time(&mut self, over: TimeLeft, cx: &Context<RunMessage>) {
        if self.state.status.is_terminal() || self.cancel.is_some() {
            return;
        }
        let most = Duration::from_millis(over.most);
        let limit = if over.whole_task {
            format!("the task took longer than {most:?} (wall_time)")
        } else {
            format!(
                "the run took longer than {most:?} (run_timeout of agent `{}`)",
                self.name
            )
        };
        self.cancelled(limit.clone().into(), Reply::channel().0, cx);
        self.outbox.push(super::Out::Own(EventBody::BudgetExceeded {
            limit,
            exceeded: None,
        }));
    }
}

/// How long is waited at most before the time is looked at again: a system's clock may have been set.
const LOOK_MS: u64 = 60 * 60 * 1_000;

async fn time_left(
    context: &RunContext,
    run: crate::model::RunId,
) -> Result<Option<TimeLeft>, StoreError> {
    let (now, definition) = (context.journal.clock().now(), context.definition.clone());
    let look = |ledger: &crate::budget::Ledger| ledger.time_left(&definition, run, now);
    context
        .purse
        .read(&context.journal, context.task, look)
        .await
}

/// The budget that can not pay the first model call of what is to be delegated.
pub(super) async fn unaffordable(
    context: &RunContext,
    run: crate::model::RunId,
    by: &AgentName,
    wish: &CreateRun,
) -> Result<Option<Exceeded>, StoreError> {
    if !context.is_budgeted() {
        return Ok(None);
    }
    let agents = &context.definition.agents;
    let name = wish.agent.as_ref().unwrap_or(by);
    let agent = agents.get(name).cloned().unwrap_or_default();
    let input = tokens_of(&[&agent.instructions, &wish.input]);
    let needed = reservation(&agent, input, &Usage::default()).amount();
    let caller = context.caller(run);
    let standing = context.purse.standing(&context.journal, caller).await?;
    Ok(standing.crowded(needed))
}
