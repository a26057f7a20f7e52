//! What is durable before what happens: looked up in what systems really did while things went wrong.

use std::time::Duration;

use actors::model::{Delegation, Event, EventBody, RunId, Seq, Step};
use actors::run::tools::POST_MESSAGE;
use actors::store::Append;
use actors::testing::census::Census;
use actors::testing::seeds::trial::Trial;
use actors::testing::sim::{Accident, Moments};

use crate::support::causes;
use crate::support::examples;
use crate::support::plays::{Played, stage};
use crate::support::requests::Record;
use crate::support::trace::{Did, Trace, requests};
use crate::support::{troupe, virtual_time};

/// A tool call that really began.
struct Called<'a> {
    played: &'a Played,
    head: Seq,
    epoch: u64,
    run: RunId,
    step: Step,
}

impl Called<'_> {
    /// The events of its run that were durable when it began.
    fn before(&self) -> impl DoubleEndedIterator<Item = &Event> {
        let of_run = |event: &&Event| event.run_id == Some(self.run) && event.id <= self.head;
        self.played.events.iter().filter(of_run)
    }

    fn is_pure(&self) -> bool {
        let reply = self.before().find_map(|event| match &event.body {
            EventBody::ModelCallCompleted { turn, calls, .. } if *turn == self.step.turn => {
                Some(calls)
            }
            _ => None,
        });
        reply.expect("its reply")[self.step.index as usize].name == "pay_pure"
    }

    fn is_said_to_start(&self) -> bool {
        let is_it = |event: &Event| matches!(&event.body, EventBody::ToolCallStarted { step, .. } if *step == self.step);
        let newest = self.before().rfind(|event| is_it(event));
        newest.is_some_and(|event| event.epoch == self.epoch)
    }
}

impl std::fmt::Display for Called<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            head, run, step, ..
        } = self;
        let seed = self.played.seed;
        write!(f, "TROUPE={seed}: {run}/{step} began at event {head}")
    }
}

fn called() -> impl Iterator<Item = Called<'static>> {
    let of_one = |played: &'static Played| {
        played.facts.iter().filter_map(move |fact| {
            let Did::Called(call_id, epoch) = &fact.did else {
                return None;
            };
            let mut parts = call_id.0.split('/');
            Some(Called {
                played,
                head: fact.head,
                epoch: *epoch,
                run: parts.next()?.parse().expect("a run"),
                step: parts.next()?.parse().expect("a step"),
            })
        })
    };
    examples().iter().flat_map(of_one)
}

#[test]
fn a_reply_is_durable_before_any_of_its_tool_calls_starts() {
    for call in called() {
        let is_reply = |event: &Event| matches!(event.body, EventBody::ModelCallCompleted { turn, .. } if turn == call.step.turn);
        assert!(call.before().any(is_reply), "{call} before its reply");
    }
    let count = called().count();
    assert!(count > 500, "{count}");
}

#[test]
fn that_a_call_starts_is_durable_before_it_is_made_unless_it_is_pure() {
    for call in called().filter(|call| !call.is_pure()) {
        assert!(
            call.is_said_to_start(),
            "{call} and that it starts was not durable"
        );
    }
}

#[test]
fn that_a_pure_call_starts_is_written_and_not_waited_for() {
    let pure: Vec<_> = called().filter(Called::is_pure).collect();
    let waited = pure.iter().filter(|call| call.is_said_to_start()).count();
    assert!(waited * 2 < pure.len(), "{waited} of {} waited", pure.len());
    for call in &pure {
        let of_call = call.played.events.iter().filter(|event| {
            let at = match &event.body {
                EventBody::ToolCallStarted { step, .. }
                | EventBody::ToolCallCompleted { step, .. } => Some(*step),
                _ => None,
            };
            (event.run_id, at) == (Some(call.run), Some(call.step))
        });
        let first = of_call.map(|event| &event.body).next();
        assert!(
            matches!(first, None | Some(EventBody::ToolCallStarted { .. })),
            "{call} and nothing says so before its result"
        );
    }
}

