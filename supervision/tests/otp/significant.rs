//! I. Significant children.

use supervision::{
    AutoShutdown, ChildSpec, DynamicSpec, Exit, Flags, Restart, Start, SupervisorHandle,
    SupervisorSpec, template,
};

use super::plays;
use crate::bed::{Bed, Player, cast, children, virtual_time};

/// What follows when significant `b` between `a` and `c` ends.
fn any_significant(restart: &str, fault: &str, stopped: &str, then: &str) {
    plays(
        &format!(
            "sup one_for_one 5 100 any_significant
             child a permanent 1000 false ok 0
             child b {restart} 1000 true ok 0
             child c permanent 1000 false ok 0
             go
             {fault}"
        ),
        &format!(
            "start a
             start b
             start c
             boot ok
             {stopped}
             {then}"
        ),
    );
}

const SHUT_DOWN: &str = "stop c shutdown
    stopped c
    stop a shutdown
    stopped a
    sup_exit shutdown";

#[test]
fn i1_an_orderly_end_of_a_transient_significant_child_ends_the_supervisor() {
    for reason in ["normal", "shutdown", "{shutdown}"] {
        let shown = reason.trim_matches(['{', '}']);
        let stopped = format!("stop b {shown}\nstopped b");
        any_significant(
            "transient",
            &format!("exit b {reason}"),
            &stopped,
            SHUT_DOWN,
        );
    }
}

#[test]
fn i2_a_failure_of_a_transient_significant_child_restarts_it() {
    any_significant(
        "transient",
        "exit b boom",
        "stop b boom\nstopped b",
        "start b",
    );
    any_significant("transient", "kill b", "", "start b");
}

#[test]
fn i3_any_end_of_a_temporary_significant_child_ends_the_supervisor() {
    for reason in ["normal", "shutdown", "boom"] {
        let stopped = format!("stop b {reason}\nstopped b");
        any_significant(
            "temporary",
            &format!("exit b {reason}"),
            &stopped,
            SHUT_DOWN,
        );
    }
    any_significant("temporary", "kill b", "", SHUT_DOWN);
}

#[test]
fn i4_all_significant_waits_for_the_last_active_one() {
    plays(
        "sup one_for_one 5 100 all_significant
         child a transient 1000 true ok 0
         child b temporary 1000 true ok 0
         child c transient 1000 true ok 0
         child d permanent 1000 false ok 0
         go
         exit b boom
         which
         terminate c
         which
         exit a normal",
        "start a
         start b
         start c
         start d
         boot ok
         stop b boom
         stopped b
         children a:running c:running d:running
         stop c shutdown
         stopped c
         reply terminate ok
         children a:running c:stopped d:running
         stop a normal
         stopped a
         stop d shutdown
         stopped d
         sup_exit shutdown",
    );
}

#[test]
fn i5_terminating_a_significant_child_by_hand_ends_nothing() {
    for mode in ["any_significant", "all_significant"] {
        plays(
            &format!(
                "sup one_for_one 5 100 {mode}
                 child a transient 1000 true ok 0
                 child b permanent 1000 false ok 0
                 go
                 terminate a
                 which
                 restart a
                 which"
            ),
            "start a
             start b
             boot ok
             stop a shutdown
             stopped a
             reply terminate ok
             children a:stopped b:running
             start a
             reply restart ok
             children a:running b:running",
        );
    }
}

#[test]
fn i5_stopping_it_for_a_sibling_ends_nothing() {
    plays(
        "sup one_for_all 5 100 any_significant
         child a transient 1000 true ok 0
         child b permanent 1000 false ok 0
         child c temporary 1000 true ok 0
         go
         exit b boom
         which",
        "start a
         start b
         start c
         boot ok
         stop b boom
         stopped b
         stop c shutdown
         stopped c
         stop a shutdown
         stopped a
         start a
         start b
         children a:running b:running",
    );
}

#[test]
fn i7_ends_of_other_children_never_do() {
    for mode in ["never", "any_significant", "all_significant"] {
        plays(
            &format!(
                "sup one_for_one 5 100 {mode}
                 child a transient 1000 false ok 0
                 child b temporary 1000 false ok 0
                 go
                 exit a normal
                 exit b boom
                 which"
            ),
            "start a
             start b
             boot ok
             stop a normal
             stopped a
             stop b boom
             stopped b
             children a:stopped",
        );
    }
}

#[test]
fn i7_dynamic_supervisors_honour_both_modes() {
    async fn alive_after_one_end(bed: &Bed, mode: AutoShutdown, significant: bool) -> [bool; 2] {
        let mut plan = template("t");
        (plan.restart, plan.significant) = (Restart::Transient, significant);
        let spec = DynamicSpec::new(Flags::default().auto_shutdown(mode));
        let spec = spec.template(plan, |player: Player| player.start());
        let pool = spec.start(bed.root()).await.expect("it starts");
        let players = [bed.player("a"), bed.player("b")];
        for player in &players {
            pool.start_child(player.clone()).await.expect("it starts");
        }
        players[0].exit(Exit::Normal).await;
        let after_one = pool.supervisor().exit().is_none();
        if after_one {
            players[1].exit(Exit::Normal).await;
        }
        let after_both = pool.supervisor().exit().is_none();
        assert_eq!(pool.stop().await, Exit::SHUTDOWN);
        [after_one, after_both]
    }
    virtual_time(|bed| async move {
        use AutoShutdown::{AllSignificant, AnySignificant, Never};
        for (mode, significant, expected) in [
            (AnySignificant, true, [false, false]),
            (AllSignificant, true, [true, false]),
            (AnySignificant, false, [true, true]),
            (AllSignificant, false, [true, true]),
            (Never, false, [true, true]),
        ] {
            let alive = alive_after_one_end(&bed, mode, significant).await;
            assert_eq!(alive, expected, "{mode:?} {significant}");
        }
    });
}

#[test]
fn i8_a_nested_auto_shutdown_is_an_orderly_end_of_a_child() {
    async fn ends_all(bed: &Bed, significant: bool) -> bool {
        let a = bed.player("a").restart(Restart::Transient);
        let a = a.with(ChildSpec::significant);
        let declared = a.clone();
        let flags = Flags::default().auto_shutdown(AutoShutdown::AnySignificant);
        let inside = flags.clone();
        let init = move || Ok(Some(cast(inside.clone(), &[&declared])));
        let mut inner = ChildSpec::supervisor("inner", Start::supervisor(init));
        inner = inner.restart(Restart::Transient);
        inner.plan.significant = significant;
        let spec = SupervisorSpec::new(flags).child(inner);
        let root: SupervisorHandle = bed.root().start(spec).await.expect("it starts");
        a.exit(Exit::Normal).await;
        let has_ended = root.exit() == Some(Exit::SHUTDOWN);
        assert!(has_ended || children(&root).await == "inner:stopped#1");
        root.stop().await;
        has_ended
    }
    virtual_time(|bed| async move {
        assert!(ends_all(&bed, true).await);
        assert!(!ends_all(&bed, false).await);
    });
}
