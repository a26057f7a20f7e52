//! What holds whatever happens.

use std::collections::BTreeSet;
use std::time::Duration;

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use supervision::Jitter;
use supervision::breaker::{Cause, Config, Core, State, Ticket, Transition};

use super::model::{Model, Pass};
use super::play::{Deed, Said, config, deeds};
use super::{TICK, core};

/// A breaker, the tickets that are out, and how late it is.
struct Played {
    core: Core,
    now: Duration,
    out: Vec<Ticket>,
}

impl Played {
    fn new(config: &Config) -> Self {
        Self {
            core: core(config.clone()),
            now: Duration::ZERO,
            out: Vec::new(),
        }
    }

    /// Whether a call was let through, if one was asked for.
    fn play(&mut self, deed: Deed) -> Option<bool> {
        let (core, now) = (&mut self.core, self.now);
        match deed {
            Deed::Pass(ticks) => self.now += ticks * TICK,
            Deed::Acquire => {
                let ticket = core.acquire(now).ok();
                let admitted = ticket.is_some();
                self.out.extend(ticket);
                return Some(admitted);
            }
            Deed::Settle(which, said) => {
                if let Some(which) = place(which, self.out.len()) {
                    let ticket = self.out.remove(which);
                    match said.outcome() {
                        Some(outcome) => core.settle(now, ticket, outcome),
                        None => core.abandon(now, ticket),
                    }
                }
            }
            Deed::Record(said) => said
                .outcome()
                .into_iter()
                .for_each(|said| core.record(now, said)),
            Deed::Open => core.open(now, "maintenance"),
            Deed::Close => core.close(now, "we know"),
            Deed::Automatic => core.automatic(now),
        }
        None
    }

    fn transitions(&mut self) -> Vec<Transition> {
        std::iter::from_fn(|| self.core.next_transition()).collect()
    }
}

/// Mostly the newest: old tickets are stale.
fn place(which: usize, len: usize) -> Option<usize> {
    len.checked_sub(1).map(|last| last - which % len)
}

/// The same to the model.
fn imitate(model: &mut Model, out: &mut Vec<Pass>, deed: Deed) -> Option<bool> {
    match deed {
        Deed::Pass(ticks) => model.pass(ticks),
        Deed::Acquire => {
            let pass = model.acquire();
            out.extend(pass);
            return Some(pass.is_some());
        }
        Deed::Settle(which, said) => {
            if let Some(which) = place(which, out.len()) {
                model.settle(out.remove(which), said);
            }
        }
        Deed::Record(Said::Dropped) => {}
        Deed::Record(said) => model.record(said),
        Deed::Open => model.open_by_hand(),
        Deed::Close => model.close_by_hand(),
        Deed::Automatic => model.automatic(),
    }
    None
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]
    #[test]
    fn it_does_what_the_model_does(config in config(Jitter::None), deeds in deeds()) {
        let (mut played, mut model) = (Played::new(&config), Model::new(config));
        let mut out = Vec::new();
        for deed in deeds {
            prop_assert_eq!(played.play(deed), imitate(&mut model, &mut out, deed), "{:?}", deed);
            let now = played.now;
            let seen = played.core.snapshot(now);
            prop_assert_eq!(seen.state, model.state, "{:?}", deed);
            prop_assert_eq!(now - seen.held, model.since);
            prop_assert_eq!(seen.wait, model.until.map(|until| until - now));
            prop_assert_eq!(seen.window, model.window());
            prop_assert_eq!(seen.manual.is_some(), model.manual);
            prop_assert_eq!(seen.probes as usize, model.probes_out.len());
            prop_assert_eq!(seen.successes, model.good_probes);
            prop_assert_eq!((seen.totals.opened, seen.totals.stale), (model.opened, model.stale));
        }
    }
}

