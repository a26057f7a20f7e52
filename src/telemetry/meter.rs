//! The node's numbers, in the text format of Prometheus. Counted from the events as they are published: what happened while nobody
//! counted, before the node was started, is in the journal and not in here.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use actors::feed::Live;
use actors::model::event::Outcome;
use actors::model::{Event, EventBody, RunId, Timestamp, Usage};
use actors::pool::Look;
use actors::system::System;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};
use supervision::Start;
use tokio::sync::broadcast::error::RecvError;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfKind {
    kind: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfTool {
    tool: String,
    outcome: Ended,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelValue)]
#[expect(non_camel_case_types, reason = "as they stand in the text")]
enum Ended {
    ok,
    error,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Named {
    name: String,
}

/// The longest name of a tool that is told apart; others are `other`.
const NAME: usize = 64;

/// How many calls under way are timed; further ones are counted only.
const TIMED: usize = 10_000;

/// The numbers. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Meter(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    registry: Registry,
    numbers: Numbers,
    timed: Mutex<Timed>,
}

/// When what is under way began.
#[derive(Debug, Default)]
struct Timed {
    model_calls: BTreeMap<RunId, Timestamp>,
    tool_calls: BTreeMap<(RunId, String), (Timestamp, String)>,
}

#[derive(Debug, Clone)]
struct Numbers {
    tasks: Family<OfKind, Counter>,
    runs: Family<OfKind, Counter>,
    model_calls: Counter,
    model_call_seconds: Histogram,
    retries: Counter,
    tokens: Family<OfKind, Counter>,
    cost: Counter<f64, std::sync::atomic::AtomicU64>,
    tool_calls: Family<OfTool, Counter>,
    tool_call_seconds: Histogram,
    in_doubt: Counter,
    restarts: Counter,
    gave_up: Counter,
    alerts: Counter,
    missed: Counter,
    pool_size: Family<Named, Gauge>,
    pool_in_use: Family<Named, Gauge>,
    pool_waiting: Family<Named, Gauge>,
    provider_in_use: Family<Named, Gauge>,
    provider_waiting: Family<Named, Gauge>,
    provider_held: Family<Named, Gauge>,
    journal_trouble: Gauge,
}

impl Default for Meter {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("impresario");
        let numbers = Numbers::in_registry(&mut registry);
        Self(Arc::new(Shared {
            registry,
            numbers,
            timed: Mutex::default(),
        }))
    }
}

impl Meter {
    /// The text.
    #[must_use]
    pub fn text(&self, look: &Look, trouble: bool) -> String {
        self.0.numbers.look(look, trouble);
        let mut text = String::new();
        // Writing to a string does not fail.
        let _ = encode(&mut text, &self.0.registry);
        text
    }

    /// Counts an event.
    pub fn observe(&self, event: &Event) {
        let numbers = &self.0.numbers;
        self.time(event);
        let task = |kind| {
            numbers.tasks.get_or_create(&OfKind { kind }).inc();
        };
        let run = |kind| {
            numbers.runs.get_or_create(&OfKind { kind }).inc();
        };
        match &event.body {
            EventBody::TaskCreated { .. } => task("created"),
            EventBody::TaskNeedsAttention { .. } => task("needed_attention"),
            EventBody::TaskCompleted { .. } => task("completed"),
            EventBody::TaskFailed { .. } => task("failed"),
            EventBody::TaskCancelled { .. } => task("cancelled"),
            EventBody::RunQueued { .. } => run("queued"),
            EventBody::RunStarted => run("started"),
            EventBody::RunRestarted { .. } => run("restarted"),
            EventBody::RunQuarantined { .. } => run("quarantined"),
            EventBody::RunCompleted { usage, .. } => {
                run("completed");
                numbers.wasted(usage);
            }
            EventBody::RunFailed { usage, .. } => {
                run("failed");
                numbers.wasted(usage);
            }
            EventBody::RunCancelled { usage, .. } => {
                run("cancelled");
                numbers.wasted(usage);
            }
            EventBody::RunRetrying { .. } => count(&numbers.retries),
            EventBody::ModelCallCompleted { usage, .. } => numbers.used(usage),
            EventBody::ToolCallInDoubt { .. } => count(&numbers.in_doubt),
            EventBody::SupervisorRestart { .. } => count(&numbers.restarts),
            EventBody::SupervisorGaveUp { .. } => count(&numbers.gave_up),
            EventBody::Alert { .. } => count(&numbers.alerts),
            _ => {}
        }
    }

