//! From the outbox to deliveries: what an event leads to is durable before the outbox forgets it. An event that is read again, because
//! the node ended in between, leads to the same deliveries and to no second alert.

use std::collections::BTreeMap;

use actors::model::{AlertKind, Event, EventBody, TaskId};
use actors::registry::webhooks::deliveries::Delivery;
use actors::registry::webhooks::{Webhook, plan};
use actors::store::{Announced, StoreError};
use actors::system::{System, SystemError};
use supervision::Failure;

use super::Webhooks;

/// The events that are looked at whether or not there is a webhook for them: a run that failed is an alert.
pub(super) const ALWAYS: [&str; 1] = ["run_failed"];

/// How many events are taken from the outbox at once.
const PAGE: usize = 256;

/// Takes everything from the outbox.
pub(super) async fn take(
    hooks: &Webhooks,
    system: &System,
    webhooks: &[Webhook],
) -> Result<(), Failure> {
    let records = hooks.0.registry.records().clone();
    loop {
        let page = records.announced(0, PAGE).await?;
        let Some(last) = page.last().map(|announced| announced.position) else {
            return Ok(());
        };
        let mut projects = BTreeMap::new();
        let mut deliveries = Vec::new();
        for announced in page {
            let Some(event) = event(system, announced).await? else {
                continue;
            };
            let project = project(system, &mut projects, event.task_id).await?;
            alert(system, &event).await?;
            let wanted = webhooks.iter();
            let wanted = wanted.filter(|webhook| plan::wants(webhook, &project, &event));
            let now = hooks.0.registry.now();
            deliveries.extend(wanted.map(|it| Delivery::new(it, &project, &event, now)));
        }
        hooks.0.registry.add_deliveries(deliveries).await?;
        records.forget_announced(last).await?;
    }
}

/// An event of the outbox; none if its task was removed, or is damaged: that must not keep the others back.
async fn event(system: &System, announced: Announced) -> Result<Option<Event>, SystemError> {
    let before = announced.seq.saturating_sub(1);
    let found = match system.events(announced.task, before, 1).await {
        Ok(found) => found,
        Err(SystemError::Store(error @ StoreError::Corrupt { .. })) => {
            let (task, event) = (announced.task, announced.seq);
            tracing::error!(%task, event, "an event cannot be sent to webhooks: {error}");
            return Ok(None);
        }
        Err(error) => return Err(error),
    };
    Ok(found.into_iter().find(|event| event.id == announced.seq))
}

async fn project(
    system: &System,
    known: &mut BTreeMap<TaskId, String>,
    task: TaskId,
) -> Result<String, SystemError> {
    if let Some(project) = known.get(&task) {
        return Ok(project.clone());
    }
    let project = match system.task(task).await {
        Ok(row) => row.project,
        Err(SystemError::NoSuchTask(_)) => String::new(),
        Err(error) => return Err(error),
    };
    known.insert(task, project.clone());
    Ok(project)
}

async fn alert(system: &System, event: &Event) -> Result<(), SystemError> {
    let (EventBody::RunFailed { error, .. }, Some(run)) = (&event.body, event.run_id) else {
        return Ok(());
    };
    let note = format!("{run} failed: {error}");
    let note = note.chars().take(1_000).collect();
    let said = system.alert(event.task_id, run, event.id, AlertKind::Failed, note);
    match said.await {
        Ok(_) => Ok(()),
        // Its task was removed meanwhile, or is damaged.
        Err(SystemError::NoSuchTask(_) | SystemError::Store(StoreError::Corrupt { .. })) => Ok(()),
        Err(error) => Err(error),
    }
}
