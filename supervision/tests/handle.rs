//! What a handle promises: waiting, refusal, order, and what a restart does to messages.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use supervision::report::{DeadLetterReason, Decision, Report};
use supervision::{
    Actor, AtRestart, CallError, ChildSpec, Context, DEAD_LETTERS_KEPT, Exit, Failure, Flags,
    Handle, Inbox, Reply, Restart, Root, SendError, Shutdown, Start, Strategy, SupervisorHandle,
    inbox,
};

use crate::bed::{Bed, Cue, Play, Player, ms, on_threads, patient, quiet, timed, virtual_time};

const SECOND: Duration = Duration::from_secs(1);

fn note(word: impl ToString) -> Cue {
    Cue::Note(word.to_string())
}

/// A child with an inbox for three, restarted at once.
async fn carrying(bed: &Bed) -> (SupervisorHandle, Player) {
    let a = bed.player("a").inbox(3, AtRestart::Carry);
    let root = bed.start(patient(Strategy::OneForOne), &[&a]).await;
    (root, a)
}

/// A child with an inbox for three that waits a second before it is restarted.
async fn down_for_a_second(bed: &Bed, at_restart: AtRestart) -> (SupervisorHandle, Player) {
    use supervision::{Backoff, Jitter};
    let wait = Backoff::new(SECOND, SECOND).jitter(Jitter::None);
    let a = bed.player("a").inbox(3, at_restart);
    let a = a.with(move |spec| spec.backoff(wait.clone()));
    let root = bed.start(patient(Strategy::OneForOne), &[&a]).await;
    a.fail().await;
    bed.expect("start a\nstop a failed: boom\nstopped a");
    (root, a)
}

/// The reports of given-up messages.
fn given_up(bed: &Bed) -> Vec<(usize, DeadLetterReason)> {
    let reports = bed.reports();
    let of = |report: &Report| match report.decision {
        Decision::DeadLetters { count, reason, .. } => Some((count, reason)),
        _ => None,
    };
    reports.iter().filter_map(of).collect()
}

#[test]
fn a_full_inbox_refuses_and_gives_the_message_back() {
    virtual_time(|bed| async move {
        let (handle, _reads) = inbox(2, AtRestart::Carry);
        assert_eq!(handle.capacity(), 2);
        handle.try_send(1).expect("room");
        handle.try_send(2).expect("room");
        let refused = handle.try_send(3).expect_err("full");
        assert_eq!(refused.to_string(), "the inbox is full");
        assert_eq!(refused.into_message(), 3);
        assert_eq!(handle.depth(), 2);
        drop(bed);
    });
}

#[test]
fn send_waits_for_room_and_resumes() {
    virtual_time(|bed| async move {
        let (root, a) = carrying(&bed).await;
        a.tell(Cue::Work(500));
        bed.settle().await;
        for n in 0..3 {
            a.tell(note(n));
        }
        let (took, sent) = timed(a.handle.send(note(3))).await;
        sent.expect("room in the end");
        assert_eq!(took, ms(499));
        bed.settle().await;
        bed.expect("start a\na takes 0\na takes 1\na takes 2\na takes 3");
        root.stop().await;
    });
}

#[test]
fn messages_wait_for_the_next_incarnation_in_their_order() {
    virtual_time(|bed| async move {
        let (root, a) = carrying(&bed).await;
        a.tell(note(1));
        a.tell(Cue::Panic);
        a.tell(note(2));
        bed.settle().await;
        a.tell(note(3));
        bed.settle().await;
        bed.expect(
            "start a
             a takes 1
             stop a panicked: oh no
             stopped a
             start a
             a takes 2
             a takes 3",
        );
        assert_eq!(given_up(&bed), [(1, DeadLetterReason::InFlight)]);
        assert!(a.handle.take_dead_letters().is_empty());
        root.stop().await;
    });
}

#[test]
fn a_carrying_inbox_takes_more_while_its_actor_is_down() {
    virtual_time(|bed| async move {
        let (root, a) = down_for_a_second(&bed, AtRestart::Carry).await;
        for n in 0..3 {
            a.tell(note(n));
        }
        assert!(matches!(
            a.handle.try_send(note(3)),
            Err(SendError::Full(_))
        ));
        assert!(!a.handle.is_stopped());
        let (took, sent) = timed(a.handle.send(note(3))).await;
        sent.expect("room when it is back");
        assert_eq!(took, ms(999));
        bed.settle().await;
        bed.expect("start a\na takes 0\na takes 1\na takes 2\na takes 3");
        root.stop().await;
    });
}

