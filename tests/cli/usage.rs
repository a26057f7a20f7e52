//! Help, usage errors, and the small commands.

use std::process::Stdio;

use impresario::cli::Exit;

use super::{Ran, ended, program, run};

#[test]
fn exit_codes_are_those_of_the_contract() {
    use Exit as E;
    let codes = [
        E::Done,
        E::Failed,
        E::Refused,
        E::Unreachable,
        E::Interrupted,
    ]
    .map(Exit::code);
    assert_eq!(codes, [0, 1, 2, 3, 130]);
}

#[test]
fn help_goes_to_stdout() {
    for args in [
        &["--help"][..],
        &["run", "--help"],
        &["connect", "--help"],
        &["serve", "--help"],
        &["check", "--help"],
        &["schema", "--help"],
        &["completions", "--help"],
        &["task", "--help"],
        &["task", "create", "--help"],
        &["task", "list", "--help"],
        &["task", "watch", "--help"],
        &["run-log", "--help"],
        &["tree", "--help"],
        &["project", "--help"],
        &["key", "--help"],
        &["key", "create", "--help"],
    ] {
        let Ran {
            code,
            stdout,
            stderr,
        } = run(args);
        assert_eq!((code, stderr.as_str()), (Some(0), ""));
        insta::assert_snapshot!(args.join(" "), stdout);
    }
}

#[test]
fn the_version_is_that_of_the_package() {
    let Ran { code, stdout, .. } = run(&["--version"]);
    assert_eq!(
        (code, stdout),
        (
            Some(0),
            format!("impresario {}\n", env!("CARGO_PKG_VERSION"))
        )
    );
}

#[test]
fn bad_usage_goes_to_stderr_and_is_2() {
    for args in [
        &[][..],
        &["chekc"],
        &["check"],
        &["check", "a", "b"],
        &["check", "a", "--jsno"],
        &["completions", "cobol"],
        &["task"],
        &["task", "show", "run_1"],
        &["task", "list", "--limit", "501"],
        &["task", "create", "x", "--priority", "11"],
        &["task", "create", "x", "--team", "a", "--agent", "b"],
        &["key", "create", "--scope", "everything"],
    ] {
        let Ran {
            code,
            stdout,
            stderr,
        } = run(args);
        assert_eq!((code, stdout.as_str()), (Some(2), ""), "{args:?}");
        assert!(
            stderr.contains("Usage:") || stderr.contains("--help"),
            "{args:?}: {stderr}"
        );
    }
}

#[test]
fn the_schema_is_one_json_document() {
    let Ran {
        code,
        stdout,
        stderr,
    } = run(&["schema"]);
    assert_eq!((code, stderr.as_str()), (Some(0), ""));
    let schema: serde_json::Value = serde_json::from_str(&stdout).expect("JSON");
    assert_eq!(schema, impresario::config::schema());
    assert_eq!(run(&["schema", "--json"]).stdout, stdout);
}

#[test]
fn completions_name_the_commands() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let Ran {
            code,
            stdout,
            stderr,
        } = run(&["completions", shell]);
        assert_eq!((code, stderr.as_str()), (Some(0), ""));
        assert!(
            ["impresario", "check", "run-log", "revoke"]
                .iter()
                .all(|word| stdout.contains(word)),
            "{shell}"
        );
    }
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let mut child = program(&["schema"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    drop(child.stdout.take());
    let ran = ended(child.wait_with_output().expect("it ends"));
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
}
