//! `impresario check`

use serde_json::Value;

use super::{Ran, ended, program, run};

const GOOD: &str = "tests/fixtures/team.toml";
const BAD: &str = "tests/fixtures/mistakes.toml";

fn json(text: &str) -> Value {
    serde_json::from_str(text).expect("one JSON document")
}

#[test]
fn a_good_file_is_summed_up_on_stdout() {
    let Ran {
        code,
        stdout,
        stderr,
    } = run(&["check", GOOD]);
    assert_eq!((code, stderr.as_str()), (Some(0), ""));
    insta::assert_snapshot!(stdout);
}

#[test]
fn a_good_file_for_programs() {
    let Ran {
        code,
        stdout,
        stderr,
    } = run(&["check", GOOD, "--json"]);
    assert_eq!((code, stderr.as_str()), (Some(0), ""));
    insta::assert_json_snapshot!(json(&stdout));
}

#[test]
fn problems_go_to_stderr_in_plain_text() {
    let Ran {
        code,
        stdout,
        stderr,
    } = run(&["check", BAD]);
    assert_eq!((code, stdout.as_str()), (Some(2), ""));
    assert!(
        stderr.starts_with("tests/fixtures/mistakes.toml:1:2: unknown key `nodes`"),
        "{stderr}"
    );
    assert!(
        stderr.ends_with(" problems in tests/fixtures/mistakes.toml\n"),
        "{stderr}"
    );
    assert!(
        !stderr.contains(['\u{1b}', '│']),
        "drawings and colours are for terminals"
    );
}

#[test]
fn problems_for_programs_go_to_stdout() {
    let Ran {
        code,
        stdout,
        stderr,
    } = run(&["check", "--json", BAD]);
    assert_eq!((code, stderr.as_str()), (Some(2), ""));
    let report = json(&stdout);
    assert_eq!(
        (&report["valid"], &report["file"]),
        (&false.into(), &BAD.into())
    );
    let first = &report["problems"][0];
    assert_eq!(
        (&first["line"], &first["column"], &first["text"]),
        (&1.into(), &2.into(), &"nodes".into())
    );
    assert_eq!(first["help"], "did you mean `node`?");
}

#[test]
fn a_file_that_is_not_there() {
    let Ran {
        code,
        stdout,
        stderr,
    } = run(&["check", "nowhere.toml"]);
    assert_eq!((code, stdout.as_str()), (Some(2), ""));
    insta::assert_snapshot!(stderr, @"error: cannot read `nowhere.toml`: there is no such file; give the path of a team file or a node file");
}

#[test]
fn a_forced_colour_does_not_draw_into_a_pipe() {
    let ran = ended(
        program(&["check", BAD])
            .env("CLICOLOR_FORCE", "1")
            .output()
            .expect("it starts"),
    );
    assert!(!ran.stderr.contains('\u{1b}'));
}
