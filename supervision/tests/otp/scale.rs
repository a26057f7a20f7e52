//! J. Scale, memory, reports.

use std::sync::Arc;
use std::time::{Duration, Instant};

use supervision::restart::{
    ChildKey, Core, DynamicCore, Event, Incarnation, Request, RequestId, SupervisorCore, Target,
};
use supervision::{DynamicSpec, Exit, Flags, Restart, Start, SupervisorSpec, template};

use crate::bed::{children, virtual_time};

/// The time this thread has worked so far, which does not grow while others work.
#[expect(
    clippy::disallowed_methods,
    reason = "what is measured is work, not waiting"
)]
fn worked_so_far() -> Duration {
    static BEGIN: std::sync::LazyLock<Instant> = std::sync::LazyLock::new(Instant::now);
    // The count is brought up to date when the thread is rescheduled.
    std::thread::yield_now();
    let of_thread = std::fs::read_to_string("/proc/thread-self/schedstat");
    let nanos = of_thread
        .ok()
        .and_then(|text| text.split(' ').next()?.parse().ok());
    nanos.map_or_else(|| BEGIN.elapsed(), Duration::from_nanos)
}

async fn worked<F: Future<Output = ()>>(work: F) -> Duration {
    let begin = worked_so_far();
    work.await;
    worked_so_far() - begin
}

fn idle() -> Start {
    Start::worker(std::future::pending)
}

#[test]
fn j1_stopping_ten_times_as_many_instances_one_by_one_costs_no_more_than_fifty_times_as_much() {
    virtual_time(|_| async {
        let few = stop_one_by_one(1_000).await;
        let many = stop_one_by_one(10_000).await;
        assert!(many < 50 * few, "{few:?} and {many:?}");
    });
}

async fn stop_one_by_one(count: usize) -> Duration {
    let spec = DynamicSpec::new(Flags::default()).template(template("t"), |()| idle());
    let pool = spec
        .start(supervision::Root::new("root"))
        .await
        .expect("it starts");
    let mut keys = Vec::new();
    for _ in 0..count {
        let added = pool.start_child(()).await.expect("it starts");
        keys.push(added.expect("up").key);
    }
    let took = worked(async {
        for key in keys {
            pool.terminate_child(key).await.expect("it is known");
        }
    });
    let took = took.await;
    pool.stop().await;
    took
}

/// The rule's hundred thousand take a debug build some eight seconds: they are in `examples/scale.rs`, and the rules alone
/// below.
#[test]
fn j1_declared_children_come_and_go_in_linear_time() {
    virtual_time(|_| async {
        let few = add_and_terminate(1_000).await;
        let many = add_and_terminate(10_000).await;
        assert!(many < 10 * 10 * few, "{few:?} and {many:?}");
    });
}

async fn add_and_terminate(count: usize) -> Duration {
    let root = supervision::Root::new("root");
    let root = root
        .start(SupervisorSpec::default())
        .await
        .expect("it starts");
    let took = worked(async {
        for n in 0..count {
            let child = supervision::ChildSpec::new(format!("c{n}"), idle());
            root.start_child(child).await.expect("it starts");
        }
        for n in 0..count {
            root.terminate_child(format!("c{n}"))
                .await
                .expect("it is known");
        }
    });
    let took = took.await;
    assert_eq!(root.count_children().await.specs, count);
    root.stop().await;
    took
}

/// The rules alone at the size that OTP's own suite has.
#[test]
fn j1_the_rules_are_linear_up_to_a_hundred_thousand_children() {
    virtual_time(|_| async {
        let few = worked(async { come_and_go(1_000) }).await;
        let many = worked(async { come_and_go(100_000) }).await;
        assert!(many < 10 * 100 * few, "{few:?} and {many:?}");
    });
}

