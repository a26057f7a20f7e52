//! Messages that are handled again after a crash, and those that are given up after too many.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use supervision::report::{DeadLetterReason, Decision};
use supervision::{
    Actor, AtRestart, CallError, ChildSpec, Context, DeadLetter, Exit, Failure, Flags, HangLimits,
    ResendError, Restart, SendError, Shutdown, Start, Strategy, SupervisorSpec, inbox_redelivering,
};
use tokio::time::sleep;

use crate::bed::{Cue, children, ms, on_threads, patient, quiet, said, virtual_time};

fn note(text: &str) -> Cue {
    Cue::Note(text.into())
}

#[test]
fn a_message_that_crashes_its_receiver_too_often_is_put_aside_and_can_be_sent_again() {
    quiet();
    virtual_time(|bed| async move {
        let a = bed.player("a").redelivering(AtRestart::Carry, 3);
        let root = bed.start(patient(Strategy::OneForOne), &[&a]).await;
        bed.reports();
        a.tell(note("before"));
        a.tell(Cue::Panic);
        a.tell(note("after"));
        bed.settle().await;
        insta::assert_snapshot!(said(&bed), @r#"
        0ms root a #1 Permanent: its message goes to the next incarnation, after 1 crashes of 3 !
        0ms root a #1 Permanent: terminated: panicked: oh no !
        0ms root a #1 Permanent: restarting OneForOne after 0ns
        0ms root a #2 Permanent: started
        0ms root a #2 Permanent: its message goes to the next incarnation, after 2 crashes of 3 !
        0ms root a #2 Permanent: terminated: panicked: oh no !
        0ms root a #2 Permanent: restarting OneForOne after 0ns
        0ms root a #3 Permanent: started
        0ms root a #3 Permanent: 1 dead letters: Crashes(3) !
        0ms root a #3 Permanent: terminated: panicked: oh no !
        0ms root a #3 Permanent: restarting OneForOne after 0ns
        0ms root a #4 Permanent: started
        "#);
        let shown = |letter: &DeadLetter<Cue>| {
            let what = matches!(letter.message, Cue::Panic);
            format!(
                "{} {:?} {what} {:?}",
                letter.number, letter.reason, letter.crashes
            )
        };
        let letters: Vec<_> = a.handle.dead_letters().iter().map(shown).collect();
        assert_eq!(letters, ["1 Crashes(3) true 3"]);
        let trace = bed.trace();
        let notes: Vec<_> = trace.iter().filter(|line| line.contains("takes")).collect();
        assert_eq!(notes, ["a takes before", "a takes after"]);
        a.handle.resend(1).expect("it is kept");
        bed.settle().await;
        assert_eq!(children(&root).await, "a:running#7", "it counts anew");
        let again: Vec<_> = a.handle.dead_letters().iter().map(shown).collect();
        assert_eq!(again, ["2 Crashes(3) true 3"]);
        assert_eq!(a.handle.resend(1), Err(ResendError::Unknown));
        root.stop().await;
        assert_eq!(a.handle.resend(2), Err(ResendError::Stopped));
        assert_eq!(a.handle.dead_letters().len(), 1, "it stays");
    });
}

#[test]
fn a_kill_counts_and_a_group_restart_does_not() {
    virtual_time(|bed| async move {
        let a = bed.player("a").redelivering(AtRestart::Carry, 2);
        let a = a.with(|spec| spec.shutdown(Shutdown::Kill));
        let b = bed.player("b");
        let root = bed.start(patient(Strategy::OneForAll), &[&a, &b]).await;
        bed.reports();
        a.tell(Cue::Work(1_000));
        for _ in 0..3 {
            bed.settle().await;
            b.fail().await;
        }
        root.kill_child("a").await;
        sleep(ms(10)).await;
        b.fail().await;
        root.kill_child("a").await;
        sleep(ms(10)).await;
        let about_messages = |line: &&str| line.contains("root a") && line.contains('!');
        let said = said(&bed);
        let said: Vec<_> = said.lines().filter(about_messages).collect();
        insta::assert_snapshot!(said.join("\n"), @r#"
        1ms root a #1 Permanent: its message goes to the next incarnation, after 0 crashes of 2 !
        3ms root a #2 Permanent: its message goes to the next incarnation, after 0 crashes of 2 !
        5ms root a #3 Permanent: its message goes to the next incarnation, after 0 crashes of 2 !
        6ms root a #4 Permanent: its message goes to the next incarnation, after 1 crashes of 2 !
        6ms root a #4 Permanent: terminated: killed !
        16ms root a #5 Permanent: its message goes to the next incarnation, after 1 crashes of 2 !
        17ms root a #6 Permanent: 1 dead letters: Crashes(2) !
        17ms root a #6 Permanent: terminated: killed !
        "#);
        assert_eq!(a.handle.dead_letters().len(), 1);
        root.stop().await;
    });
}

#[test]
fn what_comes_back_survives_a_restart_that_carries_nothing() {
    virtual_time(|bed| async move {
        let a = bed.player("a").redelivering(AtRestart::DeadLetter, 2);
        let root = bed.start(patient(Strategy::OneForOne), &[&a]).await;
        bed.reports();
        a.tell(Cue::Exit(Exit::failed("boom")));
        a.tell(note("lost"));
        bed.settle().await;
        insta::assert_snapshot!(said(&bed), @r#"
        0ms root a #1 Permanent: its message goes to the next incarnation, after 1 crashes of 2 !
        0ms root a #1 Permanent: terminated: failed: boom !
        0ms root a #1 Permanent: restarting OneForOne after 0ns
        0ms root a #1 Permanent: 1 dead letters: NotCarried !
        0ms root a #2 Permanent: started
        0ms root a #2 Permanent: 1 dead letters: Crashes(2) !
        0ms root a #2 Permanent: terminated: failed: boom !
        0ms root a #2 Permanent: restarting OneForOne after 0ns
        0ms root a #3 Permanent: started
        "#);
        let reasons: Vec<_> = a
            .handle
            .dead_letters()
            .iter()
            .map(|one| one.reason)
            .collect();
        let expected = [DeadLetterReason::NotCarried, DeadLetterReason::Crashes(2)];
        assert_eq!(reasons, expected);
        root.stop().await;
    });
}

#[test]
fn what_comes_back_to_one_that_is_stopped_for_good_is_a_dead_letter() {
    virtual_time(|bed| async move {
        let a = bed.player("a").redelivering(AtRestart::Carry, 9);
        let a = a.restart(Restart::Temporary);
        let root = bed.start(Flags::default(), &[&a]).await;
        bed.reports();
        a.tell(Cue::Exit(Exit::failed("boom")));
        a.tell(note("behind it"));
        bed.settle().await;
        insta::assert_snapshot!(said(&bed), @r#"
        0ms root a #1 Temporary: its message goes to the next incarnation, after 1 crashes of 9 !
        0ms root a #1 Temporary: terminated: failed: boom !
        0ms root a #1 Temporary: 2 dead letters: ReceiverStopped !
        "#);
        assert!(matches!(a.handle.dead_letters()[0].message, Cue::Exit(_)));
        root.stop().await;
    });
}

/// Crashes over a question until it has been asked often enough.
struct Hesitant(Arc<AtomicU64>);

impl Actor for Hesitant {
    type Message = (u64, supervision::Reply<u64>);

    async fn handle(
        &mut self,
        (patience, reply): Self::Message,
        cx: &mut Context<Self::Message>,
    ) -> Result<(), Failure> {
        if self.0.fetch_add(1, Ordering::SeqCst) < patience {
            return Err("not yet".into());
        }
        reply.send(cx.incarnation().0);
        Ok(())
    }
}

#[test]
fn who_asks_hears_the_answer_of_a_later_incarnation_or_that_there_is_none() {
    virtual_time(|bed| async move {
        let (asked, reads) = inbox_redelivering(4, AtRestart::Carry, 3);
        let times = Arc::new(AtomicU64::new(0));
        let counts = times.clone();
        let start = Start::actor(reads, move |_| {
            std::future::ready(Ok(Hesitant(counts.clone())))
        });
        let spec = SupervisorSpec::new(patient(Strategy::OneForOne));
        let spec = spec.child(ChildSpec::new("a", start));
        let root = bed.root().start(spec).await.expect("it starts");
        let answer = asked.ask(|reply| (2, reply)).await;
        assert_eq!(answer, Ok(3));
        let answer = asked.ask(|reply| (100, reply)).await;
        assert_eq!(answer, Err(CallError::Lost));
        let letter = asked.dead_letters().remove(0);
        assert!(letter.message.1.is_abandoned(), "nobody waits any more");
        times.store(100, Ordering::SeqCst);
        asked.resend(letter.number).expect("it is kept");
        root.stop().await;
    });
}

/// Blocks its thread the first time, until there is a second.
#[derive(Clone, Default)]
struct Stubborn(Arc<(Mutex<u64>, Condvar)>);

impl Stubborn {
    fn times(&self) -> u64 {
        *self.0.0.lock().expect("nobody panics with it")
    }
}

impl Actor for Stubborn {
    type Message = u64;

    async fn handle(&mut self, _: u64, _: &mut Context<u64>) -> Result<(), Failure> {
        let mut times = self.0.0.lock().expect("nobody panics with it");
        *times += 1;
        self.0.1.notify_all();
        let limit = Duration::from_secs(60);
        let waited = self
            .0
            .1
            .wait_timeout_while(times, limit, |times| *times < 2);
        drop(waited.expect("nobody panics with it"));
        Ok(())
    }
}

#[test]
fn what_one_that_was_given_up_was_handling_is_handled_by_the_next() {
    on_threads(3, |bed| async move {
        let (told, reads) = inbox_redelivering(4, AtRestart::Carry, 3);
        let stubborn = Stubborn::default();
        let each = stubborn.clone();
        let start = Start::actor(reads, move |_| std::future::ready(Ok(each.clone())));
        let limits = HangLimits::silence(ms(300)).steps(ms(0), ms(0), ms(20));
        let spec = SupervisorSpec::new(patient(Strategy::OneForOne));
        let spec = spec.child(ChildSpec::new("a", start).hang(limits));
        let root = bed.root().start(spec).await.expect("it starts");
        told.try_send(1).expect("room");
        let mut decisions = Vec::new();
        let is_over = |one: &Decision| matches!(one, Decision::LostEnded(..));
        while !decisions.iter().any(is_over) {
            sleep(ms(5)).await;
            decisions.extend(bed.reports().into_iter().map(|one| one.decision));
        }
        assert_eq!(stubborn.times(), 2);
        let again = |one: &&Decision| matches!(one, Decision::Redelivering { crashes: 1, .. });
        assert_eq!(decisions.iter().filter(again).count(), 1);
        let dead = |one: &Decision| matches!(one, Decision::DeadLetters { .. });
        assert!(!decisions.iter().any(dead), "{decisions:?}");
        root.stop().await;
    });
}

/// What a numbered message has its handler do.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Deed {
    Well,
    Fail,
    /// Takes its time, during which it may be killed or stopped.
    Linger,
    Leave,
}

type Handled = Arc<Mutex<BTreeMap<u64, u32>>>;

struct Numbered(Handled);

impl Actor for Numbered {
    type Message = (u64, Deed);

    async fn handle(
        &mut self,
        (number, deed): (u64, Deed),
        cx: &mut Context<Self::Message>,
    ) -> Result<(), Failure> {
        match deed {
            Deed::Well => {}
            Deed::Fail => return Err("boom".into()),
            Deed::Linger => sleep(ms(3)).await,
            Deed::Leave => cx.exit(Exit::failed("enough")),
        }
        *self.0.lock().unwrap().entry(number).or_default() += 1;
        Ok(())
    }
}

/// One seeded life of an inbox: every message that was accepted is handled once, or kept or counted as a dead letter once.
async fn play(bed: crate::bed::Bed, seed: u64) {
    let mut random = fastrand::Rng::with_seed(seed);
    let policies = [AtRestart::Carry, AtRestart::DeadLetter];
    let crashes = random.u32(1..4);
    let (told, reads) =
        inbox_redelivering(random.usize(1..8), policies[random.usize(0..2)], crashes);
    let handled = Handled::default();
    let counts = handled.clone();
    let start = Start::actor(reads, move |_| {
        std::future::ready(Ok(Numbered(counts.clone())))
    });
    let ends = [Shutdown::Kill, Shutdown::After(ms(1)), Shutdown::Infinity];
    let a = ChildSpec::new("a", start).shutdown(ends[random.usize(0..3)]);
    let b = bed.player("b");
    let spec = SupervisorSpec::new(patient(Strategy::OneForAll))
        .child(a)
        .child(b.spec());
    let root = bed.root().start(spec).await.expect("it starts");
    let mut accepted = Vec::new();
    for number in 0..random.u64(1..40) {
        let deeds = [
            Deed::Well,
            Deed::Well,
            Deed::Fail,
            Deed::Linger,
            Deed::Leave,
        ];
        match told.try_send((number, deeds[random.usize(0..5)])) {
            Ok(()) => accepted.push(number),
            Err(SendError::Full(back) | SendError::Restarting(back) | SendError::Stopped(back)) => {
                assert_eq!(back.0, number);
            }
        }
        match random.u32(0..12) {
            0 => drop(root.kill_child("a").await),
            1 => drop(b.handle.try_send(Cue::Exit(Exit::failed("boom")))),
            2 => drop(root.terminate_child("a").await),
            3 => drop(root.restart_child("a").await),
            4..8 => sleep(ms(random.u64(0..4))).await,
            _ => {}
        }
        sleep(Duration::from_micros(random.u64(0..2))).await;
    }
    sleep(ms(random.u64(0..100))).await;
    root.stop().await;
    check(
        &bed,
        seed,
        &accepted,
        &handled.lock().unwrap(),
        &told.dead_letters(),
    );
}

fn check(
    bed: &crate::bed::Bed,
    seed: u64,
    accepted: &[u64],
    handled: &BTreeMap<u64, u32>,
    kept: &[DeadLetter<(u64, Deed)>],
) {
    let mut ends = handled.clone();
    for letter in kept {
        *ends.entry(letter.message.0).or_default() += 1;
    }
    let twice: Vec<_> = ends.iter().filter(|(_, times)| **times != 1).collect();
    assert!(
        twice.is_empty(),
        "seed {seed}: {twice:?} came to more than one end"
    );
    assert!(
        ends.keys().eq(accepted),
        "seed {seed}: {accepted:?} became {ends:?}"
    );
    let counted = |decision: &Decision| match decision {
        Decision::DeadLetters { count, reason, .. } if *reason != DeadLetterReason::InFlight => {
            *count
        }
        _ => 0,
    };
    let about_a = |report: &&supervision::Report| report.decision.about().child.as_str() == "a";
    let reports = bed.reports();
    let counted: usize = reports
        .iter()
        .filter(about_a)
        .map(|one| counted(&one.decision))
        .sum();
    assert_eq!(counted, kept.len(), "seed {seed}: each is reported once");
}

#[test]
fn every_accepted_message_comes_to_exactly_one_end() {
    for seed in 0..400 {
        virtual_time(|bed| play(bed, seed));
    }
}
