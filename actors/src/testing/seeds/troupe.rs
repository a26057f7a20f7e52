//! A team drawn from a seed: who there is, how it is supervised, and what its models say and do.
//!
//! What a model says follows from the seed, the run's brief and the number of the turn alone, so that it says the same after any
//! crash. Every text that it makes up is marked with a token that stands nowhere else.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::garbage::Garbage;
use crate::model::agent::RestartType;
use crate::model::team::{TeamBackoff, TeamStrategy};
use crate::model::{
    AgentName, AgentSpec, InDoubtPolicy, Limits, ModelRequest, Recovery, Reply, RunId, StopReason,
    TaskDefinition, TeamSpec, ToolCall, Topology, Usage,
};
use crate::provider::{
    Delta, DeltaSink, Provider, ProviderError, ProviderErrorKind as Kind, minted_call_id, turn,
};
use crate::testing::census::Census;
use crate::testing::sim::Stage;
use fastrand::Rng;
use futures_util::future::BoxFuture;
use serde_json::{Value, json};

/// The agents of every troupe, the lead first.
pub const AGENTS: [&str; 4] = ["lead", "ada", "ben", "cyd"];

/// What can be set about the scripts.
#[derive(Debug, Clone, Copy)]
pub struct Habits {
    /// Whether model calls fail, hang and panic.
    pub failures: bool,
    /// Whether tools fail, panic and leave their outcome open.
    pub trouble: bool,
    /// Whether agents begin again with a clean slate, and whether little is allowed.
    pub tightness: bool,
    /// Whether models say nothing for long, answer garbage and refuse.
    pub wild: bool,
}

impl Habits {
    /// Those of a seed.
    pub fn of(seed: u64) -> Self {
        let is_even = seed % 5 == 3;
        Self {
            failures: !is_even && !seed.is_multiple_of(3),
            trouble: !is_even && seed.is_multiple_of(2),
            tightness: !is_even,
            wild: false,
        }
    }

    /// Whether what is done depends on nothing but the briefs.
    pub fn is_even(self) -> bool {
        !self.failures && !self.trouble && !self.tightness
    }
}

/// A provider that plays all the models of a seed.
pub struct Troupe {
    seed: u64,
    habits: Habits,
    attempts: Mutex<BTreeMap<(RunId, usize), usize>>,
    census: Census,
}

impl Troupe {
    /// With these habits; what it does on purpose is counted.
    pub fn new(seed: u64, habits: Habits, census: Census) -> Self {
        Self {
            seed,
            habits,
            attempts: Mutex::default(),
            census,
        }
    }

    fn random(&self, about: impl Hash) -> Rng {
        let mut hasher = DefaultHasher::new();
        (self.seed, about).hash(&mut hasher);
        Rng::with_seed(hasher.finish())
    }

    /// How this attempt fails, if it does.
    fn failure(&self, request: &ModelRequest) -> Option<Failure> {
        let turn = turn(&request.messages);
        let mut attempts = self.attempts.lock().unwrap_or_else(PoisonError::into_inner);
        let attempt = attempts.entry((request.run, turn)).or_default();
        *attempt += 1;
        let mut random = self.random((&request.brief, turn, "failures"));
        if !self.habits.failures || random.u8(..) > 48 {
            return self.wildness(request, *attempt);
        }
        let kinds: Vec<_> = (0..random.usize(1..4))
            .map(|_| random.choice(FAILURES).expect("a kind"))
            .collect();
        kinds.get(*attempt - 1).copied()
    }

    /// What a wild one does at its first attempt instead of failing.
    fn wildness(&self, request: &ModelRequest, attempt: usize) -> Option<Failure> {
        let mut random = self.random((&request.brief, turn(&request.messages), "wild"));
        let is_wild = self.habits.wild && attempt == 1 && random.u8(..) < 40;
        is_wild.then(|| random.choice(WILD).expect("a kind"))
    }

    fn reply(&self, request: &ModelRequest) -> Reply {
        let turn = turn(&request.messages);
        let brief = request.brief.as_str();
        let mut random = self.random((brief, turn, "reply"));
        let last = self.random((brief, "turns")).usize(0..4);
        let calls = if turn < last {
            let wanted = random.usize(1..4);
            (0..wanted)
                .map(|n| self.call(request, &mut random, n))
                .collect()
        } else {
            Vec::new()
        };
        Reply {
            text: format!("<text {brief} {turn}>"),
            stop: if calls.is_empty() {
                StopReason::End
            } else {
                StopReason::ToolCalls
            },
            calls,
            usage: Usage {
                input_tokens: random.u64(1..100),
                output_tokens: random.u64(1..50),
                cost_usd_micros: random.u64(..1000),
                ..Usage::default()
            },
            opaque: Vec::new(),
        }
    }

