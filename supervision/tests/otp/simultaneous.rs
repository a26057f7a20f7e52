//! E. Strategies: several children die at once, or while the supervisor is busy; and what an instance is restarted with.

use supervision::{DynamicSpec, Exit, Flags, Strategy, template};

use super::plays;
use crate::bed::{Cue, Play, Player, children, patient, virtual_time};

#[test]
fn e10_one_for_all_absorbs_simultaneous_deaths() {
    plays(
        "sup one_for_all 1 100 never
         child a permanent 1000 false ok 0
         child b permanent 1000 false ok 0
         child c permanent 1000 false ok 0
         go
         together kill a; kill b; kill c
         which",
        "start a
         start b
         start c
         boot ok
         start a
         start b
         start c
         children a:running b:running c:running",
    );
}

#[test]
fn e11_one_for_one_counts_simultaneous_deaths_one_by_one() {
    plays(
        "sup one_for_one 2 100 never
         child a permanent 1000 false ok 0
         child b permanent 1000 false ok 0
         child c permanent 1000 false ok 0
         go
         together kill a; kill b; kill c",
        "start a
         start b
         start c
         boot ok
         start a
         start b
         stop b shutdown
         stopped b
         stop a shutdown
         stopped a
         sup_exit shutdown",
    );
}

#[test]
fn e11_rest_for_one_takes_simultaneous_deaths_in_their_order() {
    let scenario = |deaths: &str| {
        format!(
            "sup rest_for_one 1 100 never
             child a permanent 1000 false ok 0
             child b permanent 1000 false ok 0
             child c permanent 1000 false ok 0
             go
             together {deaths}
             which"
        )
    };
    plays(
        &scenario("kill a; kill c"),
        "start a
         start b
         start c
         boot ok
         stop b shutdown
         stopped b
         start a
         start b
         start c
         children a:running b:running c:running",
    );
    plays(
        &scenario("kill c; kill a"),
        "start a
         start b
         start c
         boot ok
         start c
         stop c shutdown
         stopped c
         stop b shutdown
         stopped b
         sup_exit shutdown
         no_supervisor",
    );
}

#[test]
fn e13_an_instance_is_restarted_with_its_arguments() {
    virtual_time(|bed| async move {
        let log = bed.clone();
        let spec = DynamicSpec::new(patient(Strategy::OneForOne));
        let spec = spec.template(
            template("t"),
            move |(player, word): (Player, &'static str)| {
                let (log, start) = (log.clone(), player.start());
                log.log(format!("made with {word}"));
                start
            },
        );
        let pool = spec.start(bed.root()).await.expect("it starts");
        let (a, b) = (bed.player("a"), bed.player("b"));
        pool.start_child((a.clone(), "one"))
            .await
            .expect("it starts");
        pool.start_child((b.clone(), "two"))
            .await
            .expect("it starts");
        a.fail().await;
        bed.expect(
            "made with one
             start a
             made with two
             start b
             stop a failed: boom
             stopped a
             start a",
        );
        assert_eq!(
            children(pool.supervisor()).await,
            "t-1:running#2 t-2:running#1"
        );
        pool.stop().await;
    });
}

#[test]
fn e13_what_a_start_hands_over_reaches_whoever_asked() {
    virtual_time(|bed| async move {
        let incarnation = |extra: Option<supervision::Extra>| {
            let number = extra.expect("something").downcast::<u64>();
            *number.expect("a number")
        };
        let a = bed.player("a").starts([Play::HandOver]);
        let root = bed.start(Flags::default(), &[]).await;
        let added = root.start_child(a.spec()).await.expect("it starts");
        assert_eq!(incarnation(added.expect("up").extra), 1);
        root.terminate_child("a").await.expect("it stops");
        let again = root.restart_child("a").await.expect("it starts");
        assert_eq!(incarnation(again.expect("up").extra), 2);
        a.fail().await;
        assert_eq!(children(&root).await, "a:running#3");
        root.stop().await;

        let spec = DynamicSpec::new(Flags::default());
        let spec = spec.template(template("t"), |player: Player| player.start());
        let pool = spec.start(bed.root()).await.expect("it starts");
        let b = bed.player("b").starts([Play::HandOver]);
        let added = pool.start_child(b).await.expect("it starts");
        assert_eq!(incarnation(added.expect("up").extra), 1);
        pool.stop().await;
    });
}

#[test]
fn e15_a_crash_while_the_supervisor_is_busy_is_not_lost() {
    virtual_time(|bed| async move {
        let a = bed.player("a");
        let slow = bed.player("slow").starts([Play::Slow(100)]);
        let root = bed.start(patient(Strategy::OneForOne), &[&a]).await;
        let adding = root.start_child(slow.spec());
        let crash = async {
            bed.settle().await;
            a.tell(Cue::Exit(Exit::failed("boom")));
            bed.settle().await;
            bed.expect("start a\nstop a failed: boom\nstopped a");
        };
        let (added, ()) = tokio::join!(adding, crash);
        added.expect("it starts");
        bed.settle().await;
        bed.expect("start slow\nstart a");
        root.stop().await;
    });
}
