//! Threads that are blocked, and who blocks them.

use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, Weak};
use std::time::Duration;

use supervision::{
    Actor, AtRestart, ChildSpec, Context, Decision, Doing, Failure, Flags, Report, Root, Start,
    Strategy, SupervisorSpec, inbox,
};
use tokio::time::sleep;

use crate::bed::{Bed, ms, on_threads, patient};

/// How often each child was said to block, for those who block until it is said.
#[derive(Clone, Default)]
struct Said(Arc<(Mutex<BTreeMap<String, u64>>, Condvar)>);

impl Said {
    fn heard(&self, report: &Report) {
        if let Decision::Blocked { about, .. } = &report.decision {
            let mut said = self.0.0.lock().expect("nobody panics with it");
            *said.entry(about.child.as_str().to_owned()).or_default() += 1;
            self.0.1.notify_all();
        }
    }

    /// Blocks the thread until it is said; the limit is for a thread that was held up, and said to block, just before.
    fn block(&self, id: &str) {
        let said = self.0.0.lock().expect("nobody panics with it");
        let before = said.get(id).copied();
        let is_new = |said: &mut BTreeMap<_, _>| said.get(id).copied() == before;
        let waited = self.0.1.wait_timeout_while(said, ms(5_000), is_new);
        drop(waited.expect("nobody panics with it"));
    }

    fn root(&self, bed: &Bed) -> Root {
        let (said, bed) = (self.clone(), bed.clone());
        Root::new("root").listener(Arc::new(move |report: &Report| {
            bed.heard(report);
            said.heard(report);
        }))
    }
}

