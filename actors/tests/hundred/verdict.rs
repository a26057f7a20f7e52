//! What was claimed, and whether it held.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use actors::model::{Event, EventBody, RunId, TaskStatus};
use supervision::health::Step;

use super::Plan;
use super::cast::{CAST, End, Manner, Trace};
use super::watch::{Block, Hang, Notes, Watch};

/// How late a hang may be noticed, as a part of its limit.
const LATE: f64 = 1.1;

/// One run, from its events.
#[derive(Debug, Default)]
struct Played {
    manner: Option<Manner>,
    is_done: bool,
    failed: Option<String>,
    retries: usize,
    restarts: usize,
    alerts: usize,
    /// Errors of tools, and calls in doubt.
    tools: Vec<String>,
    late: usize,
}

impl Played {
    fn note(&mut self, body: &EventBody) {
        use EventBody as E;
        match body {
            E::RunQueued { spec } => self.manner = Some(Manner::of(spec.agent.as_str())),
            E::RunCompleted { .. } => self.is_done = true,
            E::RunFailed { error, .. } => self.failed = Some(error.clone()),
            E::RunRetrying { .. } => self.retries += 1,
            E::RunRestarted { .. } => self.restarts += 1,
            E::Alert { .. } => self.alerts += 1,
            E::ToolCallInDoubt { reason, .. } => self.tools.push(format!("unknown: {reason}")),
            E::ToolCallLate { .. } => self.late += 1,
            E::ToolCallCompleted {
                outcome: actors::model::event::Outcome::Error,
                content,
                ..
            } => self.tools.push(content.beginning().to_owned()),
            _ => {}
        }
    }

    /// Why it did not end as it was to, if it did not.
    fn fault(&self) -> Option<String> {
        let manner = self.manner?;
        let ends = match (manner.end(), &self.failed) {
            (End::Done, None) => self.is_done,
            (End::Failed(why), Some(error)) => error.contains(why),
            _ => false,
        };
        let restarts = self.restarts > 0;
        let shows = manner == Manner::Lead
            || match manner.trace() {
                Trace::Untouched => self.is_untouched(),
                Trace::Retried => self.retries > 0 || restarts,
                Trace::Restarted => restarts,
                Trace::ToolSaid(word) => self.tools.iter().any(|said| said.contains(word)),
                Trace::Alert => self.alerts > 0 && !restarts,
                Trace::Either => true,
            };
        (!ends || !shows).then(|| format!("a run did not go as it was to: {self:?}"))
    }

    fn is_untouched(&self) -> bool {
        self.retries + self.restarts + self.alerts + self.tools.len() == 0
    }
}

/// What became of those of one manner.
#[derive(Debug, Default)]
struct Row {
    runs: usize,
    done: usize,
    failed: usize,
    retried: usize,
    restarted: usize,
    /// Of those who were well: how many runs were killed, started again, or had to do something again.
    wrongly: usize,
    /// How long each hang lasted until it was noticed, as parts of the limit: by the clock, and without what the machine stood still.
    noticed: Vec<(f64, f64)>,
}

/// The whole of it.
#[derive(Debug)]
pub(crate) struct Verdict {
    plan: Plan,
    took: Duration,
    rounds: usize,
    events: usize,
    rows: BTreeMap<Manner, Row>,
    /// What there is to say besides.
    notes: Vec<String>,
    /// The claims that did not hold.
    pub(crate) broken: Vec<String>,
}

impl Verdict {
    pub(super) fn new(
        plan: Plan,
        took: Duration,
        end: Option<TaskStatus>,
        events: &[Event],
        watch: &Watch,
    ) -> Self {
        let mut runs = BTreeMap::<RunId, Played>::new();
        for event in events {
            if let Some(run) = event.run_id {
                runs.entry(run).or_default().note(&event.body);
            }
        }
        let mut verdict = Self {
            plan,
            took,
            rounds: 0,
            events: events.len(),
            rows: BTreeMap::new(),
            notes: Vec::new(),
            broken: Vec::new(),
        };
        if end != Some(TaskStatus::Completed) {
            verdict
                .broken
                .push(format!("the task did not come to its end: {end:?}"));
        }
        runs.values().for_each(|run| verdict.count(run));
        let members = CAST.iter().map(|(_, _, count, _)| count).sum::<usize>() - 1;
        verdict.rounds = (runs.len().max(1) - 1) / members;
        let notes = watch.notes();
        verdict.detections(&notes);
        verdict.well(&notes);
        verdict.blocks(&notes);
        verdict.machine(&notes);
        let late: usize = runs.values().map(|run| run.late).sum();
        verdict.notes.push(format!(
            "{late} late results kept as evidence (`tool_call_late`)"
        ));
        verdict
    }

    fn count(&mut self, run: &Played) {
        self.broken.extend(run.fault());
        let Some(manner) = run.manner else { return };
        let row = self.rows.entry(manner).or_default();
        row.runs += 1;
        row.done += usize::from(run.is_done);
        row.failed += usize::from(run.failed.is_some());
        row.retried += usize::from(run.retries > 0);
        row.restarted += usize::from(run.restarts > 0);
        row.wrongly += usize::from(manner.is_well() && run.retries + run.restarts > 0);
    }

