//! The executor's side of a command: starts its supervisor, takes its output, tells it when to end, and hears how it went.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::process::Stdio;
use std::time::Duration;

use actors::model::executor::CallError;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use super::super::{Context, failed};
use super::kept::Kept;
use super::live::Live;
use super::program::Program;
use super::text::{Why, lost, told};
use super::tree;
use super::wire::{LONGEST, Order, Report};

/// How often output is shown while a command runs.
const SHOWN_EVERY: Duration = Duration::from_millis(50);

/// How long output may still come when the supervisor has ended; a program outside of the tree may hold the pipe open for ever.
const LINGER: Duration = Duration::from_millis(200);

/// A command to be run.
#[derive(Debug)]
pub(super) struct Launch {
    pub(super) program: Program,
    pub(super) environment: BTreeMap<String, OsString>,
    pub(super) order: Order,
    pub(super) mark: String,
    pub(super) output_bytes: usize,
    pub(super) live_bytes: usize,
    pub(super) patience: Duration,
}

impl Launch {
    fn command(&self) -> Command {
        let line = self.program.line();
        let mut command = Command::new(line[0]);
        command
            .args(&line[1..])
            .env_clear()
            .envs(&self.environment)
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        // Ctrl-C in the executor's terminal is for the executor alone; a supervisor without `unshare` around it sees to that itself.
        if self.program.namespace.is_some() {
            command.process_group(0);
        }
        command
    }
}

/// Runs a command to its end. Dropping the future ends it too: the supervisor's input closes.
pub(super) async fn run(launch: Launch, context: Context) -> Result<String, CallError> {
    let mut attended = Attended::start(&launch, context.watch)?;
    attended.give(&launch.order).await?;
    attended.attend(&context.stop, context.timeout).await;
    attended.finish(&launch.mark).await
}

struct Attended {
    supervisor: Child,
    /// Closing it ends the command.
    control: Option<ChildStdin>,
    output: ChildStdout,
    report: ChildStderr,
    kept: Kept,
    live: Live,
    why: Option<Why>,
    patience: Duration,
}

impl Attended {
    fn start(launch: &Launch, watch: super::super::Watch) -> Result<Self, CallError> {
        let mut supervisor = launch
            .command()
            .spawn()
            .map_err(|error| failed(format!("cannot start the command's supervisor: {error}")))?;
        let pipes = (
            supervisor.stdin.take(),
            supervisor.stdout.take(),
            supervisor.stderr.take(),
        );
        let (Some(control), Some(output), Some(report)) = pipes else {
            return Err(failed("the command's supervisor has no pipes"));
        };
        Ok(Self {
            supervisor,
            control: Some(control),
            output,
            report,
            kept: Kept::new(launch.output_bytes),
            live: Live::new(watch, launch.live_bytes),
            why: None,
            patience: launch.patience,
        })
    }

    async fn give(&mut self, order: &Order) -> Result<(), CallError> {
        let line = serde_json::to_string(order).map_err(|error| failed(error.to_string()))? + "\n";
        if let Some(control) = &mut self.control {
            // One that does not take it says why in its report.
            let _taken = timeout(self.patience, control.write_all(line.as_bytes())).await;
        }
        Ok(())
    }

    /// Takes output until it ends: with the supervisor, which ends when nothing is left below it. One that does not do what it is told
    /// is not waited for much longer.
    async fn attend(&mut self, stop: &CancellationToken, limit: Duration) {
        let mut buffer = vec![0; 16 * 1024];
        let mut shown = interval(SHOWN_EVERY);
        shown.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let deadline = sleep(limit);
        let patience = sleep_until(Instant::now() + limit);
        tokio::pin!(deadline, patience);
        let mut ended = false;
        loop {
            tokio::select! {
                read = self.output.read(&mut buffer) => match read {
                    Ok(1..) => self.take(&buffer[..read.unwrap_or_default()]),
                    _ => return,
                },
                _ = self.supervisor.wait(), if !ended => {
                    ended = true;
                    patience.as_mut().reset(Instant::now() + LINGER);
                }
                () = stop.cancelled(), if self.why.is_none() => {
                    self.end(Why::Cancelled);
                    patience.as_mut().reset(Instant::now() + self.patience);
                }
                () = &mut deadline, if self.why.is_none() => {
                    self.end(Why::Timeout(limit));
                    patience.as_mut().reset(Instant::now() + self.patience);
                }
                () = &mut patience, if ended || self.why.is_some() => {
                    self.patience = LINGER;
                    return;
                }
                _ = shown.tick(), if self.live.is_waiting() => self.live.flush(),
            }
        }
    }

    fn take(&mut self, bytes: &[u8]) {
        self.kept.push(bytes);
        self.live.push(bytes);
    }

    fn end(&mut self, why: Why) {
        self.why = Some(why);
        self.control = None;
    }

    /// Waits for the supervisor's report. Where there is none, what is left of the tree is found by its mark.
    async fn finish(mut self, mark: &str) -> Result<String, CallError> {
        self.live.flush();
        let said = timeout(
            self.patience,
            report(&mut self.report, &mut self.supervisor),
        )
        .await;
        let said = said.unwrap_or_else(|_| "that it would not end".to_owned());
        let output = self.kept.text();
        match serde_json::from_str::<Report>(said.trim()) {
            Ok(report) => told(self.why, &report, &output),
            Err(_) => {
                let mark = mark.to_owned();
                let swept = tokio::task::spawn_blocking(move || tree::sweep(&mark)).await;
                Err(lost(self.why, &said, swept.unwrap_or_default(), &output))
            }
        }
    }
}

async fn report(from: &mut ChildStderr, supervisor: &mut Child) -> String {
    let mut said = Vec::new();
    // What could be read says more than that the rest could not.
    let _all_or_some = from.take(LONGEST).read_to_end(&mut said).await;
    let _collected = supervisor.wait().await;
    String::from_utf8_lossy(&said).into_owned()
}
