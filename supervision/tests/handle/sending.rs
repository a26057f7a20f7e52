//! Room, and who gets it.

use supervision::report::DeadLetterReason;
use supervision::{AtRestart, CallError, ChildSpec, Flags, SendError, inbox};

use super::{SECOND, carrying, given_up, note};
use crate::bed::{Cue, Play, cast, ms, timed, virtual_time};

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
        let spec = cast(Flags::default(), &[&a, &never]);
        bed.root().start(spec).await.expect_err("a fails");
        assert!(never.handle.is_stopped());
        assert_eq!(given_up(&bed), [(1, DeadLetterReason::ReceiverStopped)]);
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