#[test]
fn a_dead_letter_inbox_refuses_while_its_actor_is_down() {
    virtual_time(|bed| async move {
        let (root, a) = down_for_a_second(&bed, AtRestart::DeadLetter).await;
        let refused = a.handle.try_send(note(1)).expect_err("it is down");
        assert_eq!(refused.to_string(), "the actor is restarting");
        let refused = a.handle.send(note(1)).await.expect_err("it is down");
        assert!(matches!(refused, SendError::Restarting(Cue::Note(_))));
        let called = a.handle.call(Cue::Ask, SECOND).await;
        assert_eq!(called, Err(CallError::Restarting));
        tokio::time::sleep(SECOND).await;
        assert_eq!(a.handle.call(Cue::Ask, SECOND).await, Ok(2));
        root.stop().await;
    });
}

#[test]
fn what_waited_at_a_dead_letter_inbox_is_reported_and_can_be_taken() {
    virtual_time(|bed| async move {
        let a = bed.player("a").inbox(3, AtRestart::DeadLetter);
        let root = bed.start(patient(Strategy::OneForOne), &[&a]).await;
        a.tell(Cue::Panic);
        a.tell(note("left"));
        a.tell(note("behind"));
        bed.settle().await;
        let reasons = [
            (1, DeadLetterReason::InFlight),
            (2, DeadLetterReason::NotCarried),
        ];
        assert_eq!(given_up(&bed), reasons);
        bed.trace();
        for letter in a.handle.take_dead_letters() {
            a.handle.send(letter).await.expect("it is back");
        }
        bed.settle().await;
        bed.expect("a takes left\na takes behind");
        assert!(a.handle.take_dead_letters().is_empty());
        root.stop().await;
    });
}

#[test]
fn dead_letters_are_bounded_and_the_newest_are_kept() {
    virtual_time(|bed| async move {
        let a = bed.player("a").inbox(500, AtRestart::DeadLetter);
        let root = bed.start(patient(Strategy::OneForOne), &[&a]).await;
        a.tell(Cue::Panic);
        for n in 1..500 {
            a.tell(note(n));
        }
        bed.settle().await;
        assert_eq!(
            given_up(&bed).last(),
            Some(&(499, DeadLetterReason::NotCarried))
        );
        let kept = a.handle.take_dead_letters();
        assert_eq!(kept.len(), DEAD_LETTERS_KEPT);
        let last = kept.last().expect("the newest");
        assert!(matches!(last, Cue::Note(word) if word == "499"));
        root.stop().await;
    });
}

#[test]
fn a_stopped_actor_refuses_for_good_and_what_waited_is_a_dead_letter() {
    virtual_time(|bed| async move {
        let (root, a) = carrying(&bed).await;
        a.tell(Cue::Work(500));
        bed.settle().await;
        a.tell(note(1));
        let waiting = a.handle.clone();
        for n in 2..4 {
            a.tell(note(n));
        }
        let send = async { waiting.send(note(4)).await.expect_err("it stops") };
        let (stopped, refused) = tokio::join!(root.terminate_child("a"), send);
        stopped.expect("it is known");
        assert!(matches!(refused, SendError::Stopped(Cue::Note(_))));
        assert_eq!(refused.to_string(), "the actor has stopped");
        assert_eq!(given_up(&bed), [(3, DeadLetterReason::ReceiverStopped)]);
        assert!(a.handle.is_stopped());
        assert_eq!(a.handle.take_dead_letters().len(), 3);
        assert!(matches!(
            a.handle.try_send(note(5)),
            Err(SendError::Stopped(_))
        ));
        root.restart_child("a").await.expect("it starts");
        assert_eq!(a.handle.call(Cue::Ask, SECOND).await, Ok(2));
        root.stop().await;
        let called = a.handle.call(Cue::Ask, SECOND).await;
        assert_eq!(called, Err(CallError::Stopped));
    });
}

