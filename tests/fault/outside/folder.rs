//! Data folders that somebody else has, or that cannot be used.

use std::process::Command;

use super::{NOTES, Stage, ran};
use crate::support::program::impresario;

#[test]
fn a_second_process_is_told_who_has_the_folder() {
    let stage = Stage::new(&NOTES.replace("\"100ms\"", "\"1500ms\""));
    let first = stage.at_work("run_started");
    // Side by side: each tries for about a second.
    let (run, go_on) = std::thread::scope(|scope| {
        let run = scope.spawn(|| stage.run());
        (stage.go_on(), run.join().expect("it ends"))
    });
    for second in [run, go_on] {
        assert_eq!(second.code(), Some(2));
        let told = stage.told(&second);
        let who = format!("DIR/data is in use by process {} (impresario ", first.id());
        assert!(told.contains(&who), "{told}");
        assert!(
            told.contains("stop that process or choose another data folder"),
            "{told}"
        );
    }
    assert_eq!(first.end().code(), Some(0), "the first is not disturbed");
    stage.comes_to_its_end();
}

#[test]
fn a_killed_process_leaves_it_to_the_next() {
    let stage = Stage::interrupted();
    stage.comes_to_its_end();
}

#[test]
fn a_folder_that_is_deleted_in_the_middle_of_it() {
    for what in ["data", "data/impresario.db"] {
        let stage = Stage::new(&NOTES.replace("\"100ms\"", "\"700ms\""));
        let work = stage.at_work("run_started");
        let path = stage.path(what);
        match path.is_dir() {
            true => std::fs::remove_dir_all(path).expect("it is deleted"),
            false => std::fs::remove_file(path).expect("it is deleted"),
        }
        let ended = work.end();
        assert_eq!(ended.code(), Some(1), "{ended:?}");
        let told = stage.told(&ended);
        assert!(
            told.contains(
                "error: the data folder DIR/data was deleted or replaced while the task was at work"
            ),
            "{told}"
        );
        assert!(!told.contains("--continue"), "{told}");
    }
}

#[test]
fn an_unfinished_task_is_not_started_over() {
    let stage = Stage::interrupted();
    let again = stage.run();
    assert_eq!(again.code(), Some(2));
    assert!(again.stderr.contains("--continue"), "{again:?}");
    stage.comes_to_its_end();
}

#[test]
fn a_folder_that_cannot_be_made() {
    let stage = Stage::new(NOTES);
    for (place, why) in [
        ("/proc/no-such-place", "the data folder cannot be made"),
        ("/dev/null/data", "the data folder cannot be made"),
        ("/dev/null", "the data folder is not a folder"),
    ] {
        let mut command = impresario();
        command.arg("run").arg(stage.path("team.toml"));
        let refused = ran(command.args(["--data-dir", place]));
        assert_eq!(refused.code(), Some(2));
        assert!(
            refused.stderr.contains(&format!("{place}: {why}")),
            "{refused:?}"
        );
    }
}

/// A script as root of namespaces of its own, where it may mount what it likes; nothing where the machine does not let it. There $0 is
/// the program and $1 the stage.
pub(super) fn with_mounts(script: &str, stage: &Stage) -> Option<Command> {
    let unshare = |script: &str| {
        let mut command = Command::new("unshare");
        command.args(["--user", "--map-root-user", "--mount", "sh", "-euc", script]);
        command.arg(env!("CARGO_BIN_EXE_impresario"));
        command.arg(stage.path(""));
        command
    };
    let probe = "mkdir \"$1/probe\" && mount -t tmpfs tmpfs \"$1/probe\"";
    let may = unshare(probe).output().is_ok_and(|it| it.status.success());
    if !may {
        eprintln!("skipped: this machine does not let a test mount a disk of its own");
    }
    may.then(|| unshare(script))
}

#[test]
fn a_folder_that_may_only_be_read() {
    let stage = Stage::interrupted();
    let script = "mount --bind \"$1/data\" \"$1/data\"; mount -o remount,bind,ro \"$1/data\"; exec \"$0\" run --continue --data-dir \"$1/data\"";
    let Some(mut script) = with_mounts(script, &stage) else {
        return;
    };
    let refused = ran(&mut script);
    assert_eq!(refused.code(), Some(2), "{refused:?}");
    insta::assert_snapshot!(stage.told(&refused), @"error: DIR/data: the data folder cannot be written to (read-only file system): choose another one");
    stage.comes_to_its_end();
}
