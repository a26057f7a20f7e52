//! Everything a client can ask for, and that nothing is made twice.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use actors::model::TaskStatus;
use actors::registry::access::Scope;
use axum::Router;
use axum::http::StatusCode;
use impresario::client::{Client, NewKey, NewTask, Paging, ProblemKind, TaskFilter, Update};

use super::client;
use crate::api::Door;
use crate::support::proxy::{Proxy, Trouble};

#[tokio::test]
async fn a_task_and_its_runs() {
    let door = Door::open().await;
    let client = client(&door);
    let made = client
        .create_task(&NewTask::new("two parts").team("pair"))
        .await
        .unwrap();
    let mut events = client.events(made.id());
    while events.next().await.unwrap().is_some() {}
    let task = client.task(made.id()).await.unwrap();
    assert_eq!(task.task.status, TaskStatus::Completed);
    assert_eq!(task.result.as_deref(), Some("slowly done"));
    let first = Paging::first(1);
    let one = client.runs(made.id(), &first).await.unwrap();
    let two = client
        .runs(made.id(), &first.after(&one).unwrap())
        .await
        .unwrap();
    assert_eq!(
        (one.data.len(), two.data.len(), two.next_cursor),
        (1, 1, None)
    );
    let root = client.run(one.data[0].id).await.unwrap();
    assert_eq!((root.input.as_str(), root.why), ("two parts", None));
    assert_eq!(two.data[0].parent, Some(root.run.id));
    let journal = client
        .journal(root.run.id, &Paging::default())
        .await
        .unwrap();
    let is_of_run =
        |update: &Update| matches!(update, Update::Event(it) if it.run_id == Some(root.run.id));
    assert!(!journal.data.is_empty() && journal.data.iter().all(is_of_run));
    let said = client
        .run_messages(root.run.id, &Paging::default())
        .await
        .unwrap();
    assert_eq!(said.data.last().unwrap().content, "slowly done");
    assert_eq!(
        client
            .messages(made.id(), &Paging::default())
            .await
            .unwrap()
            .data
            .len(),
        1
    );
    let more = client.follow_up(root.run.id, "and again").await.unwrap();
    assert_eq!(more.run.id, root.run.id);
    let mut events = client.events(made.id()).after(task.task.last_event);
    while events.next().await.unwrap().is_some() {}
    assert!(client.task(made.id()).await.unwrap().task.last_event > task.task.last_event);
    door.close().await;
}

#[tokio::test]
async fn a_task_that_is_acted_on() {
    let door = Door::open().await;
    let client = client(&door);
    let task = client
        .create_task(&NewTask::new("wait").agent("stuck"))
        .await
        .unwrap();
    let (id, run) = (task.id(), task.task.root_run.unwrap());
    let said = client.say(id, "hello", None).await.unwrap();
    assert_eq!(
        client.messages(id, &Paging::default()).await.unwrap().data[0].id,
        said
    );
    client.pause_task(id, None).await.unwrap();
    let why = client.run(run).await.unwrap().why.unwrap();
    assert!(why.sentence.contains("paused"), "{}", why.sentence);
    client.resume_task(id, None).await.unwrap();
    client.pause_run(run, true).await.unwrap();
    client.resume_run(run, true).await.unwrap();
    let refused = client.answer(id, "yes").await.unwrap_err();
    assert!(refused.is(&ProblemKind::WrongState), "{refused}");
    assert_eq!(
        refused.problem().unwrap().state.as_deref(),
        Some("not_waiting")
    );
    let ended = client.cancel_task(id, Some("enough")).await.unwrap();
    assert_eq!(ended.task.status, TaskStatus::Cancelled);
    let other = client
        .create_task(&NewTask::new("wait").agent("stuck"))
        .await
        .unwrap();
    let run = other.task.root_run.unwrap();
    client.cancel_run(run, None).await.unwrap();
    let cancelled = TaskFilter {
        status: Some(TaskStatus::Cancelled),
        oldest_first: true,
        ..TaskFilter::default()
    };
    let listed = client.tasks(&cancelled).await.unwrap();
    let ids: Vec<_> = listed.data.iter().map(|task| task.id).collect();
    assert_eq!(ids, [id, other.id()]);
    door.close().await;
}