proptest! {
    #[test]
    fn looking_changes_nothing(config in config(Jitter::Full), deeds in deeds()) {
        let (mut watched, mut unseen) = (Played::new(&config), Played::new(&config));
        for deed in deeds {
            if let Deed::Pass(ticks) = deed {
                for tick in 0..ticks {
                    let _ = watched.core.snapshot(watched.now + tick * TICK);
                }
            }
            prop_assert_eq!(watched.play(deed), unseen.play(deed));
        }
        let now = watched.now;
        prop_assert_eq!(watched.core.snapshot(now), unseen.core.snapshot(now));
        prop_assert_eq!(watched.transitions(), unseen.transitions());
    }

    #[test]
    fn never_more_probes_than_allowed_and_never_fewer(config in config(Jitter::Full), deeds in deeds()) {
        let mut played = Played::new(&config);
        for deed in deeds {
            played.play(deed);
            let now = played.now;
            let seen = played.core.snapshot(now);
            prop_assert!(seen.probes <= config.probes);
            if seen.state == State::HalfOpen {
                let mut copy = played.core.clone();
                let free: Vec<_> = std::iter::from_fn(|| copy.acquire(now).ok()).take(9).collect();
                prop_assert_eq!(free.len(), (config.probes - seen.probes) as usize);
            }
        }
    }

    #[test]
    fn a_released_probe_is_there_again(config in config(Jitter::None), ignored in 0..4_usize) {
        let mut core = core(config.clone());
        core.open(TICK, "to begin with");
        core.automatic(TICK);
        let mut out: Vec<_> = std::iter::from_fn(|| core.acquire(TICK).ok()).take(9).collect();
        prop_assert_eq!(out.len(), config.probes as usize);
        let released = out.drain(..ignored.min(out.len())).map(|ticket| {
            core.settle(TICK, ticket, supervision::breaker::Outcome::Ignore);
        });
        let released = released.count();
        let again = std::iter::from_fn(|| core.acquire(TICK).ok()).take(9).count();
        prop_assert_eq!(again, released);
    }

    #[test]
    fn never_open_for_longer_than_its_wait_and_the_cap(config in config(Jitter::Full), deeds in deeds()) {
        let longest = config.backoff.cap.max(config.max_retry_after);
        let mut played = Played::new(&config);
        for deed in deeds {
            played.play(deed);
            let seen = played.core.snapshot(played.now);
            let alone = seen.state == State::Open && seen.manual.is_none();
            prop_assert_eq!(seen.wait.is_some(), alone);
            prop_assert!(!alone || seen.held + seen.wait.unwrap_or_default() <= longest);
        }
        for transition in played.transitions() {
            prop_assert!(transition.wait.is_none_or(|wait| wait <= longest));
        }
        played.core.automatic(played.now);
        let state = played.core.snapshot(played.now + longest.max(config.probe_deadline) * 2).state;
        prop_assert_ne!(state, State::Open, "left alone, it is not open for ever");
    }

    #[test]
    fn a_hand_wins(config in config(Jitter::Full), before in deeds(), after in deeds(), open: bool) {
        let mut played = Played::new(&config);
        played.core.inject_faults(0.5).expect("a part");
        before.into_iter().for_each(|deed| { played.play(deed); });
        let (deed, state) = if open { (Deed::Open, State::Open) } else { (Deed::Close, State::Closed) };
        played.play(deed);
        for deed in after {
            if matches!(deed, Deed::Open | Deed::Close | Deed::Automatic) {
                continue;
            }
            let admitted = played.play(deed);
            prop_assert!(admitted.is_none_or(|admitted| admitted != open));
            prop_assert_eq!(played.core.snapshot(played.now).state, state);
        }
    }

    #[test]
    fn only_the_arrows_on_the_page(config in config(Jitter::Full), deeds in deeds()) {
        let mut played = Played::new(&config);
        let (mut number, mut at, mut state) = (0, Duration::ZERO, State::Closed);
        for deed in deeds {
            played.play(deed);
            for transition in played.transitions() {
                number += 1;
                prop_assert_eq!(transition.number, number);
                prop_assert_eq!(transition.from, state);
                prop_assert!(transition.at >= at && transition.at <= played.now);
                prop_assert!(is_an_arrow(&config, &transition), "{}", transition);
                (at, state) = (transition.at, transition.to);
            }
        }
    }

    #[test]
    fn time_and_counts_never_go_back(config in config(Jitter::Full), deeds in deeds(), back in 0..50_u32) {
        let mut played = Played::new(&config);
        let mut before = played.core.snapshot(Duration::ZERO);
        let mut generation = 0;
        for deed in deeds {
            played.play(deed);
            let earlier = played.now.saturating_sub(back * TICK);
            let seen = played.core.snapshot(played.now);
            prop_assert_eq!(&seen, &played.core.snapshot(earlier), "an earlier time is the same time");
            let (new, old) = (seen.totals, before.totals);
            prop_assert!(new.admitted >= old.admitted && new.refused >= old.refused);
            prop_assert!(new.successes >= old.successes && new.failures >= old.failures);
            prop_assert!(new.stale >= old.stale && new.opened >= old.opened);
            prop_assert!(played.core.generation() >= generation);
            generation = played.core.generation();
            before = seen;
        }
        let totals = before.totals;
        let told = totals.successes + totals.failures + totals.ignored;
        prop_assert!(told + played.out.len() as u64 >= totals.admitted, "every call let through is told of or out");
    }
}

