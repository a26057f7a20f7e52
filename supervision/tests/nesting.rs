//! Supervisors below supervisors: kills from above, starts that hang, escalation, and what becomes of the inboxes below.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use supervision::report::{DeadLetterReason, Decision};
use supervision::{
    Actor, AdminError, AtRestart, Backoff, CallError, ChildSpec, ChildState, Context, DynamicSpec,
    Exit, Failure, Flags, Init, Jitter, Restart, Root, SendError, Shutdown, Start, Strategy,
    SupervisorHandle, SupervisorSpec, inbox, template,
};

use crate::bed::{
    Bed, Cue, Play, Player, cast, children, ms, on_threads, patient, quiet, timed, virtual_time,
};

const SECOND: Duration = Duration::from_secs(1);

/// A supervisor as a child, with these players below it.
fn team(id: &str, handle: &SupervisorHandle, flags: Flags, players: &[&Player]) -> ChildSpec {
    let players: Vec<_> = players.iter().map(|player| (*player).clone()).collect();
    let init = move || {
        let players: Vec<_> = players.iter().collect();
        Ok(Some(cast(flags.clone(), &players)))
    };
    ChildSpec::supervisor(id, Start::supervisor_at(handle, init))
}

async fn root_of(
    bed: &Bed,
    strategy: Strategy,
    specs: impl IntoIterator<Item = ChildSpec>,
) -> SupervisorHandle {
    let spec = SupervisorSpec::new(patient(strategy));
    let spec = specs.into_iter().fold(spec, SupervisorSpec::child);
    bed.root().start(spec).await.expect("it starts")
}

/// How many there are of something.
#[derive(Clone, Default)]
struct Count(Arc<AtomicI64>);

struct One(Count);

impl Count {
    fn one(&self) -> One {
        self.0.fetch_add(1, Ordering::SeqCst);
        One(self.clone())
    }

    fn get(&self) -> i64 {
        self.0.load(Ordering::SeqCst)
    }
}

impl Drop for One {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::SeqCst);
    }
}

