//! The limit on restarts of a whole tree.

use std::time::Duration;

use supervision::{Flags, Intensity, Start, Strategy, SupervisorSpec};

use crate::bed::{cast, children, patient, said, virtual_time};

#[test]
fn restarts_beyond_the_limit_are_spaced_out() {
    virtual_time(|bed| async move {
        let limit = Intensity::new(3, Duration::from_secs(30));
        let players: Vec<_> = (0..6).map(|n| bed.player(&format!("p{n}"))).collect();
        let all: Vec<_> = players.iter().collect();
        let root = bed.root().storm_limit(limit);
        let root = root
            .start(cast(patient(Strategy::OneForOne), &all))
            .await
            .expect("it starts");
        bed.reports();
        for player in &players {
            player.tell(crate::bed::Cue::Exit(supervision::Exit::failed("boom")));
        }
        tokio::time::sleep(Duration::from_secs(40)).await;
        insta::assert_snapshot!(said(&bed), @r#"
        0ms root p0 #1 Permanent: 1 dead letters: InFlight !
        0ms root p1 #1 Permanent: 1 dead letters: InFlight !
        0ms root p2 #1 Permanent: 1 dead letters: InFlight !
        0ms root p3 #1 Permanent: 1 dead letters: InFlight !
        0ms root p4 #1 Permanent: 1 dead letters: InFlight !
        0ms root p5 #1 Permanent: 1 dead letters: InFlight !
        0ms root p0 #1 Permanent: terminated: failed: boom !
        0ms root p0 #1 Permanent: restarting OneForOne after 0ns
        0ms root p0 #2 Permanent: started
        0ms root p1 #1 Permanent: terminated: failed: boom !
        0ms root p1 #1 Permanent: restarting OneForOne after 0ns
        0ms root p2 #1 Permanent: terminated: failed: boom !
        0ms root p2 #1 Permanent: restarting OneForOne after 0ns
        0ms root p3 #1 Permanent: terminated: failed: boom !
        0ms root p3 #1 Permanent: restarting OneForOne after 0ns
        0ms root p4 #1 Permanent: terminated: failed: boom !
        0ms root p4 #1 Permanent: restarting OneForOne after 0ns
        0ms root p5 #1 Permanent: terminated: failed: boom !
        0ms root p5 #1 Permanent: restarting OneForOne after 0ns
        0ms root p3 #1 Permanent: restart waits 10s: too many in the whole tree !
        0ms root p4 #1 Permanent: restart waits 20s: too many in the whole tree !
        0ms root p5 #1 Permanent: restart waits 30s: too many in the whole tree !
        0ms root p1 #2 Permanent: started
        0ms root p2 #2 Permanent: started
        10000ms root p3 #2 Permanent: started
        20000ms root p4 #2 Permanent: started
        30000ms root p5 #2 Permanent: started
        "#);
        assert!(
            children(&root)
                .await
                .split(' ')
                .all(|one| one.ends_with("running#2"))
        );
        root.stop().await;
    });
}

#[test]
fn the_limit_is_for_the_whole_tree() {
    virtual_time(|bed| async move {
        let limit = Intensity::new(1, Duration::from_secs(10));
        let (a, b) = (bed.player("a"), bed.player("b"));
        let (under_a, under_b) = (a.clone(), b.clone());
        let above = |player: crate::bed::Player| {
            Start::supervisor(move || Ok(Some(cast(patient(Strategy::OneForOne), &[&player]))))
        };
        let spec = SupervisorSpec::new(Flags::default())
            .child(supervision::ChildSpec::supervisor("x", above(under_a)))
            .child(supervision::ChildSpec::supervisor("y", above(under_b)));
        let root = bed
            .root()
            .storm_limit(limit)
            .start(spec)
            .await
            .expect("it starts");
        a.fail().await;
        b.fail().await;
        assert_eq!(bed.alive(), ["a"]);
        tokio::time::sleep(Duration::from_secs(10)).await;
        assert_eq!(bed.alive(), ["a", "b"]);
        root.stop().await;
    });
}
