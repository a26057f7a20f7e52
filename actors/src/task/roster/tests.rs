use super::*;
use crate::model::run::Parent;
use crate::model::{ContextMode, Delegation, RunSpec, Sender, TaskId, Timestamp, Usage};

fn run(n: u128) -> RunId {
    RunId(uuid::Uuid::from_u128(n))
}

fn event(id: Seq, run: RunId, body: EventBody) -> Event {
    Event {
        id,
        task_id: TaskId(uuid::Uuid::from_u128(99)),
        run_id: Some(run),
        agent: None,
        at: Timestamp(0),
        epoch: 0,
        cause: None,
        body,
    }
}

fn queued(parent: Option<RunId>) -> EventBody {
    let parent = parent.map(|run| Parent {
        run,
        step: STEP,
        delegation: Delegation::Background,
        up_to: 0,
    });
    let spec = RunSpec {
        agent: "a".into(),
        title: String::new(),
        input: String::new(),
        depth: 0,
        context: ContextMode::None,
        snippets: Vec::new(),
        worker: false,
        parent,
        heard: None,
    };
    EventBody::RunQueued {
        spec: Box::new(spec),
    }
}

const STEP: Step = Step { turn: 0, index: 0 };

fn failed() -> EventBody {
    EventBody::RunFailed {
        error: "x".to_owned(),
        usage: Usage::default(),
    }
}

fn continued() -> EventBody {
    EventBody::RunContinued {
        from: Sender::Human,
        content: crate::model::Content::default(),
    }
}

/// Run 1 is the root, 2 works for it, 3 for 2.
fn three() -> Roster {
    let mut roster = Roster::default();
    for (id, parent) in [(1, None), (2, Some(run(1))), (3, Some(run(2)))] {
        roster.fold(&event(id as Seq, run(id), queued(parent)));
    }
    roster
}

fn ids(queued: Vec<Queued>) -> Vec<RunId> {
    queued.into_iter().map(|queued| queued.run).collect()
}

#[test]
fn who_works_for_one_that_has_ended_is_an_orphan_and_not_started() {
    let mut roster = three();
    assert_eq!(ids(roster.to_start()), [run(1), run(2), run(3)]);
    roster.fold(&event(4, run(2), failed()));
    assert_eq!(roster.orphans(), [(run(3), 4)]);
    assert_eq!(ids(roster.to_start()), [run(1)]);
    assert_eq!(roster.parents_of_ended(), [run(1)]);
}

#[test]
fn one_that_was_continued_after_the_end_above_it_works_for_whoever_continued_it() {
    let mut roster = three();
    for (id, over) in [(4, 3), (5, 2), (6, 1)] {
        roster.fold(&event(id, run(over), failed()));
    }
    assert_eq!(roster.end().map(|end| end.id), Some(6));
    roster.fold(&event(7, run(2), continued()));
    assert_eq!(roster.end(), None);
    assert_eq!(
        (roster.orphans(), ids(roster.to_start())),
        (vec![], vec![run(2)])
    );
    roster.fold(&event(8, run(2), failed()));
    assert_eq!(
        roster.end().map(|end| end.id),
        Some(6),
        "the root's own end counts"
    );
    roster.fold(&event(9, run(1), continued()));
    assert_eq!(roster.root_end(), None);
}

#[test]
fn a_promise_is_kept_and_one_that_nobody_takes_is_free_again() {
    let limits = Limits {
        total_runs: 2,
        ..Limits::default()
    };
    let mut roster = Roster::default();
    roster.fold(&event(1, run(1), queued(None)));
    let ask = |roster: &mut Roster, by: u128, new: u128| {
        roster.delegate(&limits, None, (run(by), STEP), 1, || run(new))
    };
    assert_eq!(ask(&mut roster, 1, 2), Ok(run(2)));
    assert_eq!(
        ask(&mut roster, 1, 9),
        Ok(run(2)),
        "the same call, the same id"
    );
    assert!(ask(&mut roster, 5, 6).is_err(), "it counts");
    assert_eq!(ids(roster.to_start()), [run(1)], "and is not there yet");
    roster.fold(&event(2, run(1), failed()));
    assert!(roster.end().is_some(), "a promise is no live run");
    assert_eq!(ask(&mut roster, 5, 6), Ok(run(6)), "nobody took it");
}

#[test]
fn a_quarantined_run_is_live_and_not_started() {
    let mut roster = three();
    let reason = String::new();
    roster.fold(&event(4, run(2), EventBody::RunQuarantined { reason }));
    assert_eq!(ids(roster.to_start()), [run(1), run(3)]);
    assert!(roster.is_live(run(2)));
    roster.fold(&event(5, run(2), EventBody::RunReleased));
    assert_eq!(ids(roster.to_start()), [run(1), run(2), run(3)]);
}