#[test]
fn a_call_is_answered_or_says_why_not() {
    virtual_time(|bed| async move {
        let (root, a) = carrying(&bed).await;
        assert_eq!(a.handle.call(Cue::Ask, SECOND).await, Ok(1));

        a.tell(Cue::Work(5_000));
        let (took, answer) = timed(a.handle.call(Cue::Ask, SECOND)).await;
        assert_eq!(answer, Err(CallError::Timeout(SECOND)));
        assert_eq!(took, SECOND);
        tokio::time::sleep(5 * SECOND).await;

        let dropped = a.handle.call::<()>(|_| note(1), SECOND).await;
        assert_eq!(dropped, Err(CallError::Lost));
        let (took, lost) = timed(a.handle.call::<()>(
            |reply| {
                // The way back goes with the message, and the message with the crash.
                std::mem::forget(reply);
                Cue::Panic
            },
            SECOND,
        ))
        .await;
        assert_eq!((took, lost), (SECOND, Err(CallError::Timeout(SECOND))));
        root.stop().await;
    });
}

#[test]
fn a_caller_whose_question_is_given_up_is_told_at_once() {
    virtual_time(|bed| async move {
        let a = bed.player("a").inbox(3, AtRestart::DeadLetter);
        let root = bed.start(patient(Strategy::OneForOne), &[&a]).await;
        let hour = 3600 * SECOND;
        a.tell(Cue::Work(500));
        a.tell(Cue::Panic);
        let (took, answer) = timed(a.handle.call(Cue::Ask, hour)).await;
        assert_eq!((took, answer), (ms(500), Err(CallError::Restarting)));
        bed.settle().await;

        a.tell(Cue::Work(500));
        let stop = root.terminate_child("a");
        let (answer, stopped) = tokio::join!(a.handle.call(Cue::Ask, hour), stop);
        stopped.expect("it is known");
        assert_eq!(answer, Err(CallError::Stopped));
        root.stop().await;
    });
}

#[test]
fn a_carried_question_is_answered_by_the_next_incarnation() {
    virtual_time(|bed| async move {
        let (root, a) = down_for_a_second(&bed, AtRestart::Carry).await;
        let (took, answer) = timed(a.handle.call(Cue::Ask, 2 * SECOND)).await;
        assert_eq!((took, answer), (ms(999), Ok(2)));
        root.stop().await;
    });
}

#[test]
fn a_message_in_the_hands_of_a_killed_actor_is_lost_and_reported() {
    virtual_time(|bed| async move {
        let (root, a) = carrying(&bed).await;
        a.tell(Cue::Work(500));
        a.tell(note(1));
        bed.settle().await;
        assert!(root.kill_child("a").await);
        bed.settle().await;
        bed.expect("start a\nkilled a\nstart a\na takes 1");
        assert_eq!(given_up(&bed), [(1, DeadLetterReason::InFlight)]);
        root.stop().await;
    });
}

#[test]
fn senders_that_give_up_waiting_take_no_room_with_them() {
    virtual_time(|bed| async move {
        let (root, a) = carrying(&bed).await;
        for _ in 0..200 {
            a.tell(Cue::Work(5));
            tokio::task::yield_now().await;
            for n in 0..3 {
                a.handle.send(note(n)).await.expect("room");
            }
            let waits = (0..7).map(|_| tokio::time::timeout(ms(2), a.handle.send(note("never"))));
            let waited = futures_util::future::join_all(waits).await;
            assert!(waited.iter().all(Result::is_err), "there was no room");
            tokio::time::sleep(ms(10)).await;
            assert_eq!(a.handle.depth(), 0);
        }
        let trace = bed.trace();
        assert_eq!(trace.len(), 1 + 600);
        assert!(!trace.iter().any(|line| line.ends_with("never")));
        root.stop().await;
    });
}

#[test]
fn a_place_that_a_cancelled_sender_was_offered_goes_to_the_next() {
    virtual_time(|bed| async move {
        let (root, a) = carrying(&bed).await;
        a.tell(Cue::Work(10));
        bed.settle().await;
        for n in 0..3 {
            a.tell(note(n));
        }
        let mut first = Box::pin(a.handle.send(note("first")));
        let second = a.handle.send(note("second"));
        tokio::select! {
            biased;
            _ = &mut first => panic!("there is no room"),
            () = std::future::ready(()) => {}
        }
        let give_up = async {
            tokio::time::sleep(ms(20)).await;
            drop(first);
        };
        let (took, (sent, ())) = timed(async { tokio::join!(second, give_up) }).await;
        sent.expect("room");
        assert!(took <= ms(20), "{took:?}");
        bed.settle().await;
        bed.expect("start a\na takes 0\na takes 1\na takes 2\na takes second");
        root.stop().await;
    });
}

