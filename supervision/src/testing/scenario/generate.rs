//! Scenarios by the hundred, each from a seed.

use std::fmt::Write as _;

use super::{parse, run_core};

/// Writes the scenario of this seed.
///
/// OTP's trace of it is the same at every run: what takes time takes either next to nothing or a multiple of 100 ms, a step that
/// may take long is followed by a pause, and restarts are either well within one period or well apart.
#[must_use]
pub fn generate(seed: u64) -> String {
    let mut author = Author::new(seed);
    match author.genre {
        Genre::Boot => author.boot(),
        Genre::Window => author.window(),
        _ => author.tour(),
    }
    author.finish()
}

#[derive(Clone, Copy, PartialEq)]
enum Genre {
    /// A bit of everything, quick.
    Tour,
    /// Children that take longer to stop than they may.
    Overrun,
    /// Children that are busy when something is wanted of them.
    Busy,
    /// Starts that take long, with requests waiting behind them.
    Slow,
    /// Restarts within and beyond a short period.
    Window,
    /// Starts that go wrong, and sets of children that are refused.
    Boot,
}

struct Author {
    random: fastrand::Rng,
    text: String,
    genre: Genre,
    strategy: &'static str,
    auto: &'static str,
    ids: Vec<String>,
    /// How long everything together may take to start or stop.
    longest: u32,
}

