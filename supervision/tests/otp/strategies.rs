//! E. Strategies: one child fails.

use supervision::Strategy;

use super::plays;
use crate::bed::{children, patient, virtual_time};

#[test]
fn e1_one_for_one_concerns_the_failed_child_alone() {
    plays(
        "sup one_for_one 3 100 never
         child a permanent 1000 false ok 0
         child b permanent 1000 false ok 0
         child c permanent 1000 false ok 0
         go
         exit b boom
         which",
        "start a
         start b
         start c
         boot ok
         stop b boom
         stopped b
         start b
         children a:running b:running c:running",
    );
    virtual_time(|bed| async move {
        let b = bed.player("b");
        let players = [&bed.player("a"), &b, &bed.player("c")];
        let root = bed.start(patient(Strategy::OneForOne), &players).await;
        b.fail().await;
        assert_eq!(children(&root).await, "a:running#1 b:running#2 c:running#1");
        root.stop().await;
    });
}

#[test]
fn e2_one_for_all_stops_in_reverse_order_and_starts_in_order() {
    plays(
        "sup one_for_all 3 100 never
         child a permanent 1000 false ok 3
         child b permanent 1000 false ok 3
         child c permanent 1000 false ok 3
         child d permanent 1000 false ok 3
         go
         exit b boom",
        "start a
         start b
         start c
         start d
         boot ok
         stop b boom
         stopped b
         stop d shutdown
         stopped d
         stop c shutdown
         stopped c
         stop a shutdown
         stopped a
         start a
         start b
         start c
         start d",
    );
}

#[test]
fn e3_rest_for_one_concerns_those_started_later() {
    plays(
        "sup rest_for_one 3 100 never
         child a permanent 1000 false ok 0
         child b permanent 1000 false ok 0
         child c permanent 1000 false ok 0
         go
         add d permanent 1000 false ok 0
         terminate b
         restart b
         which
         exit b boom
         which",
        "start a
         start b
         start c
         boot ok
         start d
         reply add ok
         stop b shutdown
         stopped b
         reply terminate ok
         start b
         reply restart ok
         children a:running b:running c:running d:running
         stop b boom
         stopped b
         stop d shutdown
         stopped d
         stop c shutdown
         stopped c
         start b
         start c
         start d
         children a:running b:running c:running d:running",
    );
    virtual_time(|bed| async move {
        let b = bed.player("b");
        let players = [&bed.player("a"), &b, &bed.player("c")];
        let root = bed.start(patient(Strategy::RestForOne), &players).await;
        b.fail().await;
        assert_eq!(children(&root).await, "a:running#1 b:running#2 c:running#2");
        root.stop().await;
    });
}

#[test]
fn e5_temporary_siblings_do_not_survive_a_group_restart() {
    plays(
        "sup one_for_all 3 100 never
         child a permanent 1000 false ok 0
         child b temporary 1000 false ok 0
         child c permanent 1000 false ok 0
         go
         exit a boom
         which
         count",
        "start a
         start b
         start c
         boot ok
         stop a boom
         stopped a
         stop c shutdown
         stopped c
         stop b shutdown
         stopped b
         start a
         start c
         children a:running c:running
         counts 2 2 0 2",
    );
}

#[test]
fn e6_a_group_restart_brings_back_the_stopped() {
    plays(
        "sup one_for_all 3 100 never
         child a permanent 1000 false ok 0
         child b permanent 1000 false ok 0
         child c transient 1000 false ok 0
         go
         terminate b
         exit c normal
         which
         exit a boom
         which",
        "start a
         start b
         start c
         boot ok
         stop b shutdown
         stopped b
         reply terminate ok
         stop c normal
         stopped c
         children a:running b:stopped c:stopped
         stop a boom
         stopped a
         start a
         start b
         start c
         children a:running b:running c:running",
    );
}

#[test]
fn e7_one_for_all_tries_the_whole_group_again() {
    plays(
        "sup one_for_all 3 100 never
         child a permanent 1000 false ok 0
         child b permanent 1000 false fail:2 0
         child c permanent 1000 false ok 0
         go
         exit a boom
         which
         exit c boom",
        "start a
         start b
         start c
         boot ok
         stop a boom
         stopped a
         stop c shutdown
         stopped c
         stop b shutdown
         stopped b
         start a
         start_failed b
         stop a shutdown
         stopped a
         start a
         start_failed b
         stop a shutdown
         stopped a
         start a
         start b
         start c
         children a:running b:running c:running
         stop c boom
         stopped c
         stop b shutdown
         stopped b
         stop a shutdown
         stopped a
         sup_exit shutdown",
    );
}

#[test]
fn e8_rest_for_one_goes_on_at_the_member_that_failed() {
    plays(
        "sup rest_for_one 3 100 never
         child a permanent 1000 false ok 0
         child b permanent 1000 false ok 0
         child c permanent 1000 false fail:2 0
         child d permanent 1000 false ok 0
         go
         exit a boom
         which",
        "start a
         start b
         start c
         start d
         boot ok
         stop a boom
         stopped a
         stop d shutdown
         stopped d
         stop c shutdown
         stopped c
         stop b shutdown
         stopped b
         start a
         start b
         start_failed c
         start_failed c
         start c
         start d
         children a:running b:running c:running d:running",
    );
}

#[test]
fn e9_a_group_restart_costs_one() {
    plays(
        "sup one_for_all 1 100 never
         child a permanent 1000 false ok 0
         child b permanent 1000 false ok 0
         child c permanent 1000 false ok 0
         go
         exit a boom
         which
         exit c boom",
        "start a
         start b
         start c
         boot ok
         stop a boom
         stopped a
         stop c shutdown
         stopped c
         stop b shutdown
         stopped b
         start a
         start b
         start c
         children a:running b:running c:running
         stop c boom
         stopped c
         stop b shutdown
         stopped b
         stop a shutdown
         stopped a
         sup_exit shutdown",
    );
}