    /// Takes the time of calls from their beginning to their end.
    fn time(&self, event: &Event) {
        let (numbers, Some(run)) = (&self.0.numbers, event.run_id) else {
            return;
        };
        let mut timed = self.0.timed.lock().unwrap_or_else(PoisonError::into_inner);
        let since = |at: Timestamp| event.at.since(at).as_secs_f64();
        match &event.body {
            EventBody::ModelCallStarted { .. } if timed.model_calls.len() < TIMED => {
                timed.model_calls.insert(run, event.at);
            }
            EventBody::ModelCallCompleted { .. } => {
                if let Some(at) = timed.model_calls.remove(&run) {
                    numbers.model_call_seconds.observe(since(at));
                }
            }
            EventBody::ToolCallStarted { step, tool, .. } if timed.tool_calls.len() < TIMED => {
                let key = (run, step.to_string());
                timed
                    .tool_calls
                    .entry(key)
                    .or_insert((event.at, tool.clone()));
            }
            EventBody::ToolCallCompleted { step, outcome, .. } => {
                if let Some((at, tool)) = timed.tool_calls.remove(&(run, step.to_string())) {
                    numbers.tool_call_seconds.observe(since(at));
                    numbers.tool_call(tool, *outcome);
                }
            }
            body if body.is_run_end() => {
                timed.model_calls.remove(&run);
                timed.tool_calls.retain(|(of, _), _| *of != run);
            }
            _ => {}
        }
    }

    /// Some events were not seen.
    fn missed(&self, count: u64) {
        self.0.numbers.missed.inc_by(count);
    }
}

impl Numbers {
    fn in_registry(registry: &mut Registry) -> Self {
        let numbers = Self {
            tasks: Family::default(),
            runs: Family::default(),
            model_calls: Counter::default(),
            model_call_seconds: Histogram::new(exponential_buckets(0.05, 2.0, 14)),
            retries: Counter::default(),
            tokens: Family::default(),
            cost: Counter::default(),
            tool_calls: Family::default(),
            tool_call_seconds: Histogram::new(exponential_buckets(0.005, 2.0, 16)),
            in_doubt: Counter::default(),
            restarts: Counter::default(),
            gave_up: Counter::default(),
            alerts: Counter::default(),
            missed: Counter::default(),
            pool_size: Family::default(),
            pool_in_use: Family::default(),
            pool_waiting: Family::default(),
            provider_in_use: Family::default(),
            provider_waiting: Family::default(),
            provider_held: Family::default(),
            journal_trouble: Gauge::default(),
        };
        numbers.register_work(registry);
        numbers.register_state(registry);
        numbers
    }

    fn register_work(&self, registry: &mut Registry) {
        registry.register("tasks", "Tasks, by what became of them", self.tasks.clone());
        registry.register("runs", "Runs, by what became of them", self.runs.clone());
        registry.register(
            "model_calls",
            "Model calls that were answered",
            self.model_calls.clone(),
        );
        let (help, seconds) = (
            "Model calls, from begin to answer",
            self.model_call_seconds.clone(),
        );
        registry.register_with_unit("model_call", help, Unit::Seconds, seconds);
        registry.register(
            "model_retries",
            "Model calls that failed and are made again",
            self.retries.clone(),
        );
        registry.register("tokens", "Tokens of models, by kind", self.tokens.clone());
        registry.register(
            "cost_usd",
            "What models cost, as far as it is known",
            self.cost.clone(),
        );
        registry.register(
            "tool_calls",
            "Tool calls that ended",
            self.tool_calls.clone(),
        );
        let (help, seconds) = (
            "Tool calls, from begin to end",
            self.tool_call_seconds.clone(),
        );
        registry.register_with_unit("tool_call", help, Unit::Seconds, seconds);
        registry.register(
            "tool_calls_in_doubt",
            "Tool calls whose outcome was unknown",
            self.in_doubt.clone(),
        );
    }

    fn register_state(&self, registry: &mut Registry) {
        registry.register(
            "supervisor_restarts",
            "Restarts by supervisors of tasks",
            self.restarts.clone(),
        );
        registry.register(
            "supervisors_gave_up",
            "Supervisors of tasks that gave up",
            self.gave_up.clone(),
        );
        registry.register("alerts", "Alerts", self.alerts.clone());
        registry.register(
            "events_missed",
            "Events that were too many at once to be counted here",
            self.missed.clone(),
        );
        registry.register("pool_size", "Permits of a pool", self.pool_size.clone());
        registry.register(
            "pool_in_use",
            "Permits of a pool that are taken",
            self.pool_in_use.clone(),
        );
        registry.register(
            "pool_waiting",
            "Calls that wait for a pool",
            self.pool_waiting.clone(),
        );
        registry.register(
            "provider_in_use",
            "Calls under way to a provider",
            self.provider_in_use.clone(),
        );
        registry.register(
            "provider_waiting",
            "Calls that wait for a provider",
            self.provider_waiting.clone(),
        );
        registry.register(
            "provider_held",
            "Whether a provider takes no call now",
            self.provider_held.clone(),
        );
        registry.register(
            "journal_trouble",
            "Whether the journal cannot be written",
            self.journal_trouble.clone(),
        );
    }

    fn used(&self, usage: &Usage) {
        self.model_calls.inc();
        let kinds = [
            ("input", usage.input_tokens),
            ("output", usage.output_tokens),
            ("cache_read", usage.cache_read_tokens),
            ("cache_write", usage.cache_write_tokens),
        ];
        for (kind, tokens) in kinds {
            self.tokens.get_or_create(&OfKind { kind }).inc_by(tokens);
        }
        self.cost.inc_by(usage.cost_usd_micros as f64 / 1e6);
    }

