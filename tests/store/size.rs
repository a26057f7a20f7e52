//! What a run takes on the disk, and what a person finds there.

use actors::model::event::Outcome;
use actors::model::{
    Content, EffectClass, EventBody, Reservation, RunId, Step, StopReason, ToolCall, Usage,
};
use actors::store::{Draft, Store};
use actors::testing::conformance::store::draft::{
    created, fenced, note, of_run, queued, run, started, task, working, write,
};
use fastrand::Rng;
use impresario::store::{Durability, Options, Sqlite};

fn letters(rng: &mut Rng, count: usize) -> String {
    (0..count).map(|_| rng.alphanumeric()).collect()
}

/// The events of one turn with one tool call, and the bytes of their contents.
fn turn(rng: &mut Rng, run: RunId, turn: u32, result: usize) -> (Vec<Draft>, usize) {
    let step = Step { turn, index: 0 };
    let args = serde_json::json!({ "path": letters(rng, 29) });
    let bytes = result + args.to_string().len();
    let call = ToolCall {
        id: format!("call_{turn}"),
        name: "read_file".to_owned(),
        args,
    };
    let bodies = [
        EventBody::ModelCallStarted {
            turn,
            seen: 2,
            reserved: Reservation::default(),
        },
        EventBody::ModelCallCompleted {
            turn,
            text: String::new(),
            calls: vec![call],
            usage: Usage {
                input_tokens: 1_000 + 300 * u64::from(turn),
                output_tokens: 42,
                ..Usage::default()
            },
            stop: StopReason::ToolCalls,
            opaque: Vec::new(),
        },
        EventBody::ToolCallStarted {
            step,
            tool: "read_file".to_owned(),
            class: EffectClass::Ledgered,
            executor: None,
        },
        EventBody::ToolCallCompleted {
            step,
            outcome: Outcome::Ok,
            content: Content::Inline(letters(rng, result)),
        },
    ];
    let drafts = bodies.into_iter().map(|body| of_run(run, 1, body));
    (drafts.collect(), bytes)
}

/// Runs of `turns` turns with a `result` each, side by side, one append an event; the bytes of their contents and those on the disk.
async fn stored(runs: u128, turns: u32, result: usize) -> (usize, usize) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("size.db");
    let store = Sqlite::open(Options {
        durability: Durability::Process,
        ..Options::new(&path)
    })
    .expect("the store opens");
    let mut rng = Rng::with_seed(1);
    let mut content = 0;
    for n in 1..=runs {
        working(&store, task(n), run(n)).await;
    }
    for at in 0..turns {
        for n in 1..=runs {
            let (drafts, bytes) = turn(&mut rng, run(n), at, result);
            content += bytes;
            for draft in drafts {
                write(&store, fenced(task(n), (run(n), 1), vec![draft])).await;
            }
        }
    }
    store.close().await.expect("the store closes");
    let files = std::fs::read_dir(folder.path()).expect("the folder");
    let sizes = files.map(|file| file.expect("a file").metadata().expect("its size").len());
    (
        content,
        usize::try_from(sizes.sum::<u64>()).expect("a size"),
    )
}

#[tokio::test]
async fn a_run_takes_at_most_twice_its_content() {
    let (content, disk) = stored(1, 200, 1_024).await;
    assert!(disk <= 2 * content, "{disk} bytes for {content}");
    let (twice, grown) = stored(1, 400, 1_024).await;
    let more = twice - content;
    assert!(grown - disk <= 2 * more, "{disk} bytes, then {grown}");
}

#[tokio::test]
async fn runs_side_by_side_take_at_most_twice_their_content() {
    for result in [1_000, 1_500, 2_100, 4_200, 16_000] {
        let (content, disk) = stored(4, 20, result).await;
        assert!(disk <= 2 * content, "{disk} bytes for {content}");
    }
}

#[tokio::test]
async fn a_person_can_read_what_is_stored() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = Sqlite::open(Options::new(folder.path().join("read.db"))).expect("the store opens");
    let (turn, _) = turn(&mut Rng::with_seed(2), run(2), 0, 1);
    let mut drafts = vec![
        created(),
        queued(run(2)),
        started(run(2), 1),
        note("go \"on\""),
    ];
    drafts.extend(turn.into_iter().take(3));
    write(
        &store,
        actors::testing::conformance::store::draft::append(task(1), drafts),
    )
    .await;
    let shell = rusqlite::Connection::open(store.path()).expect("a second connection");
    let lines: String = shell
        .prepare("SELECT concat_ws(' | ', seq, at, kind, run, agent, epoch, iif(kind IN ('task_created', 'run_queued'), '…', body)) FROM journal ORDER BY seq")
        .expect("the view")
        .query_map([], |row| row.get::<_, String>(0))
        .expect("its rows")
        .map(|line| line.expect("a row") + "\n")
        .collect();
    insta::assert_snapshot!(lines);
    let of_store = store
        .task(task(1))
        .await
        .expect("the task")
        .expect("the task");
    assert_eq!(of_store.head, 7);
}