#[test]
fn two_children_cannot_read_from_one_inbox() {
    virtual_time(|bed| async move {
        let a = bed.player("a");
        let root = bed.start(Flags::default(), &[&a]).await;
        let thief = ChildSpec::new("thief", a.start());
        let error = root.start_child(thief).await.expect_err("it is taken");
        assert_eq!(
            error.to_string(),
            "the child could not be started: another child reads from its inbox: give each child an inbox of its own"
        );
        assert_eq!(a.handle.call(Cue::Ask, SECOND).await, Ok(1));
        root.stop().await;
    });
}

#[test]
fn an_inbox_whose_actor_never_came_up_refuses_when_its_supervisor_is_gone() {
    virtual_time(|bed| async move {
        let (a, never) = (bed.player("a").starts([Play::Fail]), bed.player("never"));
        never.tell(note(1));
        let spec = crate::bed::cast(Flags::default(), &[&a, &never]);
        bed.root().start(spec).await.expect_err("a fails");
        assert!(never.handle.is_stopped());
        assert_eq!(given_up(&bed), [(1, DeadLetterReason::ReceiverStopped)]);
    });
}

/// What became of each of many messages.
#[derive(Default)]
struct Fates {
    handled: Mutex<Vec<u64>>,
    in_flight: AtomicU64,
    given_up: AtomicU64,
}

struct Clerk {
    fates: Arc<Fates>,
    crashes: bool,
}

impl Actor for Clerk {
    type Message = u64;

    async fn handle(&mut self, n: u64, _: &mut Context<u64>) -> Result<(), Failure> {
        if self.crashes && n.is_multiple_of(997) {
            return match n % 2 {
                0 => Err("boom".into()),
                _ => panic!("oh no"),
            };
        }
        self.fates.handled.lock().expect("the list").push(n);
        Ok(())
    }
}

#[test]
fn of_a_hundred_thousand_messages_every_one_is_accounted_for() {
    const EACH: u64 = 25_000;
    quiet();
    for at_restart in [AtRestart::Carry, AtRestart::DeadLetter] {
        on_threads(2, |_| async move {
            let fates = Arc::new(Fates::default());
            let (handle, reads) = inbox(64, at_restart);
            let root = clerk(&fates, reads).await;
            let producers = (0..4).map(|p| produce(handle.clone(), p * EACH..(p + 1) * EACH));
            let returned = futures_util::future::join_all(producers).await;
            while handle.depth() > 0 {
                tokio::time::sleep(ms(1)).await;
            }
            root.stop().await;
            let returned: u64 = returned.into_iter().sum();
            let handled = fates.handled.lock().expect("the list");
            let mut once = handled.clone();
            once.sort_unstable();
            once.dedup();
            assert_eq!(once.len(), handled.len(), "handled twice");
            let in_flight = fates.in_flight.load(Ordering::SeqCst);
            let given_up = fates.given_up.load(Ordering::SeqCst);
            let accounted = handled.len() as u64 + in_flight + given_up + returned;
            assert_eq!(accounted, 4 * EACH, "{in_flight} {given_up} {returned}");
            if at_restart == AtRestart::Carry {
                assert_eq!(in_flight, 4 * EACH / 997 + 1, "one a crash");
                assert_eq!((given_up, returned), (0, 0));
                in_order(&handled, EACH);
            }
        });
    }
}

async fn clerk(fates: &Arc<Fates>, reads: Inbox<u64>) -> SupervisorHandle {
    let counted = fates.clone();
    let root = Root::new("root").listener(Arc::new(move |report: &Report| {
        if let Decision::DeadLetters { count, reason, .. } = &report.decision {
            let counter = match reason {
                DeadLetterReason::InFlight => &counted.in_flight,
                _ => &counted.given_up,
            };
            counter.fetch_add(*count as u64, Ordering::SeqCst);
        }
    }));
    let fates = fates.clone();
    let start = Start::actor(reads, move |_| {
        let fates = fates.clone();
        let crashes = true;
        async move { Ok(Clerk { fates, crashes }) }
    });
    let spec = supervision::SupervisorSpec::new(patient(Strategy::OneForOne));
    root.start(spec.child(ChildSpec::new("clerk", start)))
        .await
        .expect("it starts")
}