    fn wasted(&self, usage: &Usage) {
        let wasted = OfKind { kind: "wasted" };
        self.tokens
            .get_or_create(&wasted)
            .inc_by(usage.wasted_tokens);
    }

    fn tool_call(&self, tool: String, outcome: Outcome) {
        let outcome = match outcome {
            Outcome::Ok => Ended::ok,
            Outcome::Error => Ended::error,
        };
        let known = OfTool { tool, outcome };
        // A model may call what it likes; the names of tools there are are few.
        let is_plain = known.tool.len() <= NAME && known.tool.chars().all(|c| c.is_ascii_graphic());
        let label = match is_plain {
            true => known,
            false => OfTool {
                tool: "other".to_owned(),
                outcome,
            },
        };
        self.tool_calls.get_or_create(&label).inc();
    }

    fn look(&self, look: &Look, trouble: bool) {
        let set = |family: &Family<Named, Gauge>, name: &str, value: usize| {
            let name = name.to_owned();
            let value = i64::try_from(value).unwrap_or(i64::MAX);
            family.get_or_create(&Named { name }).set(value);
        };
        for pool in &look.pools {
            set(&self.pool_size, &pool.name, pool.size);
            set(&self.pool_in_use, &pool.name, pool.in_use);
            set(&self.pool_waiting, &pool.name, pool.waiting);
        }
        for provider in &look.providers {
            set(
                &self.provider_in_use,
                &provider.name,
                provider.in_use as usize,
            );
            set(&self.provider_waiting, &provider.name, provider.waiting);
            set(
                &self.provider_held,
                &provider.name,
                usize::from(provider.held.is_some()),
            );
        }
        self.journal_trouble.set(i64::from(trouble));
    }
}

fn count(counter: &Counter) {
    counter.inc();
}

/// How the meter of a system is started: it counts until the system ends.
#[must_use]
pub fn start(system: System, meter: Meter) -> Start {
    Start::worker(move || {
        let (mut live, meter) = (system.bus().listen(), meter.clone());
        async move {
            loop {
                match live.recv().await {
                    Ok(Live::Event(event)) => meter.observe(&event),
                    Ok(_) => {}
                    Err(RecvError::Lagged(count)) => meter.missed(count),
                    Err(RecvError::Closed) => return Ok(()),
                }
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use actors::model::{Content, TaskId};
    use actors::pool::Look;

    use super::*;

    fn event(id: u64, at: u64, body: EventBody) -> Event {
        Event {
            id,
            task_id: TaskId(uuid::Uuid::nil()),
            run_id: Some(RunId(uuid::Uuid::nil())),
            agent: None,
            at: Timestamp(at),
            epoch: 1,
            cause: None,
            body,
        }
    }

    #[test]
    fn what_happens_is_counted_and_timed() {
        let meter = Meter::default();
        let usage = Usage {
            input_tokens: 7,
            output_tokens: 3,
            cost_usd_micros: 1_500_000,
            ..Usage::default()
        };
        let step = actors::model::Step { turn: 0, index: 0 };
        let bodies = [
            EventBody::RunStarted,
            EventBody::ModelCallStarted {
                turn: 0,
                seen: 1,
                reserved: Default::default(),
            },
            EventBody::ModelCallCompleted {
                turn: 0,
                text: String::new(),
                calls: Vec::new(),
                usage,
                stop: actors::model::StopReason::ToolCalls,
                opaque: Vec::new(),
            },
            EventBody::ToolCallStarted {
                step,
                tool: "shell".to_owned(),
                class: actors::model::EffectClass::Once,
                executor: None,
            },
            EventBody::ToolCallCompleted {
                step,
                outcome: Outcome::Error,
                content: Content::Inline("no".to_owned()),
            },
            EventBody::RunCompleted {
                result: Content::Inline("done".to_owned()),
                usage,
            },
        ];
        for (n, body) in (1..).zip(bodies) {
            meter.observe(&event(n, n * 1_000, body));
        }
        let look = Look {
            pools: Vec::new(),
            providers: Vec::new(),
        };
        let text = meter.text(&look, false);
        for line in [
            "impresario_runs_total{kind=\"started\"} 1",
            "impresario_runs_total{kind=\"completed\"} 1",
            "impresario_model_calls_total 1",
            "impresario_model_call_seconds_sum 1.0",
            "impresario_tokens_total{kind=\"input\"} 7",
            "impresario_cost_usd_total 1.5",
            "impresario_tool_calls_total{tool=\"shell\",outcome=\"error\"} 1",
            "impresario_tool_call_seconds_count 1",
            "impresario_journal_trouble 0",
        ] {
            assert!(
                text.lines().any(|it| it == line),
                "{line} is not in\n{text}"
            );
        }
    }
}
