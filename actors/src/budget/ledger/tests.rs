//! Random trees with concurrent calls, crashes and refusals: what is used up never passes a budget by more than was underestimated.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::budget::Verdict;
use crate::model::run::Parent;
use crate::model::{
    AgentSpec, Attention, ContextMode, Delegation, Limits, Pause, RunSpec, Sender, Step,
    StopReason, TaskId,
};

fn id(n: usize) -> RunId {
    RunId(uuid::Uuid::from_u128(n as u128 + 1))
}

fn definition(task: u64, run: Option<u64>) -> TaskDefinition {
    let budget = |tokens| Budget {
        tokens,
        ..Budget::default()
    };
    let agent = AgentSpec {
        budget: budget(run),
        ..AgentSpec::default()
    };
    let mut definition = crate::testing::conformance::store::draft::definition("x");
    definition.agents = [("a".into(), agent)].into();
    definition.limits = Limits {
        budget: budget(Some(task)),
        ..Limits::default()
    };
    definition
}

/// A journal in the making, and what is really under way.
struct World {
    definition: TaskDefinition,
    ledger: Ledger,
    events: Vec<Event>,
    now: u64,
    /// Calls that wait to be admitted, and those that were.
    waiting: BTreeMap<usize, u64>,
    granted: BTreeMap<usize, u64>,
    /// By how much answers may have passed what was set aside for them.
    excess: u64,
    parents: Vec<Option<usize>>,
}

impl World {
    fn new(definition: TaskDefinition) -> Self {
        let mut world = Self {
            definition,
            ledger: Ledger::default(),
            events: Vec::new(),
            now: 1,
            waiting: BTreeMap::new(),
            granted: BTreeMap::new(),
            excess: 0,
            parents: Vec::new(),
        };
        world.queue(None);
        world
    }

    fn write(&mut self, run: usize, body: EventBody) {
        let event = Event {
            id: self.events.len() as u64 + 1,
            task_id: TaskId(uuid::Uuid::nil()),
            run_id: Some(id(run)),
            agent: Some("a".into()),
            at: Timestamp(self.now),
            epoch: 0,
            cause: None,
            body,
        };
        self.ledger.fold(&event);
        self.events.push(event);
    }

    fn queue(&mut self, parent: Option<usize>) {
        let run = self.parents.len();
        let spec = RunSpec {
            heard: None,
            agent: "a".into(),
            title: String::new(),
            input: String::new(),
            depth: 0,
            context: ContextMode::None,
            snippets: Vec::new(),
            worker: false,
            parent: parent.map(|parent| Parent {
                run: id(parent),
                step: Step { turn: 0, index: 0 },
                delegation: Delegation::Background,
                up_to: 0,
            }),
        };
        self.parents.push(parent);
        self.write(
            run,
            EventBody::RunQueued {
                spec: Box::new(spec),
            },
        );
        self.write(run, EventBody::RunStarted);
    }

    /// A run wants to make a call, and looks whether it may.
    fn want(&mut self, run: usize, tokens: u64) {
        if !self.granted.contains_key(&run) {
            self.waiting.entry(run).or_insert(tokens);
            self.look(run);
        }
    }

    /// A run whose turn it is looks whether its call may be made; what it sets aside is durable before the next looks.
    fn look(&mut self, run: usize) {
        let Some(tokens) = self.waiting.get(&run).copied() else {
            return;
        };
        let reserved = Reservation {
            input_tokens: tokens / 2,
            output_tokens: tokens - tokens / 2,
            ..Reservation::default()
        };
        let standing = self.ledger.standing(&self.definition, id(run));
        let body = match standing.verdict(reserved.amount()) {
            Verdict::Waits => return,
            Verdict::Granted => {
                self.granted.insert(run, tokens);
                let (turn, seen) = (0, 0);
                EventBody::ModelCallStarted {
                    turn,
                    seen,
                    reserved,
                }
            }
            Verdict::Refused(exceeded) => EventBody::BudgetExceeded {
                limit: exceeded.to_string(),
                exceeded: Some(exceeded),
            },
        };
        self.waiting.remove(&run);
        self.write(run, body);
    }

