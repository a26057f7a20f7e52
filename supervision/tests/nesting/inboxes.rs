//! What becomes of the inboxes of a supervisor's children when the supervisor ends.

use supervision::report::{DeadLetterReason, Decision};
use supervision::{
    AtRestart, Backoff, CallError, ChildSpec, Flags, Jitter, SendError, Start, Strategy,
    SupervisorHandle, SupervisorSpec,
};

use super::{SECOND, root_of, team};
use crate::bed::{Bed, Cue, Play, Player, ms, virtual_time};

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