/// Blocks its thread where it is told to.
#[derive(Clone)]
struct Blocker(Doing, &'static str, Said);

impl Blocker {
    fn block(&self) {
        self.2.block(self.1);
    }
}

impl Actor for Blocker {
    type Message = ();

    async fn handle(&mut self, (): (), cx: &mut Context<()>) -> Result<(), Failure> {
        match self.0 {
            Doing::Handling => {
                sleep(ms(1)).await;
                self.block();
            }
            Doing::Attached => {
                let blocker = self.clone();
                let _ = cx.attach_maybe(async move {
                    sleep(ms(1)).await;
                    blocker.block();
                    None
                });
                self.0 = Doing::Deciding;
            }
            _ => {}
        }
        Ok(())
    }

    async fn terminate(&mut self, _: &supervision::Exit) {
        if self.0 == Doing::Stopping {
            self.block();
        }
    }
}

type Told = Vec<supervision::Handle<()>>;

fn spec(id: &'static str, where_to: Doing, told: &mut Told, said: &Said) -> ChildSpec {
    let (handle, reads) = inbox(4, AtRestart::Carry);
    told.push(handle);
    let blocker = Blocker(where_to, id, said.clone());
    let start = Start::actor(reads, move |_| {
        let blocker = blocker.clone();
        async move {
            if where_to == Doing::Starting {
                blocker.block();
            }
            Ok(blocker)
        }
    });
    ChildSpec::new(id, start)
}

/// What is told of one child, as `(beginning, doing, time)`.
fn told_of(reports: &[Report], id: &str) -> Vec<(bool, Doing, Duration)> {
    let told = |report: &Report| match &report.decision {
        Decision::Blocked { about, doing, seen } if about.child.as_str() == id => {
            Some((true, *doing, *seen))
        }
        Decision::Unblocked { about, doing, seen } if about.child.as_str() == id => {
            Some((false, *doing, *seen))
        }
        _ => None,
    };
    reports.iter().filter_map(told).collect()
}

/// Collects reports until something is told of a child so often.
async fn wait(bed: &Bed, reports: &mut Vec<Report>, id: &str, times: usize) {
    while told_of(reports, id).len() < times {
        sleep(ms(5)).await;
        reports.extend(bed.reports());
    }
}

#[test]
fn whoever_blocks_a_thread_is_named_once_and_once_more_when_it_ends() {
    on_threads(4, |bed| async move {
        let (mut told, said) = (Vec::new(), Said::default());
        let spec = SupervisorSpec::new(patient(Strategy::OneForOne))
            .child(spec("starting", Doing::Starting, &mut told, &said))
            .child(spec("handling", Doing::Handling, &mut told, &said))
            .child(spec("attached", Doing::Attached, &mut told, &said))
            .child(spec("stopping", Doing::Stopping, &mut told, &said))
            .child(spec("quick", Doing::Deciding, &mut told, &said));
        let root = said.root(&bed).watchdog(ms(100)).start(spec).await;
        let root = root.expect("it starts");
        let mut reports = Vec::new();
        wait(&bed, &mut reports, "starting", 2).await;
        for _ in 0..2 {
            told.iter()
                .for_each(|told| told.try_send(()).expect("room"));
        }
        wait(&bed, &mut reports, "attached", 2).await;
        wait(&bed, &mut reports, "handling", 4).await;
        root.stop().await;
        wait(&bed, &mut reports, "stopping", 2).await;
        for (id, doing, times) in [
            ("starting", Doing::Starting, 1),
            ("handling", Doing::Handling, 2),
            ("attached", Doing::Attached, 1),
            ("stopping", Doing::Stopping, 1),
        ] {
            let told = told_of(&reports, id);
            let order: Vec<_> = told
                .iter()
                .map(|(begins, doing, _)| (*begins, *doing))
                .collect();
            let once = [(true, doing), (false, doing)];
            // A machine that is busy may hold up a thread a second time; nothing is told twice.
            assert!(order.len() >= once.len() * times, "{id}: {order:?}");
            assert!(
                order.chunks(2).all(|pair| pair[0].0 && !pair[1].0),
                "{id}: {order:?}"
            );
            assert!(order.contains(&once[0]), "{id}: {order:?}");
            // It may have looked late, and not earlier.
            assert!(told.iter().all(|(.., seen)| *seen >= ms(100)), "{told:?}");
        }
    });
}

#[test]
fn a_supervisor_whose_listener_blocks_is_named_too() {
    on_threads(3, |bed| async move {
        let a = bed.player("a");
        let (heard, said) = (bed.clone(), Said::default());
        let listener = move |report: &Report| {
            heard.heard(report);
            said.heard(report);
            let is_it = |report: &Report| matches!(report.decision, Decision::Terminated(..));
            if is_it(report) {
                said.block("root");
            }
        };
        let root = Root::new("root")
            .listener(Arc::new(listener))
            .watchdog(ms(50));
        let spec = crate::bed::cast(patient(Strategy::OneForOne), &[&a]);
        let root = root.start(spec).await.expect("it starts");
        a.fail().await;
        let mut reports = Vec::new();
        wait(&bed, &mut reports, "root", 2).await;
        assert_eq!(told_of(&reports, "root")[0].1, Doing::Deciding);
        root.stop().await;
    });
}

#[test]
fn its_thread_ends_with_the_tree() {
    on_threads(2, |bed| async move {
        let alive = Arc::new(());
        let watched: Weak<()> = Arc::downgrade(&alive);
        let a = bed.player("a");
        let listener = Arc::new(move |_: &Report| drop(alive.clone()));
        let root = Root::new("root").listener(listener).watchdog(ms(20));
        let spec = crate::bed::cast(Flags::default(), &[&a]);
        let root = root.start(spec).await.expect("it starts");
        sleep(ms(50)).await;
        assert!(watched.upgrade().is_some());
        root.stop().await;
        drop(root);
        drop(a);
        while watched.upgrade().is_some() {
            sleep(ms(1)).await;
        }
    });
}

#[test]
fn a_limit_of_nothing_is_refused() {
    on_threads(1, |bed| async move {
        let root = bed.root().watchdog(Duration::ZERO);
        let refused = root
            .start(SupervisorSpec::default())
            .await
            .expect_err("zero");
        insta::assert_snapshot!(refused, @"watchdog is 0, but must be more than zero");
    });
}