/// The table of docs/lifecycles/breaker.md.
fn is_an_arrow(config: &Config, transition: &Transition) -> bool {
    use State::{Closed, HalfOpen, Open};
    let enough = |calls: u64| calls >= u64::from(config.minimum_calls);
    let rate = |part: u64, calls: u64, limit: Option<f64>| {
        enough(calls) && limit.is_some_and(|limit| part as f64 >= limit * calls as f64)
    };
    match (transition.from, transition.to, &transition.cause) {
        (Closed, Open, Cause::Failures(count)) => config
            .failures
            .is_some_and(|limit| *count == u64::from(limit)),
        (Closed, Open, Cause::FailureRate { failures, calls }) => {
            rate(*failures, *calls, config.failure_rate)
        }
        (Closed, Open, Cause::SlowRate { slow, calls }) => {
            rate(*slow, *calls, config.slow.map(|slow| slow.rate))
        }
        (HalfOpen, Closed, Cause::Probes(count)) => *count == config.successes,
        (HalfOpen, Open, Cause::ProbeSlow) => config.slow.is_some(),
        (HalfOpen, Open, Cause::ProbeFailed | Cause::ProbeOverdue)
        | (Open, HalfOpen, Cause::WaitOver)
        | (Open, HalfOpen, Cause::Automatic)
        | (Closed, Closed, Cause::Automatic)
        | (_, Open | Closed, Cause::Manual(_)) => true,
        _ => false,
    }
}

#[test]
fn the_plays_reach_every_arrow() {
    let mut runner = TestRunner::deterministic();
    let mut reached = BTreeSet::new();
    for _ in 0..400 {
        let plays = (config(Jitter::Full), deeds());
        let play = plays.new_tree(&mut runner).expect("a play");
        let (config, deeds) = play.current();
        let mut played = Played::new(&config);
        deeds.into_iter().for_each(|deed| {
            played.play(deed);
        });
        reached.extend(played.transitions().iter().map(arrow));
    }
    let reached: Vec<_> = reached.into_iter().collect();
    insta::assert_snapshot!(reached.join("\n"), @"
    closed → closed: Automatic
    closed → closed: Manual
    closed → open: FailureRate
    closed → open: Failures
    closed → open: Manual
    closed → open: SlowRate
    half-open → closed: Manual
    half-open → closed: Probes
    half-open → open: Manual
    half-open → open: ProbeFailed
    half-open → open: ProbeOverdue
    half-open → open: ProbeSlow
    open → closed: Manual
    open → half-open: Automatic
    open → half-open: WaitOver
    open → open: Manual
    ");
}

/// States and the kind of cause, without numbers and reasons.
fn arrow(transition: &Transition) -> String {
    let Transition {
        from, to, cause, ..
    } = transition;
    let cause = format!("{cause:?}");
    let kind = cause.split([' ', '(']).next().unwrap_or_default();
    format!("{from} → {to}: {kind}")
}
