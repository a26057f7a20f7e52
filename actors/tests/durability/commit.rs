//! Group commit: what waits together is written together, and everybody gets an answer of his own.

use std::collections::BTreeSet;
use std::time::Duration;

use actors::model::EventBody;
use actors::testing::sim::{Moments, Stage};
use futures_util::future::join_all;
use serde_json::json;

/// The most that one transaction takes.
const BATCH: usize = 256;

#[tokio::test(start_paused = true)]
async fn appends_that_wait_together_are_one_transaction_and_each_gets_its_answer() {
    let script = json!({ "latency": "1h", "scripts": { "lead": [{ "say": "x" }] } });
    let stage = Stage::new(serde_json::from_value(script).expect("a script"), 4);
    let system = stage.open(&Moments::calm()).await;
    let task = system.create_task(stage.task(&["lead"])).await;
    let task = task.expect("a task");
    tokio::time::sleep(Duration::from_secs(1)).await;
    for (writers, wanted) in [
        (1, vec![1]),
        (100, vec![1, 99]),
        (600, vec![1, BATCH, BATCH, 87]),
    ] {
        stage.manners.slow(1, Duration::from_millis(50));
        let before = stage.manners.batches().len();
        let said = (0..writers).map(|n| {
            let system = &system;
            async move {
                let seq = system.say(task, &format!("word {n}"), None).await;
                (n, seq.expect("it is written"))
            }
        });
        let answers = join_all(said).await;
        assert_eq!(
            stage.manners.batches()[before..],
            wanted,
            "{writers} writers"
        );
        let events = stage.journal(task).await;
        for (n, seq) in &answers {
            let EventBody::TaskMessage { content, .. } = &events[*seq as usize - 1].body else {
                panic!("event {seq} is no word");
            };
            assert_eq!(*content, format!("word {n}"), "the answer of another");
        }
        let seqs: BTreeSet<_> = answers.iter().map(|(_, seq)| seq).collect();
        assert_eq!(seqs.len(), writers);
    }
    system.shutdown().await;
}
