//! What holds of every journal, whatever happened.

use std::collections::{BTreeMap, BTreeSet};

use super::causes;

use crate::budget::Ledger;
use crate::model::event::{Outcome, Resolution};
use crate::model::{
    BudgetScope, CallId, Delegation, EffectClass, Event, EventBody, Recovery, Reservation, RunId,
    RunStatus, Step, TaskStatus, Usage,
};
use crate::run::state::RunState;
use crate::store::project::Projection;
use crate::store::{Append, Cause, Draft, Memory, RunRow, Store, TaskRow};
use crate::testing::outside::Outside;

/// One tool call, from everything the journal says of it.
#[derive(Debug, Default)]
struct Call {
    tool: String,
    class: Option<EffectClass>,
    planned: usize,
    started: Vec<u64>,
    results: Vec<Outcome>,
    doubts: usize,
    retried: u32,
    answered: bool,
    undone: bool,
}

type Calls = BTreeMap<(RunId, Step), Call>;

/// Checks everything that can be said of a journal without knowing what it is about.
pub async fn journal(store: &Memory, events: &[Event]) {
    let task = events[0].task_id;
    let rows = store.runs(task).await.expect("memory can be read");
    let row = store.task(task).await.expect("memory can be read");
    let row = row.expect("the task");
    numbers_are_gapless(events);
    rows_are_the_fold(events, &row, &rows);
    runs_are_the_fold(events, &rows);
    ends_are_ends(events, &row, &rows);
    epochs_rise(events);
    usage_adds_up(events, &rows);
    calls_are_in_order(events);
    every_child_is_told_of_once(events, &rows);
    causes::check(events);
}

fn numbers_are_gapless(events: &[Event]) {
    for (event, number) in events.iter().zip(1..) {
        assert_eq!(event.id, number, "a gap before {event:?}");
    }
}

fn rows_are_the_fold(events: &[Event], task: &TaskRow, rows: &[RunRow]) {
    let mut fold = Projection::default();
    for event in events {
        let draft = Draft {
            run: event.run_id,
            agent: event.agent.clone(),
            at: event.at,
            epoch: event.epoch,
            cause: event.cause.map(Cause::Event),
            body: event.body.clone(),
        };
        let append = Append {
            task: event.task_id,
            fence: None,
            drafts: vec![draft],
            blobs: Vec::new(),
        };
        let written = fold.apply(&append);
        assert_eq!(written.as_deref(), Ok([event.clone()].as_slice()));
    }
    assert_eq!(fold.task.as_ref(), Some(task));
    let folded: BTreeMap<_, _> = rows.iter().map(|row| (row.id, row.clone())).collect();
    assert_eq!(fold.runs, folded);
}

fn runs_are_the_fold(events: &[Event], rows: &[RunRow]) {
    for row in rows {
        let state = RunState::from_events(row.id, events);
        assert_eq!(
            (state.status, state.epoch),
            (row.status, row.epoch),
            "{}",
            row.id
        );
    }
}

fn ends_are_ends(events: &[Event], task: &TaskRow, rows: &[RunRow]) {
    let mut over = BTreeSet::new();
    for event in events {
        let Some(run) = event.run_id else { continue };
        if over.contains(&run) {
            let may = matches!(
                event.body,
                EventBody::ToolCallLate { .. } | EventBody::RunContinued { .. }
            );
            assert!(may, "after the end of {run}: {event:?}");
        }
        if event.body.is_run_end() {
            over.insert(run);
        } else if matches!(event.body, EventBody::RunContinued { .. }) {
            over.remove(&run);
        }
    }
    if task.status.is_terminal() {
        let live: Vec<_> = rows
            .iter()
            .filter(|row| !row.status.is_terminal())
            .collect();
        assert!(live.is_empty(), "live after the task's end: {live:?}");
        let root = rows.iter().find(|row| row.parent.is_none());
        let fits = match root.expect("a root run").status {
            RunStatus::Completed => TaskStatus::Completed,
            RunStatus::Failed => TaskStatus::Failed,
            _ => TaskStatus::Cancelled,
        };
        assert_eq!(task.status, fits);
    }
}

fn epochs_rise(events: &[Event]) {
    let mut epochs = BTreeMap::new();
    for event in events {
        let Some(run) = event.run_id else { continue };
        let epoch = epochs.entry(run).or_insert(0);
        *epoch += u64::from(event.body.is_claim());
        assert_eq!(event.epoch, *epoch, "{event:?}");
    }
}

