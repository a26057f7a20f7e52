//! What a supervisor says about what it does.

use std::time::Duration;

use supervision::{
    AtRestart, Backoff, ChildSpec, Exit, Flags, Jitter, Restart, Root, Shutdown, Start, Strategy,
    SupervisorSpec,
};

use crate::bed::{Cue, Play, cast, ms, patient, said, virtual_time};

#[test]
fn j3_a_story_told_by_its_reports() {
    virtual_time(|bed| async move {
        let wait = Backoff::new(ms(100), ms(400)).jitter(Jitter::None);
        let a = bed.player("a").with(move |spec| spec.backoff(wait.clone()));
        let a = a.starts([Play::Ok, Play::Fail, Play::Ok]);
        let b = bed.player("b").restart(Restart::Transient);
        let c = bed
            .player("c")
            .restart(Restart::Temporary)
            .starts([Play::Decline]);
        let late = bed.player("late").stops_in(500).inbox(8, AtRestart::Carry);
        let late = late.with(|spec| spec.shutdown(Shutdown::After(ms(50))));
        let players = [&a, &b, &c, &late].map(Clone::clone);
        let flags = Flags::default().intensity(3, Duration::from_secs(5));
        let init = move || {
            let players: Vec<_> = players.iter().collect();
            Ok(Some(cast(flags.clone(), &players)))
        };
        let team = ChildSpec::supervisor("team", Start::supervisor(init));
        let spec = SupervisorSpec::new(patient(Strategy::OneForOne));
        let team = team.restart(Restart::Transient);
        let root = bed.root().start(spec.child(team)).await.expect("it starts");
        insta::assert_snapshot!(said(&bed), @"
        0ms root/team a #1 Permanent: started
        0ms root/team b #1 Transient: started
        0ms root/team c #1 Temporary: declined to start
        0ms root/team late #1 Permanent: started
        0ms root team #1 Transient: started
        ");

        tokio::time::sleep(ms(1_000)).await;
        a.fail().await;
        tokio::time::sleep(ms(500)).await;
        insta::assert_snapshot!(said(&bed), @"
        1000ms root/team a #1 Permanent: 1 dead letters: InFlight !
        1000ms root/team a #1 Permanent: terminated: failed: boom !
        1000ms root/team a #1 Permanent: restarting OneForOne after 100ms
        1100ms root/team a #2 Permanent: start failed: nope !
        1100ms root/team a #2 Permanent: restarting OneForOne after 200ms
        1300ms root/team a #3 Permanent: started
        ");

        b.exit(Exit::Normal).await;
        late.tell(Cue::Work(10));
        bed.settle().await;
        late.tell(Cue::Work(0));
        a.tell(Cue::Panic);
        tokio::time::sleep(ms(600)).await;
        a.tell(Cue::Panic);
        tokio::time::sleep(ms(1_000)).await;
        insta::assert_snapshot!(said(&bed), @"
        1501ms root/team b #1 Transient: ended: normal
        1503ms root/team a #3 Permanent: 1 dead letters: InFlight !
        1503ms root/team a #3 Permanent: terminated: panicked: oh no !
        1503ms root/team a #3 Permanent: restarting OneForOne after 400ms
        1903ms root/team a #4 Permanent: started
        2103ms root/team a #4 Permanent: 1 dead letters: InFlight !
        2103ms root/team a #4 Permanent: terminated: panicked: oh no !
        2103ms root/team a #4 Permanent: restart intensity exhausted: panicked: oh no !
        2153ms root/team late #1 Permanent: did not stop cleanly: killed !
        2153ms root team #1 Transient: ended: shutdown: more than 3 restarts within 5s, the last for `a`: panicked: oh no
        ");

        root.stop().await;
        assert!(said(&bed).is_empty());
    });
}

#[test]
fn j3_a_tree_that_cannot_start_says_where() {
    virtual_time(|bed| async move {
        let broken = bed.player("broken").starts([Play::Panic]);
        let players = [bed.player("a"), broken];
        let init = move || {
            let players: Vec<_> = players.iter().collect();
            Ok(Some(cast(Flags::default(), &players)))
        };
        let team = ChildSpec::supervisor("team", Start::supervisor(init));
        let error = bed
            .root()
            .start(SupervisorSpec::default().child(team))
            .await;
        insta::assert_snapshot!(error.expect_err("it cannot"), @"child `team` could not be started: child `broken` could not be started: panicked: oh no");
        insta::assert_snapshot!(said(&bed), @"
        0ms root/team a #1 Permanent: started
        0ms root/team broken #1 Permanent: start failed: panicked: oh no !
        0ms root/team a #1 Permanent: stopped
        0ms root team #1 Permanent: start failed: child `broken` could not be started: panicked: oh no !
        ");
    });
}

#[test]
fn without_a_listener_nothing_is_missing() {
    virtual_time(|bed| async move {
        let a = bed.player("a");
        let root = Root::new("root").start(cast(patient(Strategy::OneForOne), &[&a]));
        let root = root.await.expect("it starts");
        a.fail().await;
        root.stop().await;
        assert!(bed.reports().is_empty());
    });
}
