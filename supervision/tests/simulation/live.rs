//! The real supervisors under faults from a seeded plan: what is accepted comes to an end, nothing is alive twice, and nothing
//! outlives what it belongs to.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use supervision::fault::{Fault, FaultKind, FaultPlan, Point, When};
use supervision::report::{DeadLetterReason, Decision};
use supervision::{
    Actor, AtRestart, ChildSpec, Context, Exit, Failure, Flags, Handle, HangLimits, Report, Root,
    Shutdown, Start, Strategy, SupervisorHandle, SupervisorSpec, inbox, inbox_redelivering,
};
use tokio::time::sleep;

use crate::bed::{ms, on_threads, virtual_time};

/// How many seeds the ordinary run goes through; `IMPRESARIO_TEST_SEEDS` asks for more.
fn seeds() -> u64 {
    let asked = std::env::var("IMPRESARIO_TEST_SEEDS");
    asked.map_or(500, |count| count.parse().expect("a number"))
}

/// What is seen from outside.
#[derive(Clone, Default)]
struct Eye(Arc<Mutex<Seen>>);

#[derive(Default)]
struct Seen {
    reports: Vec<Report>,
    /// Paths and incarnations of what is alive.
    alive: BTreeSet<(String, u64)>,
    lost: BTreeSet<(String, u64)>,
    lost_ended: usize,
    /// By child and number.
    handled: BTreeMap<(usize, u64), u32>,
    wrong: Vec<String>,
}

impl Eye {
    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.0.lock().unwrap()
    }

    fn hear(&self, report: &Report) {
        let mut seen = self.seen();
        let about = report.decision.about();
        let who = (
            format!("{}/{}", report.path, about.child),
            about.incarnation.0,
        );
        match report.decision {
            Decision::Lost(_) => drop(seen.lost.insert(who)),
            Decision::LostEnded(..) => seen.lost_ended += 1,
            _ => {}
        }
        seen.reports.push(report.clone());
    }

    /// Something comes alive: no other life of it may be, but one that was given up.
    fn born(&self, path: &str, incarnation: u64) -> Alive {
        let mut seen = self.seen();
        let others = seen.alive.iter().filter(|(other, _)| other == path);
        let others: Vec<_> = others.filter(|other| !seen.is_lost(other)).collect();
        if !others.is_empty() {
            let wrong = format!("{path} #{incarnation} beside {others:?}");
            seen.wrong.push(wrong);
        }
        let who = (path.to_owned(), incarnation);
        seen.alive.insert(who.clone());
        Alive(self.clone(), who)
    }

    /// A supervisor begins: nothing of an earlier life of it may be left, but what was given up.
    fn nothing_below(&self, path: &str) {
        let mut seen = self.seen();
        let below = format!("{path}/");
        let left = seen
            .alive
            .iter()
            .filter(|(other, _)| other.starts_with(&below));
        let left: Vec<_> = left.filter(|other| !seen.is_lost(other)).cloned().collect();
        seen.wrong.extend(
            left.into_iter()
                .map(|left| format!("{left:?} outlives {path}")),
        );
    }
}

impl Seen {
    /// Whether it, or whose it is, was given up.
    fn is_lost(&self, (path, life): &(String, u64)) -> bool {
        let whose = path.strip_suffix("/beside").unwrap_or(path);
        self.lost.contains(&(whose.to_owned(), *life))
    }
}

struct Alive(Eye, (String, u64));

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.seen().alive.remove(&self.1);
    }
}

struct Numbered {
    eye: Eye,
    place: usize,
    _alive: Alive,
}

/// A number and how long its handling takes, in milliseconds.
type Job = (u64, u64);

impl Actor for Numbered {
    type Message = Job;

    async fn handle(&mut self, (number, time): Job, _: &mut Context<Job>) -> Result<(), Failure> {
        if time > 0 {
            sleep(ms(time)).await;
        }
        let mut seen = self.eye.seen();
        *seen.handled.entry((self.place, number)).or_default() += 1;
        Ok(())
    }

    async fn terminate(&mut self, _: &Exit) {
        sleep(ms(1)).await;
    }
}

/// One child and what was accepted for it.
struct Place {
    id: String,
    handle: Handle<Job>,
    accepted: BTreeSet<u64>,
    copies: bool,
}

struct Stage {
    eye: Eye,
    random: fastrand::Rng,
    places: Vec<Place>,
    /// How long threads may be blocked.
    block: Option<Duration>,
}

