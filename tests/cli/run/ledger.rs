//! The executor's ledger is lost or cut short: what was under way is in doubt then, and never done a second time without a word.

use std::fs;
use std::path::Path;

use rustix::process::Signal;

use super::{Place, Reading, events, output, sheller, text};
use crate::executor::stage::{eventually, run};

/// What may become of a ledger, by name.
type Loss = (&'static str, fn(&Path));

fn ledger(executor: &Path) -> std::path::PathBuf {
    executor.join("ledger")
}

fn cut(executor: &Path, keep: impl Fn(&str) -> usize) {
    let path = ledger(executor);
    let whole = fs::read_to_string(&path).expect("a ledger");
    fs::write(&path, &whole[..keep(&whole)]).expect("a shorter ledger");
}

const LOSSES: &[Loss] = &[
    ("the folder is removed", |executor| {
        fs::remove_dir_all(executor).expect("it is removed");
    }),
    ("the ledger is moved away", |executor| {
        fs::rename(ledger(executor), executor.join("elsewhere")).expect("it is moved");
    }),
    ("it is truncated to nothing", |executor| {
        cut(executor, |_| 0)
    }),
    ("it is truncated within its first line", |executor| {
        cut(executor, |_| 20);
    }),
    ("it is truncated in the middle of a line", |executor| {
        cut(executor, |whole| whole.len() - 10);
    }),
    ("it lacks its last line", |executor| {
        cut(executor, |whole| {
            whole.trim_end().rfind('\n').expect("two lines") + 1
        });
    }),
    ("its witness has gone as well", |executor| {
        fs::remove_dir_all(executor).expect("it is removed");
        fs::remove_file(executor.with_file_name("executor-ledger")).expect("it is removed");
    }),
];

/// Killed in the middle of its command, whose effect is there.
fn killed_in_its_command(place: &Place) {
    let team = place.file("team.toml", &sheller("echo x >> log; sleep 60", ""));
    let mut reading = Reading::start(&mut place.run(&[text(&team), "--json"]));
    reading.until("\"tool_call_started\"");
    let log = place.data().join("workspace/log");
    run(eventually("the command's effect", || {
        fs::read_to_string(&log).is_ok_and(|log| log == "x\n")
    }));
    reading.signal(Signal::KILL);
    let (status, ..) = reading.end();
    assert_eq!(status.code(), None);
}

fn goes_on_in_doubt(place: &Place, what: &str) {
    let ran = output(&mut place.go_on(&["--json"]));
    assert_eq!(ran.code(), Some(0), "{what}: {}", ran.stderr);
    let log = fs::read_to_string(place.data().join("workspace/log"));
    assert_eq!(log.expect("a log"), "x\n", "{what}: done twice");
    let doubts = events(&ran.stdout);
    let doubts = doubts
        .iter()
        .filter(|it| it["type"] == "tool_call_in_doubt");
    assert_eq!(doubts.count(), 1, "{what}: {}", ran.stdout);
}

#[test]
fn whatever_becomes_of_the_ledger_no_command_runs_twice() {
    std::thread::scope(|scope| {
        for (what, lose) in LOSSES {
            scope.spawn(move || {
                let place = Place::new();
                killed_in_its_command(&place);
                lose(&place.data().join("executor"));
                goes_on_in_doubt(&place, what);
            });
        }
    });
}
