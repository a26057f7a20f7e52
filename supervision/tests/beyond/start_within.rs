//! A deadline for a start.

use std::time::Duration;

use supervision::{AdminError, DynamicSpec, Exit, Flags, Strategy, template};

use crate::bed::{Play, children, ms, patient, said, virtual_time};

#[test]
fn a_start_that_takes_too_long_is_a_failed_start() {
    virtual_time(|bed| async move {
        let a = bed.player("a").with(|spec| spec.start_within(ms(200)));
        let a = a.starts([Play::Slow(199), Play::Slow(5_000), Play::Ok]);
        let root = bed.start(patient(Strategy::OneForOne), &[&a]).await;
        bed.reports();
        a.fail().await;
        tokio::time::sleep(ms(500)).await;
        assert_eq!(children(&root).await, "a:running#3");
        insta::assert_snapshot!(said(&bed), @r#"
        199ms root a #1 Permanent: 1 dead letters: InFlight !
        199ms root a #1 Permanent: terminated: failed: boom !
        199ms root a #1 Permanent: restarting OneForOne after 0ns
        399ms root a #2 Permanent: start failed: it was not up within 200ms !
        399ms root a #2 Permanent: restarting OneForOne after 0ns
        399ms root a #3 Permanent: started
        "#);
        root.stop().await;
    });
}

#[test]
fn a_boot_that_takes_too_long_is_unwound() {
    virtual_time(|bed| async move {
        let a = bed.player("a");
        let b = bed.player("b").with(|spec| spec.start_within(ms(200)));
        let b = b.starts([Play::Slow(5_000)]);
        let spec = crate::bed::cast(Flags::default(), &[&a, &b]);
        let failed = bed.root().start(spec).await.expect_err("it is too slow");
        insta::assert_snapshot!(failed, @"child `b` could not be started: it was not up within 200ms");
        assert_eq!(bed.alive(), [""; 0]);
    });
}

#[test]
fn whoever_asked_for_an_instance_hears_that_it_was_too_slow() {
    virtual_time(|bed| async move {
        let a = bed.player("a").starts([Play::Slow(5_000)]);
        let mut plan = template("one");
        plan.start_within = Some(ms(100));
        let spec = DynamicSpec::new(Flags::default()).template(plan, move |()| a.start());
        let instances = spec.start(bed.root()).await.expect("it starts");
        let begun = tokio::time::Instant::now();
        let refused = instances.start_child(()).await.err();
        let reason = "it was not up within 100ms".into();
        assert_eq!(refused, Some(AdminError::StartFailed(reason)));
        assert!(begun.elapsed() < Duration::from_millis(110));
        assert_eq!(instances.supervisor().stop().await, Exit::SHUTDOWN);
    });
}