    fn answer(&mut self, run: usize, used: u64) {
        let Some(reserved) = self.granted.remove(&run) else {
            return;
        };
        self.excess += used.saturating_sub(reserved);
        let usage = Usage {
            output_tokens: used,
            ..Usage::default()
        };
        self.write(
            run,
            EventBody::ModelCallCompleted {
                turn: 0,
                text: String::new(),
                calls: Vec::new(),
                usage,
                stop: StopReason::End,
                opaque: Vec::new(),
            },
        );
    }

    /// Its call is dead, and a later incarnation claims it; or the whole node is gone, and the ledger is read anew.
    fn crash(&mut self, run: usize, recovery: Recovery) {
        self.waiting.remove(&run);
        self.granted.remove(&run);
        let reason = String::new();
        let crashed = true;
        let body = EventBody::RunRestarted {
            recovery,
            reason,
            crashed,
        };
        self.write(run, body);
    }

    fn power_fails(&mut self) {
        self.ledger = Ledger::default();
        let events = std::mem::take(&mut self.events);
        events.iter().for_each(|event| self.ledger.fold(event));
        self.events = events;
        for run in 0..self.parents.len() {
            self.crash(run, Recovery::Resume);
        }
    }

    /// Used up, with what is set aside for calls that are being made.
    fn committed(&self, top: Option<usize>) -> u64 {
        let within = |run: &usize| {
            let mut line = std::iter::successors(Some(*run), |run| self.parents[*run]);
            top.is_none_or(|top| line.any(|above| above == top))
        };
        let scope = top.map_or(BudgetScope::Task, |run| BudgetScope::Run(id(run)));
        let granted = self.granted.iter().filter(|(run, _)| within(run));
        let used = self.ledger.used(scope);
        used.tokens() + used.wasted_tokens + granted.map(|(_, tokens)| tokens).sum::<u64>()
    }

    fn check(&self) {
        let limit = self.definition.limits.budget.tokens.expect("a limit");
        assert!(self.committed(None) <= limit + self.excess);
        let own = self.definition.agents[&"a".into()].budget.tokens;
        for run in 0..self.parents.len() {
            let most = own.unwrap_or(u64::MAX).saturating_add(self.excess);
            assert!(self.committed(Some(run)) <= most);
            // Children and what it used itself add up to what a run and all below it used.
            let mut sum = self.ledger.account(id(run)).expect("a run").usage;
            for (child, parent) in self.parents.iter().enumerate() {
                if *parent == Some(run) {
                    sum += self.ledger.used(BudgetScope::Run(id(child)));
                }
            }
            assert_eq!(sum, self.ledger.used(BudgetScope::Run(id(run))));
        }
    }

    /// Nobody waits for ever: if everybody looks and every call made is answered, all come to an end.
    fn drain(&mut self) {
        for _ in 0..=self.parents.len() {
            (0..self.parents.len()).for_each(|run| self.look(run));
            (0..self.parents.len()).for_each(|run| self.answer(run, 0));
        }
        assert!(self.waiting.is_empty(), "{:?}", self.waiting);
    }
}

fn play(world: &mut World, moves: &[(u8, usize, u64)]) {
    for (what, who, tokens) in moves {
        let run = who % world.parents.len();
        world.now += 1;
        match what {
            0 if world.parents.len() < 12 => world.queue(Some(run)),
            1..=4 => world.want(run, 1 + tokens),
            5..=8 => world.look(run),
            9..=11 => {
                let most = world.granted.get(&run).copied().unwrap_or_default();
                // Most answers use less than was set aside; a few more.
                let used = if tokens % 7 == 0 {
                    most + tokens
                } else {
                    most.min(*tokens)
                };
                world.answer(run, used);
            }
            12 => world.crash(run, Recovery::Resume),
            13 => world.crash(run, Recovery::CleanSlate),
            14 => world.power_fails(),
            _ => {}
        }
        world.check();
    }
    world.drain();
    world.check();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn no_budget_is_passed_by_more_than_was_underestimated(
        task in 20..400u64,
        run in proptest::option::of(10..200u64),
        moves in prop::collection::vec((0..16u8, 0..12usize, 0..60u64), 1..120),
    ) {
        play(&mut World::new(definition(task, run)), &moves);
    }
}