    fn call(&self, request: &ModelRequest, random: &mut Rng, index: usize) -> ToolCall {
        let turn = turn(&request.messages);
        let place = format!("{} {turn}.{index}", request.brief);
        let depth = request.brief.matches('/').count();
        let (name, args) = match random.u8(0..20) {
            0..4 if depth < 3 => (
                "create_run",
                delegation(random, &request.brief, turn, index),
            ),
            4..7 => ("post_message", post(random, &place)),
            7 => ("no_such_tool", json!({})),
            8 => ("create_run", json!({ "agent": "nobody", "input": "x" })),
            9 => ("pay_pure", json!([1, 2])),
            _ => self.payment(random, &place),
        };
        ToolCall {
            id: minted_call_id(request, index),
            name: name.to_owned(),
            args,
        }
    }

    fn payment(&self, random: &mut Rng, place: &str) -> (&'static str, Value) {
        let tools = [
            "pay_pure",
            "pay_keyed",
            "pay_queryable",
            "pay_once",
            "pay_ledgered",
        ];
        let tool = *random.choice(&tools).expect("a tool");
        let mut args = json!({ "what": format!("<args {place}>") });
        if random.bool() {
            args["ms"] = json!(random.u64(0..40));
        }
        if self.habits.trouble && random.u8(..) < 40 {
            let ends = ["fail", "unknown", "panic", "hang"];
            args["then"] = json!(random.choice(&ends).expect("an end"));
        }
        if random.u8(..) < 60 {
            args["what"] = json!(format!("for good <args {place}>"));
        }
        (tool, args)
    }
}

fn delegation(random: &mut Rng, brief: &str, turn: usize, index: usize) -> Value {
    let agent = *random.choice(&AGENTS[1..]).expect("an agent");
    let mode = *random
        .choice(&["foreground", "background"])
        .expect("a mode");
    let context = *random
        .choice(&["full", "scoped", "none"])
        .expect("a context");
    let mut args = json!({ "agent": agent, "input": format!("{brief}/{turn}{index}"), "mode": mode, "context": context });
    if context == "scoped" && random.bool() {
        args["snippets"] = json!([format!("<snippet {brief} {turn}.{index}>")]);
    }
    if random.u8(..) < 30 {
        args.as_object_mut().map(|args| args.remove("agent"));
    }
    args
}

fn post(random: &mut Rng, place: &str) -> Value {
    let mut args = json!({ "content": format!("<post {place}>") });
    if random.u8(..) < 90 {
        args["to"] = json!(random.choice(AGENTS).expect("an agent"));
    }
    args
}

#[derive(Debug, Clone, Copy)]
enum Failure {
    Kind(Kind),
    Hang,
    Panic,
    /// It says nothing for so long, and then answers.
    Stall(u64),
    Garbage(Garbage),
}

const WILD: [Failure; 14] = [
    Failure::Stall(4_000),
    Failure::Stall(6_000),
    Failure::Stall(20_000),
    Failure::Kind(Kind::BadCredentials),
    Failure::Kind(Kind::ContentFilter),
    Failure::Kind(Kind::ContextTooLong),
    Failure::Garbage(Garbage::SameIds),
    Failure::Garbage(Garbage::NoIds),
    Failure::Garbage(Garbage::Stop),
    Failure::Garbage(Garbage::Empty),
    Failure::Garbage(Garbage::Args),
    Failure::Garbage(Garbage::Name),
    Failure::Garbage(Garbage::Usage),
    Failure::Garbage(Garbage::Text),
];

impl Failure {
    fn word(self) -> String {
        match self {
            Self::Kind(kind) => format!("model: {kind:?}"),
            Self::Hang => "model: hangs".to_owned(),
            Self::Panic => "model: panics".to_owned(),
            Self::Stall(_) => "model: stalls".to_owned(),
            Self::Garbage(garbage) => format!("model: garbage, {garbage:?}"),
        }
    }
}

const FAILURES: [Failure; 13] = [
    Failure::Kind(Kind::RateLimited),
    Failure::Kind(Kind::RateLimited),
    Failure::Kind(Kind::Overloaded),
    Failure::Kind(Kind::Overloaded),
    Failure::Kind(Kind::Timeout),
    Failure::Kind(Kind::Cut),
    Failure::Kind(Kind::Cut),
    Failure::Kind(Kind::Unreachable),
    Failure::Kind(Kind::Internal),
    Failure::Kind(Kind::Nonsense),
    Failure::Kind(Kind::BadRequest),
    Failure::Hang,
    Failure::Panic,
];

