//! Links to executors that come and go: who is listed, who takes whose place, and what is said when somebody is back.

use std::time::Duration;

use actors::executor::{Attached, Link};
use actors::model::executor::{CallOutcome, FromExecutor, PROTOCOL, ToExecutor};
use actors::model::{CallId, TaskStatus};
use actors::testing::outside::Outside;
use serde_json::json;
use tokio::sync::mpsc;

use super::Play;

/// The executor's end of a link.
struct End {
    hears: mpsc::Receiver<ToExecutor>,
    says: mpsc::Sender<FromExecutor>,
    attached: Attached,
}

impl End {
    async fn attach(play: &Play, project: &str, ledger: &str, session: &str) -> Self {
        let (to, hears) = mpsc::channel(64);
        let (says, from) = mpsc::channel(64);
        let attached = play.system.attach_executor(project, Link { to, from });
        let attached = attached.await.expect("it is taken on");
        let end = Self {
            hears,
            says,
            attached,
        };
        end.say(FromExecutor::Hello {
            protocol: PROTOCOL,
            name: "laptop".to_owned(),
            tools: vec![Outside::executor_tool("pay_ledgered")],
            root: "/home".to_owned(),
            session: session.to_owned(),
            ledger: Some(ledger.to_owned()),
        })
        .await;
        end
    }

    async fn say(&self, frame: FromExecutor) {
        self.says.send(frame).await.expect("the link is there");
    }

    async fn hear(&mut self) -> Option<ToExecutor> {
        let heard = tokio::time::timeout(Duration::from_secs(60), self.hears.recv());
        heard.await.expect("something is said")
    }

    /// The id of the call that it is asked for.
    async fn call(&mut self) -> CallId {
        match self.hear().await {
            Some(ToExecutor::Call { call_id, .. }) => call_id,
            other => panic!("no call: {other:?}"),
        }
    }

    async fn pay(&self, call_id: &CallId) {
        self.say(FromExecutor::Result {
            call_id: call_id.clone(),
            outcome: CallOutcome::Ok("paid".to_owned()),
        })
        .await;
    }
}

async fn play() -> Play {
    let scripts = json!({ "lead": [
        { "call": "pay_ledgered", "args": { "what": "power" } },
        { "say": "{{last}}" }
    ] });
    let mut stage = Play::set("20ms", scripts, &[]);
    stage.0.machines.clear();
    Play::on(stage, |_| {}).await
}

fn sessions(play: &Play, project: Option<&str>) -> Vec<(String, usize)> {
    let listed = play.system.executors(project).into_iter();
    listed.map(|it| (it.session, it.calls_in_flight)).collect()
}

#[tokio::test(start_paused = true)]
async fn who_is_connected_is_listed_with_what_it_does() {
    let play = play().await;
    assert_eq!(play.system.executors(None), []);
    let mut end = End::attach(&play, "default", "l", "s").await;
    let _other = End::attach(&play, "other", "l", "t").await;
    let task = play.begin(&["lead"], |_| {}).await;
    let call = end.call().await;
    let listed = play.system.executors(Some("default"));
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0].calls_in_flight, 1);
    assert_eq!(listed[0].tools, ["pay_ledgered"]);
    let all = play.system.executors(None);
    assert_eq!(all.len(), 2);
    assert_ne!(
        all[0].id, all[1].id,
        "another project's is another executor"
    );
    end.pay(&call).await;
    play.until(task, TaskStatus::Completed).await;
    assert_eq!(sessions(&play, Some("default")), [("s".to_owned(), 0)]);
    drop(end);
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert_eq!(sessions(&play, None), [("t".to_owned(), 0)]);
    play.system.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn a_newer_connection_takes_the_place_and_the_calls_of_an_older_one() {
    let play = play().await;
    let mut older = End::attach(&play, "default", "l", "older").await;
    let mut other = End::attach(&play, "other", "l", "other").await;
    let task = play.begin(&["lead"], |_| {}).await;
    let call = older.call().await;
    let mut newer = End::attach(&play, "default", "l", "newer").await;
    assert_eq!(older.hear().await, None);
    assert!(older.attached.is_replaced());
    assert_eq!(newer.call().await, call);
    let names = [("other".to_owned(), 0), ("newer".to_owned(), 1)];
    assert_eq!(sessions(&play, None), names);
    newer.pay(&call).await;
    play.until(task, TaskStatus::Completed).await;
    let ack = ToExecutor::Ack { call_id: call };
    assert_eq!(newer.hear().await, Some(ack));
    play.system.shutdown().await;
    assert_eq!(newer.hear().await, None);
    assert!(
        !newer.attached.is_replaced(),
        "a system that stops is no newer connection"
    );
    assert!(!other.attached.is_replaced());
}

#[tokio::test(start_paused = true)]
async fn a_call_that_was_cancelled_meanwhile_is_stopped_when_its_executor_is_back() {
    let play = play().await;
    let mut end = End::attach(&play, "default", "l", "s").await;
    let task = play.begin(&["lead"], |_| {}).await;
    let call_id = end.call().await;
    drop(end);
    play.system.cancel(task, "enough").await.expect("it is");
    play.until(task, TaskStatus::Cancelled).await;
    let mut stranger = End::attach(&play, "default", "another", "s").await;
    let mut end = End::attach(&play, "default", "l", "s").await;
    let cancel = ToExecutor::Cancel {
        call_id: call_id.clone(),
    };
    assert_eq!(end.hear().await, Some(cancel));
    end.pay(&call_id).await;
    assert_eq!(end.hear().await, Some(ToExecutor::Ack { call_id }));
    assert!(stranger.hears.try_recv().is_err(), "it is not asked");
    play.system.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn a_result_whose_acknowledgement_was_lost_is_acknowledged_again() {
    let play = play().await;
    let mut end = End::attach(&play, "default", "l", "s").await;
    let task = play.begin(&["lead"], |_| {}).await;
    let call_id = end.call().await;
    end.pay(&call_id).await;
    drop(end);
    play.until(task, TaskStatus::Completed).await;
    let mut end = End::attach(&play, "default", "l", "s").await;
    let unknown = CallId("run_0/9.9".to_owned());
    end.pay(&unknown).await;
    end.pay(&call_id).await;
    // The one that nobody here has heard of is left to whoever has sent it.
    assert_eq!(end.hear().await, Some(ToExecutor::Ack { call_id }));
    assert!(end.hears.try_recv().is_err());
    play.system.shutdown().await;
}
