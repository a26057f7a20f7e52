//! On real threads, whatever ends a child and however long its end takes: never two incarnations of it at once, from the first
//! line of its initialiser to the end of its drop and of everything it attached.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use supervision::{
    Actor, AtRestart, ChildSpec, Context, DynamicSpec, Exit, Failure, Flags, Root, Shutdown, Start,
    Strategy, SupervisorHandle, SupervisorSpec, inbox, template,
};

use crate::bed::{ms, on_threads, quiet};

/// What is known of one child from outside.
#[derive(Default)]
struct Track {
    /// The incarnation whose time it is.
    owner: AtomicU64,
    /// How many parts of an incarnation there are: the actor itself, and what it attached.
    parts: AtomicU64,
    violations: AtomicU64,
}

impl Track {
    fn check(&self, is_well: bool) {
        self.violations
            .fetch_add(u64::from(!is_well), Ordering::SeqCst);
    }
}

/// A part of an incarnation, for as long as it is there.
struct Part {
    track: Arc<Track>,
    incarnation: u64,
}

impl Part {
    /// The first part of a new incarnation: nothing may be left of the one before.
    fn first(track: &Arc<Track>, incarnation: u64) -> Self {
        track.check(track.parts.load(Ordering::SeqCst) == 0);
        track.owner.store(incarnation, Ordering::SeqCst);
        Self::of(track, incarnation)
    }

    fn of(track: &Arc<Track>, incarnation: u64) -> Self {
        track.parts.fetch_add(1, Ordering::SeqCst);
        Self {
            track: track.clone(),
            incarnation,
        }
    }

    fn check(&self) {
        let owner = self.track.owner.load(Ordering::SeqCst);
        self.track.check(owner == self.incarnation);
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        self.check();
        self.track.parts.fetch_sub(1, Ordering::SeqCst);
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum End {
    Error,
    Panic,
    /// Killed from outside.
    Kill,
    /// Fails, and its drop holds up a thread.
    SlowDrop,
}

#[derive(Clone)]
struct Runner {
    end: End,
    rounds: u64,
    stop: Duration,
    finished: Arc<AtomicU64>,
}

struct Life {
    part: Part,
    runner: Runner,
}

impl Drop for Life {
    fn drop(&mut self) {
        if self.runner.end == End::SlowDrop {
            std::thread::sleep(ms(2));
        }
        self.part.check();
    }
}

enum Do {
    Crash,
}

impl Actor for Life {
    type Message = Do;

    async fn handle(&mut self, Do::Crash: Do, cx: &mut Context<Do>) -> Result<(), Failure> {
        self.part.check();
        match self.runner.end {
            End::Panic => panic!("oh no"),
            End::Error | End::SlowDrop => Err("boom".into()),
            End::Kill => {
                cx.exit(Exit::Normal);
                Ok(())
            }
        }
    }

    async fn terminate(&mut self, _: &Exit) {
        self.part.check();
        // The last life need not take its time: declared children stop one after another.
        if self.part.incarnation <= self.runner.rounds {
            tokio::time::sleep(self.runner.stop).await;
        }
        self.part.check();
    }
}

impl Runner {
    fn start(&self, track: &Arc<Track>) -> Start {
        let (_, reads) = inbox(1, AtRestart::Carry);
        let (runner, track) = (self.clone(), track.clone());
        Start::actor(reads, move |cx| {
            let incarnation = cx.incarnation().0;
            let part = Part::first(&track, incarnation);
            let attached = Part::of(&track, incarnation);
            let _ = cx.attach_maybe(async move {
                loop {
                    attached.check();
                    tokio::time::sleep(ms(3)).await;
                }
            });
            if incarnation > runner.rounds {
                runner.finished.fetch_add(1, Ordering::SeqCst);
            } else if runner.end != End::Kill {
                let _ = cx.after(ms(1), Do::Crash);
            }
            let runner = runner.clone();
            async move {
                tokio::task::yield_now().await;
                part.check();
                Ok(Life { part, runner })
            }
        })
    }
}

fn flags() -> Flags {
    Flags::new(Strategy::OneForOne).intensity(u32::MAX, Duration::from_secs(1))
}

/// Starts `tracks` under one supervisor, declared or as instances.
async fn start(runner: &Runner, tracks: &[Arc<Track>], is_dynamic: bool) -> SupervisorHandle {
    let name = |n: usize| format!("c{n}");
    if is_dynamic {
        let runner = runner.clone();
        let mut plan = template("t");
        plan.shutdown = Shutdown::Infinity;
        let spec = DynamicSpec::new(flags()).template(plan, move |(n, track): (usize, _)| {
            runner.start(&track).named(format!("c{n}"))
        });
        let pool = spec.start(Root::new("root")).await.expect("it starts");
        for (n, track) in tracks.iter().enumerate() {
            let started = pool.start_child((n, track.clone())).await;
            started.expect("it starts");
        }
        return pool.supervisor().clone();
    }
    let tracks = tracks.iter().enumerate();
    let spec = tracks.fold(SupervisorSpec::new(flags()), |spec, (n, track)| {
        let child = ChildSpec::new(name(n), runner.start(track));
        spec.child(child.shutdown(Shutdown::Infinity))
    });
    Root::new("root").start(spec).await.expect("it starts")
}

/// Kills every child again and again until each has had its rounds.
async fn kill_all(supervisor: &SupervisorHandle, tracks: &[Arc<Track>], rounds: u64) {
    let kill = async |n: usize, track: &Track| {
        while track.owner.load(Ordering::SeqCst) <= rounds {
            supervisor.kill_child(format!("c{n}")).await;
            tokio::time::sleep(ms(2)).await;
        }
    };
    let killers = tracks.iter().enumerate().map(|(n, track)| kill(n, track));
    futures_util::future::join_all(killers).await;
}

fn never_two(end: End, children: usize, rounds: u64, stop: Duration) {
    quiet();
    for is_dynamic in [true, false] {
        on_threads(2, |_| async move {
            let runner = Runner {
                end,
                rounds,
                stop,
                finished: Arc::default(),
            };
            let tracks: Vec<Arc<Track>> = (0..children).map(|_| Arc::default()).collect();
            let supervisor = start(&runner, &tracks, is_dynamic).await;
            if end == End::Kill {
                kill_all(&supervisor, &tracks, rounds).await;
            }
            while runner.finished.load(Ordering::SeqCst) < children as u64 {
                tokio::time::sleep(ms(5)).await;
            }
            assert_eq!(supervisor.stop().await, Exit::SHUTDOWN);
            for track in &tracks {
                assert_eq!(track.violations.load(Ordering::SeqCst), 0);
                assert_eq!(track.parts.load(Ordering::SeqCst), 0);
            }
        });
    }
}

#[test]
fn ten_thousand_failures_with_slow_clean_up() {
    never_two(End::Error, 500, 20, ms(50));
}

#[test]
fn a_thousand_panics() {
    never_two(End::Panic, 100, 10, ms(5));
}

#[test]
fn a_thousand_kills() {
    never_two(End::Kill, 100, 10, ms(5));
}

#[test]
fn drops_that_hold_up_a_thread() {
    never_two(End::SlowDrop, 50, 6, ms(1));
}
