//! Long results, and runs that take long.

use actors::model::{ChatMessage, TaskDefinition, TaskStatus, WorkflowPin};
use serde_json::json;

use super::Play;

fn told(events: &[actors::model::Event], text: &str) -> String {
    let names = super::teller::names(events);
    super::teller::named(text, events[0].task_id, &names)
}

/// What the model of the newest request of this agent was told last.
fn newest(play: &Play, agent: &str) -> String {
    let asked = play.requests.all().into_iter().rev();
    let mut asked = asked.filter(|request| request.agent == agent);
    match asked.next().expect("a request").messages.pop() {
        Some(ChatMessage::User { text } | ChatMessage::Tool { text, .. }) => text,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_long_result_is_shown_up_to_the_limit_and_the_rest_is_in_the_record() {
    // Kept in the journal, and too long for it.
    for length in [30, 200] {
        for mode in ["foreground", "background"] {
            let text = "0123456789".repeat(length / 10);
            let scripts = json!({
                "lead": [
                    { "say": "You.", "call": "create_run", "args": { "agent": "worker", "input": "count", "mode": mode } },
                    { "say": "I wait." }, { "say": "I have read it." }
                ],
                "worker": [ { "say": text } ]
            });
            let play = Play::new(scripts, &[]).await;
            let limits = |definition: &mut TaskDefinition| {
                (
                    definition.limits.capsule_chars,
                    definition.limits.inline_bytes,
                ) = (20, 100);
            };
            let task = play.begin(&["lead", "worker"], limits).await;
            play.until(task, TaskStatus::Completed).await;
            let events = play.stage.journal(task).await;
            let shown = told(&events, &newest(&play, "lead"));
            let shown = shown.trim_start_matches("[worker, to you] ");
            assert_eq!(
                shown,
                "worker (run_worker) completed: ⏎ 01234567890123456789 ⏎ \
                 [the first 20 characters; the whole result is in the record of run_worker]",
                "{length} {mode}"
            );
            let room = play.told(task).await;
            assert!(
                room.contains("count: 01234567890123456789\\n[the first 20"),
                "{room}"
            );
            let run = play.run(task, "worker").await;
            let record = play.system.run(task, run).await.expect("a record");
            let whole = play.system.text(&record.result.expect("a result")).await;
            assert_eq!(whole, Ok(text));
            play.system.shutdown().await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn workers_progress_and_a_workflow_told_whole() {
    let steps = (0..3).map(|n| json!({ "when": "^(count slowly|nothing costs)", "say": format!("step {n}"), "call": "pay_pure", "args": { "n": n } }));
    let mut lead = vec![
        json!({ "when": "pay the bills", "say": "Split.", "call": "create_run",
            "args": { "input": "count slowly", "context": "none", "mode": "background" } }),
    ];
    lead.extend(steps);
    lead.push(json!({ "when": "^nothing costs", "say": "counted" }));
    lead.push(json!({ "say": "I wait." }));
    lead.push(json!({ "say": "It is done: {{last}}" }));
    let play = Play::with_latency("900ms", json!({ "lead": lead }), &[]).await;
    let change = |definition: &mut TaskDefinition| {
        definition.limits.progress_ms = 2_000;
        definition.workflow = Some(WorkflowPin {
            name: "review".to_owned(),
            version: 3,
            instructions: "Look twice.".to_owned(),
        });
    };
    let task = play.begin(&["lead"], change).await;
    let told = play.told_to_the_end(task, TaskStatus::Completed).await;
    let asked = play.requests.all();
    let pinned = "The workflow of this task, review version 3:\nLook twice.";
    assert!(asked.iter().all(|request| request.system.contains(pinned)));
    play.system.shutdown().await;
    insta::assert_snapshot!(told);
}

#[tokio::test(start_paused = true)]
async fn only_the_newest_word_of_a_run_is_shown_then_and_later() {
    let steps: Vec<_> = (0..9)
        .map(|n| json!({ "say": format!("step {n}"), "call": "pay_pure", "args": { "n": n } }))
        .collect();
    let look =
        json!({ "say": "I look.", "call": "pay_once", "args": { "what": "time", "ms": 5_000 } });
    let scripts = json!({
        "lead": [
            { "say": "go", "call": "create_run", "args": { "agent": "worker", "input": "long", "mode": "background" } },
            look, look, { "say": "enough" }
        ],
        "worker": steps
    });
    let play = Play::with_latency("1400ms", scripts, &[]).await;
    let limits = |definition: &mut TaskDefinition| definition.limits.progress_ms = 1_000;
    let task = play.begin(&["lead", "worker"], limits).await;
    play.until(task, TaskStatus::Completed).await;
    let words: Vec<_> = play
        .requests
        .all()
        .into_iter()
        .filter(|request| request.agent == "lead")
        .map(|request| {
            format!("{:?}", request.messages)
                .matches("still at it")
                .count()
        })
        .collect();
    play.system.shutdown().await;
    // A word that was shown stays where it was; of those that came between two looks only the last was.
    assert_eq!(words, [0, 0, 1, 2, 2]);
}