impl Stage {
    fn child(&mut self) -> ChildSpec {
        let random = &mut self.random;
        let place = self.places.len();
        let policy = [AtRestart::Carry, AtRestart::DeadLetter][random.usize(0..2)];
        let (capacity, copies) = (random.usize(1..6), random.bool());
        let (handle, reads) = match copies {
            true => inbox_redelivering(capacity, policy, random.u32(1..4)),
            false => inbox(capacity, policy),
        };
        let eye = self.eye.clone();
        let start = Start::actor(reads, move |cx: &mut Context<Job>| {
            let (path, life) = (cx.path().to_owned(), cx.incarnation().0);
            let beside = eye.born(&format!("{path}/beside"), life);
            let _ = cx.attach_maybe(async move {
                let _beside = beside;
                std::future::pending().await
            });
            let alive = eye.born(&path, life);
            let eye = eye.clone();
            std::future::ready(Ok(Numbered {
                eye,
                place,
                _alive: alive,
            }))
        });
        let id = format!("c{place}");
        let ends = [
            Shutdown::Kill,
            Shutdown::After(ms(5)),
            Shutdown::After(ms(50)),
        ];
        let limits = HangLimits::silence(ms(20)).steps(ms(0), ms(5), ms(10));
        let spec = ChildSpec::new(&id, start)
            .shutdown(ends[random.usize(0..3)])
            .start_within(ms(40))
            .hang(limits);
        let accepted = BTreeSet::new();
        self.places.push(Place {
            id,
            handle,
            accepted,
            copies,
        });
        spec
    }

    fn supervisor(&mut self, above: Option<ChildSpec>) -> SupervisorSpec {
        let strategies = [
            Strategy::OneForOne,
            Strategy::OneForAll,
            Strategy::RestForOne,
        ];
        let flags = Flags::new(strategies[self.random.usize(0..3)]);
        let restarts = if self.random.u32(0..4) == 0 {
            4
        } else {
            100_000
        };
        let mut spec = SupervisorSpec::new(flags.intensity(restarts, Duration::from_secs(1)));
        for _ in 0..self.random.u32(1..3) {
            spec = spec.child(self.child());
        }
        above
            .into_iter()
            .for_each(|above| spec.children.push(above));
        spec
    }

    fn tree(&mut self) -> SupervisorSpec {
        let under = self.supervisor(None);
        let eye = self.eye.clone();
        let under = Start::supervisor(move || {
            eye.nothing_below("root/under");
            Ok(Some(under.clone()))
        });
        let under = ChildSpec::supervisor("under", under).start_within(ms(40));
        self.supervisor(Some(under))
    }

    fn fault(&mut self) -> Fault {
        let random = &mut self.random;
        let points = [
            Point::Start,
            Point::Handle,
            Point::Handle,
            Point::Stop,
            Point::Deliver,
        ];
        let point = points[random.usize(0..5)];
        let time = ms(random.u64(1..60));
        let kind = match (point, random.u32(0..6)) {
            (Point::Deliver, 0..3) => FaultKind::Drop,
            (Point::Deliver, _) => FaultKind::Duplicate,
            (_, 0) => FaultKind::Panic,
            (_, 1) => FaultKind::Kill,
            (_, 2) => FaultKind::Hang,
            (Point::Stop, 3) => FaultKind::Panic,
            (_, 3) => FaultKind::Error,
            (_, 4) if self.block.is_some() => FaultKind::Block(self.block.unwrap_or_default()),
            _ => FaultKind::Slow(time),
        };
        let copying: Vec<_> = self.places.iter().filter(|one| one.copies).collect();
        let target = match (kind, random.u32(0..3)) {
            (FaultKind::Duplicate, _) => copying
                .first()
                .map_or("nobody".to_owned(), |one| format!("**/{}", one.id)),
            (_, 0) => "root/**".to_owned(),
            (_, 1) => "root/under/*".to_owned(),
            _ => format!("**/c{}", random.usize(0..self.places.len())),
        };
        let when = When {
            chance: random.f64() * 0.5,
            ..When::default()
        };
        let first = u64::from(point == Point::Start) + 1;
        Fault::new(target, point, kind)
            .incarnations(first..=u64::MAX)
            .when(when)
    }

    async fn play(&mut self, root: &SupervisorHandle) {
        for number in 0..self.random.u64(5..45) {
            let place = self.random.usize(0..self.places.len());
            let time = [0, 0, 0, 2, 9][self.random.usize(0..5)];
            let place = &mut self.places[place];
            match place.handle.try_send((number, time)) {
                Ok(()) => drop(place.accepted.insert(number)),
                Err(refused) => assert_eq!(refused.into_message().0, number),
            }
            let id = place.id.clone();
            match self.random.u32(0..24) {
                0 => drop(root.kill_at(&id).await),
                1 => drop(root.kill_at(&format!("under/{id}")).await),
                2 => drop(root.kill_at("under").await),
                3 => drop(root.terminate_child(&id).await),
                4 => drop(root.restart_child(&id).await),
                5 => drop(root.terminate_child("under").await),
                6 => drop(root.restart_child("under").await),
                _ => {}
            }
            sleep(ms(self.random.u64(0..6))).await;
        }
        sleep(ms(self.random.u64(0..200))).await;
    }

