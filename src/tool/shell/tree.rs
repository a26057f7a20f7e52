//! Processes as `/proc` shows them: who descends from whom, and how to end them all.
//!
//! A process group is not enough: a child may leave it. So the whole tree is stopped first, that nobody forks away, and killed then.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::Path;
use std::time::Duration;

use rustix::process::{
    Pid, PidfdFlags, Signal, getpid, kill_process, pidfd_open, pidfd_send_signal,
};

use super::wire::MARK;

/// How often the tree is looked at again while it is being stopped.
const PASSES: usize = 200;

/// How long to wait before it is looked at again.
const PAUSE: Duration = Duration::from_millis(2);

/// How often a tree is killed before it is given up: processes in the middle of a device's answer cannot be.
const ROUNDS: usize = 1000;

/// How often in a row nothing must be found where only looking tells.
const EMPTY: usize = 4;

/// A process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Process {
    pub(super) pid: i32,
    parent: i32,
    state: char,
    /// When it started; with the id this names it for ever.
    start: u64,
}

impl Process {
    /// Reads `/proc/PID/stat`. The name in it may contain anything, brackets and spaces included.
    fn parse(stat: &str) -> Option<Self> {
        let (head, tail) = stat.rsplit_once(')')?;
        let fields: Vec<&str> = tail.split_whitespace().collect();
        Some(Self {
            pid: head.split_once(' ')?.0.parse().ok()?,
            parent: fields.get(1)?.parse().ok()?,
            state: fields.first()?.chars().next()?,
            start: fields.get(19)?.parse().ok()?,
        })
    }

    fn read(pid: i32) -> Option<Self> {
        Self::parse(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
    }

    fn is_alive(&self) -> bool {
        !matches!(self.state, 'Z' | 'X')
    }

    fn can_run(&self) -> bool {
        !matches!(self.state, 'T' | 't' | 'Z' | 'X')
    }

    fn is_marked(&self, mark: &str) -> bool {
        let entry = format!("{MARK}={mark}");
        fs::read(format!("/proc/{}/environ", self.pid)).is_ok_and(|environ| {
            environ
                .split(|byte| *byte == 0)
                .any(|variable| variable.starts_with(entry.as_bytes()))
        })
    }

    /// Sends a signal to this process, and not to another one that got its number meanwhile.
    fn signal(&self, signal: Signal) {
        let Some(pid) = Pid::from_raw(self.pid) else {
            return;
        };
        let handle = pidfd_open(pid, PidfdFlags::empty());
        if Self::read(self.pid).is_none_or(|now| now.start != self.start) {
            return;
        }
        // A process that has gone meanwhile needs no signal.
        let _sent = match handle {
            Ok(handle) => pidfd_send_signal(&handle, signal),
            Err(_) => kill_process(pid, signal),
        };
    }
}

/// Which processes are meant.
#[derive(Debug, Clone)]
pub(super) enum Which {
    /// Those that descend from this one.
    Below(i32),
    /// Those whose environment carries a mark that begins so.
    Marked(String),
}

impl Which {
    /// Those that are there now, but never this process itself.
    pub(super) fn now(&self) -> Vec<Process> {
        let own = getpid().as_raw_nonzero().get();
        let found = match self {
            Self::Below(root) => {
                children_are_told(*root).map_or_else(|| below(&all(), *root), |_| told_below(*root))
            }
            Self::Marked(mark) => {
                let mut all = all();
                all.retain(|process| process.is_marked(mark));
                all
            }
        };
        found
            .into_iter()
            .filter(|process| process.is_alive() && process.pid != own)
            .collect()
    }

    /// Sends all of them a signal.
    pub(super) fn signal(&self, signal: Signal) {
        for process in self.now() {
            process.signal(signal);
        }
    }

    /// Stops them until none is left that could start another. Without a pause: what runs away from one process to the next is caught
    /// only by somebody faster.
    fn freeze(&self) {
        for _ in 0..PASSES {
            let mut running = self.now();
            running.retain(Process::can_run);
            if running.is_empty() {
                return;
            }
            running
                .iter()
                .for_each(|process| process.signal(Signal::STOP));
        }
    }

