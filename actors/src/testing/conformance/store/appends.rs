//! Numbers, fields, atomicity.

use futures_util::future::{join, join_all};

use crate::model::{EventBody, Timestamp, Usage};
use crate::store::{Append, Cause, Draft, Rejected, Store};

use super::bodies::every_kind;
use super::draft::{
    append, blob, completed, created, events, fenced, note, of_run, of_task, queued, refused, run,
    started, task, working, write,
};
use super::state::{Names, of};

pub(super) async fn numbers_each_task_without_gaps(store: &dyn Store) {
    for n in [1, 2] {
        write(store, append(task(n), vec![created()])).await;
    }
    for round in 0..5 {
        let batch = [1, 2, 1].map(|n| append(task(n), vec![note(&format!("{round}")); 2]));
        let answers = store.append(batch.to_vec()).await.expect("a batch");
        assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    }
    for (n, count) in [(1, 21), (2, 11)] {
        let numbers: Vec<_> = events(store, task(n)).await.iter().map(|e| e.id).collect();
        assert_eq!(numbers, (1..=count).collect::<Vec<_>>());
    }
}

pub(super) async fn keeps_every_field(store: &dyn Store) {
    working(store, task(1), run(1)).await;
    let mut returned = Vec::new();
    for agent in [None, Some("writer".into()), Some("somebody else".into())] {
        for (run, epoch, cause) in [
            (None, 0, None),
            (Some(run(1)), 1, Some(2)),
            (Some(run(1)), 7, None),
        ] {
            let draft = Draft {
                run,
                agent: agent.clone(),
                at: Timestamp(epoch),
                epoch,
                cause: cause.map(Cause::Event),
                body: note("").body,
            };
            let events = write(store, append(task(1), vec![draft.clone()])).await;
            let event = &events[0];
            assert_eq!(event.task_id, task(1));
            assert_eq!(draft_of(event.clone()), draft);
            assert_eq!(event.cause, cause);
            returned.extend(events);
        }
    }
    assert_eq!(events(store, task(1)).await[3..], returned);
}

/// What leads to an event may be written together with it, and have no number yet.
pub(super) async fn numbers_causes(store: &dyn Store) {
    working(store, task(1), run(1)).await;
    let led_by = |place| {
        let cause = Some(Cause::Draft(place));
        Draft { cause, ..note("") }
    };
    let drafts = vec![note(""), led_by(0), led_by(1), led_by(3), led_by(9)];
    let written = write(store, append(task(1), drafts)).await;
    let causes: Vec<_> = written.iter().map(|event| event.cause).collect();
    let [first, second] = [written[0].id, written[1].id];
    assert_eq!(causes, [None, Some(first), Some(second), None, None]);
    assert_eq!(events(store, task(1)).await[3..], written);
}

fn draft_of(event: crate::model::Event) -> Draft {
    Draft {
        run: event.run_id,
        agent: event.agent,
        at: event.at,
        epoch: event.epoch,
        cause: event.cause.map(Cause::Event),
        body: event.body,
    }
}

pub(super) async fn keeps_every_kind_of_event(store: &dyn Store) {
    let mut wanted = Vec::new();
    for (n, body) in (1..).zip(every_kind()) {
        let before = vec![created(), queued(run(n)), started(run(n), 1)];
        let drafts = match &body {
            EventBody::TaskCreated { .. } => vec![of_task(body)],
            EventBody::RunQueued { .. } => [before, vec![of_run(run(n + 1_000), 0, body)]].concat(),
            // These two go on with what has ended.
            EventBody::TaskReopened => {
                let reason = String::new();
                let end = of_task(EventBody::TaskCancelled { reason });
                [before, vec![end, of_task(body)]].concat()
            }
            EventBody::RunContinued { .. } => {
                [before, vec![completed(run(n), 1), of_run(run(n), 1, body)]].concat()
            }
            _ if body.needs_run() => [before, vec![of_run(run(n), 2, body)]].concat(),
            _ => [before, vec![of_task(body)]].concat(),
        };
        wanted.push(write(store, append(task(n), drafts)).await);
    }
    for (n, wanted) in (1..).zip(wanted) {
        assert_eq!(events(store, task(n)).await, wanted);
    }
}

pub(super) async fn keeps_the_largest_numbers(store: &dyn Store) {
    let usage = Usage {
        input_tokens: u64::MAX,
        cost_usd_micros: u64::MAX,
        ..Usage::default()
    };
    let end = EventBody::RunFailed {
        error: String::new(),
        usage,
    };
    let drafts = [created(), queued(run(1)), started(run(1), u64::MAX)]
        .into_iter()
        .chain([of_run(run(1), u64::MAX, end)])
        .map(|draft| Draft {
            at: Timestamp(u64::MAX),
            cause: Some(u64::MAX.into()),
            ..draft
        });
    let written = write(store, append(task(1), drafts.collect())).await;
    assert_eq!(events(store, task(1)).await, written);
    let row = &store.runs(task(1)).await.expect("runs")[0];
    assert_eq!((row.epoch, row.usage), (u64::MAX, usage));
    assert_eq!(row.ended_at, Some(Timestamp(u64::MAX)));
    let refused = refused(store, fenced(task(1), (run(1), 1), vec![note("")])).await;
    assert!(matches!(
        refused,
        Rejected::Fenced {
            current: u64::MAX,
            ..
        }
    ));
}