#[tokio::test]
async fn projects_and_keys() {
    let door = Door::open().await;
    let client = client(&door);
    let made = client.create_project("ours", "for tests").await.unwrap();
    assert_eq!(made.name, "ours");
    assert_eq!(
        client
            .projects(&Paging::default())
            .await
            .unwrap()
            .data
            .len(),
        2
    );
    let wanted = NewKey {
        project: Some("ours".to_owned()),
        label: "a reader".to_owned(),
        scopes: Some([Scope::TasksRead].into()),
        ..NewKey::default()
    };
    let key = client.create_key(&wanted).await.unwrap();
    let reader = Client::new(&door.url, &key.secret).unwrap();
    assert!(
        reader
            .tasks(&TaskFilter::default())
            .await
            .unwrap()
            .data
            .is_empty()
    );
    let refused = reader.create_task(&NewTask::new("no")).await.unwrap_err();
    assert!(refused.is(&ProblemKind::InsufficientScope), "{refused}");
    assert!(
        client
            .revoke_key(&key.key.id)
            .await
            .unwrap()
            .revoked_at
            .is_some()
    );
    let refused = reader.tasks(&TaskFilter::default()).await.unwrap_err();
    assert!(refused.is(&ProblemKind::Unauthorized), "{refused}");
    assert_eq!(client.keys(&Paging::default()).await.unwrap().data.len(), 2);
    client.remove_project("ours").await.unwrap();
    let refused = client.remove_project("ours").await.unwrap_err();
    assert!(refused.is(&ProblemKind::NotFound), "{refused}");
    door.close().await;
}

#[tokio::test]
async fn an_answer_that_is_lost_makes_nothing_twice() {
    let door = Door::open().await;
    let direct = client(&door);
    let proxy = Proxy::before(door.url.trim_start_matches("http://"));
    let client = Client::new(&format!("http://{}", proxy.address), &door.key).unwrap();
    proxy.trouble(1, Trouble::Made);
    let made = client
        .create_task(&NewTask::new("once").agent("stuck"))
        .await
        .unwrap();
    assert!(proxy.had_trouble());
    proxy.refuse(2);
    proxy.cut();
    let said = client.say(made.id(), "once", None).await.unwrap();
    let tasks = direct.tasks(&TaskFilter::default()).await.unwrap();
    assert_eq!(tasks.data.len(), 1);
    let room = direct
        .messages(made.id(), &Paging::default())
        .await
        .unwrap();
    assert_eq!(room.data.iter().map(|it| it.id).collect::<Vec<_>>(), [said]);
    proxy.trouble(1, Trouble::Made);
    let lost = client.create_key(&NewKey::default()).await.unwrap_err();
    assert!(lost.is(&ProblemKind::AlreadyMade), "{lost}");
    let own = NewTask {
        key: Some("mine".to_owned()),
        ..NewTask::new("again").agent("stuck")
    };
    let ids = [
        client.create_task(&own).await,
        direct.create_task(&own).await,
    ];
    let [one, two] = ids.map(|made| made.unwrap().id());
    assert_eq!(one, two);
    door.close().await;
}

#[tokio::test]
async fn a_node_that_cannot_now_is_asked_again_and_not_for_ever() {
    let asked = Arc::new(AtomicU32::new(0));
    let count = asked.clone();
    let app = Router::new().fallback(move || async move {
        let problem = r#"{"type":"urn:impresario:problem:unavailable","status":503,"detail":"later","retryable":true}"#;
        let headers = [("content-type", "application/problem+json"), ("retry-after", "0")];
        match count.fetch_add(1, Ordering::SeqCst) {
            2 => (StatusCode::OK, [("content-type", "application/json"), ("x", "")], r#"{"data":[],"next_cursor":null}"#),
            _ => (StatusCode::SERVICE_UNAVAILABLE, headers, problem),
        }
    });
    let url = super::errors::served(app).await;
    let client = Client::new(&url, "ik_1").unwrap();
    assert!(
        client
            .tasks(&TaskFilter::default())
            .await
            .unwrap()
            .data
            .is_empty()
    );
    assert_eq!(asked.load(Ordering::SeqCst), 3);
    let refused = client.tasks(&TaskFilter::default()).await.unwrap_err();
    assert!(refused.is(&ProblemKind::Unavailable), "{refused}");
    assert_eq!(asked.load(Ordering::SeqCst), 3 + 5);
}
