//! Short words for what tests of stores write.

use std::collections::BTreeMap;

use uuid::Uuid;

use crate::model::{
    AgentName, Content, ContextMode, Event, EventBody, Limits, Recovery, RunId, RunSpec,
    TaskDefinition, TaskId, Timestamp, Usage,
};
use crate::store::{Append, Blob, Draft, EventQuery, Rejected, Store};

/// The `n`-th task.
#[must_use]
pub fn task(n: u128) -> TaskId {
    TaskId(Uuid::from_u128(n))
}

/// The `n`-th run.
#[must_use]
pub fn run(n: u128) -> RunId {
    RunId(Uuid::from_u128(n))
}

/// Some events of a task, unfenced.
#[must_use]
pub fn append(task: TaskId, drafts: Vec<Draft>) -> Append {
    Append {
        task,
        fence: None,
        drafts,
        blobs: Vec::new(),
    }
}

/// Some events of a task, under a run's epoch.
#[must_use]
pub fn fenced(task: TaskId, fence: (RunId, u64), drafts: Vec<Draft>) -> Append {
    Append {
        fence: Some(fence),
        ..append(task, drafts)
    }
}

/// Bytes under their hash.
#[must_use]
pub fn blob(bytes: &[u8]) -> Blob {
    Blob {
        hash: blake3::hash(bytes).to_hex().to_string(),
        bytes: bytes.to_vec(),
    }
}

/// An event of a task.
#[must_use]
pub fn of_task(body: EventBody) -> Draft {
    Draft {
        run: None,
        agent: None,
        at: Timestamp(1_700_000_000_000),
        epoch: 0,
        cause: None,
        body,
    }
}

/// An event of a run.
#[must_use]
pub fn of_run(run: RunId, epoch: u64, body: EventBody) -> Draft {
    Draft {
        run: Some(run),
        agent: Some("writer".into()),
        epoch,
        ..of_task(body)
    }
}

/// The creation of a task.
#[must_use]
pub fn created() -> Draft {
    of_task(EventBody::TaskCreated {
        definition: Box::new(definition("a task")),
    })
}

/// A task with one agent, `writer`.
#[must_use]
pub fn definition(name: &str) -> TaskDefinition {
    TaskDefinition {
        name: name.to_owned(),
        description: "what is to be done".to_owned(),
        project: "default".to_owned(),
        root_agent: "writer".into(),
        available_agents: vec!["writer".into()],
        team: None,
        workflow: None,
        agents: BTreeMap::from([("writer".into(), crate::model::AgentSpec::default())]),
        limits: Limits::default(),
        priority: 0,
        forked_from: None,
        source: serde_json::Value::Null,
    }
}

/// A root run of an agent.
#[must_use]
pub fn spec(agent: AgentName) -> RunSpec {
    RunSpec {
        agent,
        title: "a run".to_owned(),
        input: "the brief".to_owned(),
        depth: 0,
        context: ContextMode::Scoped,
        snippets: Vec::new(),
        worker: false,
        parent: None,
        heard: None,
    }
}

/// The creation of a root run.
#[must_use]
pub fn queued(run: RunId) -> Draft {
    let spec = Box::new(spec("writer".into()));
    of_run(run, 0, EventBody::RunQueued { spec })
}

/// The first claim of a run.
#[must_use]
pub fn started(run: RunId, epoch: u64) -> Draft {
    of_run(run, epoch, EventBody::RunStarted)
}

/// A later claim of a run.
#[must_use]
pub fn restarted(run: RunId, epoch: u64) -> Draft {
    let body = EventBody::RunRestarted {
        recovery: Recovery::Resume,
        reason: "it crashed".to_owned(),
        crashed: true,
    };
    of_run(run, epoch, body)
}

/// The end of a run.
#[must_use]
pub fn completed(run: RunId, epoch: u64) -> Draft {
    let body = EventBody::RunCompleted {
        result: Content::Inline("done".to_owned()),
        usage: Usage {
            input_tokens: 12,
            ..Usage::default()
        },
    };
    of_run(run, epoch, body)
}

/// A message in the room.
#[must_use]
pub fn note(text: &str) -> Draft {
    of_task(EventBody::TaskMessage {
        from: crate::model::Sender::Human,
        to: None,
        content: text.to_owned(),
        outcome: false,
    })
}

/// Writes one append that must be accepted.
///
/// # Panics
/// When it is not.
pub async fn write(store: &dyn Store, append: Append) -> Vec<Event> {
    one(store, append)
        .await
        .expect("this append fits and must be accepted")
}

/// Writes one append that must be refused.
///
/// # Panics
/// When it is not.
pub async fn refused(store: &dyn Store, append: Append) -> Rejected {
    one(store, append)
        .await
        .expect_err("this append does not fit and must be refused")
}

async fn one(store: &dyn Store, append: Append) -> Result<Vec<Event>, Rejected> {
    let mut answers = store
        .append(vec![append])
        .await
        .expect("the store must take a batch");
    assert_eq!(answers.len(), 1, "one answer for each append");
    answers.remove(0)
}

/// All events of a task.
///
/// # Panics
/// When the store cannot read them.
pub async fn events(store: &dyn Store, task: TaskId) -> Vec<Event> {
    let query = EventQuery {
        task,
        after: 0,
        limit: usize::MAX,
    };
    store
        .events(query)
        .await
        .expect("the store must read a task's events")
}

/// A task that was created, whose root run was queued and claimed at epoch 1.
///
/// # Panics
/// When the store does not accept that.
pub async fn working(store: &dyn Store, task: TaskId, run: RunId) {
    let drafts = vec![created(), queued(run), started(run, 1)];
    write(store, append(task, drafts)).await;
}
