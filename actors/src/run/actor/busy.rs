//! What is said to an agent that is at work.

use supervision::{Context, Reply};
use tokio::task::AbortHandle;

use crate::model::agent::WhenBusy;
use crate::model::event::Outcome;
use crate::model::{Event, EventBody, Step};
use crate::run::next::posted;
use crate::run::state::CallPhase;
use crate::run::tools::PostMessage;

use super::{Doing, RunActor, RunMessage, RunReport};

impl RunActor {
    /// Something said to its agent alone interrupts what it thinks, if that is wanted.
    pub(super) fn heard(&mut self, event: &Event) {
        let is_to_it =
            matches!(&event.body, EventBody::TaskMessage { to: Some(to), .. } if *to == self.name);
        let is_news = self.state.thinking.is_some_and(|it| it.seen < event.id);
        let is_wanted = self.agent().when_busy == WhenBusy::Interrupt && self.cancel.is_none();
        if !(is_to_it && is_news && is_wanted) {
            return;
        }
        if let Some(call) = self.doing.remove(&Doing::Think) {
            call.abort();
            let turn = self.state.turn;
            self.write_after(event.id, [EventBody::ModelCallInterrupted { turn }]);
        }
    }

    pub(super) fn ask_to_say(
        &self,
        step: Step,
        wish: PostMessage,
        cx: &Context<RunMessage>,
    ) -> AbortHandle {
        let room = self.context.room.clone();
        let to = wish.to.clone().unwrap_or_else(|| self.name.clone());
        cx.attach(async move {
            let (reply, answer) = Reply::channel();
            room.tell(RunReport::IsBusy(to, reply)).await;
            let is_busy = answer.await.ok();
            RunMessage::MaySay(step, wish, is_busy.map(|busy| !busy))
        })
    }

    pub(super) fn may_say(&mut self, step: Step, wish: &PostMessage, may: Option<bool>) {
        self.doing.remove(&Doing::Say(step));
        let phase = self.state.call(step).map(|call| &call.phase);
        let is_open = matches!(phase, Some(CallPhase::Planned)) && !self.is_held();
        match may.filter(|_| is_open) {
            // Nobody answered because the room was restarted: it is asked again.
            None => {}
            Some(true) => self.write(posted(&self.name, step, wish)),
            Some(false) => {
                let to = wish.to.as_ref().map_or("it", |to| to.as_str());
                let why = format!(
                    "agent `{to}` is at work and takes no messages until it is done (when_busy = \"reject\"); \
                     say it later, or to the room"
                );
                self.complete(step, Outcome::Error, why);
            }
        }
    }
}
