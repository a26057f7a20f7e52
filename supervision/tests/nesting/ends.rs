//! Ends of all kinds, and what those above and below make of them.

use std::sync::Arc;
use std::time::Duration;

use supervision::report::Decision;
use supervision::{
    Actor, AdminError, AtRestart, ChildSpec, ChildState, Context, DynamicSpec, Exit, Failure,
    Flags, Restart, Root, Start, Strategy, SupervisorHandle, SupervisorSpec, inbox, template,
};

use super::{SECOND, root_of, team};
use crate::bed::{Play, Player, cast, children, ms, patient, quiet, timed, virtual_time};

#[test]
fn exhaustion_climbs_to_the_root() {
    virtual_time(|bed| async move {
        let (middle, inner) = (SupervisorHandle::vacant(), SupervisorHandle::vacant());
        let never = Flags::default().intensity(0, SECOND);
        let a = bed.player("a");
        let (declared, below, flags) = (a.clone(), inner.clone(), never.clone());
        let init = move || {
            let team = team("inner", &below, flags.clone(), &[&declared]);
            Ok(Some(SupervisorSpec::new(flags.clone()).child(team)))
        };
        let spec = ChildSpec::supervisor("middle", Start::supervisor_at(&middle, init));
        let spec = SupervisorSpec::new(never).child(spec);
        let root = bed.root().start(spec).await.expect("it starts");
        a.fail().await;
        let gave_up =
            |path: &str, child: &str, cause: &str| format!("{path} gave up over {child}: {cause}");
        let said: Vec<_> = bed
            .reports()
            .iter()
            .filter_map(|report| match &report.decision {
                Decision::GaveUp(about, exit) => Some(gave_up(
                    &report.path,
                    about.child.as_str(),
                    &exit.to_string(),
                )),
                _ => None,
            })
            .collect();
        let why = "more than 0 restarts within 1s, the last for";
        assert_eq!(
            said,
            [
                gave_up("root/middle/inner", "a", "failed: boom"),
                gave_up(
                    "root/middle",
                    "inner",
                    &format!("shutdown: {why} `a`: failed: boom")
                ),
                gave_up(
                    "root",
                    "middle",
                    &format!("shutdown: {why} `inner`: shutdown: {why} `a`: failed: boom")
                ),
            ]
        );
        assert!(matches!(root.exit(), Some(Exit::Shutdown(Some(_)))));
        for gone in [&root, &middle, &inner] {
            let asked = gone.terminate_child("a").await;
            assert_eq!(asked, Err(AdminError::Stopping));
        }
    });
}

#[test]
fn a_nested_supervisor_that_is_stopped_by_hand_is_its_supervisors_to_restart() {
    virtual_time(|bed| async move {
        let inner = SupervisorHandle::vacant();
        let a = bed.player("a").stops_in(50);
        let team = team("team", &inner, Flags::default(), &[&a]);
        let root = root_of(&bed, Strategy::OneForOne, [team]).await;
        let (took, exit) = timed(inner.stop()).await;
        assert_eq!((took, exit), (ms(50), Exit::SHUTDOWN));
        bed.settle().await;
        assert_eq!(children(&root).await, "team:running#2");
        assert_eq!(inner.exit(), None);
        assert_eq!(inner.kill().await, Exit::Killed);
        bed.settle().await;
        assert_eq!(children(&root).await, "team:running#3");
        root.stop().await;
    });
}

#[test]
fn a_kill_ends_a_clean_up_too() {
    virtual_time(|bed| async move {
        let a = bed.player("a").stops_in(3_600_000);
        let root = bed.start(patient(Strategy::OneForOne), &[&a]).await;
        a.fail().await;
        assert!(root.kill_child("a").await);
        bed.settle().await;
        bed.expect("start a\nstop a failed: boom\nkilled a\nstart a");
        let terminating = root.terminate_child("a");
        let killing = async {
            bed.settle().await;
            root.kill_child("a").await
        };
        let (took, (terminated, killed)) =
            timed(async { tokio::join!(terminating, killing) }).await;
        assert_eq!((took, terminated, killed), (ms(1), Ok(()), true));
        assert_eq!(children(&root).await, "a:stopped#2");
        root.stop().await;
    });
}