pub(super) async fn writes_an_append_whole_or_not_at_all(store: &dyn Store) {
    working(store, task(1), run(1)).await;
    let names = Names {
        tasks: vec![task(1), task(2)],
        runs: vec![run(1), run(2)],
        blobs: vec![blob(b"a trace").hash],
    };
    let before = of(store, &names, 100).await.expect("the state");
    let unknown = of_run(run(9), 1, EventBody::RunReleased);
    for (task, mut drafts) in [
        (task(1), vec![note("a trace"), queued(run(2))]),
        (task(1), vec![completed(run(1), 1)]),
        (task(2), vec![created(), queued(run(2))]),
    ] {
        drafts.push(unknown.clone());
        let append = Append {
            blobs: vec![blob(b"a trace")],
            ..append(task, drafts)
        };
        refused(store, append).await;
        assert_eq!(of(store, &names, 100).await.expect("the state"), before);
    }
}

pub(super) async fn lets_no_refused_append_spoil_the_batch(store: &dyn Store) {
    working(store, task(1), run(1)).await;
    let batch = vec![
        append(task(1), vec![note("first")]),
        fenced(task(1), (run(1), 9), vec![note("fenced")]),
        append(task(2), vec![note("to nobody")]),
        append(task(3), vec![created()]),
        append(task(1), vec![note("lost"), created()]),
        append(task(1), vec![note("second"), note("third")]),
    ];
    let answers = store.append(batch).await.expect("a batch");
    let accepted: Vec<_> = answers.iter().map(Result::is_ok).collect();
    assert_eq!(accepted, [true, false, false, true, false, true]);
    let written: Vec<_> = answers.into_iter().flatten().flatten().collect();
    assert_eq!(
        events(store, task(1)).await[3..],
        [&written[..1], &written[2..]].concat()
    );
    assert_eq!(events(store, task(3)).await, written[1..2]);
    assert_eq!(events(store, task(2)).await, []);
}

pub(super) async fn shows_an_append_the_ones_before_it(store: &dyn Store) {
    let batch = vec![
        append(task(1), vec![created()]),
        append(task(1), vec![queued(run(1))]),
        fenced(task(1), (run(1), 0), vec![started(run(1), 1)]),
        fenced(task(1), (run(1), 0), vec![started(run(1), 1)]),
        fenced(task(1), (run(1), 1), vec![completed(run(1), 1)]),
        fenced(task(1), (run(1), 1), vec![completed(run(1), 1)]),
        append(task(1), vec![created()]),
    ];
    let answers = store.append(batch).await.expect("a batch");
    let accepted: Vec<_> = answers.iter().map(Result::is_ok).collect();
    assert_eq!(accepted, [true, true, true, false, true, false, false]);
}

pub(super) async fn accepts_nothing_at_all(store: &dyn Store) {
    assert_eq!(store.append(Vec::new()).await, Ok(Vec::new()));
    assert_eq!(write(store, append(task(1), Vec::new())).await, []);
    let only_a_blob = Append {
        blobs: vec![blob(b"alone")],
        ..append(task(1), Vec::new())
    };
    write(store, only_a_blob).await;
    let found = store.blob(blob(b"alone").hash).await;
    assert_eq!(found, Ok(Some(b"alone".to_vec())));
    assert_eq!(store.tasks(false).await, Ok(Vec::new()));
    working(store, task(1), run(1)).await;
    refused(store, fenced(task(1), (run(1), 2), Vec::new())).await;
}

pub(super) async fn takes_many_appenders_at_once(store: &dyn Store) {
    const APPENDERS: u128 = 24;
    const EACH: usize = 8;
    write(store, append(task(0), vec![created()])).await;
    let appenders = (1..=APPENDERS).map(|n| async move {
        working(store, task(n), run(n)).await;
        for round in 0..EACH {
            let said = vec![note(&format!("{n}: {round}"))];
            let batch = [0, n].map(|task_of| append(task(task_of), said.clone()));
            let answers = store.append(batch.to_vec()).await.expect("a batch");
            assert!(answers.iter().all(Result::is_ok), "{answers:?}");
        }
    });
    join_all(appenders).await;
    let shared = events(store, task(0)).await;
    let numbers: Vec<_> = shared.iter().map(|event| event.id).collect();
    let count = 1 + u64::try_from(EACH).unwrap() * u64::try_from(APPENDERS).unwrap();
    assert_eq!(numbers, (1..=count).collect::<Vec<_>>());
    for n in 1..=APPENDERS {
        let own: Vec<_> = events(store, task(n)).await.split_off(3);
        assert_eq!(own.len(), EACH);
        let bodies = own.iter().map(|event| &event.body);
        let prefix = format!("{n}: ");
        let in_shared = shared.iter().map(|event| &event.body).filter(
            |body| matches!(body, EventBody::TaskMessage { content, .. } if content.starts_with(&prefix)),
        );
        assert!(
            bodies.eq(in_shared),
            "an appender's events keep their order"
        );
    }
}

pub(super) async fn shows_readers_whole_appends_only(store: &dyn Store) {
    const PAIRS: usize = 30;
    write(store, append(task(1), vec![created()])).await;
    let writing = async {
        for n in 0..PAIRS {
            let pair = ["left", "right"].map(|side| note(&format!("{n} {side}")));
            write(store, append(task(1), pair.to_vec())).await;
        }
    };
    let reading = async {
        let mut seen = 1;
        while seen < 1 + 2 * PAIRS {
            let found = events(store, task(1)).await.len();
            assert!(found >= seen, "what was read once is read again");
            assert_eq!(found % 2, 1, "half an append was read");
            seen = found;
            tokio::task::yield_now().await;
        }
    };
    join(writing, reading).await;
}
