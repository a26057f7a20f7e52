//! The rules, step by step and by chance.

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;
use uuid::Uuid;

use super::*;
use crate::model::ProviderLimit;
use crate::pool::rate::Rate;

const NOW: Duration = Duration::ZERO;
const SECOND: Duration = Duration::from_secs(1);

fn core(pools: &[(&str, usize)], providers: &[(&str, ProviderLimits)]) -> Core {
    let pools = pools.iter().map(|(name, size)| ((*name).to_owned(), *size));
    let providers = providers
        .iter()
        .map(|(name, own)| ((*name).to_owned(), own.clone()));
    Core::new(&Limits {
        pools: pools.collect(),
        providers: providers.collect(),
        waiting: 1_000,
        seed: 1,
    })
}

fn most(calls: u32) -> ProviderLimits {
    ProviderLimits {
        max_concurrent: Some(calls),
        ..ProviderLimits::default()
    }
}

fn rate(count: u32, per: Duration) -> ProviderLimits {
    ProviderLimits {
        rates: vec![Rate { count, per }],
        ..ProviderLimits::default()
    }
}

fn request(pool: &str, provider: &str, priority: i32) -> Request {
    Request {
        task: TaskId(Uuid::nil()),
        run: RunId(Uuid::nil()),
        pool: pool.to_owned(),
        provider: provider.to_owned(),
        priority,
    }
}

fn ask(core: &mut Core, pool: &str, provider: &str) -> u64 {
    core.ask(NOW, &request(pool, provider, 0)).expect("room")
}

fn permit(pool: &str) -> Option<WaitReason> {
    let pool = pool.to_owned();
    Some(WaitReason::Permit { pool })
}

#[test]
fn a_full_pool_holds_up_no_other_and_a_held_provider_no_other() {
    let mut core = core(&[("x", 1), ("y", 1)], &[("a", most(2)), ("b", most(1))]);
    let first = ask(&mut core, "x", "a");
    let behind: Vec<_> = (0..100).map(|_| ask(&mut core, "x", "a")).collect();
    assert_eq!(core.admit(NOW), [first]);
    assert_eq!(core.why(NOW, behind[0]), permit("x"));
    let other_pool = ask(&mut core, "y", "a");
    assert_eq!(
        core.admit(NOW),
        [other_pool],
        "nobody keeps the provider's second place"
    );
    core.release(NOW, other_pool);
    core.release(NOW, first);
    let blocked = [ask(&mut core, "y", "b"), ask(&mut core, "y", "b")];
    assert_eq!(core.admit(NOW), [behind[0], blocked[0]]);
    core.release(NOW, behind[0]);
    core.leave(behind[1]);
    assert_eq!(core.admit(NOW), [behind[2]]);
    let elsewhere = ask(&mut core, "nowhere", "c");
    assert_eq!(core.admit(NOW), [elsewhere], "an unknown pool is `workers`");
}

#[test]
fn the_wait_names_what_keeps_it_and_for_how_long() {
    let mut core = core(&[], &[("a", rate(1, 10 * SECOND))]);
    let calls = [ask(&mut core, WORKERS, "a"), ask(&mut core, WORKERS, "a")];
    assert_eq!(core.admit(NOW), [calls[0]]);
    let why = |core: &Core, now| match core.why(now, calls[1]) {
        Some(WaitReason::Provider {
            provider,
            limit,
            wait_ms,
        }) => {
            assert_eq!(provider, "a");
            (limit, wait_ms)
        }
        other => panic!("{other:?}"),
    };
    let is_rate = ProviderLimit::Rate {
        rate: "1/10s".to_owned(),
    };
    assert_eq!(
        why(&core, NOW),
        (is_rate.clone(), None),
        "nothing is sent yet"
    );
    assert_eq!(core.due(NOW), None);
    core.sent(SECOND, calls[0]);
    assert_eq!(why(&core, 2 * SECOND), (is_rate, Some(9_100)));
    assert_eq!(core.due(2 * SECOND), Some(Duration::from_millis(11_100)));
    core.heard(2 * SECOND, calls[0], Outcome::Refused(Some(60 * SECOND)));
    core.release(NOW, calls[0]);
    let (limit, wait) = why(&core, 2 * SECOND);
    assert_eq!(limit, ProviderLimit::Refused);
    assert!(wait >= Some(60_000) && wait <= Some(61_000), "{wait:?}");
    let due = core.due(2 * SECOND).expect("a time");
    assert!(core.admit(due - Duration::from_millis(1)).is_empty());
    assert_eq!(core.admit(due), [calls[1]]);
    core.release(NOW, calls[1]);
    let next = ask(&mut core, WORKERS, "a");
    assert_eq!(
        core.admit(due),
        [next],
        "what was not sent counts for nothing"
    );
}

