//! Restarts that wait for what a child depends on.

use std::time::Duration;

use supervision::{ChildSpec, Flags, Start, Strategy, SupervisorSpec};
use tokio::sync::watch;

use crate::bed::{Bed, Player, children, ms, said, virtual_time};

fn needing(player: &Player, need: &str, available: &watch::Receiver<bool>) -> ChildSpec {
    let start: Start = player.start().needs(need, available.clone());
    ChildSpec {
        start,
        ..player.spec()
    }
}

async fn team(bed: &Bed, flags: Flags, specs: Vec<ChildSpec>) -> supervision::SupervisorHandle {
    let spec = specs
        .into_iter()
        .fold(SupervisorSpec::new(flags), SupervisorSpec::child);
    bed.root().start(spec).await.expect("it starts")
}

#[test]
fn a_restart_waits_uncharged_until_what_it_needs_is_there() {
    virtual_time(|bed| async move {
        let (provider, available) = watch::channel(true);
        let flags = Flags::new(Strategy::OneForOne).intensity(0, Duration::from_secs(60));
        let a = bed.player("a");
        let root = team(&bed, flags, vec![needing(&a, "provider x", &available)]).await;
        bed.reports();
        for n in 1..4 {
            provider.send_replace(false);
            bed.settle().await;
            a.fail().await;
            tokio::time::sleep(Duration::from_secs(3_600)).await;
            assert_eq!(children(&root).await, format!("a:restarting#{n}"));
            let drawn = root.tree("root", ms(100)).await.to_string();
            assert!(drawn.contains("(waits for provider x)"), "{drawn}");
            provider.send_replace(true);
            bed.settle().await;
        }
        assert_eq!(children(&root).await, "a:running#4");
        insta::assert_snapshot!(said(&bed), @r#"
        1ms root a #1 Permanent: 1 dead letters: InFlight !
        1ms root a #1 Permanent: terminated: failed: boom !
        1ms root a #1 Permanent: restart waits for provider x !
        3600002ms root a #2 Permanent: started
        3600004ms root a #2 Permanent: 1 dead letters: InFlight !
        3600004ms root a #2 Permanent: terminated: failed: boom !
        3600004ms root a #2 Permanent: restart waits for provider x !
        7200005ms root a #3 Permanent: started
        7200007ms root a #3 Permanent: 1 dead letters: InFlight !
        7200007ms root a #3 Permanent: terminated: failed: boom !
        7200007ms root a #3 Permanent: restart waits for provider x !
        10800008ms root a #4 Permanent: started
        "#);
        a.fail().await;
        assert!(
            root.exit().is_some(),
            "what it needs is there: it is charged"
        );
    });
}

#[test]
fn all_wait_for_what_one_of_them_needs() {
    virtual_time(|bed| async move {
        let (provider, available) = watch::channel(false);
        let flags = Flags::new(Strategy::OneForAll).intensity(1, Duration::from_secs(60));
        let (a, b) = (bed.player("a"), bed.player("b"));
        let root = team(
            &bed,
            flags,
            vec![needing(&a, "provider", &available), b.spec()],
        )
        .await;
        b.fail().await;
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert_eq!(bed.alive(), [""; 0]);
        provider.send_replace(true);
        bed.settle().await;
        assert_eq!(children(&root).await, "a:running#2 b:running#2");
        root.stop().await;
    });
}

#[test]
fn one_that_waits_can_be_stopped_for_good() {
    virtual_time(|bed| async move {
        let (provider, available) = watch::channel(false);
        let a = bed.player("a");
        let root = team(
            &bed,
            Flags::default(),
            vec![needing(&a, "provider", &available)],
        )
        .await;
        a.fail().await;
        root.terminate_child("a").await.expect("it is known");
        provider.send_replace(true);
        bed.settle().await;
        assert_eq!(children(&root).await, "a:stopped#1");
        root.restart_child("a").await.expect("by hand");
        assert_eq!(children(&root).await, "a:running#2");
        root.stop().await;
    });
}
