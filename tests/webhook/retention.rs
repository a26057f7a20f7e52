//! What ended long ago is forgotten, and nothing else; in virtual time.

use std::time::Duration;

use actors::registry::webhooks::plan::Outcome;
use impresario::retention::{self, Retention};
use impresario::webhook::Options;

use super::{Bed, Scripted, child, new_webhook};

const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

#[tokio::test(start_paused = true)]
async fn old_tasks_and_deliveries_are_removed_and_those_that_go_on_are_not() {
    let bed = Bed::open().await;
    // Days are slept through.
    let hooks = bed.hooks(Options {
        look: Duration::from_secs(600),
        ..Options::default()
    });
    let new = new_webhook("ours", "https://example.com/", &["task_completed"]);
    let (webhook, _) = hooks.create(new).await.unwrap();
    let carrier = Scripted::new(&bed, |_| Some(Outcome::Answered(200)));
    let sending = child(hooks.deliverer_over(&bed.system, carrier)).await;
    // It goes on for an hour, and says nothing meanwhile.
    bed.begun("ours", "waiter").await;
    for _ in 0..250 {
        bed.task("ours", "lead").await;
    }
    let retention = Retention {
        tasks: Some(MINUTE * 30),
        deliveries: DAY * 2,
        look: MINUTE * 5,
    };
    let forgetting = child(retention::start(&bed.registry, retention)).await;
    let left = async || {
        let tasks = bed.system.tasks(false).await.unwrap().len();
        let deliveries = bed.registry.deliveries(&webhook.id, "", 1_000);
        (tasks, deliveries.await.unwrap().len())
    };
    tokio::time::sleep(MINUTE * 25).await;
    assert_eq!(left().await, (251, 250));
    tokio::time::sleep(MINUTE * 20).await;
    assert_eq!(left().await, (1, 250));
    tokio::time::sleep(DAY).await;
    assert_eq!(left().await, (0, 251));
    tokio::time::sleep(DAY * 2).await;
    assert_eq!(left().await, (0, 0));
    forgetting.stop().await;
    sending.stop().await;
    bed.close().await;
}