    fn detections(&mut self, notes: &Notes) {
        let (mut amid_blocks, mut free) = (0, Vec::new());
        for hang in &notes.hangs {
            let Some((clock, fair)) = self.noticed(hang, notes) else {
                self.broken
                    .push(format!("a hang was not noticed: {hang:?}"));
                continue;
            };
            amid_blocks += usize::from(clock > LATE);
            let due = hang.since + self.plan.limit;
            free.extend((!notes.is_blocked(due, hang.noticed.unwrap_or(due))).then_some(clock));
            if fair > LATE {
                self.broken.push(format!("noticed after {clock:.3} of the limit ({fair:.3} without the machine's own stalls): {hang:?}"));
            }
            let row = self.rows.entry(hang.manner).or_default();
            row.noticed.push((clock, fair));
        }
        if notes.hangs.is_empty() || notes.early > 0 {
            self.broken.push(format!(
                "{} hangs, {} judged too early",
                notes.hangs.len(),
                notes.early
            ));
        }
        let (all, count) = (notes.hangs.len(), free.len());
        self.notes.push(format!(
            "{all} hangs; with no thread blocked when they were due, {count} were noticed after {} of the limit by the clock",
            spread(free)
        ));
        self.notes.push(format!(
            "{amid_blocks} were noticed later than {LATE} of the limit by the clock"
        ));
    }

    /// How long it took until a hang was noticed, by the clock, and without the time after its limit in which nothing ran.
    fn noticed(&self, hang: &Hang, notes: &Notes) -> Option<(f64, f64)> {
        let noticed = hang.noticed?;
        let whole = noticed - hang.since;
        let stalled = notes.stalled(hang.since + self.plan.limit, noticed);
        let part = |time: Duration| time.as_secs_f64() / self.plan.limit.as_secs_f64();
        Some((part(whole), part(whole.saturating_sub(stalled))))
    }

    fn well(&mut self, notes: &Notes) {
        let (nudges, worse): (Vec<&(Manner, Step, Duration)>, Vec<_>) = notes
            .wrong
            .iter()
            .partition(|(_, step, _)| *step == Step::Nudged);
        if !worse.is_empty() {
            self.broken.push(format!(
                "more than a nudge against those who were well: {worse:?}"
            ));
        }
        let longest = nudges.iter().map(|(_, _, seen)| *seen).max();
        self.notes.push(format!(
            "{} nudges of agents that were well, after {:.2?} of silence at the most: threads were blocked; nothing followed from them",
            nudges.len(),
            longest.unwrap_or_default()
        ));
    }

    fn blocks(&mut self, notes: &Notes) {
        let is_unnamed = |block: &&Block| {
            let named = notes.named.iter();
            let mut of_it = named.filter(|(child, at)| {
                *child == block.child && (block.from..=block.to).contains(at)
            });
            of_it.next().is_none()
        };
        let unnamed: Vec<_> = notes.blocks.iter().filter(is_unnamed).collect();
        if notes.blocks.is_empty() || !unnamed.is_empty() {
            self.broken
                .push(format!("the watchdog did not name: {unnamed:?}"));
        }
        let times = notes.blocks.iter().map(|block| block.to - block.from);
        self.notes.push(format!(
            "{} times a thread was blocked, {:.1?} in all; the watchdog named {} of them; {} incarnations were declared lost",
            notes.blocks.len(),
            times.sum::<Duration>(),
            notes.blocks.len() - unnamed.len(),
            notes.lost
        ));
    }

    fn machine(&mut self, notes: &Notes) {
        let stalls = notes.stalls.iter();
        let all: Duration = stalls.clone().map(|(from, to)| *to - *from).sum();
        let free = stalls.filter(|(from, to)| !notes.is_blocked(*from, *to));
        let mut free: Vec<_> = free.map(|(from, to)| *to - *from).collect();
        free.sort();
        self.notes.push(format!(
            "what was due ran late for {all:.1?} in all; with no thread blocked {} times, by {:.1?} at the most",
            free.len(),
            free.last().copied().unwrap_or_default()
        ));
    }
}

/// The median, the 99th percentile and the worst.
fn spread(mut all: Vec<f64>) -> String {
    all.sort_by(f64::total_cmp);
    let at = |part: f64| all.get(((all.len() as f64 * part) as usize).min(all.len().max(1) - 1));
    match (at(0.5), at(0.99), all.last()) {
        (Some(half), Some(most), Some(worst)) => format!("{half:.3} / {most:.3} / {worst:.3}"),
        _ => String::new(),
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Plan { limit, seed, .. } = self.plan;
        writeln!(
            f,
            "100 agents on 2 threads, {} rounds in {:.1?}, hang_after {limit:?}, seed {seed}, {} events\n",
            self.rounds, self.took, self.events
        )?;
        writeln!(
            f,
            "| agents | what they do | runs | done | failed | retried | restarted | noticed, by the clock: p50 / p99 / worst | of the time there was: p50 / p99 / worst | wrongly |"
        )?;
        writeln!(f, "|---:|---|---:|---:|---:|---:|---:|---|---|---:|")?;
        for (manner, _, count, what) in CAST {
            let Some(row) = self.rows.get(manner) else {
                continue;
            };
            let clock = spread(row.noticed.iter().map(|it| it.0).collect());
            let fair = spread(row.noticed.iter().map(|it| it.1).collect());
            let wrongly = if manner.is_well() {
                row.wrongly.to_string()
            } else {
                String::new()
            };
            writeln!(
                f,
                "| {count} | {what} | {} | {} | {} | {} | {} | {clock} | {fair} | {wrongly} |",
                row.runs, row.done, row.failed, row.retried, row.restarted
            )?;
        }
        writeln!(f)?;
        self.notes
            .iter()
            .try_for_each(|note| writeln!(f, "- {note}"))?;
        self.broken
            .iter()
            .try_for_each(|claim| writeln!(f, "- DOES NOT HOLD: {claim}"))
    }
}