fn usage_adds_up(events: &[Event], rows: &[RunRow]) {
    for row in rows.iter().filter(|row| row.status.is_terminal()) {
        let of_run = events.iter().filter(|event| event.run_id == Some(row.id));
        let (used, begun, ended) = counted(of_run.map(|event| &event.body));
        assert_eq!(row.usage, used, "what {} cost", row.id);
        assert_eq!(
            begun, ended,
            "every call of {} is accounted for once",
            row.id
        );
    }
    let mut whole = Usage::default();
    rows.iter().for_each(|row| whole += row.usage);
    let mut ledger = Ledger::default();
    events.iter().for_each(|event| ledger.fold(event));
    if rows.iter().all(|row| row.status.is_terminal()) {
        assert_eq!(
            ledger.used(BudgetScope::Task),
            whole,
            "the runs add up to the task"
        );
    }
}

/// What a run used and wasted, how many model calls it began and of how many is known what became of them.
fn counted<'a>(bodies: impl Iterator<Item = &'a EventBody>) -> (Usage, u32, u32) {
    let (mut used, mut begun, mut ended) = (Usage::default(), 0, 0);
    let mut open: Option<Reservation> = None;
    let mut waste = |used: &mut Usage, open: &mut Option<Reservation>, lost: bool| {
        let Some(set_aside) = open.take() else { return };
        ended += 1;
        if lost {
            used.wasted_tokens += set_aside.input_tokens;
            used.wasted_cost_usd_micros += set_aside.input_cost_usd_micros;
        }
    };
    for body in bodies {
        match body {
            EventBody::ModelCallStarted { reserved, .. } => {
                assert_eq!(open.replace(*reserved), None, "two at a time");
                assert!(reserved.input_tokens > 0 && reserved.output_tokens > 0);
                begun += 1;
            }
            EventBody::ModelCallCompleted { usage, .. } => {
                waste(&mut used, &mut open, false);
                used += *usage;
            }
            EventBody::RunRetrying { lost, .. } => waste(&mut used, &mut open, *lost),
            // What refuses a call stands before it; a time that is up cuts it off.
            EventBody::BudgetExceeded {
                exceeded: Some(_), ..
            } => waste(&mut used, &mut open, false),
            EventBody::RunRestarted { recovery, .. } => {
                waste(&mut used, &mut open, true);
                if *recovery == Recovery::CleanSlate {
                    used.wasted_tokens += used.tokens();
                    used.wasted_cost_usd_micros += used.cost_usd_micros;
                    (used.input_tokens, used.output_tokens, used.cost_usd_micros) = (0, 0, 0);
                }
            }
            EventBody::RunQuarantined { .. } | EventBody::RunCancelled { .. } => {
                waste(&mut used, &mut open, true);
            }
            EventBody::RunFailed { usage, .. } => {
                // Of a call that failed for good, its end says whether the provider may have been paid.
                let lost = usage.wasted_tokens > used.wasted_tokens;
                waste(&mut used, &mut open, lost);
            }
            _ => {}
        }
    }
    (used, begun, ended)
}

fn calls(events: &[Event]) -> Calls {
    let mut calls = Calls::new();
    for event in events {
        let Some(run) = event.run_id else { continue };
        if let EventBody::ModelCallCompleted {
            turn, calls: asked, ..
        } = &event.body
        {
            for (call, index) in asked.iter().zip(0..) {
                let entry = calls.entry((run, Step { turn: *turn, index })).or_default();
                entry.tool.clone_from(&call.name);
                entry.planned += 1;
            }
        } else if let Some(step) = step_of(&event.body) {
            let call = calls.get_mut(&(run, step));
            let call = call.unwrap_or_else(|| panic!("nobody asked for it: {event:?}"));
            note(call, event);
        }
    }
    calls
}

fn step_of(body: &EventBody) -> Option<Step> {
    match body {
        EventBody::ToolCallStarted { step, .. }
        | EventBody::ToolCallCompleted { step, .. }
        | EventBody::ToolCallInDoubt { step, .. }
        | EventBody::ToolCallResolved { step, .. }
        | EventBody::ToolCallLate { step, .. } => Some(*step),
        _ => None,
    }
}

fn note(call: &mut Call, event: &Event) {
    let is_over = !call.results.is_empty();
    assert!(
        !is_over || matches!(event.body, EventBody::ToolCallLate { .. }),
        "after its result: {event:?}"
    );
    match &event.body {
        EventBody::ToolCallStarted { class, .. } => {
            call.started.push(event.epoch);
            call.class = Some(*class);
        }
        EventBody::ToolCallCompleted { outcome, .. } => call.results.push(*outcome),
        EventBody::ToolCallInDoubt { .. } => call.doubts += 1,
        EventBody::ToolCallResolved { resolution, .. } => {
            assert!(call.doubts > 0, "resolved without a doubt: {event:?}");
            match resolution {
                Resolution::Retried => call.retried += 1,
                Resolution::Answered { .. } => call.answered = true,
                Resolution::Compensated { .. } => call.undone = true,
                Resolution::ToldModel => {}
            }
        }
        _ => {}
    }
}