impl Author {
    fn new(seed: u64) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        let genre = pick(
            &mut random,
            &[
                Genre::Tour,
                Genre::Tour,
                Genre::Tour,
                Genre::Overrun,
                Genre::Busy,
                Genre::Slow,
                Genre::Window,
                Genre::Boot,
            ],
        );
        let strategy = pick(&mut random, &["one_for_one", "one_for_all", "rest_for_one"]);
        let auto = pick(
            &mut random,
            &[
                "never",
                "never",
                "never",
                "any_significant",
                "all_significant",
            ],
        );
        let ids = (0..random.u32(1..=5)).map(|n| format!("c{n}")).collect();
        Self {
            random,
            text: String::new(),
            genre,
            strategy,
            auto,
            ids,
            longest: 0,
        }
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        pick(&mut self.random, from)
    }

    fn chance(&mut self, percent: u32) -> bool {
        self.random.u32(0..100) < percent
    }

    fn line(&mut self, line: impl AsRef<str>) {
        let _ = writeln!(self.text, "{}", line.as_ref());
    }

    /// Seldom one that is not there.
    fn id(&mut self) -> String {
        if self.chance(12) {
            return self.pick(&["x1", "x2"]).to_owned();
        }
        let n = self.random.usize(0..self.ids.len());
        self.ids[n].clone()
    }

    fn flags(&mut self, intensity: u32, period: u32) {
        self.line(format!(
            "sup {} {intensity} {period} {}",
            self.strategy, self.auto
        ));
    }

    fn child(&mut self, id: &str) -> String {
        let restart = self.pick(&["permanent", "permanent", "transient", "temporary"]);
        let may_be_significant = self.auto != "never" && restart != "permanent";
        let significant = if may_be_significant {
            self.chance(60)
        } else {
            self.chance(1)
        };
        let start = self.start_word();
        let (shutdown, stop) = self.shutdown_words();
        self.may_take(start, stop);
        format!("{id} {restart} {shutdown} {significant} {start} {stop}")
    }

    fn start_word(&mut self) -> &'static str {
        if self.genre == Genre::Slow && self.chance(50) {
            return "slow:100";
        }
        self.pick(&[
            "ok", "ok", "ok", "ok", "ok", "ok", "ok", "fail:1", "fail:2", "fail:3", "ignore",
            "slow:1",
        ])
    }

    fn shutdown_words(&mut self) -> (&'static str, &'static str) {
        if self.genre == Genre::Overrun && self.chance(60) {
            return self.pick(&[
                ("100", "300"),
                ("100", "200"),
                ("inf", "200"),
                ("1000", "100"),
                ("brutal", "300"),
            ]);
        }
        (
            self.pick(&["1000", "1000", "brutal", "inf"]),
            self.pick(&["0", "0", "1", "2"]),
        )
    }

    fn may_take(&mut self, start: &str, stop: &str) {
        self.longest += start
            .strip_prefix("slow:")
            .map_or(0, |ms| ms.parse().unwrap_or(0));
        self.longest += stop.parse().unwrap_or(0);
    }

    fn children(&mut self) {
        for id in self.ids.clone() {
            let child = self.child(&id);
            self.line(format!("child {child}"));
        }
    }

    /// After something that may take long, nothing is asked before it is over: not while children stop and start, and not while
    /// the supervisor ends.
    fn pause(&mut self) {
        if matches!(self.genre, Genre::Tour | Genre::Window) {
            return;
        }
        let busy = if self.genre == Genre::Busy { 250 } else { 0 };
        let once = self.longest + busy;
        let long_enough = |times: &u32| is_quiet(&self.text, once * times);
        let times = (1..20).find(long_enough).unwrap_or(20);
        self.line(format!("sleep {}", once * times + 100));
    }

    fn look(&mut self) {
        let look = if self.chance(15) { "count" } else { "which" };
        self.line(look);
    }

    fn tour(&mut self) {
        let intensity = self.pick(&[0, 1, 1, 2, 3, 5, 8]);
        self.flags(intensity, 1000);
        self.children();
        self.line("go");
        self.look();
        for _ in 0..self.random.u32(3..=8) {
            if self.genre == Genre::Busy && self.chance(60) {
                let id = self.id();
                self.line(format!("block {id} 200"));
            }
            if self.chance(55) {
                self.fault();
                if self.genre == Genre::Slow && self.chance(50) && !self.is_over() {
                    self.request();
                }
            } else {
                self.request();
            }
            self.pause();
            self.look();
        }
    }

    /// Whether the supervisor comes to its end by what happened so far. The judge does not survive asking one that is just ending.
    fn is_over(&self) -> bool {
        ends(&format!("{}sleep 10000\nwhich\n", self.text))
    }

    fn fault(&mut self) {
        if self.ids.len() > 1 && self.chance(30) {
            return self.together();
        }
        let id = self.id();
        let line = self.fault_for(&id);
        self.line(line);
    }

    fn fault_for(&mut self, id: &str) -> String {
        let reason = self.pick(&[
            "boom",
            "boom",
            "normal",
            "shutdown",
            "{shutdown}",
            "kill",
            "kill",
        ]);
        match reason {
            "kill" => format!("kill {id}"),
            reason => format!("exit {id} {reason}"),
        }
    }

    fn together(&mut self) {
        let mut ids = self.ids.clone();
        self.random.shuffle(&mut ids);
        ids.truncate(self.random.usize(2..=ids.len()));
        let faults: Vec<_> = ids.iter().map(|id| self.fault_for(id)).collect();
        self.line(format!("together {}", faults.join("; ")));
    }

    fn request(&mut self) {
        let id = self.id();
        let word = self.pick(&[
            "terminate",
            "terminate",
            "terminate",
            "restart",
            "restart",
            "delete",
            "delete",
            "add",
            "add",
        ]);
        let line = match word {
            "add" if self.chance(12) => format!("add {id} permanent 1000 false failnow 0"),
            "add" => format!("add {}", self.child(&id)),
            word => format!("{word} {id}"),
        };
        self.line(line);
    }

    /// Restarts within a burst of half a second count together, those more than two seconds apart do not, whichever way the
    /// judge's clock of whole seconds falls.
    fn window(&mut self) {
        let intensity = self.pick(&[1, 1, 2, 3]);
        self.flags(intensity, 1);
        for id in self.ids.clone() {
            let restart = self.pick(&["permanent", "permanent", "transient"]);
            let start = self.pick(&["ok", "ok", "ok", "fail:1"]);
            self.line(format!("child {id} {restart} 1000 false {start} 0"));
        }
        self.line("go");
        for _ in 0..self.random.u32(2..=3) {
            for _ in 0..self.random.u32(1..=intensity) {
                self.fault();
            }
            self.line("sleep 2300");
            self.look();
        }
    }

    fn boot(&mut self) {
        let period = if self.chance(5) { 0 } else { 5 };
        self.flags(2, period);
        if self.chance(10) {
            self.ids.push("c0".to_owned());
        }
        for id in self.ids.clone() {
            let restart = self.pick(&["permanent", "transient", "temporary"]);
            let significant = self.chance(if self.auto == "never" { 3 } else { 30 });
            let start = self.pick(&[
                "ok", "ok", "ok", "ok", "slow:100", "ignore", "failnow", "fail:1",
            ]);
            let (shutdown, stop) = self.pick(&[
                ("1000", "0"),
                ("100", "300"),
                ("inf", "100"),
                ("brutal", "0"),
            ]);
            self.may_take(start, stop);
            self.line(format!(
                "child {id} {restart} {shutdown} {significant} {start} {stop}"
            ));
        }
        self.line("go");
        self.look();
        self.fault();
        self.pause();
        self.look();
    }

    fn finish(mut self) -> String {
        self.line("count");
        if ends(&self.text) {
            return cut(&self.text);
        }
        let last = if self.chance(15) { "killsup" } else { "stop" };
        self.line(last);
        self.text
    }
}

/// Whether nothing happens any more when so many milliseconds have passed after all this.
fn is_quiet(text: &str, after: u32) -> bool {
    let asked = |line: &&String| line.starts_with("counts") || line.starts_with("no_supervisor");
    parse(&format!("{text}sleep {after}\ncount\nsleep 20000\n"))
        .is_ok_and(|scenario| run_core(&scenario).last().as_ref().is_some_and(asked))
}

/// Whether the supervisor is gone, or never was, after all this.
fn ends(text: &str) -> bool {
    let is_end = |line: &String| line.starts_with("no_supervisor");
    parse(text).is_ok_and(|scenario| run_core(&scenario).iter().any(is_end))
}

/// The scenario up to the first line that finds no supervisor.
fn cut(text: &str) -> String {
    let lines: Vec<_> = text.lines().collect();
    let upto = |n: &usize| ends(&lines[..*n].join("\n"));
    let n = (0..=lines.len()).find(upto).unwrap_or(lines.len());
    lines[..n].join("\n") + "\n"
}

fn pick<T: Copy>(random: &mut fastrand::Rng, from: &[T]) -> T {
    from[random.usize(0..from.len())]
}