#[test]
fn too_many_who_wait_are_refused_and_others_are_not() {
    let mut core = Core::new(&Limits {
        waiting: 2,
        ..Limits::default()
    });
    let mut asked = || core.ask(NOW, &request(WORKERS, "a", 0));
    assert!(asked().is_ok() && asked().is_ok());
    insta::assert_snapshot!(asked().expect_err("full"), @"2 model calls wait for the pool `workers` already, and no more may: enlarge the pool, or give it less work at a time");
    core.admit(NOW);
    assert!(core.ask(NOW, &request(WORKERS, "a", 0)).is_ok());
}

/// A line whose pool is full whenever its provider is free, and whose provider is busy whenever its pool is.
#[test]
fn a_line_that_needs_two_things_is_not_overtaken_for_ever() {
    let mut core = core(&[("x", 1), ("y", 1)], &[("a", most(1)), ("b", most(9))]);
    let mut under_way = [ask(&mut core, "x", "b"), ask(&mut core, "y", "a")];
    assert_eq!(core.admit(NOW).len(), 2);
    let both = ask(&mut core, "x", "a");
    for round in 0..4 * OVERTAKEN {
        for (at, (pool, provider)) in [("x", "b"), ("y", "a")].into_iter().enumerate() {
            let next = ask(&mut core, pool, provider);
            core.release(NOW, under_way[at]);
            let admitted = core.admit(NOW);
            if admitted.contains(&both) {
                assert!((OVERTAKEN..OVERTAKEN + 2).contains(&round), "{round}");
                return;
            }
            under_way[at] = next;
        }
    }
    panic!("it was never its turn");
}

/// What happens to pools and providers by chance.
#[derive(Debug, Clone)]
enum Move {
    Passes(u64),
    Asks(usize, usize, i32),
    Leaves(usize),
    Sends(usize),
    Ends(usize, bool),
}

fn moves() -> impl Strategy<Value = Vec<Move>> {
    let one = prop_oneof![
        2 => (0..20_000_u64).prop_map(Move::Passes),
        6 => (0..2_usize, 0..3_usize, -10..=10).prop_map(|(x, a, p)| Move::Asks(x, a, p)),
        1 => any::<usize>().prop_map(Move::Leaves),
        3 => any::<usize>().prop_map(Move::Sends),
        4 => (any::<usize>(), prop::bool::weighted(0.1)).prop_map(|(n, refused)| Move::Ends(n, refused)),
    ];
    prop::collection::vec(one, 1..200)
}

/// One who waits, as a test knows it: pool, provider, when it asked, its priority.
type Known = (usize, usize, Duration, i32);

const POOLS: [&str; 2] = ["x", "y"];
const PROVIDERS: [&str; 3] = ["a", "b", "c"];

fn pick<T: Copy>(all: &BTreeMap<u64, T>, n: usize) -> Option<(u64, T)> {
    let (id, one) = all.iter().nth(n.checked_rem(all.len())?)?;
    Some((*id, *one))
}