/// Sends all these, each until it is accepted or refused; returns how many came back.
async fn produce(handle: Handle<u64>, messages: std::ops::Range<u64>) -> u64 {
    let mut returned = 0;
    for n in messages {
        returned += u64::from(handle.send(n).await.is_err());
        if n % 64 == 0 {
            tokio::task::yield_now().await;
        }
    }
    returned
}

/// Of each producer, in the order in which it sent them.
fn in_order(handled: &[u64], each: u64) {
    for producer in 0..4 {
        let of = handled.iter().filter(|n| **n / each == producer);
        assert!(of.is_sorted(), "producer {producer}");
    }
}

#[test]
fn one_message_a_crash_is_lost_and_the_rest_of_the_line_moves_on() {
    virtual_time(|bed| async move {
        let (root, a) = carrying(&bed).await;
        for _ in 0..50 {
            a.handle.send(Cue::Panic).await.expect("room");
            a.handle.send(note("on")).await.expect("room");
        }
        bed.settle().await;
        let taken = bed.trace().into_iter().filter(|line| line == "a takes on");
        assert_eq!(taken.count(), 50);
        assert_eq!(given_up(&bed).len(), 50);
        root.stop().await;
    });
}

#[test]
fn a_temporary_childs_inbox_is_closed_when_it_ends() {
    virtual_time(|bed| async move {
        let a = bed.player("a").inbox(3, AtRestart::Carry);
        let a = a.restart(Restart::Temporary);
        let root = bed.start(Flags::default(), &[&a]).await;
        a.tell(Cue::Exit(Exit::Normal));
        a.tell(note(1));
        bed.settle().await;
        assert!(a.handle.is_stopped());
        assert_eq!(given_up(&bed), [(1, DeadLetterReason::ReceiverStopped)]);
        root.stop().await;
    });
}

#[test]
fn a_temporary_childs_inbox_is_closed_by_a_siblings_restart() {
    virtual_time(|bed| async move {
        let a = bed.player("a");
        let b = bed.player("b").inbox(3, AtRestart::Carry);
        let b = b.restart(Restart::Temporary);
        let root = bed.start(patient(Strategy::OneForAll), &[&a, &b]).await;
        a.fail().await;
        assert!(b.handle.is_stopped());
        root.stop().await;
    });
}

#[test]
fn an_inbox_that_nobody_can_read_any_more_refuses() {
    virtual_time(|bed| async move {
        let a = bed.player("a").inbox(1, AtRestart::Carry);
        let full = Flags {
            max_children: 1,
            ..Flags::default()
        };
        let root = bed.start(full, &[&bed.player("b")]).await;
        let (handle, spec) = (a.handle.clone(), a.spec());
        handle.try_send(note(1)).expect("room");
        drop(a);
        let waiting = handle.send(note(2));
        let adding = async { root.start_child(spec).await.expect_err("no room for it") };
        let (refused, _) = tokio::join!(waiting, adding);
        assert!(matches!(refused, Err(SendError::Stopped(_))));
        assert_eq!(handle.take_dead_letters().len(), 1);
        root.stop().await;
    });
}

#[test]
fn an_answer_nobody_waits_for_is_seen_to_be_so() {
    virtual_time(|bed| async move {
        let (handle, _reads) = inbox::<Reply<u64>>(1, AtRestart::Carry);
        let call = handle.call(|reply| reply, ms(10)).await;
        assert_eq!(call, Err(CallError::Timeout(ms(10))));
        drop(bed);
    });
}

#[test]
fn the_kill_of_a_shutdown_loses_what_is_in_flight_too() {
    virtual_time(|bed| async move {
        let a = bed.player("a").with(|spec| spec.shutdown(Shutdown::Kill));
        let root = bed.start(Flags::default(), &[&a]).await;
        a.tell(Cue::Work(500));
        a.tell(note(1));
        bed.settle().await;
        root.stop().await;
        let reasons = [
            (1, DeadLetterReason::InFlight),
            (1, DeadLetterReason::ReceiverStopped),
        ];
        assert_eq!(given_up(&bed), reasons);
    });
}
