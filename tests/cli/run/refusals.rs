//! What `impresario run` refuses: a clear word, exit code 2, and nothing was started or made.

use std::fs;
use std::path::Path;

use rustix::process::Signal;

use super::{Place, Reading, output, quick, sheller, text};
use crate::support::program::{Ran, impresario};

/// The refusal, in words that are the same everywhere.
fn refused(place: &Place, ran: &Ran) -> String {
    assert_eq!(
        (ran.code(), ran.stdout.as_str()),
        (Some(2), ""),
        "{}",
        ran.stderr
    );
    place.plain(&ran.stderr)
}

/// Runs with these arguments over a data folder that is not there, and it is not there afterwards.
fn refuses(place: &Place, args: &[&str]) -> String {
    let ran = output(&mut place.run(args));
    assert!(!place.data().exists(), "{args:?} made a data folder");
    refused(place, &ran)
}

#[test]
fn no_file() {
    let place = Place::new();
    insta::assert_snapshot!(refuses(&place, &[]), @r#"
    error: the following required arguments were not provided:
      <FILE>

    Usage: impresario run --data-dir <DIR> <FILE>

    For more information, try '--help'.
    "#);
    insta::assert_snapshot!(refuses(&place, &["nowhere.toml"]), @"error: cannot read `nowhere.toml`: there is no such file; give the path of a team file or a node file");
    insta::assert_snapshot!(refuses(&place, &["x.toml", "--answer", "yes"]), @r#"
    error: the following required arguments were not provided:
      --continue

    Usage: impresario run --continue --answer <TEXT> --data-dir <DIR> <FILE>

    For more information, try '--help'.
    "#);
}

#[test]
fn a_file_with_mistakes() {
    let place = Place::new();
    let team = place.file(
        "team.toml",
        "[tasks]\nname = 1\n[agents.a]\nprovider = \"stage\"\n",
    );
    insta::assert_snapshot!(refuses(&place, &[text(&team)]), @r#"
    PLACE/team.toml:1:2: unknown key `tasks` at the top of the file
        [tasks]
         ^^^^^
        help: did you mean `task`?

    PLACE/team.toml:4:12: unknown provider `stage`
        provider = "stage"
                   ^^^^^^^
        help: the file has no providers

    2 problems in PLACE/team.toml
    "#);
}

#[test]
fn nobody_or_nothing_to_do() {
    let place = Place::new();
    let team = place.file("team.toml", &quick());
    insta::assert_snapshot!(refuses(&place, &[text(&team), "--team", "studoi"]), @"error: unknown team `studoi`; did you mean `studio`?");
    let no_task = quick()
        .replace("[task]", "[node]\nname = \"x\"\n[task]")
        .replace("description = \"We need", "description = \"\" # ");
    let no_task = place.file("no_task.toml", &no_task);
    let ran = output(&mut place.run(&[text(&no_task)]));
    insta::assert_snapshot!(refused(&place, &ran), @r#"
    PLACE/no_task.toml:17:15: `description` is empty
        description = "" #  a shell script that prints a number from 1 to 3999 as a Roman numeral, and tests
                      ^^
        help: say what is to be done

    1 problem in PLACE/no_task.toml
    "#);
}

#[test]
fn nothing_to_go_on_with() {
    let place = Place::new();
    insta::assert_snapshot!(refuses(&place, &["--continue"]), @"error: there is no data folder PLACE/data to go on with: give a team file, or the right --data-dir");
    fs::create_dir(place.data()).expect("a folder");
    let ran = output(&mut place.go_on(&[]));
    insta::assert_snapshot!(refused(&place, &ran), @"error: the data folder PLACE/data holds no task to go on with: give a team file");
}

#[test]
fn a_workspace_that_is_none() {
    let place = Place::new();
    let team = place.file("team.toml", &quick());
    let file = place.file("file", "");
    insta::assert_snapshot!(refuses(&place, &[text(&team), "--workspace", text(&file)]), @"error: the workspace PLACE/file is not a folder: choose another --workspace");
    let above = place.path("");
    insta::assert_snapshot!(refuses(&place, &[text(&team), "--workspace", text(&above)]), @"error: the workspace PLACE/ contains the data folder PLACE/data, which agents must not change: choose another --workspace or --data-dir");
    let link = place.path("link");
    std::os::unix::fs::symlink(&above, &link).expect("a link");
    insta::assert_snapshot!(refuses(&place, &[text(&team), "--workspace", text(&link)]), @"error: the workspace PLACE/link contains the data folder PLACE/data, which agents must not change: choose another --workspace or --data-dir");
    let itself = place.data();
    insta::assert_snapshot!(refuses(&place, &[text(&team), "--workspace", text(&itself)]), @"error: the workspace PLACE/data contains the data folder PLACE/data, which agents must not change: choose another --workspace or --data-dir");
}

#[test]
fn a_data_folder_that_cannot_be_one() {
    let place = Place::new();
    let team = place.file("team.toml", &quick());
    let file = place.file("file", "");
    let over = |data: &Path| {
        let ran = output(impresario().args(["run", text(&team), "--data-dir", text(data)]));
        refused(&place, &ran)
    };
    insta::assert_snapshot!(over(&file), @"error: PLACE/file: the data folder is not a folder: choose another one");
    insta::assert_snapshot!(over(&file.join("below")), @"error: PLACE/file/below: the data folder cannot be made (not a directory): choose another one");
}

#[test]
fn a_data_folder_that_may_not_be_written() {
    if rustix::process::geteuid().is_root() {
        println!("skipped: root may write everywhere");
        return;
    }
    let place = Place::new();
    let team = place.file("team.toml", &quick());
    fs::create_dir(place.data()).expect("a folder");
    let read_only = std::os::unix::fs::PermissionsExt::from_mode(0o555);
    fs::set_permissions(place.data(), read_only).expect("permissions");
    let ran = output(&mut place.run(&[text(&team)]));
    assert!(
        refused(&place, &ran).contains("cannot be written to"),
        "{}",
        ran.stderr
    );
}

/// A task that is at work until the test lets it go on.
fn at_work(place: &Place) -> (Reading, std::path::PathBuf) {
    let pipe = place.path("workspace").join("pipe");
    fs::create_dir(place.path("workspace")).expect("a folder");
    let mode = rustix::fs::Mode::from_raw_mode(0o666);
    rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, mode).expect("a pipe");
    let team = place.file("team.toml", &sheller("cat pipe", ""));
    let workspace = place.path("workspace");
    let mut reading =
        Reading::start(&mut place.run(&[text(&team), "--workspace", text(&workspace)]));
    reading.until("shell cat pipe");
    (reading, pipe)
}

#[test]
fn a_data_folder_in_use() {
    let place = Place::new();
    let (reading, pipe) = at_work(&place);
    let team = place.file("other.toml", &quick());
    for mut other in [place.run(&[text(&team)]), place.go_on(&[])] {
        let ran = output(&mut other);
        let said = refused(&place, &ran).replace(&reading.child.id().to_string(), "PID");
        let said = said.split(" since ").collect::<Vec<_>>();
        assert_eq!(
            said[0],
            format!(
                "error: PLACE/data is in use by process PID (impresario {})",
                env!("CARGO_PKG_VERSION")
            )
        );
        assert!(
            said[1].ends_with("Z: stop that process or choose another data folder\n"),
            "{said:?}"
        );
    }
    fs::write(&pipe, "at last").expect("it reads");
    let (status, lines, said) = reading.end();
    assert_eq!((status.code(), said.as_str()), (Some(0), ""), "{lines:#?}");
}

#[test]
fn an_unfinished_task() {
    let place = Place::new();
    let (reading, _) = at_work(&place);
    reading.signal(Signal::TERM);
    reading.end();
    let team = place.file("other.toml", &quick());
    let ran = output(&mut place.run(&[text(&team)]));
    insta::assert_snapshot!(refused(&place, &ran), @"error: the data folder PLACE/data holds an unfinished task, `shelling`: go on with it (impresario run --continue --data-dir PLACE/data), or choose another --data-dir");
    let ran = output(&mut place.go_on(&["--answer", "yes"]));
    insta::assert_snapshot!(refused(&place, &ran), @"error: the task `shelling` waits for no answer: go on with it without --answer");
    let above = place.path("");
    let ran = output(&mut place.go_on(&["--workspace", text(&above)]));
    insta::assert_snapshot!(refused(&place, &ran), @"error: the task works in PLACE/workspace and goes on there, not in PLACE/: leave --workspace out, or begin anew with another --data-dir");
    let other = place.path("other");
    let ran = output(&mut place.go_on(&["--workspace", text(&other)]));
    insta::assert_snapshot!(refused(&place, &ran), @"error: the task works in PLACE/workspace and goes on there, not in PLACE/other: leave --workspace out, or begin anew with another --data-dir");
    assert!(!other.exists());
}

#[test]
fn paths_that_are_no_text() {
    use std::os::unix::ffi::OsStrExt;
    let place = Place::new();
    let team = place.file("team.toml", &quick());
    let odd = place.path("").join(std::ffi::OsStr::from_bytes(b"o\xffd"));
    for option in ["--data-dir", "--workspace"] {
        for more in [&[][..], &["--continue"]] {
            let mut command = impresario();
            command.arg("run").arg(&team).args(more);
            if option == "--workspace" {
                command.arg("--data-dir").arg(place.data());
            }
            let ran = output(command.arg(option).arg(&odd));
            let said = refused(&place, &ran);
            assert!(
                said.contains(" is not UTF-8: rename the folder or choose another one"),
                "{said}"
            );
            assert!(!odd.exists() && !place.data().exists(), "{option}");
        }
    }
}

#[test]
fn an_answer_that_nobody_waits_for() {
    let place = Place::new();
    let team = place.file("team.toml", &quick());
    let ran = output(&mut place.run(&[text(&team)]));
    assert_eq!(ran.code(), Some(0), "{}", ran.stderr);
    let ran = output(&mut place.go_on(&["--answer", "yes"]));
    insta::assert_snapshot!(refused(&place, &ran), @"error: the task `roman numerals` has ended: --continue without --answer shows how");
}

#[test]
fn what_only_a_new_task_could_heed_is_told() {
    let place = Place::new();
    let (reading, pipe) = at_work(&place);
    reading.signal(Signal::TERM);
    reading.end();
    fs::remove_file(&pipe).expect("the pipe");
    let file = sheller("echo done", "");
    let changed = place.file("team.toml", &format!("{file}\n[limits]\ndepth = 1\n"));
    let ran = output(&mut place.go_on(&[text(&changed)]));
    insta::assert_snapshot!(ran.stderr, @"the file has changed since the task began, which goes on as it began");
    assert_eq!(ran.code(), Some(0), "{}", ran.stdout);
}

#[test]
fn refusals_are_the_same_with_json() {
    let place = Place::new();
    let plain = refuses(&place, &["--continue"]);
    assert_eq!(refuses(&place, &["--continue", "--json"]), plain);
}