#[test]
fn panics_wherever_they_happen_are_ends_like_any_other() {
    quiet();
    virtual_time(|bed| async move {
        for at in ["handle", "terminate", "drop"] {
            let (handle, reads) = inbox(1, AtRestart::Carry);
            let start = Start::actor(reads, move |_| async move { Ok(Clumsy { at }) });
            let root = root_of(&bed, Strategy::OneForOne, [ChildSpec::new("a", start)]).await;
            if at == "handle" {
                handle.send(()).await.expect("it is up");
                bed.settle().await;
                assert_eq!(children(&root).await, "a:running#2");
            }
            root.terminate_child("a").await.expect("it is known");
            let tree = root.tree("root", SECOND).await;
            let expected = match at {
                "handle" => Exit::SHUTDOWN,
                _ => Exit::Panicked("oh no".into()),
            };
            assert_eq!(tree.children[0].last_exit, Some(expected), "{at}");
            root.stop().await;
        }
    });
}

#[test]
fn a_worker_that_fails_is_no_lost_message() {
    virtual_time(|bed| async move {
        let failing = Start::worker(|| async { Err("boom".into()) });
        let spec = ChildSpec::new("a", failing).restart(Restart::Temporary);
        let root = root_of(&bed, Strategy::OneForOne, [spec]).await;
        bed.settle().await;
        let reports = bed.reports();
        let said: Vec<_> = reports.iter().map(|one| one.decision.to_string()).collect();
        assert_eq!(said, ["started", "terminated: failed: boom"]);
        root.stop().await;
    });
}

#[test]
fn a_listener_that_panics_changes_nothing() {
    quiet();
    virtual_time(|bed| async move {
        let a = bed.player("a");
        let root = Root::new("root").listener(Arc::new(|_| panic!("oh no")));
        let spec = cast(patient(Strategy::OneForOne), &[&a]);
        let root = root.start(spec).await.expect("it starts");
        a.fail().await;
        assert_eq!(children(&root).await, "a:running#2");
        root.stop().await;
    });
}

#[test]
fn keys_from_before_a_restart_mean_nothing_after_it() {
    virtual_time(|bed| async move {
        let spec = DynamicSpec::new(Flags::default());
        let spec = spec.template(template("t"), |player: Player| player.start());
        let (pool, start) = spec.seat().expect("a template");
        let spec = ChildSpec::supervisor("pool", start);
        let root = root_of(&bed, Strategy::OneForOne, [spec]).await;
        let before = pool.start_child(bed.player("a")).await.expect("it starts");
        root.kill_child("pool").await;
        bed.settle().await;
        pool.start_child(bed.player("b")).await.expect("it starts");
        let stale = pool.terminate_child(before.expect("up").key).await;
        assert_eq!(stale, Err(AdminError::NotFound));
        assert_eq!(bed.alive(), ["b"]);
        root.stop().await;
    });
}

#[test]
fn a_busy_supervisor_below_does_not_keep_the_one_above_from_answering() {
    virtual_time(|bed| async move {
        let inner = SupervisorHandle::vacant();
        let slow = bed.player("slow").starts([Play::Ok, Play::Slow(1_000)]);
        let team = team("team", &inner, patient(Strategy::OneForOne), &[&slow]);
        let root = root_of(&bed, Strategy::OneForOne, [team]).await;
        slow.fail().await;
        let (took, tree) = timed(root.tree("root", SECOND)).await;
        assert_eq!(took, Duration::ZERO);
        let slow = tree.find("root/team/slow").expect("it is listed");
        assert_eq!(slow.state, ChildState::Starting);
        root.stop().await;
    });
}

/// An actor whose end goes wrong.
struct Clumsy {
    at: &'static str,
}

impl Actor for Clumsy {
    type Message = ();

    fn handle(
        &mut self,
        (): (),
        _: &mut Context<()>,
    ) -> impl Future<Output = Result<(), Failure>> + Send {
        assert!(self.at != "handle", "oh no");
        async { Ok(()) }
    }

    fn terminate(&mut self, _: &Exit) -> impl Future<Output = ()> + Send {
        assert!(self.at != "terminate", "oh no");
        async {}
    }
}

impl Drop for Clumsy {
    fn drop(&mut self) {
        assert!(self.at != "drop", "oh no");
    }
}