impl Provider for Troupe {
    fn kind(&self) -> &'static str {
        "troupe"
    }

    fn call<'a>(
        &'a self,
        request: &'a ModelRequest,
        deltas: DeltaSink<'a>,
    ) -> BoxFuture<'a, Result<Reply, ProviderError>> {
        Box::pin(async move {
            let failure = self.failure(request);
            let mut random = self.random((&request.brief, turn(&request.messages), "latency"));
            tokio::time::sleep(Duration::from_millis(random.u64(0..60))).await;
            deltas(Delta::Text("…".to_owned()));
            if let Some(failure) = failure {
                self.census.note(failure.word());
            }
            match failure {
                None => Ok(self.reply(request)),
                Some(Failure::Stall(ms)) => {
                    tokio::time::sleep(Duration::from_millis(ms)).await;
                    Ok(self.reply(request))
                }
                Some(Failure::Garbage(garbage)) => Ok(garbage.in_reply(self.reply(request))),
                Some(Failure::Hang) => std::future::pending().await,
                Some(Failure::Panic) => panic!("the provider panics on purpose"),
                Some(Failure::Kind(kind)) => {
                    let wait = (kind == Kind::RateLimited).then_some(Duration::from_secs(2));
                    Err(ProviderError::new(kind, format!("{kind:?} on purpose")).retry_after(wait))
                }
            }
        })
    }
}

/// A task for the troupe of a seed.
pub fn task(stage: &Stage, seed: u64) -> TaskDefinition {
    let mut random = Rng::with_seed(seed ^ 0x7a5c);
    let mut task = stage.task(&AGENTS);
    "job".clone_into(&mut task.description);
    for agent in task.agents.values_mut() {
        *agent = drawn(&mut random, agent.clone());
    }
    task.limits = limits(&mut random);
    task.team = random.bool().then(|| team(&mut random));
    if !Habits::of(seed).tightness {
        loosen(&mut task);
    }
    task
}

fn loosen(task: &mut TaskDefinition) {
    for agent in task.agents.values_mut() {
        agent.recovery = Recovery::Resume;
    }
    if let Some(team) = &mut task.team {
        team.max_workers = None;
    }
    let Limits {
        inline_bytes,
        capsule_chars,
        ..
    } = task.limits;
    task.limits = Limits {
        inline_bytes,
        capsule_chars,
        ..Limits::default()
    };
}

fn drawn(random: &mut Rng, agent: AgentSpec) -> AgentSpec {
    use InDoubtPolicy as D;
    let policies = [D::TellModel, D::TellModel, D::Ask, D::Retry, D::Compensate];
    AgentSpec {
        in_doubt: *random.choice(&policies).expect("a policy"),
        recovery: if random.u8(..) < 80 {
            Recovery::CleanSlate
        } else {
            Recovery::Resume
        },
        restart: if random.u8(..) < 20 {
            RestartType::Transient
        } else {
            RestartType::Permanent
        },
        timeout: Duration::from_secs(5),
        tool_timeout: Duration::from_secs(3),
        max_turns: 12,
        ..agent
    }
}

fn limits(random: &mut Rng) -> Limits {
    let mut limits = Limits {
        poison_after: random.u32(3..6),
        progress_ms: 2_000,
        ..Limits::default()
    };
    if random.bool() {
        limits.inline_bytes = 16;
        limits.capsule_chars = 60;
    }
    if random.u8(..) < 60 {
        (limits.depth, limits.fan_out) = (2, 2);
        (limits.live_runs, limits.total_runs) = (4, 9);
    }
    limits
}

pub(super) fn topology(random: &mut Rng) -> Topology {
    let rules = json!({ "rules": [
        { "from": "@members", "to": "@members", "when": "[13579]>", "decide": "deny" },
        { "from": "*", "to": "*" },
    ] });
    match random.u8(..5) {
        0 => Topology::Hierarchical,
        1 => Topology::Broadcast,
        2 => Topology::Filtered,
        3 => Topology::Chain,
        _ => serde_json::from_value(rules).expect("rules"),
    }
}

fn team(random: &mut Rng) -> TeamSpec {
    use TeamStrategy as S;
    let strategies = [S::OneForOne, S::OneForAll, S::RestForOne];
    TeamSpec {
        name: "troupe".to_owned(),
        lead: AGENTS[0].into(),
        members: AGENTS[1..]
            .iter()
            .map(|name| AgentName::from(*name))
            .collect(),
        topology: topology(random),
        strategy: *random.choice(&strategies).expect("a strategy"),
        max_restarts: random.u32(2..8),
        backoff: random.bool().then(|| TeamBackoff {
            base: Duration::from_millis(100),
            cap: Duration::from_secs(5),
        }),
        max_workers: (random.u8(..) < 60).then(|| random.u32(1..4)),
        ..TeamSpec::default()
    }
}
