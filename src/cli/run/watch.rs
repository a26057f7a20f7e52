//! Watching a task to its end: events come in, signals come in, and it is shown.

#[cfg(test)]
mod tests;

use std::io;
use std::pin::Pin;
use std::time::Duration;

use actors::clock::Clock;
use actors::feed::FeedItem;
use actors::model::{Event, EventBody, TaskId, Timestamp};
use actors::store::StoreError;
use actors::system::SystemError;
use futures_util::future::pending;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{MissedTickBehavior, interval};

use super::super::Exit;
use super::show::{Aside, Show};
use super::start::Started;
use super::summary::Took;
use super::view::{End, View};
use crate::local::SystemClock;
use crate::node::Node;

/// How long a drawing stays.
const BEAT: Duration = Duration::from_millis(100);

/// How often it is seen to that the data folder is still there.
const LOOK: Duration = Duration::from_secs(1);

/// The signals a person or an operator ends a program with.
pub(super) struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

/// How watching ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Watched {
    /// The task ended, or does not go on without a human.
    Over(Exit),
    /// The program is to stop in an orderly way; the task can be gone on with.
    Stopped,
    /// The program is to end at once, whatever is under way.
    AtOnce,
    /// The data folder was deleted or replaced: nothing is kept any more.
    Lost(String),
    /// The node gave up, for this reason; the task can be gone on with.
    Down(String),
}

impl Signals {
    pub(super) fn listen() -> io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    /// Either of them.
    pub(super) async fn any(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

type Cancelling = Pin<Box<dyn Future<Output = Result<(), SystemError>> + Send>>;

/// Somebody who watches a task.
pub(super) struct Watch<'a> {
    node: &'a Node,
    task: TaskId,
    /// Up to which event it is history.
    history: u64,
    /// Whether what it waits for is decided, but not yet written.
    is_answered: bool,
    show: &'a mut Show,
    view: View,
    since: Timestamp,
    aside: Aside,
    cancelling: Option<Cancelling>,
}

impl<'a> Watch<'a> {
    pub(super) fn new(started: &'a Started, show: &'a mut Show) -> Self {
        Self {
            node: &started.node,
            task: started.task,
            history: started.history,
            is_answered: started.is_answered,
            show,
            view: View::default(),
            since: started.since,
            aside: Aside::default(),
            cancelling: None,
        }
    }

    /// Shows what happens until the task has ended, nothing of it moves without a human, or somebody ends the program.
    pub(super) async fn run(mut self, signals: &mut Signals) -> io::Result<Watched> {
        let system = &self.node.system;
        let (mut feed, mut trouble) = (system.watch(self.task, 0), system.trouble());
        let mut beat = interval(BEAT);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut look = interval(LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                _ = signals.interrupt.recv() => if self.interrupted() {
                    return Ok(Watched::AtOnce);
                },
                _ = signals.terminate.recv() => return Ok(self.stopped()),
                cancelled = settled(&mut self.cancelling) => self.cancelled(cancelled),
                Ok(()) = trouble.changed() => {
                    let error = trouble.borrow_and_update().as_ref().map(ToString::to_string);
                    self.troubled(error);
                }
                _ = look.tick() => if let Some(lost) = self.lost() {
                    return Ok(lost);
                },
                wrote = self.show.out.pump() => if let Err(error) = wrote {
                    self.unread(&error);
                },
                _ = beat.tick(), if self.show.is_drawn() => self.draw(),
                item = feed.next(), if !self.show.is_full() => if let Some(end) = self.took(item)? {
                    return Ok(self.lost().unwrap_or(end));
                },
                // The last one: what has happened before is shown.
                exit = self.node.ended() => return Ok(self.down(&reason(exit))),
            }
        }
    }

    /// What was acknowledged into a folder that is not there any more was not kept, whatever the store says.
    fn lost(&mut self) -> Option<Watched> {
        let data = &self.node.data;
        if data.is_kept() {
            return None;
        }
        self.show.leave();
        let path = data.folder.path().display().to_string();
        Some(Watched::Lost(path))
    }

    fn now(&self) -> Timestamp {
        SystemClock.now()
    }