/// A step means one call for ever, and it has one result where its run came to its result.
fn calls_are_in_order(events: &[Event]) {
    let slates = slates(events);
    for ((run, step), call) in calls(events) {
        assert_eq!(call.planned, 1, "{run}/{step} was asked for more than once");
        assert!(call.results.len() <= 1, "{run}/{step}: {call:?}");
        let completed = events.iter().any(|event| {
            event.run_id == Some(run) && matches!(event.body, EventBody::RunCompleted { .. })
        });
        let wiped = slates.get(&run).is_some_and(|turn| step.turn < *turn);
        if completed && !wiped {
            assert_eq!(
                call.results.len(),
                1,
                "{run}/{step} has no result: {call:?}"
            );
        }
    }
}

/// The first turn after each run's last clean slate.
fn slates(events: &[Event]) -> BTreeMap<RunId, u32> {
    use crate::model::Recovery;
    let (mut turns, mut slates) = (BTreeMap::new(), BTreeMap::new());
    for event in events {
        let Some(run) = event.run_id else { continue };
        match &event.body {
            EventBody::ModelCallCompleted { turn, .. } => drop(turns.insert(run, turn + 1)),
            EventBody::RunRestarted { recovery, .. } if *recovery == Recovery::CleanSlate => {
                slates.insert(run, turns.get(&run).copied().unwrap_or_default());
            }
            _ => {}
        }
    }
    slates
}

/// Whoever delegated a run and came to a result was told of its end, once.
fn every_child_is_told_of_once(events: &[Event], rows: &[RunRow]) {
    let slates = slates(events);
    for child in rows {
        let Some(parent) = child.parent else { continue };
        let told = events.iter().filter(|event| {
            event.run_id == Some(parent)
                && matches!(&event.body, EventBody::Message { about, .. } if *about == Some(child.id))
        });
        let told = told.count();
        assert!(told <= 1, "{parent} was told {told} times of {}", child.id);
        let above = rows.iter().find(|row| row.id == parent);
        let is_done = above.is_some_and(|row| row.status == RunStatus::Completed);
        if is_done && child.delegation == Some(Delegation::Background) {
            assert_eq!(told, 1, "{parent} was not told of {}", child.id);
        }
        if is_done && !slates.contains_key(&parent) {
            assert!(child.status.is_terminal(), "{} outlived {parent}", child.id);
        }
    }
}

/// What was paid outside is what the journal says, or what it says it does not know.
pub fn payments(events: &[Event], outside: &Outside) {
    let calls = calls(events);
    let mut paid = BTreeMap::<CallId, u32>::new();
    for payment in outside.all_payments() {
        *paid.entry(payment.call_id).or_default() += 1;
    }
    for (call_id, times) in &paid {
        assert_eq!(*times, 1, "{call_id} paid {times} times");
        assert!(
            calls.keys().any(|(run, step)| is_of(call_id, *run, *step)),
            "{call_id} was never asked for"
        );
    }
    for ((run, step), call) in &calls {
        if !call.tool.starts_with("pay_") {
            continue;
        }
        let of_call = paid.keys().filter(|id| is_of(id, *run, *step)).count();
        check_call(&format!("{run}/{step}"), call, of_call);
    }
}

fn is_of(call_id: &CallId, run: RunId, step: Step) -> bool {
    let own = CallId::new(run, step).0;
    call_id.0 == own
        || call_id
            .0
            .strip_prefix(&own)
            .is_some_and(|rest| rest.starts_with('/'))
}

fn check_call(name: &str, call: &Call, paid: usize) {
    let pays = call.class.is_some_and(|class| class != EffectClass::Pure);
    if paid > 0 {
        assert!(
            pays && !call.started.is_empty(),
            "{name} paid before that it starts was durable: {call:?}"
        );
    }
    let most = 1 + call.retried as usize;
    assert!(paid <= most, "{name} paid {paid} times: {call:?}");
    let knows = call.results == [Outcome::Ok] && !call.answered;
    if pays && knows {
        assert!(paid >= 1, "{name} is said to be paid and is not: {call:?}");
    }
    let is_settled = call.results == [Outcome::Ok];
    if paid > 0 && !is_settled && call.results == [Outcome::Error] {
        // Either it failed and its message says so, or nobody knew and that was said.
        let said = call.doubts > 0 || call.undone;
        assert!(
            said || paid == 1,
            "{name} is silent about {paid} payments: {call:?}"
        );
    }
}
