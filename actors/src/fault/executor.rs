//! What stands between an executor and the node when faults strike at its calls.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::executor::Link;
use crate::model::CallId;
use crate::model::executor::{CallError, CallErrorCode, CallOutcome, FromExecutor, ToExecutor};

use super::plan::{Kind, Target};
use super::shared::Faults;
use super::victims::fits;

/// How many frames are under way in each direction.
const FRAMES: usize = 256;

/// Calls whose result has another fate; should there be more at a time, the oldest comes as it is.
const FATES: usize = 10_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Lost,
    Twice,
}

/// What becomes of a call.
enum Passage {
    Pass,
    Late(Duration),
    Swallow,
    Answer(FromExecutor),
    Cut,
}

/// The faults of one link.
struct Gate {
    faults: Faults,
    name: String,
    fates: BTreeMap<CallId, Fate>,
}

impl Faults {
    /// A link with faults on it: itself, if none can strike there.
    #[must_use]
    pub fn on_link(&self, link: Link) -> Link {
        if !self.has(|target| matches!(target, Target::Executor(_))) {
            return link;
        }
        let (to, inbound) = mpsc::channel(FRAMES);
        let (outbound, from) = mpsc::channel(FRAMES);
        let gate = Gate {
            faults: self.clone(),
            name: String::new(),
            fates: BTreeMap::new(),
        };
        self.pump(Box::pin(pump(gate, link, inbound, outbound)));
        Link { to, from }
    }
}

/// Frames on their way to an executor while one of them is late: those behind it do not overtake it, as on any connection.
#[derive(Default)]
struct Queue(VecDeque<(Instant, ToExecutor)>);

impl Queue {
    fn push(&mut self, late: Duration, frame: ToExecutor) {
        self.0.push_back((Instant::now() + late, frame));
    }

    fn has_room(&self) -> bool {
        self.0.len() < FRAMES
    }

    /// The next, when it is time; never while there is none.
    async fn next(&mut self) -> Option<ToExecutor> {
        match self.0.front() {
            Some((due, _)) if *due > Instant::now() => tokio::time::sleep_until(*due).await,
            Some(_) => {}
            None => std::future::pending().await,
        }
        self.0.pop_front().map(|(_, frame)| frame)
    }
}

/// Carries frames both ways until one side is gone or a fault cuts the link.
async fn pump(
    mut gate: Gate,
    mut link: Link,
    mut inbound: mpsc::Receiver<ToExecutor>,
    outbound: mpsc::Sender<FromExecutor>,
) {
    let mut queue = Queue::default();
    loop {
        tokio::select! {
            biased;
            frame = inbound.recv(), if queue.has_room() => {
                let Some(frame) = frame else { return };
                match gate.passage(&frame) {
                    Passage::Pass => queue.push(Duration::ZERO, frame),
                    Passage::Late(time) => queue.push(time, frame),
                    Passage::Swallow => {}
                    Passage::Answer(answer) => if outbound.send(answer).await.is_err() { return },
                    Passage::Cut => {
                        let _ = link.to.send(frame).await;
                        return;
                    }
                }
            }
            frame = link.from.recv() => {
                let Some(frame) = frame else { return };
                for _ in 0..gate.copies(&frame) {
                    if outbound.send(frame.clone()).await.is_err() { return }
                }
            }
            Some(frame) = queue.next() => {
                if link.to.send(frame).await.is_err() { return }
            }
        }
    }
}

impl Gate {
    fn passage(&mut self, frame: &ToExecutor) -> Passage {
        let ToExecutor::Call { call_id, .. } = frame else {
            return Passage::Pass;
        };
        let target = Target::Executor(self.name.clone());
        let is_it =
            |target: &Target| matches!(target, Target::Executor(name) if fits(name, &self.name));
        match self.faults.strike(None, &target, is_it) {
            None => Passage::Pass,
            Some(Kind::Delay(time)) => Passage::Late(time),
            Some(Kind::Hang) => Passage::Swallow,
            Some(Kind::Disconnect) => Passage::Cut,
            Some(Kind::Drop) => self.fate(call_id, Fate::Lost),
            Some(Kind::Duplicate) => self.fate(call_id, Fate::Twice),
            Some(_) => Passage::Answer(self.failed(call_id)),
        }
    }

    fn fate(&mut self, call_id: &CallId, fate: Fate) -> Passage {
        if self.fates.len() >= FATES {
            self.fates.pop_first();
        }
        self.fates.insert(call_id.clone(), fate);
        Passage::Pass
    }

    fn failed(&self, call_id: &CallId) -> FromExecutor {
        let name = &self.name;
        FromExecutor::Result {
            call_id: call_id.clone(),
            outcome: CallOutcome::Error(CallError {
                code: CallErrorCode::Failed,
                message: format!("a fault on purpose: executor `{name}` fails; nothing was done"),
            }),
        }
    }

    /// How often a frame of the executor arrives.
    fn copies(&mut self, frame: &FromExecutor) -> usize {
        match frame {
            FromExecutor::Hello { name, .. } => {
                self.name.clone_from(name);
                1
            }
            FromExecutor::Result { call_id, .. } => match self.fates.remove(call_id) {
                Some(Fate::Lost) => 0,
                Some(Fate::Twice) => 2,
                None => 1,
            },
            FromExecutor::Started { .. } | FromExecutor::Output { .. } => 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::plan::{Fault, FaultPlan, When};

    const LATE: Duration = Duration::from_secs(2);

    fn gate() -> Gate {
        let always = Fault {
            target: Target::Executor("*".to_owned()),
            kind: Kind::Delay(LATE),
            when: When::Chance(1.0),
            seed: 1,
        };
        Gate {
            faults: Faults::new(FaultPlan(vec![always]), None),
            name: "laptop".to_owned(),
            fates: BTreeMap::new(),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_overtakes_a_frame_that_is_late() {
        let call_id = CallId("call".to_owned());
        let call = ToExecutor::Call {
            call_id: call_id.clone(),
            epoch: 1,
            tool: "shell".to_owned(),
            args: serde_json::Value::Null,
            timeout_ms: 1,
        };
        let frames = [call, ToExecutor::Ack { call_id }];
        let (to, mut hears) = mpsc::channel(8);
        let (_says, from) = mpsc::channel(8);
        let (sends, inbound) = mpsc::channel(8);
        let (outbound, _heard) = mpsc::channel(8);
        for frame in frames.clone() {
            sends.send(frame).await.expect("there is room");
        }
        let begin = Instant::now();
        let heard = async { [hears.recv().await, hears.recv().await] };
        let heard = tokio::select! {
            heard = heard => heard,
            () = pump(gate(), Link { to, from }, inbound, outbound) => panic!("the link ends"),
        };
        assert_eq!(heard, frames.map(Some));
        assert!(begin.elapsed() >= LATE);
    }
}