#[test]
fn a_transactional_call_and_its_effect_are_one_append() {
    let (mut posts, mut delegations) = (0, 0);
    for append in written() {
        let bodies: Vec<_> = append.drafts.iter().map(|draft| &draft.body).collect();
        for (at, body) in bodies.iter().enumerate() {
            let EventBody::ToolCallStarted {
                tool, class, step, ..
            } = body
            else {
                continue;
            };
            let is_result = |body: &&EventBody| matches!(body, EventBody::ToolCallCompleted { step: of, .. } if of == step);
            if tool == POST_MESSAGE {
                let said = matches!(bodies[at + 1], EventBody::TaskMessage { .. });
                assert!(said && is_result(&bodies[at + 2]), "{append:?}");
                posts += 1;
            } else if !class.records_start() && tool == "create_run" {
                let EventBody::RunQueued { spec } = bodies[at + 1] else {
                    panic!("{append:?}");
                };
                let parent = spec.parent.as_ref().expect("a parent");
                assert_eq!(parent.step, *step);
                let in_background = parent.delegation == Delegation::Background;
                let is_told = bodies.get(at + 2).is_some_and(is_result);
                assert_eq!(is_told, in_background, "{append:?}");
                delegations += 1;
            }
        }
        let is_post =
            |body: &&&EventBody| matches!(body, EventBody::TaskMessage { outcome, .. } if !outcome);
        let started = |body: &&&EventBody| matches!(body, EventBody::ToolCallStarted { tool, .. } if tool == POST_MESSAGE);
        let (said, began) = (bodies.iter().filter(is_post), bodies.iter().filter(started));
        assert_eq!(said.count(), began.count(), "{append:?}");
    }
    assert!(posts > 100 && delegations > 100, "{posts}, {delegations}");
}

fn written() -> impl Iterator<Item = &'static Append> {
    let facts = examples().iter().flat_map(|played| &played.facts);
    facts.filter_map(|fact| match &fact.did {
        Did::Wrote(append) => Some(append),
        _ => None,
    })
}

#[test]
fn a_result_is_durable_before_the_next_model_call_is_built_on_it() {
    let mut results = 0;
    for played in examples() {
        let record = virtual_time(Record::new(&played.events, &*played.stage.store));
        for (head, request) in requests(&played.facts) {
            let told = request.messages.iter();
            results += told
                .filter(|it| matches!(it, actors::model::ChatMessage::Tool { .. }))
                .count();
            assert!(
                record.follows_from(request, head),
                "TROUPE={}: {} was asked at event {head} what does not follow from what was durable:\n{:#?}",
                played.seed,
                request.run,
                request.messages
            );
        }
    }
    assert!(results > 1_000, "{results}");
}

/// Whatever goes wrong in its creation: if the caller hears that a task was created, it survives a power cut right then.
#[test]
fn a_task_is_durable_before_its_creation_returns() {
    let mut created = 0;
    for moment in 0..12 {
        for accident in [Accident::Crash, Accident::PowerOff] {
            let stage = stage(&Trial::plain(1), &Census::default());
            stage.manners.slow(moment, Duration::from_millis(40));
            let (trace, moments) = (Trace::of(&stage), Moments::with([(moment, accident)]));
            let head = virtual_time(async {
                let work = async {
                    let system = stage.open_with(&moments, |deps| trace.watch(deps)).await;
                    let task = system.create_task(troupe::task(&stage, 1)).await;
                    task.ok().map(|task| (task, trace.head()))
                };
                tokio::select! {
                    biased;
                    () = moments.power_off() => None,
                    answer = work => answer,
                }
            });
            if let Some((task, head)) = head {
                assert!(head >= 2, "{accident:?} at {moment}: {head} events");
                let events = virtual_time(causes::journal(&stage, task));
                assert!(matches!(events[0].body, EventBody::TaskCreated { .. }));
                assert!(matches!(events[1].body, EventBody::RunQueued { .. }));
                created += 1;
            }
        }
    }
    assert!(created >= 10, "{created}");
}