struct Silent(#[expect(dead_code, reason = "counts until it is dropped")] One);

impl Actor for Silent {
    type Message = ();

    async fn handle(&mut self, (): (), _: &mut Context<()>) -> Result<(), Failure> {
        Ok(())
    }
}

/// A child that counts from the first line of its initialiser on, takes a while to start and has something attached; at times
/// its drop holds up the thread.
fn slow_starter(count: &Count, micros: u64, holds_up: bool) -> Start {
    let (_, reads) = inbox(1, AtRestart::Carry);
    let count = count.clone();
    Start::actor(reads, move |cx| {
        let (one, attached) = (count.one(), count.one());
        let _ = cx.attach_maybe(async move {
            let _attached = attached;
            std::future::pending().await
        });
        async move {
            let held = HoldsUp(holds_up);
            tokio::time::sleep(Duration::from_micros(micros)).await;
            drop(held);
            Ok(Silent(one))
        }
    })
}

struct HoldsUp(bool);

impl Drop for HoldsUp {
    fn drop(&mut self) {
        if self.0 {
            std::thread::sleep(ms(1));
        }
    }
}

/// A tree of three levels, two wide, over starters; each level also has a dynamic supervisor's worth of them.
fn deep(count: &Count, level: u32, micros: u64) -> SupervisorSpec {
    let mut spec = SupervisorSpec::new(patient(Strategy::OneForAll));
    for n in 0..2 {
        let starter = slow_starter(count, micros, n == 1);
        spec = spec.child(ChildSpec::new(format!("w{n}"), starter));
        if level > 0 {
            let count = count.clone();
            let below = move || Ok(Some(deep(&count, level - 1, micros)));
            spec = spec.child(ChildSpec::supervisor(
                format!("s{n}"),
                Start::supervisor(below),
            ));
        }
    }
    spec
}

#[test]
fn a_tree_killed_while_it_starts_leaves_nobody() {
    on_threads(2, |_| async {
        let count = Count::default();
        for round in 0..60 {
            let (handle, counted) = (SupervisorHandle::vacant(), count.clone());
            let nested = move || Ok(Some(deep(&counted, 2, 300)));
            let spec = SupervisorSpec::default();
            let root = Root::new("root").start(spec).await.expect("it starts");
            let nested = Start::supervisor_at(&handle, nested);
            let adding = root.start_child(ChildSpec::supervisor("tree", nested));
            let killing = async {
                tokio::time::sleep(Duration::from_micros(round * 150)).await;
                root.kill().await
            };
            let (added, exit) = tokio::join!(adding, killing);
            assert_eq!(exit, Exit::Killed);
            assert!(added.is_err() || round > 0, "{added:?}");
            assert_eq!(count.get(), 0, "round {round}");
        }
    });
}

#[test]
fn a_killed_supervisor_comes_back_only_when_nothing_below_it_is_left() {
    on_threads(2, |_| async {
        let count = Count::default();
        let overlaps = Arc::new(AtomicI64::new(0));
        let handle = SupervisorHandle::vacant();
        let (counted, seen) = (count.clone(), overlaps.clone());
        let init = move || {
            seen.fetch_add(counted.get(), Ordering::SeqCst);
            Ok(Some(deep(&counted, 1, 50)))
        };
        let team = ChildSpec::supervisor("team", Start::supervisor_at(&handle, init));
        let spec = SupervisorSpec::new(patient(Strategy::OneForOne)).child(team);
        let root = Root::new("root").start(spec).await.expect("it starts");
        let all = count.get();
        for round in 0..60 {
            tokio::time::sleep(Duration::from_micros(round * 20)).await;
            root.kill_child("team").await;
        }
        while count.get() < all {
            tokio::time::sleep(ms(1)).await;
        }
        root.stop().await;
        assert_eq!(count.get(), 0);
        assert_eq!(overlaps.load(Ordering::SeqCst), 0);
    });
}

#[test]
fn a_stop_is_not_held_up_by_a_start_that_hangs() {
    virtual_time(|bed| async move {
        let hangs = bed
            .player("hangs")
            .starts([Play::Ok, Play::Slow(3_600_000)]);
        let hangs = hangs.with(|spec| spec.shutdown(Shutdown::After(ms(100))));
        let root = bed.start(patient(Strategy::OneForOne), &[&hangs]).await;
        hangs.fail().await;
        assert_eq!(children(&root).await, "hangs:starting#2");
        bed.reports();
        let (took, exit) = timed(root.stop()).await;
        assert_eq!((took, exit), (ms(100), Exit::SHUTDOWN));
        let reports = bed.reports();
        assert_eq!(
            reports[0].decision.to_string(),
            "did not stop cleanly: killed"
        );
    });
}

#[test]
fn a_kill_is_not_held_up_by_a_start_that_hangs() {
    virtual_time(|bed| async move {
        let hangs = bed.player("hangs").starts([Play::Slow(3_600_000)]);
        let root = bed.start(Flags::default(), &[]).await;
        let spec = hangs.spec();
        let adding = root.start_child(spec);
        let killing = async {
            bed.settle().await;
            timed(root.kill()).await
        };
        let (added, (took, exit)) = tokio::join!(adding, killing);
        assert_eq!(added.expect_err("it is gone"), AdminError::Stopping);
        assert_eq!((took, exit), (Duration::ZERO, Exit::Killed));
        tokio::time::sleep(7_200 * SECOND).await;
        bed.expect("");
    });
}

#[test]
fn a_start_that_listens_stops_at_once() {
    virtual_time(|bed| async move {
        let (_, reads) = inbox::<()>(1, AtRestart::Carry);
        let start = Start::init(reads, |cx| {
            let stopping = cx.stopping();
            async move {
                stopping.cancelled().await;
                Ok(Init::<Silent>::Declined)
            }
        });
        let root = root_of(&bed, Strategy::OneForOne, []).await;
        let adding = root.start_child(ChildSpec::new("a", start));
        let stopping = async {
            bed.settle().await;
            timed(root.stop()).await
        };
        let (added, (took, exit)) = tokio::join!(adding, stopping);
        assert_eq!(added.expect_err("it stops"), AdminError::Stopping);
        assert_eq!((took, exit), (Duration::ZERO, Exit::SHUTDOWN));
    });
}

#[test]
fn a_start_that_ends_during_a_stop_does_not_end_the_stop() {
    virtual_time(|bed| async move {
        let a = bed.player("a").starts([Play::Ok, Play::Slow(50)]);
        let b = bed.player("b").stops_in(200);
        let root = bed.start(patient(Strategy::OneForOne), &[&a, &b]).await;
        a.fail().await;
        let (took, exit) = timed(root.stop()).await;
        assert_eq!((took, exit), (ms(200), Exit::SHUTDOWN));
        bed.expect(
            "start a
             start b
             stop a failed: boom
             stopped a
             stop b shutdown
             start a
             stopped b
             stop a shutdown
             stopped a",
        );
    });
}

#[test]
fn a_start_that_nobody_waits_for_any_more_is_undone() {
    virtual_time(|bed| async move {
        let slow = bed.player("slow").starts([Play::Slow(10_000)]);
        let spec = cast(Flags::default(), &[&bed.player("a"), &slow]);
        let start = bed.root().start(spec);
        let given_up = tokio::time::timeout(SECOND, start).await;
        assert!(given_up.is_err(), "it takes longer");
        bed.settle().await;
        bed.expect("start a\nkilled a");
    });
}

#[test]
fn a_supervisor_stopped_while_it_boots_unwinds() {
    virtual_time(|bed| async move {
        let inner = SupervisorHandle::vacant();
        let slow = bed.player("slow").starts([Play::Slow(500)]);
        let players = [&bed.player("a"), &slow, &bed.player("c")];
        let root = root_of(&bed, Strategy::OneForOne, []).await;
        let team = team("team", &inner, Flags::default(), &players);
        let stopping = async {
            tokio::time::sleep(ms(100)).await;
            inner.stop().await
        };
        let (added, exit) = tokio::join!(root.start_child(team), stopping);
        assert_eq!(exit, Exit::SHUTDOWN);
        assert_eq!(
            added.expect_err("it was stopped").to_string(),
            "the child could not be started: it ended while it started: shutdown"
        );
        bed.expect(
            "start a
             start slow
             stop slow shutdown
             stopped slow
             stop a shutdown
             stopped a",
        );
        assert_eq!(children(&root).await, "");
        root.stop().await;
    });
}

#[test]
fn exhaustion_climbs_to_the_root() {
    virtual_time(|bed| async move {
        let (middle, inner) = (SupervisorHandle::vacant(), SupervisorHandle::vacant());
        let never = Flags::default().intensity(0, SECOND);
        let a = bed.player("a");
        let (declared, below, flags) = (a.clone(), inner.clone(), never.clone());
        let init = move || {
            let team = team("inner", &below, flags.clone(), &[&declared]);
            Ok(Some(SupervisorSpec::new(flags.clone()).child(team)))
        };
        let spec = ChildSpec::supervisor("middle", Start::supervisor_at(&middle, init));
        let spec = SupervisorSpec::new(never).child(spec);
        let root = bed.root().start(spec).await.expect("it starts");
        a.fail().await;
        let gave_up =
            |path: &str, child: &str, cause: &str| format!("{path} gave up over {child}: {cause}");
        let said: Vec<_> = bed
            .reports()
            .iter()
            .filter_map(|report| match &report.decision {
                Decision::GaveUp(about, exit) => Some(gave_up(
                    &report.path,
                    about.child.as_str(),
                    &exit.to_string(),
                )),
                _ => None,
            })
            .collect();
        let why = "more than 0 restarts within 1s, the last for";
        assert_eq!(
            said,
            [
                gave_up("root/middle/inner", "a", "failed: boom"),
                gave_up(
                    "root/middle",
                    "inner",
                    &format!("shutdown: {why} `a`: failed: boom")
                ),
                gave_up(
                    "root",
                    "middle",
                    &format!("shutdown: {why} `inner`: shutdown: {why} `a`: failed: boom")
                ),
            ]
        );
        assert!(matches!(root.exit(), Some(Exit::Shutdown(Some(_)))));
        for gone in [&root, &middle, &inner] {
            let asked = gone.terminate_child("a").await;
            assert_eq!(asked, Err(AdminError::Stopping));
        }
    });
}

#[test]
fn a_nested_supervisor_that_is_stopped_by_hand_is_its_supervisors_to_restart() {
    virtual_time(|bed| async move {
        let inner = SupervisorHandle::vacant();
        let a = bed.player("a").stops_in(50);
        let team = team("team", &inner, Flags::default(), &[&a]);
        let root = root_of(&bed, Strategy::OneForOne, [team]).await;
        let (took, exit) = timed(inner.stop()).await;
        assert_eq!((took, exit), (ms(50), Exit::SHUTDOWN));
        bed.settle().await;
        assert_eq!(children(&root).await, "team:running#2");
        assert_eq!(inner.exit(), None);
        assert_eq!(inner.kill().await, Exit::Killed);
        bed.settle().await;
        assert_eq!(children(&root).await, "team:running#3");
        root.stop().await;
    });
}

#[test]
fn a_kill_ends_a_clean_up_too() {
    virtual_time(|bed| async move {
        let a = bed.player("a").stops_in(3_600_000);
        let root = bed.start(patient(Strategy::OneForOne), &[&a]).await;
        a.fail().await;
        assert!(root.kill_child("a").await);
        bed.settle().await;
        bed.expect("start a\nstop a failed: boom\nkilled a\nstart a");
        let terminating = root.terminate_child("a");
        let killing = async {
            bed.settle().await;
            root.kill_child("a").await
        };
        let (took, (terminated, killed)) =
            timed(async { tokio::join!(terminating, killing) }).await;
        assert_eq!((took, terminated, killed), (ms(1), Ok(()), true));
        assert_eq!(children(&root).await, "a:stopped#2");
        root.stop().await;
    });
}

/// An actor whose end goes wrong.
struct Clumsy {
    at: &'static str,
}

impl Actor for Clumsy {
    type Message = ();

    fn handle(
        &mut self,
        (): (),
        _: &mut Context<()>,
    ) -> impl Future<Output = Result<(), Failure>> + Send {
        assert!(self.at != "handle", "oh no");
        async { Ok(()) }
    }

    fn terminate(&mut self, _: &Exit) -> impl Future<Output = ()> + Send {
        assert!(self.at != "terminate", "oh no");
        async {}
    }
}

impl Drop for Clumsy {
    fn drop(&mut self) {
        assert!(self.at != "drop", "oh no");
    }
}

#[test]
fn panics_wherever_they_happen_are_ends_like_any_other() {
    quiet();
    virtual_time(|bed| async move {
        for at in ["handle", "terminate", "drop"] {
            let (handle, reads) = inbox(1, AtRestart::Carry);
            let start = Start::actor(reads, move |_| async move { Ok(Clumsy { at }) });
            let root = root_of(&bed, Strategy::OneForOne, [ChildSpec::new("a", start)]).await;
            if at == "handle" {
                handle.send(()).await.expect("it is up");
                bed.settle().await;
                assert_eq!(children(&root).await, "a:running#2");
            }
            root.terminate_child("a").await.expect("it is known");
            let tree = root.tree("root", SECOND).await;
            let expected = match at {
                "handle" => Exit::SHUTDOWN,
                _ => Exit::Panicked("oh no".into()),
            };
            assert_eq!(tree.children[0].last_exit, Some(expected), "{at}");
            root.stop().await;
        }
    });
}

#[test]
fn an_actor_that_wants_to_end_before_it_began_does() {
    virtual_time(|bed| async move {
        let (_, reads) = inbox(1, AtRestart::Carry);
        let count = Count::default();
        let start = Start::actor(reads, move |cx| {
            cx.exit(Exit::Normal);
            let one = count.one();
            async move { Ok(Silent(one)) }
        });
        let spec = ChildSpec::new("a", start).restart(Restart::Transient);
        let root = root_of(&bed, Strategy::OneForOne, [spec]).await;
        bed.settle().await;
        assert_eq!(children(&root).await, "a:stopped#1");
        root.stop().await;
    });
}

#[test]
fn a_worker_that_fails_is_no_lost_message() {
    virtual_time(|bed| async move {
        let failing = Start::worker(|| async { Err("boom".into()) });
        let spec = ChildSpec::new("a", failing).restart(Restart::Temporary);
        let root = root_of(&bed, Strategy::OneForOne, [spec]).await;
        bed.settle().await;
        let reports = bed.reports();
        let said: Vec<_> = reports.iter().map(|one| one.decision.to_string()).collect();
        assert_eq!(said, ["started", "terminated: failed: boom"]);
        root.stop().await;
    });
}

#[test]
fn one_worker_can_be_several_children() {
    virtual_time(|bed| async move {
        let idle = Start::worker(std::future::pending);
        let specs = ["a", "b"].map(|id| ChildSpec::new(id, idle.clone()));
        let root = root_of(&bed, Strategy::OneForOne, specs).await;
        assert_eq!(children(&root).await, "a:running#1 b:running#1");
        root.stop().await;
    });
}

#[test]
fn a_listener_that_panics_changes_nothing() {
    quiet();
    virtual_time(|bed| async move {
        let a = bed.player("a");
        let root = Root::new("root").listener(Arc::new(|_| panic!("oh no")));
        let spec = cast(patient(Strategy::OneForOne), &[&a]);
        let root = root.start(spec).await.expect("it starts");
        a.fail().await;
        assert_eq!(children(&root).await, "a:running#2");
        root.stop().await;
    });
}

/// A team of one with a carrying inbox.
async fn carrying(bed: &Bed, flags: Flags) -> (SupervisorHandle, SupervisorHandle, Player) {
    let inner = SupervisorHandle::vacant();
    let a = bed.player("a").inbox(3, AtRestart::Carry);
    let wait = Backoff::new(SECOND, SECOND).jitter(Jitter::None);
    let team = team("team", &inner, flags, &[&a]).backoff(wait);
    let root = root_of(bed, Strategy::OneForOne, [team]).await;
    (root, inner, a)
}

fn given_up(bed: &Bed) -> Vec<(String, usize, DeadLetterReason)> {
    let reports = bed.reports();
    let of = |decision: &Decision| match decision {
        Decision::DeadLetters {
            about,
            count,
            reason,
        } => Some((about.child.to_string(), *count, *reason)),
        _ => None,
    };
    reports.iter().filter_map(|one| of(&one.decision)).collect()
}

#[test]
fn messages_outlive_the_supervisor_of_their_receiver() {
    virtual_time(|bed| async move {
        let never = Flags::default().intensity(0, SECOND);
        let (root, inner, a) = carrying(&bed, never).await;
        for end in ["kill", "stop", "give up"] {
            a.tell(Cue::Work(10));
            bed.settle().await;
            a.tell(Cue::Note("waited".into()));
            match end {
                "kill" => drop(inner.kill().await),
                "stop" => drop(inner.stop().await),
                _ => {
                    tokio::time::sleep(ms(20)).await;
                    a.tell(Cue::Panic);
                    a.tell(Cue::Note("waited".into()));
                    bed.settle().await;
                }
            }
            assert!(!a.handle.is_stopped(), "{end}");
            a.tell(Cue::Note("came late".into()));
            bed.trace();
            let answer = a.handle.call(Cue::Ask, 5 * SECOND).await;
            assert_eq!(answer, Ok(1), "{end}");
            bed.expect("start a\na takes waited\na takes came late");
        }
        let reasons = given_up(&bed);
        let in_flight = ("a".to_owned(), 1, DeadLetterReason::InFlight);
        assert_eq!(reasons, [in_flight.clone(), in_flight]);
        root.stop().await;
    });
}

#[test]
fn when_the_supervisor_does_not_come_back_what_waited_is_given_up() {
    virtual_time(|bed| async move {
        let (root, inner, a) = carrying(&bed, Flags::default()).await;
        inner.kill().await;
        a.tell(Cue::Note("waited".into()));
        a.tell(Cue::Note("too".into()));
        bed.settle().await;
        let waiting = a.handle.call(Cue::Ask, 3600 * SECOND);
        let stopping = async {
            bed.settle().await;
            root.terminate_child("team").await.expect("it is known");
        };
        let (answer, ()) = tokio::join!(waiting, stopping);
        assert_eq!(answer, Err(CallError::Stopped));
        assert!(a.handle.is_stopped());
        let given = ("a".to_owned(), 3, DeadLetterReason::ReceiverStopped);
        assert_eq!(given_up(&bed), [given]);
        root.restart_child("team").await.expect("it starts");
        assert_eq!(a.handle.call(Cue::Ask, SECOND).await, Ok(1));
        root.stop().await;
    });
}

#[test]
fn children_added_later_do_not_come_back_and_their_senders_are_told() {
    virtual_time(|bed| async move {
        let (root, inner, a) = carrying(&bed, Flags::default()).await;
        let late = bed.player("late").inbox(3, AtRestart::Carry);
        inner.start_child(late.spec()).await.expect("it starts");
        inner.kill().await;
        late.tell(Cue::Note("waited".into()));
        let send = late.handle.clone();
        for _ in 0..2 {
            late.tell(Cue::Work(0));
        }
        let refused = send.send(Cue::Work(0)).await.expect_err("it is not back");
        assert!(matches!(refused, SendError::Stopped(_)));
        assert_eq!(a.handle.call(Cue::Ask, SECOND).await, Ok(1));
        let given = ("late".to_owned(), 3, DeadLetterReason::ReceiverStopped);
        assert_eq!(given_up(&bed), [given]);
        root.stop().await;
    });
}

#[test]
fn inboxes_two_levels_below_a_killed_supervisor_wait_as_well() {
    virtual_time(|bed| async move {
        let (middle, inner) = (SupervisorHandle::vacant(), SupervisorHandle::vacant());
        let a = bed.player("a").inbox(3, AtRestart::Carry);
        let declared = a.clone();
        let init = move || {
            let team = team("inner", &inner, Flags::default(), &[&declared]);
            Ok(Some(SupervisorSpec::default().child(team)))
        };
        let spec = ChildSpec::supervisor("middle", Start::supervisor_at(&middle, init));
        let root = root_of(&bed, Strategy::OneForOne, [spec]).await;
        for _ in 0..3 {
            a.tell(Cue::Work(3_600_000));
            bed.settle().await;
            bed.trace();
            a.tell(Cue::Note("waited".into()));
            middle.kill().await;
            assert_eq!(a.handle.call(Cue::Ask, SECOND).await, Ok(1));
            bed.expect("killed a\nstart a\na takes waited");
        }
        root.terminate_child("middle").await.expect("it is known");
        assert!(a.handle.is_stopped());
        root.stop().await;
        let in_flight = ("a".to_owned(), 1, DeadLetterReason::InFlight);
        assert_eq!(
            given_up(&bed),
            [in_flight.clone(), in_flight.clone(), in_flight]
        );
    });
}

#[test]
fn while_those_above_are_busy_the_inboxes_below_a_killed_supervisor_say_so() {
    virtual_time(|bed| async move {
        let inner = SupervisorHandle::vacant();
        let a = bed.player("a").inbox(3, AtRestart::DeadLetter);
        let team = team("team", &inner, Flags::default(), &[&a]);
        let root = root_of(&bed, Strategy::OneForOne, [team]).await;
        let slow = bed.player("slow").starts([Play::Slow(1_000)]);
        let adding = root.start_child(slow.spec());
        let killing = async {
            bed.settle().await;
            inner.kill().await;
            let refused = a.handle.try_send(Cue::Panic).expect_err("it is down");
            assert!(matches!(refused, SendError::Restarting(_)));
        };
        let (added, ()) = tokio::join!(adding, killing);
        added.expect("it starts");
        bed.settle().await;
        assert_eq!(a.handle.call(Cue::Ask, SECOND).await, Ok(1));
        root.stop().await;
    });
}

#[test]
fn keys_from_before_a_restart_mean_nothing_after_it() {
    virtual_time(|bed| async move {
        let spec = DynamicSpec::new(Flags::default());
        let spec = spec.template(template("t"), |player: Player| player.start());
        let (pool, start) = spec.seat().expect("a template");
        let spec = ChildSpec::supervisor("pool", start);
        let root = root_of(&bed, Strategy::OneForOne, [spec]).await;
        let before = pool.start_child(bed.player("a")).await.expect("it starts");
        root.kill_child("pool").await;
        bed.settle().await;
        pool.start_child(bed.player("b")).await.expect("it starts");
        let stale = pool.terminate_child(before.expect("up").key).await;
        assert_eq!(stale, Err(AdminError::NotFound));
        assert_eq!(bed.alive(), ["b"]);
        root.stop().await;
    });
}

#[test]
fn a_busy_supervisor_below_does_not_keep_the_one_above_from_answering() {
    virtual_time(|bed| async move {
        let inner = SupervisorHandle::vacant();
        let slow = bed.player("slow").starts([Play::Ok, Play::Slow(1_000)]);
        let team = team("team", &inner, patient(Strategy::OneForOne), &[&slow]);
        let root = root_of(&bed, Strategy::OneForOne, [team]).await;
        slow.fail().await;
        let (took, tree) = timed(root.tree("root", SECOND)).await;
        assert_eq!(took, Duration::ZERO);
        let slow = tree.find("root/team/slow").expect("it is listed");
        assert_eq!(slow.state, ChildState::Starting);
        root.stop().await;
    });
}