    /// Every accepted message has been handled, is a dead letter, or was lost and counted; none of them twice.
    fn check(&self) {
        let seen = self.eye.seen();
        assert!(seen.wrong.is_empty(), "{:?}", seen.wrong);
        for (n, place) in self.places.iter().enumerate() {
            let handled = seen.handled.iter().filter(|((of, _), _)| *of == n);
            let handled: Vec<_> = handled
                .map(|((_, number), times)| (*number, *times))
                .collect();
            let letters = place.handle.take_dead_letters();
            let reports = seen.reports.iter().map(|report| &report.decision);
            let mine = |one: &&Decision| one.about().child.as_str() == place.id;
            let Tally {
                gone,
                kept,
                doubled,
                given_up,
            } = tally(reports.filter(mine));
            assert_eq!(
                letters.len(),
                kept,
                "{}: each dead letter is told of",
                place.id
            );
            let mut numbers = handled.iter().map(|(number, _)| number);
            assert!(numbers.all(|number| place.accepted.contains(number)));
            let times: usize = handled.iter().map(|(_, times)| *times as usize).sum();
            let (ends, begun) = (times + gone + kept, place.accepted.len() + doubled);
            assert!(
                (begun..=begun + given_up).contains(&ends),
                "{}: {begun} begun, {times} handled, {gone} gone, {kept} kept, {given_up} given up",
                place.id
            );
            let once = handled.iter().filter(|(_, times)| *times > 1).count();
            assert!(once <= doubled + given_up, "{}: handled twice", place.id);
        }
    }
}

/// What is told of one child's messages.
#[derive(Default)]
struct Tally {
    gone: usize,
    kept: usize,
    doubled: usize,
    given_up: usize,
}

fn tally<'a>(decisions: impl Iterator<Item = &'a Decision>) -> Tally {
    let mut tally = Tally::default();
    for decision in decisions {
        match decision {
            Decision::DeadLetters { count, reason, .. } => match reason {
                DeadLetterReason::InFlight | DeadLetterReason::Dropped => tally.gone += count,
                _ => tally.kept += count,
            },
            Decision::Injected {
                fault: FaultKind::Duplicate,
                ..
            } => tally.doubled += 1,
            Decision::Lost(_) => tally.given_up += 1,
            _ => {}
        }
    }
    tally
}

/// One seeded life of a tree; all that was reported.
async fn life(seed: u64, block: Option<Duration>) -> String {
    let (eye, random, places) = (Eye::default(), fastrand::Rng::with_seed(seed), Vec::new());
    let mut stage = Stage {
        eye: eye.clone(),
        random,
        places,
        block,
    };
    let spec = stage.tree();
    let faults = (0..stage.random.u32(0..6)).map(|_| stage.fault()).collect();
    let listening = eye.clone();
    let root = Root::new("root")
        .listener(Arc::new(move |report: &Report| listening.hear(report)))
        .faults(FaultPlan { seed, faults });
    if let Ok(root) = root.start(spec).await {
        stage.play(&root).await;
        root.stop().await;
        eye.nothing_below("root");
    }
    for _ in 0..10_000 {
        if eye.seen().alive.is_empty() {
            break;
        }
        sleep(ms(1)).await;
    }
    let left = eye.seen().alive.clone();
    assert!(left.is_empty(), "{left:?} never end");
    stage.check();
    let seen = eye.seen();
    let line = |report: &Report| format!("{report:?}\n");
    seen.reports.iter().map(line).collect()
}

/// Says which seed it was.
struct Named(u64);

impl Drop for Named {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("seed {}", self.0);
        }
    }
}

#[test]
fn trees_under_faults_keep_every_invariant() {
    for seed in 0..seeds() {
        let _named = Named(seed);
        virtual_time(|_| async move {
            let life = tokio::time::timeout(Duration::from_secs(3_600), life(seed, None));
            drop(life.await.expect("it comes to its end"));
        });
    }
}

#[test]
fn the_same_seed_is_the_same_life() {
    for seed in 0..20 {
        let mut lives = Vec::new();
        for _ in 0..2 {
            let (told, heard) = std::sync::mpsc::channel();
            virtual_time(|_| async move { told.send(life(seed, None).await).expect("heard") });
            lives.push(heard.recv().expect("told"));
        }
        assert_eq!(lives[0], lives[1], "seed {seed}");
    }
}

#[test]
fn trees_whose_threads_are_blocked_keep_every_invariant() {
    for seed in 0..8 {
        let _named = Named(seed);
        on_threads(4, |_| async move { drop(life(seed, Some(ms(60))).await) });
    }
}