    fn draw(&mut self) {
        let now = self.now();
        self.show.draw(&self.view, now, &self.aside);
    }

    fn note(&mut self, what: &str) {
        let now = self.now();
        self.show.note(&self.view, now, what);
    }

    // ---- what comes in

    fn took(&mut self, item: Result<Option<FeedItem>, StoreError>) -> io::Result<Option<Watched>> {
        Ok(match item {
            Ok(Some(FeedItem::Event(event))) => self.event(&event)?.map(Watched::Over),
            Ok(Some(FeedItem::Delta { run, text, .. })) => {
                self.view.words(run, &text);
                None
            }
            Ok(None) => Some(self.down("its events have ended")),
            Err(error) => Some(self.down(&format!("the journal cannot be read: {error}"))),
        })
    }

    fn down(&mut self, reason: &str) -> Watched {
        self.show.leave();
        Watched::Down(reason.to_owned())
    }

    fn event(&mut self, event: &Event) -> io::Result<Option<Exit>> {
        let is_history = event.id <= self.history;
        self.show.event(&self.view, event, is_history)?;
        self.view.fold(event);
        if !is_history && matches!(event.body, EventBody::TaskResumed { .. }) {
            self.is_answered = false;
        }
        if event.id == self.history {
            self.show.goes_on(&self.view, self.since);
        }
        Ok(match event.id < self.history {
            true => None,
            false => self.ended(),
        })
    }

    /// Whether there is nothing more to be watched.
    fn ended(&mut self) -> Option<Exit> {
        let exit = match &self.view.end {
            Some(End::Completed(_)) => Exit::Done,
            Some(End::Failed(_)) => Exit::Failed,
            Some(End::Cancelled(_)) => Exit::Interrupted,
            None if self.needs_human() => Exit::Failed,
            None => return None,
        };
        let took = Took {
            since: Some(self.since),
            is_resumed: self.history > 0,
        };
        self.show.end(&self.view, took);
        Some(exit)
    }

    fn needs_human(&self) -> bool {
        self.view.is_stuck() && !self.is_answered && !self.aside.is_cancelling
    }

    /// Whether it was asked for before.
    fn interrupted(&mut self) -> bool {
        if self.aside.is_cancelling {
            self.show.leave();
            return true;
        }
        self.aside.is_cancelling = true;
        let (system, task) = (self.node.system.clone(), self.task);
        // Told beside the loop: the end arrives as an event like any other.
        self.cancelling = Some(Box::pin(
            async move { system.cancel(task, "interrupted").await },
        ));
        self.note("cancelling the task; Ctrl-C again ends the program at once");
        false
    }

    fn cancelled(&mut self, result: Result<(), SystemError>) {
        self.cancelling = None;
        if let Err(error) = result.map_err(|error| error.to_string()) {
            self.note(&format!("cancelling: {error}"));
        }
    }

    fn stopped(&mut self) -> Watched {
        self.show.leave();
        let go_on = self.show.go_on();
        let _ = super::super::output::note(&format!("stopping; go on with {go_on}"));
        Watched::Stopped
    }

    fn troubled(&mut self, error: Option<String>) {
        match (&self.aside.trouble, &error) {
            (before, Some(error)) if before.as_ref() != Some(error) => {
                self.note(&format!(
                    "the journal cannot write and goes on trying: {error}"
                ));
            }
            (Some(_), None) => self.note("the journal writes again"),
            _ => {}
        }
        self.aside.trouble = error;
    }

    /// The task is worth more than being watched.
    fn unread(&mut self, error: &io::Error) {
        let what = match error.kind() {
            io::ErrorKind::BrokenPipe => "nobody reads the output any more".to_owned(),
            _ => format!("the output cannot be written: {error}"),
        };
        self.note(&format!("{what}; the task goes on without being shown"));
    }
}

/// Why a supervisor ended, for a person.
fn reason(exit: supervision::Exit) -> String {
    match exit {
        supervision::Exit::Shutdown(Some(detail)) => detail.to_string(),
        exit => exit.to_string(),
    }
}

async fn settled(cancelling: &mut Option<Cancelling>) -> Result<(), SystemError> {
    match cancelling {
        Some(work) => work.await,
        None => pending().await,
    }
}
