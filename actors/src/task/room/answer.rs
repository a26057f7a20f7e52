//! A human's answer.

use supervision::{Context, Failure, Reply};

use crate::model::{EventBody, RunId, RunStatus};
use crate::run::RunMessage;
use crate::run::actor::RunContext;
use crate::store::{Append, Draft};

use super::{PATIENCE, Room, RoomMessage};

impl Room {
    pub(super) fn answer(&mut self, text: String, reply: Reply<bool>, cx: &Context<RoomMessage>) {
        let (registry, context) = (
            self.arguments.registry.clone(),
            self.arguments.context.clone(),
        );
        let _ = cx.attach_maybe(async move {
            let mut taken = false;
            for (_, _, run) in registry.all() {
                let text = text.clone();
                taken |= run
                    .call(|reply| RunMessage::Answer(text, reply), PATIENCE)
                    .await
                    .unwrap_or(false);
            }
            let released = release(&context, &text).await.unwrap_or_default();
            reply.send(taken || !released.is_empty());
            Some(RoomMessage::Released(released))
        });
    }
}

/// Lets the quarantined runs of a task go on.
async fn release(context: &RunContext, answer: &str) -> Result<Vec<RunId>, Failure> {
    let rows = context.journal.store().runs(context.task).await?;
    let mut released = Vec::new();
    for row in rows
        .into_iter()
        .filter(|row| row.status == RunStatus::Quarantined)
    {
        let draft = |run, body| Draft {
            run,
            agent: Some(row.agent.clone()),
            at: context.journal.clock().now(),
            epoch: row.epoch,
            cause: None,
            body,
        };
        let drafts = vec![
            draft(Some(row.id), EventBody::RunReleased),
            draft(
                None,
                EventBody::TaskResumed {
                    answer: answer.to_owned(),
                },
            ),
        ];
        let fence = Some((row.id, row.epoch));
        context
            .journal
            .append(Append {
                task: context.task,
                fence,
                drafts,
                blobs: Vec::new(),
            })
            .await?;
        released.push(row.id);
    }
    Ok(released)
}
