//! What a restart, a stop or a kill does to messages.

use supervision::report::DeadLetterReason;
use supervision::{
    AtRestart, CallError, DEAD_LETTERS_KEPT, Exit, Flags, Restart, SendError, Shutdown, Strategy,
};

use super::{SECOND, carrying, down_for_a_second, given_up, note};
use crate::bed::{Cue, ms, patient, timed, virtual_time};

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
