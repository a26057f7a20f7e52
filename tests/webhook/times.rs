//! When is tried again, and what is sent to whom; in virtual time.

use std::time::Duration;

use actors::registry::access::{KeyKind, NewKey, Scope};
use actors::registry::webhooks::FileWebhook;
use actors::registry::webhooks::deliveries::DeliveryState;
use actors::registry::webhooks::plan::{Outcome, RetryTimes};
use impresario::webhook::{Declared, Options};
use insta::assert_snapshot;

use crate::api::plain;

use super::{Bed, EPOCH, Scripted, child, new_webhook};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

#[tokio::test(start_paused = true)]
async fn what_fails_is_tried_for_days_then_parked_then_sent_again_by_hand() {
    let bed = Bed::open().await;
    // Days are slept through.
    let hooks = bed.hooks(Options {
        look: Duration::from_secs(600),
        ..Options::default()
    });
    let new = new_webhook("ours", "https://example.com/", &["task_completed"]);
    let (webhook, _) = hooks.create(new).await.unwrap();
    let mut tries = 0;
    let carrier = Scripted::new(&bed, move |_| {
        tries += 1;
        Some(Outcome::Answered(if tries <= 10 { 503 } else { 204 }))
    });
    let sending = child(hooks.deliverer_over(&bed.system, carrier.clone())).await;
    bed.task("ours", "lead").await;
    tokio::time::sleep(DAY * 5).await;
    let letters = carrier.letters();
    let waits = letters.windows(2).map(|two| two[1].0.since(two[0].0));
    let written = RetryTimes::default().0;
    assert_eq!((letters.len(), letters[0].0), (written.len(), EPOCH));
    for (wait, written) in waits.zip(&written[1..]) {
        assert!(
            wait >= *written && wait <= *written + *written / 10,
            "{wait:?}, not {written:?}"
        );
    }
    let parked = bed.registry.deliveries(&webhook.id, "", 10).await.unwrap();
    assert!(
        matches!(&parked[..], [one] if matches!(one.state, DeliveryState::Parked { .. })),
        "{parked:?}"
    );
    let key = NewKey {
        project: Some("ours".to_owned()),
        kind: KeyKind::Api,
        scopes: [Scope::Admin].into(),
        label: String::new(),
        expires_at: None,
    };
    let (key, _) = bed.registry.create_key(key).await.unwrap();
    hooks
        .redeliver(&key, &webhook.id, &parked[0].id)
        .await
        .unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    let (letters, id) = (carrier.letters(), &parked[0].id);
    assert_eq!(letters.len(), 11);
    assert!(
        letters
            .iter()
            .all(|(_, letter)| letter.id == *id && letter.body == parked[0].body)
    );
    let (delivered, _) = bed
        .registry
        .delivery(&webhook.id, id)
        .await
        .unwrap()
        .unwrap();
    assert!(matches!(delivered.state, DeliveryState::Delivered { .. }));
    sending.stop().await;
    bed.close().await;
}

#[tokio::test(start_paused = true)]
async fn each_is_sent_what_it_asked_for_of_its_project_and_an_alert_for_a_failed_run() {
    let bed = Bed::open().await;
    let hooks = bed.hooks(Options::default());
    for (project, path, events) in [
        ("ours", "all", &[][..]),
        ("ours", "alerts", &["alert", "run_failed"]),
        ("theirs", "theirs", &[]),
    ] {
        let new = new_webhook(project, &format!("https://example.com/{path}"), events);
        hooks.create(new).await.unwrap();
    }
    let webhook = FileWebhook {
        name: "ops".to_owned(),
        url: "https://example.com/file".to_owned(),
        events: ["task_failed".to_owned()].into(),
    };
    let secret = None;
    hooks
        .merge(vec![Declared { webhook, secret }])
        .await
        .unwrap();
    let carrier = Scripted::new(&bed, |_| Some(Outcome::Answered(200)));
    let sending = child(hooks.deliverer_over(&bed.system, carrier.clone())).await;
    bed.task("ours", "broken").await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    let mut told: Vec<String> = carrier
        .letters()
        .into_iter()
        .map(|(_, letter)| {
            let path = letter.url.trim_start_matches("https://example.com/");
            let signed = if letter.signature.is_some() {
                ""
            } else {
                " unsigned"
            };
            format!("{path}{signed}: {}", letter.body)
        })
        .collect();
    told.sort();
    assert_snapshot!("sent", plain(&told.join("\n")));
    sending.stop().await;
    bed.close().await;
}

#[tokio::test(start_paused = true)]
async fn webhooks_of_the_file_are_those_it_has_now() {
    let bed = Bed::open().await;
    let hooks = bed.hooks(Options::default());
    let declared = |name: &str, url: &str| Declared {
        webhook: FileWebhook {
            name: name.to_owned(),
            url: url.to_owned(),
            events: Default::default(),
        },
        secret: None,
    };
    let names = async || {
        let found = bed.registry.webhooks(None, "", 10).await.unwrap();
        let mut all: Vec<_> = found
            .into_iter()
            .map(|it| (it.name.unwrap(), it.url))
            .collect();
        all.sort();
        all.into_iter()
            .map(|(name, url)| format!("{name} {url}"))
            .collect::<Vec<_>>()
            .join(", ")
    };
    let first = vec![
        declared("a", "https://a.com/"),
        declared("b", "https://b.com/"),
    ];
    hooks.merge(first).await.unwrap();
    assert_snapshot!(names().await, @"a https://a.com/, b https://b.com/");
    let second = vec![
        declared("b", "https://b.org/"),
        declared("c", "https://c.com/"),
    ];
    hooks.merge(second).await.unwrap();
    assert_snapshot!(names().await, @"b https://b.org/, c https://c.com/");
    let wrong = hooks
        .merge(vec![declared("d", "http://10.0.0.1/")])
        .await
        .unwrap_err();
    assert_snapshot!(wrong, @"webhooks: `d`: url: 10.0.0.1 is not a public address, and nothing is sent there: whoever runs the node can allow private targets");
    assert_snapshot!(names().await, @"b https://b.org/, c https://c.com/");
    bed.close().await;
}
