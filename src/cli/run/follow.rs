//! Watching a task of a running node: shown as `impresario run` shows its own.

use std::io;
use std::time::Duration;

use actors::clock::Clock;
use actors::model::Event;
use tokio::time::{MissedTickBehavior, interval};

use super::super::remote::Failure;
use super::super::{Exit, output};
use super::show::{Aside, Show};
use super::summary::{Commands, Took};
use super::view::{End, View};
use super::watch::Signals;
use crate::client::{Client, Events, TaskDetail, Update};
use crate::local::SystemClock;

/// How long a drawing stays.
const BEAT: Duration = Duration::from_millis(100);

struct Follow {
    show: Show,
    view: View,
    /// Up to which event it had come when watching began.
    head: u64,
}

/// Shows a task from its beginning, until it has ended, nothing of it moves without a human, or somebody stops watching.
pub(in crate::cli) async fn follow(
    client: &Client,
    task: &TaskDetail,
    json: bool,
    commands: Commands,
) -> Result<Exit, Failure> {
    let mut signals = Signals::listen()?;
    let go_on = commands.go_on();
    let mut follow = Follow {
        show: Show::new(json, commands),
        view: View::default(),
        head: task.task.last_event,
    };
    let mut events = client.events(task.id()).private().outages();
    if !json {
        events = events.deltas();
    }
    let exit = follow.run(events, &mut signals).await;
    follow.show.leave();
    let written = follow.show.out.finish();
    let exit = match exit? {
        Some(exit) => exit,
        None => {
            output::note(&format!("the task goes on; {go_on} shows it again"))?;
            Exit::Interrupted
        }
    };
    written.await?;
    Ok(exit)
}

impl Follow {
    /// None when somebody stops watching.
    async fn run(
        &mut self,
        mut events: Events,
        signals: &mut Signals,
    ) -> Result<Option<Exit>, Failure> {
        let mut beat = interval(BEAT);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                () = signals.any() => return Ok(None),
                wrote = self.show.out.pump() => wrote?,
                _ = beat.tick(), if self.show.is_drawn() => {
                    self.show.draw(&self.view, SystemClock.now(), &Aside::default());
                }
                update = events.next(), if !self.show.is_full() => {
                    if let Some(exit) = self.took(update?)? {
                        return Ok(Some(exit));
                    }
                }
            }
        }
    }

    fn took(&mut self, update: Option<Update>) -> io::Result<Option<Exit>> {
        match update {
            Some(Update::Event(event)) => return self.event(&event),
            Some(Update::Delta { run, text, .. }) => self.view.words(run, &text),
            Some(Update::Unknown(event)) => self.show.unknown(&event),
            Some(Update::Away(why)) => self.note(&format!("{why}; it is asked again and again")),
            Some(Update::Back) => self.note("the node is there again"),
            None => return Ok(Some(self.ended().unwrap_or(Exit::Done))),
        }
        Ok(None)
    }

    fn note(&mut self, what: &str) {
        self.show.note(&self.view, SystemClock.now(), what);
    }

    fn event(&mut self, event: &Event) -> io::Result<Option<Exit>> {
        self.show.event(&self.view, event, false)?;
        self.view.fold(event);
        Ok(match event.id < self.head {
            true => None,
            false => self.ended(),
        })
    }

    /// Whether there is nothing more to be watched.
    fn ended(&mut self) -> Option<Exit> {
        let exit = match &self.view.end {
            Some(End::Completed(_)) => Exit::Done,
            Some(End::Failed(_) | End::Cancelled(_)) => Exit::Failed,
            None if self.view.is_stuck() => Exit::Failed,
            None => return None,
        };
        let took = Took {
            since: None,
            is_resumed: true,
        };
        self.show.end(&self.view, took);
        Some(exit)
    }
}