#[test]
fn a_call_waits_for_those_before_it_and_is_refused_when_nothing_can_help() {
    let mut world = World::new(definition(100, None));
    world.queue(Some(0));
    world.want(0, 60);
    assert!(world.granted.contains_key(&0));
    world.want(1, 60);
    assert!(
        world.waiting.contains_key(&1),
        "what is set aside for others counts"
    );
    world.answer(0, 30);
    world.look(1);
    assert!(world.granted.contains_key(&1));
    world.answer(1, 60);
    world.want(0, 20);
    let last = &world.events.last().expect("events").body;
    insta::assert_snapshot!(match last {
        EventBody::BudgetExceeded { limit, .. } => limit.as_str(),
        _ => "not refused",
    }, @"the budget of the task is used up: 90 of 100 tokens, and the next model call needs up to 20 tokens");
}

/// A task that may take a second, and a run of it that may take 600 ms.
fn timed() -> (TaskDefinition, World) {
    let mut definition = definition(100, None);
    definition.limits.wall_time_ms = 1_000;
    if let Some(agent) = definition.agents.get_mut(&"a".into()) {
        agent.run_timeout_ms = Some(600);
    }
    let mut world = World::new(definition.clone());
    let created = EventBody::TaskCreated {
        definition: Box::new(definition.clone()),
    };
    world.write(0, created);
    (definition, world)
}

#[test]
fn the_time_in_which_a_person_is_waited_for_does_not_count() {
    let (definition, mut world) = timed();
    let left = |world: &World, now| {
        let left = world.ledger.time_left(&definition, id(0), Timestamp(now));
        left.map(|left| (left.ms, left.whole_task))
    };
    assert_eq!(left(&world, 101), Some((500, false)));
    world.now = 201;
    let (path, reason) = (String::new(), String::new());
    let attention = Attention::GaveUp { path, reason };
    world.write(0, EventBody::TaskNeedsAttention { attention });
    assert_eq!(left(&world, 9_999), Some((400, false)));
    world.now = 10_201;
    let answer = String::new();
    world.write(0, EventBody::TaskResumed { answer });
    assert_eq!(left(&world, 10_401), Some((200, false)));
    assert_eq!(left(&world, 10_601), Some((0, false)));
    // The task's time alone, as a run without a limit of its own has it.
    let mut whole = definition.clone();
    whole.agents.insert("a".into(), AgentSpec::default());
    let left = world.ledger.time_left(&whole, id(0), Timestamp(10_601));
    assert_eq!(
        left.map(|left| (left.ms, left.whole_task)),
        Some((400, true))
    );
}

#[test]
fn the_time_of_a_pause_does_not_count_and_none_counts_twice() {
    let (definition, mut world) = timed();
    let left = |world: &World, run, now| {
        let left = world.ledger.time_left(&definition, id(run), Timestamp(now));
        left.map(|left| left.ms)
    };
    let paused = |since| EventBody::RunWaiting {
        reason: WaitReason::Paused(Pause {
            by: Sender::Human,
            since: Timestamp(since),
            scope: Scope::Task,
        }),
    };
    let before = left(&world, 0, 200);
    world.now = 200;
    world.write(0, paused(200));
    world.now = 1_000;
    let (path, reason) = (String::new(), String::new());
    let attention = Attention::GaveUp { path, reason };
    world.write(0, EventBody::TaskNeedsAttention { attention });
    world.now = 2_000;
    let by = Sender::Human;
    world.write(0, EventBody::RunResumed { by });
    assert_eq!(
        left(&world, 0, 2_500),
        before,
        "the person has not answered"
    );
    world.now = 3_000;
    let answer = String::new();
    world.write(0, EventBody::TaskResumed { answer });
    assert_eq!(left(&world, 0, 3_000), before);
    assert_eq!(left(&world, 0, 3_100), before.map(|ms| ms - 100));
}

#[test]
fn more_may_be_allowed() {
    let mut world = World::new(definition(100, None));
    world.want(0, 150);
    world.look(0);
    assert!(
        !world.waiting.contains_key(&0) && !world.granted.contains_key(&0),
        "refused"
    );
    let more = Budget {
        tokens: Some(50),
        ..Budget::default()
    };
    let budget = BudgetScope::Task;
    world.write(0, EventBody::BudgetRaised { budget, more });
    world.want(0, 150);
    world.look(0);
    assert!(world.granted.contains_key(&0));
}
