//! Fences, claims, ends and the rows.

use crate::model::event::AgentState;
use crate::model::task::Attention;
use crate::model::{
    Content, EventBody, RunStatus, Sender, Step, TaskStatus, Timestamp, Usage, event::Outcome,
};
use crate::store::{Draft, Rejected, Store};

use super::draft::{
    append, completed, created, fenced, note, of_run, of_task, queued, refused, restarted, run,
    started, task, working, write,
};

pub(super) async fn fences_exactly(store: &dyn Store) {
    working(store, task(1), run(1)).await;
    write(store, append(task(1), vec![restarted(run(1), 5)])).await;
    for given in [0, 1, 4, 6, u64::MAX] {
        let answer = refused(store, fenced(task(1), (run(1), given), vec![note("late")])).await;
        let fenced = Rejected::Fenced {
            run: run(1),
            current: 5,
            given,
        };
        assert_eq!(answer, fenced);
    }
    write(store, fenced(task(1), (run(1), 5), vec![note("in time")])).await;
    // A run that is queued in the same append stands at epoch 0 before it.
    write(store, fenced(task(1), (run(2), 0), vec![queued(run(2))])).await;
    refused(store, fenced(task(1), (run(3), 1), vec![queued(run(3))])).await;
}

pub(super) async fn raises_the_epoch_at_each_claim(store: &dyn Store) {
    write(store, append(task(1), vec![created(), queued(run(1))])).await;
    illegal(store, started(run(1), 0)).await;
    for epoch in [1, 2, 7] {
        let claim = if epoch == 1 { started } else { restarted };
        write(store, append(task(1), vec![claim(run(1), epoch)])).await;
        assert_eq!(row(store).await.epoch, epoch);
        illegal(store, restarted(run(1), epoch)).await;
        illegal(store, restarted(run(1), epoch - 1)).await;
    }
    let other = of_run(run(1), 3, EventBody::RunReleased);
    write(store, append(task(1), vec![other])).await;
    assert_eq!(row(store).await.epoch, 7, "only a claim changes the epoch");
}

async fn illegal(store: &dyn Store, draft: Draft) {
    let kind = draft.body.kind();
    match refused(store, append(task(1), vec![draft])).await {
        Rejected::Illegal(illegal) => assert_eq!(illegal.event, kind),
        other => panic!("{other:?} instead of an illegal {kind}"),
    }
}

async fn row(store: &dyn Store) -> crate::store::RunRow {
    store.runs(task(1)).await.expect("runs").remove(0)
}

pub(super) async fn refuses_what_does_not_fit(store: &dyn Store) {
    illegal(store, note("before the task")).await;
    illegal(store, queued(run(1))).await;
    working(store, task(1), run(1)).await;
    working(store, task(2), run(2)).await;
    let created_in_run = Draft {
        run: Some(run(3)),
        ..created()
    };
    let without_run = of_task(EventBody::RunReleased);
    let queued_without_run = Draft {
        run: None,
        ..queued(run(3))
    };
    for draft in [
        created(),
        created_in_run.clone(),
        without_run,
        queued_without_run,
        queued(run(1)),
        queued(run(2)),
        started(run(3), 1),
        started(run(2), 2),
        completed(run(2), 1),
    ] {
        illegal(store, draft).await;
    }
    let unknown_task = append(task(3), vec![created_in_run]);
    assert!(matches!(
        refused(store, unknown_task).await,
        Rejected::Illegal(_)
    ));
}

pub(super) async fn refuses_what_comes_after_the_end(store: &dyn Store) {
    working(store, task(1), run(1)).await;
    write(store, append(task(1), vec![completed(run(1), 1)])).await;
    for draft in [
        completed(run(1), 1),
        restarted(run(1), 2),
        of_run(run(1), 1, EventBody::RunReleased),
    ] {
        illegal(store, draft).await;
    }
    write(store, append(task(1), vec![of_task(cancelled())])).await;
    for draft in [
        of_task(cancelled()),
        of_task(resumed()),
        of_task(attention()),
        queued(run(2)),
        created(),
        of_run(run(1), 1, continued()),
        of_task(agent_state()),
        of_task(supervisor_restart()),
    ] {
        illegal(store, draft).await;
    }
    let reopened = append(task(1), vec![of_task(EventBody::TaskReopened)]);
    write(store, reopened).await;
    let again = [of_run(run(1), 1, continued()), of_task(agent_state())];
    write(store, append(task(1), again.into())).await;
}