proptest! {
    #[test]
    fn no_permit_is_lost_none_is_given_twice_and_those_before_go_before(moves in moves()) {
        let limits = [("a", most(2)), ("b", rate(3, 10 * SECOND)), ("c", ProviderLimits::default())];
        let mut core = core(&[("x", 2), ("y", 3)], &limits);
        let (mut now, mut waiting, mut inside) = (NOW, BTreeMap::<u64, Known>::new(), BTreeMap::<u64, Known>::new());
        for step in moves {
            match step {
                Move::Passes(ms) => now += Duration::from_millis(ms),
                Move::Asks(x, a, priority) => {
                    let id = core.ask(now, &request(POOLS[x], PROVIDERS[a], priority)).expect("room");
                    waiting.insert(id, (x, a, now, priority));
                }
                Move::Leaves(n) => if let Some((id, _)) = pick(&waiting, n) {
                    core.leave(id);
                    waiting.remove(&id);
                },
                Move::Sends(n) => if let Some((id, _)) = pick(&inside, n) {
                    core.sent(now, id);
                },
                Move::Ends(n, refused) => if let Some((id, _)) = pick(&inside, n) {
                    let outcome = if refused { Outcome::Refused(None) } else { Outcome::Answered };
                    core.sent(now, id);
                    core.heard(now, id, outcome);
                    core.release(NOW, id);
                    inside.remove(&id);
                },
            }
            for id in core.admit(now) {
                let (x, a, since, priority) = waiting.remove(&id).expect("it waited");
                let order = |since: Duration, priority: i32| since + AGE * (10 - priority).unsigned_abs();
                for (x2, a2, since2, priority2) in waiting.values() {
                    let same = (x, a) == (*x2, *a2);
                    prop_assert!(!same || order(since, priority) <= order(*since2, *priority2));
                }
                inside.insert(id, (x, a, since, priority));
            }
            let used = |x: usize| inside.values().filter(|it| it.0 == x).count();
            prop_assert!(used(0) <= 2 && used(1) <= 3);
            prop_assert!(inside.values().filter(|it| it.1 == 0).count() <= 2);
            let look = core.look(now);
            prop_assert_eq!(look.pools.iter().map(|pool| pool.in_use).sum::<usize>(), inside.len());
            prop_assert_eq!(look.pools.iter().map(|pool| pool.waiting).sum::<usize>(), waiting.len());
            prop_assert_eq!(look.providers.iter().map(|it| it.waiting).sum::<usize>(), waiting.len());
            // The only thing that is free at once and without limit, but for places that are kept for those who were overtaken.
            let kept = |pool: usize| {
                let is_kept = |(way, line): &(&Way, &Line)| core.pools[way.0].name == POOLS[pool] && line.overtaken >= OVERTAKEN;
                core.lines.iter().filter(is_kept).count()
            };
            let is_held = |pool: usize| used(pool) + kept(pool) >= [2, 3][pool];
            prop_assert!(waiting.values().all(|(x, a, ..)| *a != 2 || is_held(*x) || look.providers[2].held.is_some()));
        }
        // Everybody goes in the end.
        for _ in 0..10_000 {
            if waiting.is_empty() && inside.is_empty() { break; }
            for id in std::mem::take(&mut inside).into_keys() {
                core.sent(now, id);
                core.heard(now, id, Outcome::Answered);
                core.release(NOW, id);
            }
            for id in core.admit(now) {
                inside.insert(id, waiting.remove(&id).expect("it waited"));
            }
            now = core.due(now).unwrap_or(now);
        }
        prop_assert!(waiting.is_empty() && inside.is_empty(), "{:?}", core.look(now));
        prop_assert!(core.look(now).pools.iter().all(|pool| pool.in_use == 0 && pool.waiting == 0));
        prop_assert!(core.look(now).providers.iter().all(|it| it.in_use == 0));
    }

    /// One permit, calls of chance length, and before each call ends more of the highest priority have asked.
    #[test]
    fn nobody_starves_whatever_comes_later(
        own in -10..=10_i32,
        calls in prop::collection::vec((1..120_u32, 1..3_usize), 100..400),
    ) {
        let mut core = core(&[("x", 1)], &[]);
        let mut now = NOW;
        let mut inside = core.ask(now, &request("x", "a", 10)).expect("room");
        prop_assert_eq!(core.admit(now), [inside]);
        let low = core.ask(now, &request("x", "a", own)).expect("room");
        let overtaking = AGE * (10 - own).unsigned_abs();
        let (mut before, mut served) = (0, 0);
        for (length, more) in calls {
            for _ in 0..more {
                core.ask(now, &request("x", "a", 10)).expect("room");
                before += u32::from(now < overtaking);
            }
            now += length * SECOND;
            core.release(NOW, inside);
            let admitted = core.admit(now);
            prop_assert_eq!(admitted.len(), 1);
            if admitted == [low] {
                prop_assert!(served <= before, "only those who asked in its first {:?} go before it", overtaking);
                return Ok(());
            }
            (inside, served) = (admitted[0], served + 1);
            prop_assert!(served <= before);
        }
    }
}

#[test]
fn new_limits_hold_at_once_and_take_nothing_away() {
    let mut core = core(&[("x", 1)], &[("a", most(1))]);
    let asked: Vec<_> = (0..4).map(|_| ask(&mut core, "x", "a")).collect();
    assert_eq!(core.admit(NOW), asked[..1]);
    let limits = |size, provider| Limits {
        pools: [("x".to_owned(), size), ("new".to_owned(), 1)].into(),
        providers: [("a".to_owned(), provider)].into(),
        waiting: 1_000,
        seed: 1,
    };
    core.configure(&limits(3, rate(2, SECOND)));
    assert_eq!(
        core.admit(NOW),
        asked[1..3],
        "a new rate counts from now on"
    );
    core.configure(&limits(1, most(9)));
    assert_eq!(core.admit(NOW), [0_u64; 0]);
    core.release(NOW, asked[0]);
    core.release(NOW, asked[1]);
    assert_eq!(core.admit(NOW), [0_u64; 0], "the pool is smaller now");
    core.release(NOW, asked[2]);
    assert_eq!(core.admit(NOW), asked[3..]);
    let other = ask(&mut core, "new", "a");
    assert_eq!(core.admit(NOW), [other], "a pool that was not there before");
}
