//! Many messages on real threads, with crashes in between.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use supervision::report::{DeadLetterReason, Decision, Report};
use supervision::{
    Actor, AtRestart, ChildSpec, Context, Failure, Handle, Inbox, Root, Start, Strategy,
    SupervisorHandle, SupervisorSpec, inbox,
};

use crate::bed::{ms, on_threads, patient, quiet};

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
    let spec = SupervisorSpec::new(patient(Strategy::OneForOne));
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
