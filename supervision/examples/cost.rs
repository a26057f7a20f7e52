//! What a message costs, and what the options beyond OTP add to it:
//!
//! ```text
//! cargo run --release -p impresario-supervision --example cost
//! ```

use std::time::Duration;

use supervision::fault::{Fault, FaultKind, FaultPlan, Point, When};
use supervision::{
    Actor, AtRestart, ChildSpec, Context, Failure, Handle, HangLimits, Inbox, Root, Start,
    SupervisorSpec, inbox, inbox_redelivering,
};
use tokio::time::Instant;

const MESSAGES: u64 = 500_000;

struct Sink;

impl Actor for Sink {
    type Message = u64;

    async fn handle(&mut self, _: u64, _: &mut Context<u64>) -> Result<(), Failure> {
        Ok(())
    }
}

async fn measure(root: Root, (told, reads): (Handle<u64>, Inbox<u64>), watched: bool) -> f64 {
    let start = Start::actor(reads, |_| async { Ok(Sink) });
    let mut child = ChildSpec::new("a", start);
    if watched {
        child = child.hang(HangLimits::silence(Duration::from_secs(60)));
    }
    let spec = SupervisorSpec::default().child(child);
    let root = root.start(spec).await.expect("it starts");
    let begun = Instant::now();
    for n in 0..MESSAGES {
        told.send(n).await.expect("it is up");
    }
    while told.depth() > 0 {
        tokio::task::yield_now().await;
    }
    let time = begun.elapsed().as_nanos() as f64;
    root.stop().await;
    time / MESSAGES as f64
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let root = || Root::new("root");
    let plain = || inbox(1_024, AtRestart::Carry);
    let never = When {
        nth: Some(u64::MAX),
        ..When::default()
    };
    let fault = Fault::new("root/a", Point::Handle, FaultKind::Error).when(never);
    let plan = FaultPlan::new(1).fault(fault);
    let elsewhere = FaultPlan::new(1).fault(Fault::new("root/b", Point::Handle, FaultKind::Error));
    for round in 1..=3 {
        let bare = measure(root(), plain(), false).await;
        println!("round {round}: {bare:.0} ns a message, and beyond that");
        let watchdog = root().watchdog(Duration::from_secs(1));
        let again = inbox_redelivering(1_024, AtRestart::Carry, 3);
        for (name, time) in [
            ("hang limits", measure(root(), plain(), true).await),
            ("watchdog", measure(watchdog, plain(), false).await),
            ("redelivery", measure(root(), again, false).await),
            (
                "a fault that never strikes",
                measure(root().faults(plan.clone()), plain(), false).await,
            ),
            (
                "faults elsewhere",
                measure(root().faults(elsewhere.clone()), plain(), false).await,
            ),
        ] {
            println!("  {name}: {:+.0} ns", time - bare);
        }
    }
}
