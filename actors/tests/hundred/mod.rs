//! A hundred agents of which some hang, some loop, some panic and some block a thread: in real time, on two real threads.
//!
//! The same for the test below and for the example `hundred`, which plays for a minute and prints what was measured.

pub(crate) mod acts;
pub(crate) mod cast;
pub(crate) mod verdict;
pub(crate) mod watch;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use actors::fault::{Fault, FaultPlan, Kind, Target, When};
use actors::model::{Budget, Limits, TaskDefinition, TaskId, TaskStatus, TeamSpec};
use actors::run::next::RetryPolicy;
use actors::system::{Deps, System};
use actors::testing::sim::{Moments, Stage, settle};
use supervision::Report;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::time::Instant;

use acts::{PROPS, Player, Prop};
use verdict::Verdict;
use watch::Watch;

/// How long rounds are begun for, for how long who is at work may make no progress, and the seed of whatever is drawn.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    pub(crate) time: Duration,
    pub(crate) limit: Duration,
    pub(crate) seed: u64,
}

/// Plays on a runtime of its own, with two workers, to the end.
pub(crate) fn play(plan: Plan) -> Verdict {
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.worker_threads(2).enable_time().build();
    runtime.expect("a runtime").block_on(whole(plan))
}

async fn whole(plan: Plan) -> Verdict {
    let watch = Watch::new(plan.limit);
    let (prey, hunted) = unbounded_channel();
    let player = Player {
        watch: watch.clone(),
        random: Mutex::new(fastrand::Rng::with_seed(plan.seed)),
        until: Instant::now() + plan.time,
        prey,
    };
    let stage = Stage::with_provider(Arc::new(player), plan.seed);
    let system = open(&stage, plan, &watch).await;
    let task = system.create_task(definition(&stage, plan)).await;
    let task = task.expect("it is created");
    let begun = Instant::now();
    let on_threads = [
        on_a_worker(watch.clone().probe()),
        on_a_worker(hunt(system.clone(), task, hunted)),
    ];
    // A round takes some five limits; the rest is for a machine with much else to do.
    let patience = plan.time * 2 + plan.limit * 60;
    let end = settle(&system, task, patience).await;
    let took = begun.elapsed();
    on_threads.iter().for_each(tokio::task::JoinHandle::abort);
    system.shutdown().await;
    let events = stage.journal(task).await;
    let is_done = end == Some(TaskStatus::Completed);
    if is_done {
        crate::support::check::journal(&stage.store, &events).await;
    }
    Verdict::new(plan, took, end, &events, &watch)
}

async fn open(stage: &Stage, plan: Plan, watch: &Watch) -> System {
    let (watch, hears) = (watch.clone(), watch.clone());
    let change = |deps: &mut Deps| {
        deps.tools = PROPS
            .map(|prop| Arc::new(Prop::new(prop, &watch)) as _)
            .into();
        deps.settings.pools.pools.insert("workers".to_owned(), 200);
        for (_, retry) in deps.providers.values_mut() {
            *retry = RetryPolicy {
                attempts: 3,
                base: plan.limit / 20,
                cap: plan.limit / 10,
            };
        }
        deps.faults = faults(plan);
        deps.listener = Some(Arc::new(move |report: &Report| hears.hear(report)));
        deps.watchdog = Some(plan.limit / 2);
    };
    stage.open_with(&Moments::calm(), change).await
}

/// What strikes the actors of agents, now and then.
fn faults(plan: Plan) -> FaultPlan {
    let fault = |name: &str, kind| Fault {
        target: Target::Agent(name.to_owned()),
        kind,
        when: When::Every(plan.limit * 2),
        seed: plan.seed,
    };
    FaultPlan(vec![
        fault("frozen-*", Kind::Hang),
        fault("nervous-*", Kind::Panic),
    ])
}

fn definition(stage: &Stage, plan: Plan) -> TaskDefinition {
    let names = cast::names();
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    let mut definition = stage.task(&names);
    cast::prepare(&mut definition, plan.limit, &PROPS.map(|(name, _)| name));
    definition.limits = Limits {
        fan_out: 200,
        live_runs: 200,
        total_runs: 100_000,
        budget: Budget::default(),
        ..Limits::default()
    };
    definition.team = Some(TeamSpec {
        name: "hundred".to_owned(),
        lead: "lead".into(),
        members: cast::members(),
        max_restarts: 10_000,
        ..TeamSpec::default()
    });
    definition
}

/// Kills the actors of runs that are named.
async fn hunt(system: System, task: TaskId, mut hunted: UnboundedReceiver<String>) {
    while let Some(run) = hunted.recv().await {
        let path = format!("tasks/{task}/runs/{run}");
        let _ = system.root().kill_at(&path).await;
    }
}

fn on_a_worker(future: impl Future<Output = ()> + Send + 'static) -> tokio::task::JoinHandle<()> {
    #[expect(
        clippy::disallowed_methods,
        reason = "what is outside of the system is not in its tree, and it is to run where that runs"
    )]
    tokio::spawn(future)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hundred_agents_of_which_some_hang_loop_panic_and_block_come_to_their_end() {
        crate::support::expect_panics();
        let verdict = play(Plan {
            time: Duration::from_secs(3),
            limit: Duration::from_millis(300),
            seed: 1,
        });
        assert!(verdict.broken.is_empty(), "{verdict}");
    }
}
