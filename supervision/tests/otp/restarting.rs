//! H. While a restart is under way.

use std::time::Duration;

use supervision::{
    Backoff, ChildState, DynamicSpec, Flags, Jitter, Strategy, SupervisorHandle, template,
};

use crate::bed::{Bed, Play, Player, children, timed, virtual_time};

const HOUR: Duration = Duration::from_secs(3600);

fn endless(strategy: Strategy) -> Flags {
    Flags::new(strategy).intensity(u32::MAX, Duration::from_secs(5))
}

/// A player that starts once and never again, in an endless loop of attempts.
fn failing(bed: &Bed, id: &str) -> Player {
    bed.player(id).starts([Play::Ok, Play::Fail])
}

/// The same with an hour between two attempts.
fn waiting(bed: &Bed, id: &str) -> Player {
    let wait = Backoff::new(HOUR, HOUR).jitter(Jitter::None);
    failing(bed, id).with(move |spec| spec.backoff(wait.clone()))
}

async fn states(supervisor: &SupervisorHandle) -> Vec<ChildState> {
    let tree = supervisor.tree("root", Duration::from_secs(1)).await;
    tree.children.iter().map(|child| child.state).collect()
}

#[test]
fn h1_between_attempts_the_supervisor_answers() {
    virtual_time(|bed| async move {
        let a = failing(&bed, "a");
        let root = bed.start(endless(Strategy::OneForOne), &[&a]).await;
        a.loops().await;
        for _ in 0..100 {
            let (took, states) = timed(states(&root)).await;
            assert_eq!(took, Duration::ZERO);
            let [ChildState::Restarting | ChildState::Starting] = states[..] else {
                panic!("{states:?}");
            };
        }
        root.stop().await;
    });
}

#[test]
fn h1_a_child_that_waits_for_its_restart_is_listed_so() {
    virtual_time(|bed| async move {
        let a = waiting(&bed, "a");
        let root = bed.start(endless(Strategy::OneForOne), &[&a]).await;
        a.fail().await;
        assert_eq!(children(&root).await, "a:restarting#1");
        tokio::time::sleep(HOUR).await;
        assert_eq!(children(&root).await, "a:restarting#2");
        root.stop().await;
    });
}

#[test]
fn h2_terminating_a_restarting_child_cancels_the_attempts() {
    virtual_time(|bed| async move {
        let (failing, waiting) = (failing(&bed, "a"), waiting(&bed, "a"));
        let root = bed.start(endless(Strategy::OneForOne), &[&failing]).await;
        failing.loops().await;
        cancel(&bed, &root).await;
        let root = bed.start(endless(Strategy::OneForOne), &[&waiting]).await;
        waiting.fail().await;
        cancel(&bed, &root).await;
    });
}

/// Terminates `a`, of which nothing is heard again.
async fn cancel(bed: &Bed, root: &SupervisorHandle) {
    root.terminate_child("a").await.expect("it is known");
    let listed = children(root).await;
    assert!(listed.starts_with("a:stopped"), "{listed}");
    bed.trace();
    tokio::time::sleep(2 * HOUR).await;
    bed.expect("");
    assert_eq!(children(root).await, listed);
    root.stop().await;
}

#[test]
fn h3_the_later_ones_are_stopped_meanwhile_and_the_earlier_ones_run() {
    virtual_time(|bed| async move {
        let b = waiting(&bed, "b");
        let players = [&bed.player("a"), &b, &bed.player("c")];
        let root = bed.start(endless(Strategy::RestForOne), &players).await;
        b.fail().await;
        assert_eq!(
            children(&root).await,
            "a:running#1 b:restarting#1 c:stopped#1"
        );
        tokio::time::sleep(HOUR).await;
        assert_eq!(
            children(&root).await,
            "a:running#1 b:restarting#2 c:stopped#1"
        );
        assert_eq!(root.count_children().await.active, 1);
        root.stop().await;
    });
}

#[test]
fn h3_a_restarting_instance_is_cancelled_by_its_key() {
    virtual_time(|bed| async move {
        let mut plan = template("t");
        let spec = DynamicSpec::new(endless(Strategy::OneForOne));
        plan.backoff = Some(Backoff::new(HOUR, HOUR).jitter(Jitter::None));
        let spec = spec.template(plan, |player: Player| player.start());
        let pool = spec.start(bed.root()).await.expect("it starts");
        let a = bed.player("a");
        let key = pool
            .start_child(a.clone())
            .await
            .expect("it starts")
            .expect("up")
            .key;
        a.fail().await;
        assert_eq!(children(pool.supervisor()).await, "t-1:restarting#1");
        pool.terminate_child(key).await.expect("it is known");
        assert_eq!(children(pool.supervisor()).await, "");
        tokio::time::sleep(2 * HOUR).await;
        bed.expect("start a\nstop a failed: boom\nstopped a");
        pool.stop().await;
    });
}