fn come_and_go(count: u64) {
    let now = Duration::ZERO;
    let mut core = SupervisorCore::new(Flags::default(), Vec::new()).expect("a set");
    core.apply(now, Event::Boot);
    for n in 0..count {
        let request = Request::Add(template(&format!("c{n}")), ());
        core.apply(now, Event::Request(RequestId(n), request));
        core.apply(now, Event::Started(ChildKey(n), Incarnation(1)));
    }
    for n in 0..count {
        let target = Target::Id(format!("c{n}").into());
        core.apply(
            now,
            Event::Request(RequestId(n), Request::Terminate(target)),
        );
        core.apply(
            now,
            Event::Exited(ChildKey(n), Incarnation(1), Exit::SHUTDOWN),
        );
    }
}

/// What a core looks like from inside, without the numbers that only count.
fn inside(core: &impl std::fmt::Debug) -> String {
    let text = format!("{core:?}");
    text.chars().filter(|char| !char.is_ascii_digit()).collect()
}

#[test]
fn j2_nothing_is_kept_of_temporary_children_that_ended() {
    let now = Duration::ZERO;
    let mut temporary = template("t");
    temporary.restart = Restart::Temporary;
    let mut core = SupervisorCore::new(Flags::default(), Vec::new()).expect("a set");
    let mut dynamic = DynamicCore::new(Flags::default(), temporary.clone()).expect("a template");
    core.apply(now, Event::Boot);
    dynamic.apply(now, Event::Boot);
    let before = (inside(&core), inside(&dynamic));
    for n in 0..1_000 {
        for core in [&mut core as &mut dyn Core<()>, &mut dynamic] {
            let request = Request::Add(temporary.clone(), ());
            core.apply(now, Event::Request(RequestId(n), request));
            core.apply(now, Event::Started(ChildKey(n), Incarnation(1)));
            let exit = Exit::failed("boom");
            core.apply(now, Event::Exited(ChildKey(n), Incarnation(1), exit));
        }
    }
    assert_eq!((inside(&core), inside(&dynamic)), before);
}

#[test]
fn j2_no_arguments_of_temporary_children_are_kept() {
    virtual_time(|bed| async move {
        let arguments = Arc::new(());
        let mut plan = template("t");
        plan.restart = Restart::Temporary;
        let hold = |arguments: Arc<()>| {
            // Whoever is started holds no copy, so that what is counted is what the supervisor holds.
            let _ = &arguments;
            idle_with(arguments)
        };
        let spec = DynamicSpec::new(Flags::default()).template(plan, hold);
        let pool = spec.start(bed.root()).await.expect("it starts");
        for _ in 0..10 {
            pool.start_child(arguments.clone())
                .await
                .expect("it starts");
        }
        assert_eq!(Arc::strong_count(&arguments), 1, "of instances");
        pool.stop().await;

        let root = bed.start(Flags::default(), &[]).await;
        let child = supervision::ChildSpec::new("a", idle_with(arguments.clone()));
        let child = child.restart(Restart::Temporary);
        root.start_child(child).await.expect("it starts");
        assert_eq!(Arc::strong_count(&arguments), 1, "of a declared child");
        root.terminate_child("a").await.expect("it is known");
        assert_eq!(children(&root).await, "");
        root.stop().await;
    });
}

/// An idle child whose start holds `arguments` and whose life does not.
fn idle_with(arguments: Arc<()>) -> Start {
    Start::worker(move || {
        let _ = &arguments;
        std::future::pending()
    })
}

#[test]
fn j2_a_thousand_instances_later_nothing_is_left_of_them() {
    virtual_time(|bed| async move {
        let arguments = Arc::new(());
        let spec = DynamicSpec::new(Flags::default());
        let spec = spec.template(template("t"), idle_with);
        let pool = spec.start(bed.root()).await.expect("it starts");
        for _ in 0..1_000 {
            let added = pool
                .start_child(arguments.clone())
                .await
                .expect("it starts");
            pool.terminate_child(added.expect("up").key)
                .await
                .expect("it is known");
        }
        assert_eq!(Arc::strong_count(&arguments), 1);
        assert_eq!(children(pool.supervisor()).await, "");
        let alive = tokio::runtime::Handle::current()
            .metrics()
            .num_alive_tasks();
        assert!(alive <= 3, "{alive} tasks for one empty supervisor");
        pool.stop().await;
    });
}
