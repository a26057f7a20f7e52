//! Both cores under random schedules: whatever can happen does, in every order in which it can, and after each event the
//! invariants hold.

mod invariants;
mod world;

use std::time::Duration;

use supervision::health::HangLimits;
use supervision::restart::{ChildKey, Core, DynamicCore, SupervisorCore, Target};
use supervision::{
    AutoShutdown, Backoff, Flags, Intensity, Jitter, Kind, Plan, Restart, Shutdown, Strategy,
};

use self::world::World;

/// One schedule of declared children; how many events there were.
pub(crate) fn declared_children(seed: u64) -> usize {
    let mut random = fastrand::Rng::with_seed(seed);
    let (flags, plans) = declared(&mut random);
    let children = plans.into_iter().map(|plan| (plan, ())).collect();
    let mut core = SupervisorCore::new(flags.clone(), children).expect("a valid set");
    if random.u32(0..4) == 0 {
        core.restrain();
    }
    World::new(seed, random, core, flags, Target::Id("c0".into())).run()
}

/// One schedule of instances; how many events there were.
pub(crate) fn instances(seed: u64) -> usize {
    let mut random = fastrand::Rng::with_seed(seed);
    let flags = flags(&mut random);
    let template = plan(&mut random, "t", &flags);
    let mut core = DynamicCore::new(flags.clone(), template).expect("a valid template");
    if random.u32(0..4) == 0 {
        core.restrain();
    }
    World::new(seed, random, core, flags, Target::Key(ChildKey(0))).run()
}

fn flags(random: &mut fastrand::Rng) -> Flags {
    let strategies = [
        Strategy::OneForOne,
        Strategy::OneForAll,
        Strategy::RestForOne,
    ];
    let modes = [
        AutoShutdown::Never,
        AutoShutdown::AnySignificant,
        AutoShutdown::AllSignificant,
    ];
    Flags::new(strategies[random.usize(0..3)])
        .intensity(random.u32(0..5), Duration::from_millis(random.u64(1..4000)))
        .auto_shutdown(modes[random.usize(0..3)])
}

fn plan(random: &mut fastrand::Rng, id: &str, flags: &Flags) -> Plan {
    let restarts = [Restart::Permanent, Restart::Transient, Restart::Temporary];
    let mut plan = Plan::new(id, Kind::Worker);
    plan.restart = restarts[random.usize(0..3)];
    plan.shutdown = match random.u32(0..3) {
        0 => Shutdown::Kill,
        1 => Shutdown::Infinity,
        _ => Shutdown::After(Duration::from_millis(random.u64(0..100))),
    };
    plan.significant = flags.auto_shutdown != AutoShutdown::Never
        && plan.restart != Restart::Permanent
        && random.bool();
    if random.u32(0..3) == 0 {
        let backoff = Backoff::new(Duration::from_millis(10), Duration::from_millis(300));
        let jitters = [Jitter::Full, Jitter::None];
        plan.backoff = Some(backoff.jitter(jitters[random.usize(0..2)]));
    }
    if random.u32(0..2) == 0 {
        beyond_otp(random, &mut plan, flags);
    }
    plan
}

fn beyond_otp(random: &mut fastrand::Rng, plan: &mut Plan, flags: &Flags) {
    if random.bool() {
        let within = flags.intensity.within;
        plan.budget = Some(Intensity::new(random.u32(0..3), within));
    }
    if random.bool() {
        plan.start_within = Some(Duration::from_millis(random.u64(1..2000)));
    }
    if random.bool() {
        let ms = Duration::from_millis;
        let steps = [0, 50, 400].map(|most| ms(random.u64(0..=most)));
        let limits = HangLimits::silence(ms(random.u64(1..1000)));
        plan.hang = Some(limits.steps(steps[0], steps[1], steps[2] + ms(1)).into());
    }
    let needs = NEEDS.iter().filter(|_| random.u32(0..3) == 0);
    plan.needs = needs.map(|need| (*need).into()).collect();
}

/// What children may depend on.
const NEEDS: [&str; 2] = ["provider", "database"];

fn declared(random: &mut fastrand::Rng) -> (Flags, Vec<Plan>) {
    let flags = flags(random);
    let count = random.usize(0..6);
    let plans = (0..count)
        .map(|n| plan(random, &format!("c{n}"), &flags))
        .collect();
    (flags, plans)
}

#[cfg(test)]
mod tests {
    /// How many schedules each core goes through; `IMPRESARIO_TEST_SCHEDULES` asks for more.
    fn schedules() -> u64 {
        let asked = std::env::var("IMPRESARIO_TEST_SCHEDULES");
        asked.map_or(25_000, |count| count.parse().expect("a number"))
    }

    #[test]
    fn declared_children_keep_every_invariant() {
        for seed in 0..schedules() {
            super::declared_children(seed);
        }
    }

    #[test]
    fn instances_keep_every_invariant() {
        for seed in 0..schedules() {
            super::instances(seed);
        }
    }
}
