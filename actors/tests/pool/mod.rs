//! Permits, priorities and rates, through whole systems in virtual time.

mod breaker;
mod crowd;
mod lines;
mod waits;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use actors::model::{Event, EventBody, ModelRequest, Reply, TaskDefinition, TaskId, WaitReason};
use actors::pool::{Limits, ProviderLimits, Rate};
use actors::provider::{DeltaSink, Provider, ProviderError, ProviderErrorKind, turn};
use actors::run::why::Reason;
use actors::system::{RunNode, System};
use actors::testing::sim::{Moments, Stage};
use futures_util::future::BoxFuture;
use serde_json::json;
use tokio::time::Instant;

use crate::support::causes;

const SECOND: Duration = Duration::from_secs(1);

/// A model behind a server that counts, and refuses what is beyond its rate.
///
/// The brief says what a run does: `tree N` delegates `tree N-1` and waits, `crowd N` delegates N and waits, anything else is done.
#[derive(Default)]
struct Server {
    latency: Duration,
    /// So many calls in this time; beyond that it refuses.
    rate: Option<(usize, Duration)>,
    /// Until then it is overloaded.
    ill: Option<Instant>,
    /// Whether it says when to come again.
    says_when: bool,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    /// When calls came that were not refused, and for whom.
    calls: Vec<(Instant, String)>,
    recent: VecDeque<Instant>,
    refused: usize,
    under_way: usize,
    most_under_way: usize,
}

impl Server {
    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn arrives(&self, brief: &str) -> Result<(), ProviderError> {
        let (mut seen, now) = (self.seen(), Instant::now());
        if self.ill.is_some_and(|end| now < end) {
            seen.refused += 1;
            let error = ProviderError::new(ProviderErrorKind::Overloaded, "too much to do");
            return Err(error);
        }
        if let Some((count, per)) = self.rate {
            while seen.recent.front().is_some_and(|at| *at + per <= now) {
                seen.recent.pop_front();
            }
            if seen.recent.len() >= count {
                seen.refused += 1;
                let wait = seen.recent[0] + per - now;
                let error = ProviderError::new(ProviderErrorKind::RateLimited, "too many requests");
                return Err(error.retry_after(self.says_when.then_some(wait)));
            }
            seen.recent.push_back(now);
        }
        seen.calls.push((now, brief.to_owned()));
        seen.under_way += 1;
        seen.most_under_way = seen.most_under_way.max(seen.under_way);
        Ok(())
    }

    /// The most calls that came within any such time.
    fn fullest(&self, per: Duration) -> usize {
        let seen = self.seen();
        let within = |(from, _): &(Instant, String)| {
            let inside = |(at, _): &&(Instant, String)| *at >= *from && *at < *from + per;
            seen.calls.iter().filter(inside).count()
        };
        seen.calls.iter().map(within).max().unwrap_or(0)
    }

    fn briefs(&self) -> Vec<String> {
        let seen = self.seen();
        seen.calls.iter().map(|(_, brief)| brief.clone()).collect()
    }
}

fn reply(request: &ModelRequest) -> Reply {
    let done = Reply::new(format!("done: {}", request.brief));
    let Some((what, number)) = request.brief.split_once(' ') else {
        return done;
    };
    let number: u32 = number.parse().unwrap_or(0);
    let (count, brief) = match what {
        "tree" => (
            u32::from(number > 0),
            format!("tree {}", number.saturating_sub(1)),
        ),
        "crowd" => (number, "member".to_owned()),
        _ => (0, String::new()),
    };
    if count == 0 || turn(&request.messages) > 0 {
        return done;
    }
    let delegate = |reply: Reply, n| {
        reply.calling(format!("call_{n}"), "create_run", json!({ "input": brief }))
    };
    (0..count).fold(Reply::new("I delegate."), delegate)
}

/// The provider that a system is given; the server outlives it.
struct Client(Arc<Server>);

impl Provider for Client {
    fn kind(&self) -> &'static str {
        "counting"
    }

    fn call<'a>(
        &'a self,
        request: &'a ModelRequest,
        _: DeltaSink<'a>,
    ) -> BoxFuture<'a, Result<Reply, ProviderError>> {
        Box::pin(async move {
            self.0.arrives(&request.brief)?;
            let _leaves = Leaves(&self.0);
            tokio::time::sleep(self.0.latency).await;
            Ok(reply(request))
        })
    }
}

struct Leaves<'a>(&'a Server);

impl Drop for Leaves<'_> {
    fn drop(&mut self) {
        self.0.seen().under_way -= 1;
    }
}

struct Bed {
    server: Arc<Server>,
    stage: Stage,
    system: System,
}

impl Bed {
    /// A system whose agents think with this server under the name `stage`.
    async fn new(server: Server, workers: usize, limits: ProviderLimits) -> Self {
        let server = Arc::new(server);
        let stage = Stage::with_provider(Arc::new(Client(server.clone())), 1);
        let limits = Limits {
            pools: [("workers".to_owned(), workers), ("side".to_owned(), 1)].into(),
            providers: [("stage".to_owned(), limits)].into(),
            ..Limits::default()
        };
        let moments = Moments::calm();
        let system = stage
            .open_with(&moments, |deps| deps.settings.pools = limits)
            .await;
        Self {
            server,
            stage,
            system,
        }
    }

    /// A task for one agent, `lead`.
    fn task(&self, brief: &str) -> TaskDefinition {
        let mut task = self.stage.task(&["lead"]);
        brief.clone_into(&mut task.description);
        task.limits.depth = 64;
        task.limits.fan_out = 1_000;
        (task.limits.live_runs, task.limits.total_runs) = (10_000, 10_000);
        task
    }

    async fn create(&self, brief: &str) -> TaskId {
        let task = self.task(brief);
        self.system.create_task(task).await.expect("a task")
    }

    async fn bodies(&self, task: TaskId) -> Vec<EventBody> {
        let events = causes::journal(&self.stage, task).await.into_iter();
        events.map(|event: Event| event.body).collect()
    }

    async fn waits(&self, task: TaskId) -> Vec<WaitReason> {
        let wait = |body| match body {
            EventBody::RunWaiting { reason } => Some(reason),
            _ => None,
        };
        self.bodies(task)
            .await
            .into_iter()
            .filter_map(wait)
            .collect()
    }

    /// Nothing is taken and nobody waits.
    fn is_empty(&self) -> bool {
        let look = self.system.pools().look();
        let idle = look
            .pools
            .iter()
            .all(|it| it.in_use == 0 && it.waiting == 0);
        idle && look
            .providers
            .iter()
            .all(|it| it.in_use == 0 && it.waiting == 0)
    }
}

fn no_limits() -> ProviderLimits {
    ProviderLimits::default()
}

fn rates(rates: &[(u32, Duration)]) -> ProviderLimits {
    let rate = |(count, per): &(u32, Duration)| Rate {
        count: *count,
        per: *per,
    };
    ProviderLimits {
        rates: rates.iter().map(rate).collect(),
        ..no_limits()
    }
}

/// What a run's model call waits for.
fn waits_for(node: &RunNode) -> Option<WaitReason> {
    match node.why.clone()?.reason {
        Reason::Permit { pool } => Some(WaitReason::Permit { pool }),
        Reason::Provider {
            provider,
            limit,
            wait_ms,
        } => Some(WaitReason::Provider {
            provider,
            limit,
            wait_ms,
        }),
        _ => None,
    }
}
