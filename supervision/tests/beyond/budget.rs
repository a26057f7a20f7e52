//! Restarts that are forgiven to one child before the shared intensity is charged.

use std::time::Duration;

use supervision::{Flags, Intensity, Strategy};

use crate::bed::{Play, children, ms, said, virtual_time};

fn own(restarts: u32) -> Intensity {
    Intensity::new(restarts, Duration::from_secs(60))
}

#[test]
fn a_child_that_fails_often_does_not_take_its_siblings_with_it() {
    virtual_time(|bed| async move {
        let flags = Flags::new(Strategy::OneForOne).intensity(1, Duration::from_secs(60));
        let a = bed.player("a").with(|spec| spec.budget(own(3)));
        let b = bed.player("b");
        let root = bed.start(flags, &[&a, &b]).await;
        for _ in 0..3 {
            a.fail().await;
        }
        b.fail().await;
        assert_eq!(children(&root).await, "a:running#4 b:running#2");
        a.fail().await;
        assert!(
            root.exit().is_some(),
            "the fourth was one too many for both"
        );
    });
}

#[test]
fn what_is_forgiven_comes_back_with_time() {
    virtual_time(|bed| async move {
        let flags = Flags::new(Strategy::OneForOne).intensity(0, ms(1));
        let a = bed.player("a").with(|spec| spec.budget(own(1)));
        let root = bed.start(flags, &[&a]).await;
        for _ in 0..5 {
            a.fail().await;
            tokio::time::sleep(Duration::from_secs(61)).await;
        }
        assert_eq!(children(&root).await, "a:running#6");
        root.stop().await;
    });
}

#[test]
fn a_failed_start_is_charged_when_it_fails() {
    virtual_time(|bed| async move {
        let flags = Flags::new(Strategy::OneForOne).intensity(1, Duration::from_secs(60));
        let a = bed.player("a").with(|spec| spec.budget(own(1)));
        let a = a.starts([Play::Ok, Play::Fail]);
        let root = bed.start(flags, &[&a]).await;
        bed.reports();
        a.fail().await;
        assert!(root.exit().is_some());
        insta::assert_snapshot!(said(&bed), @r#"
        0ms root a #1 Permanent: 1 dead letters: InFlight !
        0ms root a #1 Permanent: terminated: failed: boom !
        0ms root a #1 Permanent: restarting OneForOne after 0ns
        0ms root a #2 Permanent: start failed: nope !
        0ms root a #2 Permanent: restarting OneForOne after 0ns
        0ms root a #3 Permanent: start failed: nope !
        0ms root a #3 Permanent: restart intensity exhausted: failed: nope !
        "#);
    });
}