    /// Ends them all; `gone` says when the caller knows that none is left. Returns how many could not be ended.
    pub(super) fn end(&self, mut gone: impl FnMut() -> bool) -> usize {
        for _ in 0..ROUNDS {
            self.freeze();
            self.signal(Signal::KILL);
            if gone() {
                return 0;
            }
            std::thread::sleep(PAUSE);
        }
        self.now().len()
    }
}

/// Ends whatever carries `mark`. Returns how many were there.
pub(super) fn sweep(mark: &str) -> usize {
    let marked = Which::Marked(mark.to_owned());
    let found = marked.now().len();
    if found > 0 {
        let mut empty = 0;
        marked.end(|| {
            empty = if marked.now().is_empty() {
                empty + 1
            } else {
                0
            };
            empty >= EMPTY
        });
    }
    found
}

fn all() -> Vec<Process> {
    let pids = fs::read_dir(Path::new("/proc")).into_iter().flatten();
    pids.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter_map(Process::read)
        .collect()
}

/// The children of a process as the kernel lists them, which is faster than to look at everybody; nothing where it does not.
fn children_are_told(of: i32) -> Option<Vec<i32>> {
    let mut children = Vec::new();
    for thread in fs::read_dir(format!("/proc/{of}/task")).ok()? {
        let told = fs::read_to_string(thread.ok()?.path().join("children")).ok()?;
        children.extend(
            told.split_whitespace()
                .filter_map(|pid| pid.parse::<i32>().ok()),
        );
    }
    Some(children)
}

fn told_below(root: i32) -> Vec<Process> {
    let mut found = Vec::new();
    let mut waiting = children_are_told(root).unwrap_or_default();
    while let Some(pid) = waiting.pop() {
        found.extend(Process::read(pid));
        // One that has gone meanwhile has left its children to somebody who is looked at again.
        waiting.extend(children_are_told(pid).unwrap_or_default());
    }
    found
}

fn below(all: &[Process], root: i32) -> Vec<Process> {
    let mut children: HashMap<i32, Vec<&Process>> = HashMap::new();
    for process in all {
        children.entry(process.parent).or_default().push(process);
    }
    let mut found = Vec::new();
    let mut seen = HashSet::from([root]);
    let mut waiting = vec![root];
    while let Some(parent) = waiting.pop() {
        for child in children.get(&parent).into_iter().flatten() {
            if seen.insert(child.pid) {
                waiting.push(child.pid);
                found.push((*child).clone());
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_name_may_look_like_anything() {
        let rest = "S 7 0 0 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 4711 0 0";
        let process = Process::parse(&format!("42 (a) b (c)) {rest}")).unwrap();
        assert_eq!((process.pid, process.parent, process.start), (42, 7, 4711));
        assert_eq!(Process::parse("42 (a"), None);
    }

    fn process(pid: i32, parent: i32) -> Process {
        Process {
            pid,
            parent,
            state: 'S',
            start: 0,
        }
    }

    fn descends(all: &[Process], from: i32, root: i32) -> bool {
        let parent = |pid| {
            all.iter()
                .find(|process| process.pid == pid)
                .map(|it| it.parent)
        };
        std::iter::successors(parent(from), |pid| parent(*pid))
            .take(all.len())
            .any(|pid| pid == root)
    }

    proptest! {
        #[test]
        fn below_are_those_who_descend(parents in proptest::collection::vec(0i32..12, 1..12)) {
            let all: Vec<_> = (1..).zip(&parents).map(|(pid, parent)| process(pid, *parent)).collect();
            let found: HashSet<_> = below(&all, 1).into_iter().map(|it| it.pid).collect();
            let expected = all.iter().map(|it| it.pid).filter(|pid| *pid != 1 && descends(&all, *pid, 1));
            prop_assert_eq!(found, expected.collect::<HashSet<_>>());
        }
    }
}