fn continued() -> EventBody {
    EventBody::RunContinued {
        from: Sender::Human,
        content: Content::Inline("and then?".to_owned()),
    }
}

fn agent_state() -> EventBody {
    EventBody::AgentState {
        state: AgentState::Idle,
        reason: String::new(),
    }
}

fn supervisor_restart() -> EventBody {
    EventBody::SupervisorRestart {
        path: "tasks/1/agents".to_owned(),
        child: "lead".to_owned(),
        incarnation: 2,
        reason: "killed".to_owned(),
    }
}

fn cancelled() -> EventBody {
    EventBody::TaskCancelled {
        reason: "enough".to_owned(),
    }
}

fn resumed() -> EventBody {
    EventBody::TaskResumed {
        answer: "go on".to_owned(),
    }
}

fn attention() -> EventBody {
    EventBody::TaskNeedsAttention {
        attention: Attention::GaveUp {
            path: "tasks/1".to_owned(),
            reason: "too many restarts".to_owned(),
        },
    }
}

pub(super) async fn accepts_late_results_after_the_end(store: &dyn Store) {
    working(store, task(1), run(1)).await;
    let end = vec![completed(run(1), 1), of_task(cancelled())];
    write(store, append(task(1), end)).await;
    let before = (store.task(task(1)).await, row(store).await);
    let late = EventBody::ToolCallLate {
        step: Step { turn: 0, index: 0 },
        started_epoch: 1,
        outcome: Outcome::Ok,
        content: Content::Inline("too late".to_owned()),
    };
    let said = of_run(run(1), 1, note("said").body);
    let drafts = vec![of_run(run(1), 1, late), said, note("in the room")];
    let events = write(store, append(task(1), drafts)).await;
    assert_eq!(events.last().map(|event| event.id), Some(8));
    assert_eq!(row(store).await, before.1, "the run has ended as it was");
    let task_row = store.task(task(1)).await.expect("task").expect("task");
    assert_eq!((task_row.head, task_row.status), (8, TaskStatus::Cancelled));
}

pub(super) async fn folds_the_rows(store: &dyn Store) {
    let at = |ms, draft| Draft {
        at: Timestamp(ms),
        ..draft
    };
    let says = |body| of_run(run(1), 1, body);
    let quarantined = EventBody::RunQuarantined {
        reason: "poison".to_owned(),
    };
    use {RunStatus as R, TaskStatus as T};
    for (ms, draft, task_is, run_is) in [
        (20, started(run(1), 1), T::Running, R::Running),
        (30, says(quarantined), T::Running, R::Quarantined),
        (40, of_task(attention()), T::NeedsAttention, R::Quarantined),
        (50, of_task(resumed()), T::Running, R::Quarantined),
        (60, says(EventBody::RunReleased), T::Running, R::Queued),
        (70, restarted(run(1), 2), T::Running, R::Running),
        (80, completed(run(1), 2), T::Running, R::Completed),
        (90, of_task(done()), T::Completed, R::Completed),
    ] {
        if ms == 20 {
            let drafts = vec![at(5, created()), at(10, queued(run(1)))];
            write(store, append(task(1), drafts)).await;
        }
        write(store, append(task(1), vec![at(ms, draft)])).await;
        let task_row = store.task(task(1)).await.expect("task").expect("task");
        assert_eq!(
            (task_row.status, row(store).await.status),
            (task_is, run_is)
        );
        assert_eq!(task_row.updated_at, Timestamp(ms));
        assert_eq!(task_row.root_run, Some(run(1)));
    }
    let row = row(store).await;
    assert_eq!((row.task, row.parent, row.depth), (task(1), None, 0));
    assert_eq!(row.agent.as_str(), "writer");
    assert_eq!(row.queued_at, Timestamp(10));
    assert_eq!(
        (row.started_at, row.ended_at),
        (Some(Timestamp(20)), Some(Timestamp(80)))
    );
    assert_eq!(
        row.usage,
        Usage {
            input_tokens: 12,
            ..Usage::default()
        }
    );
}

fn done() -> EventBody {
    EventBody::TaskCompleted {
        result: Content::Inline("done".to_owned()),
    }
}
