//! Questions and their answers.

use supervision::{AtRestart, CallError, Reply, Strategy, inbox};

use super::{SECOND, carrying, down_for_a_second, note};
use crate::bed::{Cue, ms, patient, timed, virtual_time};

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
fn an_answer_nobody_waits_for_is_seen_to_be_so() {
    virtual_time(|bed| async move {
        let (handle, _reads) = inbox::<Reply<u64>>(1, AtRestart::Carry);
        let call = handle.call(|reply| reply, ms(10)).await;
        assert_eq!(call, Err(CallError::Timeout(ms(10))));
        drop(bed);
    });
}
