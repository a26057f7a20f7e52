//! A snapshot and the events after it are as good as all events, and no snapshot is as good as one.

use std::collections::BTreeMap;

use actors::model::{Event, EventBody, RunId, Seq};
use actors::run::snapshot;
use actors::run::state::RunState;
use actors::testing::sim::{Accident, Stage};
use serde_json::json;

use super::resume::{Asked, asked};
use crate::support::examples;
use crate::support::plays::Played;
use crate::support::requests::Record;
use crate::support::trace::Fate;
use crate::support::virtual_time;

/// The state that a snapshot of this one gives, with the texts of the events that it asks for.
fn through_a_snapshot(state: &RunState, events: &BTreeMap<Seq, &Event>) -> RunState {
    let body = snapshot::write(state).expect("a snapshot");
    let mut read = snapshot::read(&body).expect("the snapshot");
    let needed = snapshot::refers_to(&read);
    let needed = needed.iter().filter_map(|seq| events.get(seq));
    let needed: Vec<_> = needed.map(|event| (*event).clone()).collect();
    snapshot::hydrate(&mut read, needed).expect("its texts");
    read
}

/// How many snapshots of one run were looked at.
fn examine(played: &Played, record: &Record<'_>, run: RunId) -> usize {
    let agent = record.agent(run);
    let by_number = played.events.iter().map(|event| (event.id, event));
    let by_number: BTreeMap<_, _> = by_number.collect();
    let (mut state, mut resumed) = (RunState::new(run), None::<RunState>);
    let mut count = 0;
    for event in record.visible(agent) {
        state.fold(event);
        if let Some(resumed) = &mut resumed {
            resumed.fold(event);
            assert_eq!(
                *resumed, state,
                "TROUPE={}: {run} at {}",
                played.seed, event.id
            );
        }
        let is_queued = state.spec.is_some();
        // What does not concern it changes its head alone.
        if is_queued && (event.run_id == Some(run) || event.id % 8 == 0) {
            resumed = Some(through_a_snapshot(&state, &by_number));
            assert_eq!(
                resumed.as_ref(),
                Some(&state),
                "TROUPE={}: {run} at {}",
                played.seed,
                event.id
            );
            count += 1;
        }
    }
    count
}

#[test]
fn a_snapshot_and_the_tail_give_what_the_whole_fold_gives() {
    let mut count = 0;
    for played in examples().iter().step_by(3) {
        let record = virtual_time(Record::new(&played.events, &*played.stage.store));
        let queued = |event: &&Event| matches!(event.body, EventBody::RunQueued { .. });
        for run in played
            .events
            .iter()
            .filter(queued)
            .filter_map(|it| it.run_id)
        {
            count += examine(played, &record, run);
        }
    }
    assert!(count > 2_000, "{count}");
}

/// A run long enough for snapshots of several of its states, which are others for each shape.
fn stage(shape: usize) -> Stage {
    let pay = |n: usize, nth: usize| {
        let tool = ["pay_pure", "pay_keyed", "pay_queryable"][(n + nth) % 3];
        json!({ "tool": tool, "args": { "what": format!("bill {n}.{nth}") } })
    };
    let turn = |n: usize| {
        let calls: Vec<_> = (0..1 + (n + shape) % 4).map(|nth| pay(n, nth)).collect();
        json!({ "say": format!("turn {n}"), "calls": calls })
    };
    let mut script: Vec<_> = (0..30 + shape).map(turn).collect();
    script.push(json!({ "say": "All paid." }));
    let scripts = json!({ "latency": "5ms", "scripts": { "lead": script } });
    Stage::new(serde_json::from_value(scripts).expect("scripts"), 8)
}

fn play(shape: usize, accident: Option<u64>, fate: Fate) -> Asked {
    let accident = accident.map(|moment| (moment, Accident::PowerOff));
    asked(&stage(shape), &["lead"], accident, fate)
}

#[test]
fn losing_or_damaging_a_snapshot_costs_nothing_but_time() {
    use Fate::{Corrupt, Cut, Garbled, Kept, Lost};
    let mut served = 0;
    for shape in 0..6 {
        let calm = play(shape, None, Kept);
        assert_eq!(calm.requests.len(), 31 + shape);
        let fates = [Kept, Kept, Lost, Kept, Kept, Garbled, Kept, Cut, Corrupt];
        let moments = (100..calm.moments).step_by(31);
        for (moment, fate) in moments.zip(fates.into_iter().cycle()) {
            let asked = play(shape, Some(moment), fate);
            let is_same = asked.requests == calm.requests;
            assert!(is_same, "{fate:?} at moment {moment} of shape {shape}");
            served += asked.served;
        }
    }
    assert!(served > 20, "{served} snapshots were asked for");
}
