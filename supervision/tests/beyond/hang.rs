//! Children that hang, and children that are only slow.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use supervision::{
    Actor, AtRestart, ChildSpec, Context, DynamicSpec, Failure, Flags, Handle, HangLimits, Inbox,
    Shutdown, Start, Strategy, SupervisorHandle, SupervisorSpec, inbox, template,
};
use tokio::time::sleep;

use super::blocking::{Hold, hold};
use crate::bed::{Bed, ms, on_threads, patient, said, virtual_time};

const SECOND: Duration = Duration::from_secs(1);

/// What a worker is told to do.
enum Work {
    /// Its handler waits so long.
    Handle(Duration),
    /// Beside its handler, for so long, with a sign of life every so often.
    Beside(Duration, Option<Duration>),
    /// The same, and it ends when it is told to.
    Obedient(Duration),
    /// The same in a protected zone.
    Protected(Duration, Duration),
    /// It blocks its thread.
    Block(Hold),
    Done(&'static str),
}

struct Worker(Bed, Arc<AtomicU64>);

impl Actor for Worker {
    type Message = Work;

    async fn handle(&mut self, work: Work, cx: &mut Context<Work>) -> Result<(), Failure> {
        let pulse = cx.pulse();
        match work {
            Work::Handle(time) => sleep(time).await,
            Work::Beside(time, beat) => {
                let activity = pulse.activity("a model call");
                let _ = cx.attach(async move {
                    let until = tokio::time::Instant::now() + time;
                    while let Some(beat) = beat.filter(|_| tokio::time::Instant::now() < until) {
                        sleep(beat).await;
                        activity.beat();
                    }
                    tokio::time::sleep_until(until).await;
                    Work::Done("beside")
                });
            }
            Work::Obedient(time) => {
                let activity = pulse.activity("a model call");
                let _ = cx.attach(async move {
                    tokio::select! {
                        () = activity.cancelled() => Work::Done("cancelled"),
                        () = sleep(time) => Work::Done("obedient"),
                    }
                });
            }
            Work::Protected(time, most) => {
                let (activity, zone) = (
                    pulse.activity("a build"),
                    pulse.zone("the build tool", most),
                );
                let _ = cx.attach(async move {
                    sleep(time).await;
                    drop((activity, zone));
                    Work::Done("protected")
                });
            }
            Work::Block(hold) => {
                hold.block();
                self.1.fetch_add(1, Ordering::SeqCst);
            }
            Work::Done(what) => self.0.log(what),
        }
        Ok(())
    }
}

async fn worker(bed: &Bed, limits: HangLimits) -> (SupervisorHandle, Handle<Work>, Arc<AtomicU64>) {
    let (handle, reads) = inbox(16, AtRestart::Carry);
    let late = Arc::new(AtomicU64::new(0));
    let (bed_of_it, counts) = (bed.clone(), late.clone());
    let start = Start::actor(reads, move |_| {
        std::future::ready(Ok(Worker(bed_of_it.clone(), counts.clone())))
    });
    let spec = SupervisorSpec::new(patient(Strategy::OneForOne));
    let spec = spec.child(
        ChildSpec::new("worker", start)
            .hang(limits)
            .shutdown(Shutdown::After(ms(50))),
    );
    let root = bed.root().start(spec).await.expect("it starts");
    bed.reports();
    (root, handle, late)
}

fn minute() -> HangLimits {
    HangLimits::silence(60 * SECOND).steps(5 * SECOND, 5 * SECOND, 5 * SECOND)
}

#[test]
fn silence_leads_from_a_nudge_to_a_new_incarnation() {
    virtual_time(|bed| async move {
        let (root, worker, _) = worker(&bed, minute()).await;
        worker
            .try_send(Work::Beside(3_600 * SECOND, None))
            .expect("room");
        sleep(71 * SECOND).await;
        insta::assert_snapshot!(said(&bed), @r#"
        60000ms root worker #1 Permanent: hangs, no progress for 60s (limit 60s): Nudged; under way: a model call !
        65000ms root worker #1 Permanent: hangs, no progress for 65s (limit 60s): Cancelled; under way: a model call !
        70000ms root worker #1 Permanent: hangs, no progress for 70s (limit 60s): Killed; under way: a model call !
        70000ms root worker #1 Permanent: terminated: failed: hung: no progress for 70s (limit 60s) !
        70000ms root worker #1 Permanent: restarting OneForOne after 0ns
        70000ms root worker #2 Permanent: started
        "#);
        root.stop().await;
    });
}

#[test]
fn who_ends_when_told_to_is_not_killed() {
    virtual_time(|bed| async move {
        let (root, worker, _) = worker(&bed, minute()).await;
        worker
            .try_send(Work::Obedient(3_600 * SECOND))
            .expect("room");
        sleep(600 * SECOND).await;
        bed.expect("cancelled");
        insta::assert_snapshot!(said(&bed), @r#"
        60000ms root worker #1 Permanent: hangs, no progress for 60s (limit 60s): Nudged; under way: a model call !
        65000ms root worker #1 Permanent: hangs, no progress for 65s (limit 60s): Cancelled; under way: a model call !
        70000ms root worker #1 Permanent: makes progress again
        "#);
        root.stop().await;
    });
}

#[test]
fn slow_work_that_makes_progress_is_left_alone() {
    virtual_time(|bed| async move {
        let (root, worker, _) = worker(&bed, minute()).await;
        worker
            .try_send(Work::Beside(3_600 * SECOND, Some(59 * SECOND)))
            .expect("room");
        sleep(4_000 * SECOND).await;
        bed.expect("beside");
        assert_eq!(said(&bed), "");
        root.stop().await;
    });
}

#[test]
fn idle_children_are_left_alone() {
    virtual_time(|bed| async move {
        let (root, worker, _) = worker(&bed, minute().handler(SECOND).whole(SECOND)).await;
        sleep(100_000 * SECOND).await;
        worker.try_send(Work::Done("idle")).expect("room");
        bed.settle().await;
        bed.expect("idle");
        assert_eq!(said(&bed), "");
        root.stop().await;
    });
}

#[test]
fn a_handler_has_a_limit_of_its_own_and_so_has_the_whole() {
    virtual_time(|bed| async move {
        let limits = minute().handler(2 * SECOND).whole(300 * SECOND);
        let (root, worker, _) =
            worker(&bed, limits.steps(Duration::ZERO, Duration::ZERO, SECOND)).await;
        worker.try_send(Work::Handle(10 * SECOND)).expect("room");
        sleep(3 * SECOND).await;
        worker
            .try_send(Work::Beside(3_600 * SECOND, Some(SECOND)))
            .expect("room");
        sleep(400 * SECOND).await;
        insta::assert_snapshot!(said(&bed), @r#"
        2000ms root worker #1 Permanent: hangs, one message was being handled for 2s (limit 2s): Killed !
        2000ms root worker #1 Permanent: 1 dead letters: InFlight !
        2000ms root worker #1 Permanent: terminated: failed: hung: one message was being handled for 2s (limit 2s) !
        2000ms root worker #1 Permanent: restarting OneForOne after 0ns
        2000ms root worker #2 Permanent: started
        303000ms root worker #2 Permanent: hangs, one activity was under way for 300s (limit 300s): Killed; under way: a model call !
        303000ms root worker #2 Permanent: terminated: failed: hung: one activity was under way for 300s (limit 300s) !
        303000ms root worker #2 Permanent: restarting OneForOne after 0ns
        303000ms root worker #3 Permanent: started
        "#);
        root.stop().await;
    });
}

#[test]
fn a_zone_protects_for_as_long_as_it_may() {
    virtual_time(|bed| async move {
        let (root, worker, _) = worker(&bed, minute()).await;
        worker
            .try_send(Work::Protected(500 * SECOND, 600 * SECOND))
            .expect("room");
        sleep(600 * SECOND).await;
        bed.expect("protected");
        assert_eq!(said(&bed), "");
        worker
            .try_send(Work::Protected(5_000 * SECOND, 600 * SECOND))
            .expect("room");
        sleep(599 * SECOND).await;
        let drawn = root.tree("root", ms(100)).await.to_string();
        insta::assert_snapshot!(drawn, @r#"
        root Running #1
          worker Running #1 (a build, protected by the build tool)
        "#);
        sleep(2 * SECOND).await;
        assert!(said(&bed).contains("Nudged"));
        root.stop().await;
    });
}

#[test]
fn one_that_blocks_its_thread_is_given_up_and_what_it_does_later_is_too_late() {
    on_threads(3, |bed| async move {
        let limits = HangLimits::silence(ms(100)).steps(ms(20), ms(20), ms(20));
        let (root, worker, late) = worker(&bed, limits).await;
        let (hold, held) = hold();
        worker.try_send(Work::Block(hold)).expect("room");
        worker
            .try_send(Work::Done("the next incarnation"))
            .expect("room");
        while bed.trace().is_empty() {
            sleep(ms(5)).await;
        }
        assert_eq!(late.load(Ordering::SeqCst), 0);
        held.release();
        let told = || {
            bed.reports()
                .into_iter()
                .map(|one| one.decision.to_string())
        };
        let mut all: Vec<_> = told().collect();
        while late.load(Ordering::SeqCst) == 0
            || !all.iter().any(|one| one.starts_with("ended after"))
        {
            sleep(ms(5)).await;
            all.extend(told());
        }
        let all = all.join("\n");
        assert!(
            all.contains("does not end though killed: given up"),
            "{all}"
        );
        root.stop().await;
    });
}

#[test]
fn a_supervisor_does_not_wait_for_what_is_lost() {
    on_threads(3, |bed| async move {
        let limits = HangLimits::silence(ms(50)).steps(ms(10), ms(10), ms(10));
        let (root, worker, late) = worker(&bed, limits).await;
        let (hold, mut held) = hold();
        worker.try_send(Work::Block(hold)).expect("room");
        held.begun().await;
        root.stop().await;
        assert_eq!(late.load(Ordering::SeqCst), 0);
        held.release();
        while late.load(Ordering::SeqCst) == 0 {
            sleep(ms(5)).await;
        }
    });
}

#[test]
fn a_supervisor_cannot_be_watched_for_hanging() {
    let start = Start::supervisor(|| Ok(None));
    let spec = ChildSpec::supervisor("above", start).hang(minute());
    let refused = spec
        .plan
        .check(&Flags::default())
        .expect_err("a supervisor");
    insta::assert_snapshot!(refused, @"hang is set for `above`, but must be left out for a supervisor, which waits for nothing itself");
}

#[test]
fn instances_have_limits_of_their_own() {
    virtual_time(|bed| async move {
        let mut plan = template("worker");
        plan.hang = Some(Arc::new(minute()));
        let spec = DynamicSpec::new(patient(Strategy::OneForOne));
        let bed_of_them = bed.clone();
        let workers = spec.template(plan, move |(reads, own): (Inbox<Work>, Option<u32>)| {
            let bed = bed_of_them.clone();
            let start = Start::actor(reads, move |_| {
                std::future::ready(Ok(Worker(bed.clone(), Arc::default())))
            });
            match own {
                Some(seconds) => start.hang(HangLimits::silence(seconds * SECOND)),
                None => start,
            }
        });
        let workers = workers.start(bed.root()).await.expect("it starts");
        let mut handles = Vec::new();
        for own in [None, Some(10)] {
            let (handle, reads) = inbox(16, AtRestart::Carry);
            workers.start_child((reads, own)).await.expect("it starts");
            let hour = Work::Beside(3_600 * SECOND, None);
            handle.try_send(hour).expect("room");
            handles.push(handle);
        }
        let none = workers.start_child((inbox(1, AtRestart::Carry).1, Some(0)));
        assert!(none.await.is_err(), "no time at all");
        bed.reports();
        sleep(61 * SECOND).await;
        insta::assert_snapshot!(said(&bed), @r#"
        10000ms root worker-2 #1 Permanent: hangs, no progress for 10s (limit 10s): Nudged; under way: a model call !
        15000ms root worker-2 #1 Permanent: hangs, no progress for 15s (limit 10s): Cancelled; under way: a model call !
        20000ms root worker-2 #1 Permanent: hangs, no progress for 20s (limit 10s): Killed; under way: a model call !
        20000ms root worker-2 #1 Permanent: terminated: failed: hung: no progress for 20s (limit 10s) !
        20000ms root worker-2 #1 Permanent: restarting OneForOne after 0ns
        20000ms root worker-2 #2 Permanent: started
        60000ms root worker-1 #1 Permanent: hangs, no progress for 60s (limit 60s): Nudged; under way: a model call !
        "#);
        workers.supervisor().stop().await;
    });
}

#[test]
fn messages_that_it_handles_meanwhile_are_no_progress_of_what_it_has_under_way() {
    virtual_time(|bed| async move {
        let (root, worker, _) = worker(&bed, minute()).await;
        worker
            .try_send(Work::Beside(3_600 * SECOND, None))
            .expect("room");
        for _ in 0..7 {
            sleep(9 * SECOND).await;
            worker.try_send(Work::Done("heard")).expect("room");
        }
        insta::assert_snapshot!(said(&bed), @"60000ms root worker #1 Permanent: hangs, no progress for 60s (limit 60s): Nudged; under way: a model call !");
        root.stop().await;
    });
}

#[test]
fn who_made_progress_after_a_nudge_is_nudged_anew_however_late_it_is_looked_at() {
    virtual_time(|bed| async move {
        let (root, worker, _) = worker(&bed, minute()).await;
        for (time, after) in [(61, 62), (3_600, 1)] {
            let work = Work::Beside(time * SECOND, None);
            worker.try_send(work).expect("room");
            sleep(after * SECOND).await;
        }
        // Nothing runs for two minutes, as if all threads were blocked.
        tokio::time::advance(120 * SECOND).await;
        sleep(ms(1)).await;
        insta::assert_snapshot!(said(&bed), @r"
        60000ms root worker #1 Permanent: hangs, no progress for 60s (limit 60s): Nudged; under way: a model call !
        183000ms root worker #1 Permanent: makes progress again
        183000ms root worker #1 Permanent: hangs, no progress for 121s (limit 60s): Nudged; under way: a model call !
        ");
        root.stop().await;
    });
}
