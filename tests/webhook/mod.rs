//! Webhooks: from an event to whoever takes it.

mod alerts;
mod crashes;
mod receivers;
mod retention;
mod routes;
mod schedules;
mod times;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Arc, Mutex};

use actors::clock::{Clock, SeededIds, TokioClock};
use actors::model::{TaskId, Timestamp};
use actors::registry::Registry;
use actors::registry::webhooks::NewWebhook;
use actors::registry::webhooks::plan::Outcome;
use actors::store::{Memory, Records};
use actors::system::{Deps, System};
use futures_util::future::BoxFuture;
use impresario::config::{self, Addressee, Config, TaskOrder};
use impresario::webhook::{Carrier, Letter, Options, Webhooks};
use supervision::{ChildSpec, Flags, Root, Start, Strategy, SupervisorHandle, SupervisorSpec};

/// `lead` answers at once, `broken` fails, `waiter` thinks for ever.
const TEAM: &str = r#"
[providers.stage]
kind = "scripted"
[providers.stage.scripts]
lead = [ { say = "done" } ]
broken = [ { fail = "bad_request" } ]
[providers.never]
kind = "scripted"
latency = "59m"
[providers.never.scripts]
waiter = [ { say = "never" } ]
[agents.lead]
provider = "stage"
[agents.broken]
provider = "stage"
[agents.waiter]
provider = "never"
timeout = "1h"
"#;

/// 2026-01-01.
pub(crate) const EPOCH: Timestamp = Timestamp(1_767_225_600_000);

/// A node without a door, in virtual time, over a store that outlives it.
pub(crate) struct Bed {
    pub(crate) config: Config,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) registry: Registry,
    pub(crate) system: System,
}

impl Bed {
    pub(crate) async fn open() -> Self {
        let store = Arc::new(Memory::default());
        Self::over(store.clone(), store).await
    }

    pub(crate) async fn over(store: Arc<Memory>, records: Arc<dyn Records>) -> Self {
        let config = config::parse("team.toml", TEAM, Path::new(".")).expect("a good file");
        let clock: Arc<dyn Clock> = Arc::new(TokioClock::starting_at(EPOCH));
        let ids = Arc::new(SeededIds::new(1));
        let mut deps = Deps::new(store, clock.clone(), ids.clone());
        deps.providers = impresario::node::providers(&config).expect("providers");
        let system = System::start(deps).await.expect("a system");
        let entropy = Arc::new(|bytes: &mut [u8]| bytes.fill(7));
        let registry = Registry::new(records, clock.clone(), ids, entropy);
        for project in ["ours", "theirs"] {
            let _ = registry.create_project(project, "").await;
        }
        Self {
            config,
            clock,
            registry,
            system,
        }
    }

    pub(crate) fn hooks(&self, options: Options) -> Webhooks {
        Webhooks::new(self.registry.clone(), [9; 32], options)
    }

    /// A task of a project, at its end.
    pub(crate) async fn task(&self, project: &str, agent: &str) -> TaskId {
        let task = self.begun(project, agent).await;
        self.system.wait(task).await.expect("it settles");
        task
    }

    pub(crate) async fn begun(&self, project: &str, agent: &str) -> TaskId {
        let order = TaskOrder {
            name: None,
            description: "work".to_owned(),
            project: project.to_owned(),
            to: Some(Addressee::Agent(agent.to_owned(), Vec::new())),
            priority: 0,
        };
        let definition = self.config.definition_for(&order).expect("a definition");
        self.system.create_task(definition).await.expect("a task")
    }

    pub(crate) async fn close(self) {
        self.system.shutdown().await;
    }
}

/// A child under a supervisor of its own.
pub(crate) async fn child(start: Start) -> SupervisorHandle {
    let flags = Flags::new(Strategy::OneForOne).intensity(1_000, std::time::Duration::from_secs(1));
    let spec = SupervisorSpec::new(flags).child(ChildSpec::new("child", start));
    Root::new("bed").start(spec).await.expect("it starts")
}

pub(crate) fn new_webhook(project: &str, url: &str, events: &[&str]) -> NewWebhook {
    NewWebhook {
        project: project.to_owned(),
        url: url.to_owned(),
        events: events
            .iter()
            .map(|&it| it.to_owned())
            .collect::<BTreeSet<_>>(),
        description: String::new(),
    }
}

type Answer = Box<dyn FnMut(&Letter) -> Option<Outcome> + Send>;

/// Takes letters in this process; one that it gives no answer to waits for ever.
pub(crate) struct Scripted {
    answer: Mutex<Answer>,
    letters: Mutex<Vec<(Timestamp, Letter)>>,
    clock: Arc<dyn Clock>,
}

impl Scripted {
    pub(crate) fn new(
        bed: &Bed,
        answer: impl FnMut(&Letter) -> Option<Outcome> + Send + 'static,
    ) -> Arc<Self> {
        Arc::new(Self {
            answer: Mutex::new(Box::new(answer)),
            letters: Mutex::default(),
            clock: bed.clock.clone(),
        })
    }

    pub(crate) fn letters(&self) -> Vec<(Timestamp, Letter)> {
        self.letters.lock().expect("no panic").clone()
    }
}

impl Carrier for Scripted {
    fn carry(&self, letter: Letter) -> BoxFuture<'_, Outcome> {
        let now = self.clock.now();
        self.letters
            .lock()
            .expect("no panic")
            .push((now, letter.clone()));
        let answer = (self.answer.lock().expect("no panic"))(&letter);
        Box::pin(async move {
            match answer {
                Some(outcome) => outcome,
                None => std::future::pending().await,
            }
        })
    }
}
