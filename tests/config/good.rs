//! Whole files: a good one as it is read, and one full of mistakes as it is reported.

use std::path::Path;

use impresario::config::{self, Config, MAX_PROBLEMS, Rendering};

pub(crate) const TEAM: &str = "tests/fixtures/team.toml";

pub(crate) fn team() -> Config {
    config::load(TEAM).unwrap_or_else(|problems| panic!("{}", problems.render(Rendering::Plain)))
}

#[test]
fn a_good_file_is_read_with_all_its_defaults() {
    insta::assert_json_snapshot!(team());
}

#[test]
fn an_empty_file_is_a_node_with_defaults() {
    let config = config::parse("empty.toml", "", Path::new("")).expect("nothing is required");
    assert_eq!(config, Config::default());
}

#[test]
fn all_mistakes_are_told_at_once() {
    let problems =
        config::load("tests/fixtures/mistakes.toml").expect_err("it is full of mistakes");
    let plain = problems.render(Rendering::Plain);
    assert!(!plain.contains("sk-live"), "a secret is shown");
    insta::assert_snapshot!(plain);
}

#[test]
fn problems_are_drawn_into_the_source() {
    let text = "[teams.t]\nlead = 'x'\n\n[providers.p]\nkind = 'scripted'\napi_key = 'sk-live'\n";
    let problems = config::parse("team.toml", text, Path::new("")).expect_err("two mistakes");
    let drawn = problems.render(Rendering::Fancy { color: false });
    assert!(!drawn.contains('\u{1b}'));
    insta::assert_snapshot!(drawn);
    let coloured = problems.render(Rendering::Fancy { color: true });
    assert!(coloured.contains('\u{1b}') && !coloured.contains("sk-live"));
}

#[test]
fn problems_for_programs() {
    let text = "[agents.a]\nprovider = 'ö'\n[node]\nnäme = 1";
    let problems = config::parse("team.toml", text, Path::new("")).expect_err("syntax");
    insta::assert_json_snapshot!(problems.to_json());
}

#[test]
fn a_secret_is_not_shown_whatever_is_wrong() {
    for text in [
        "api_key = sk-live-1",
        "[a]\nx = { token = sk-live-1 }\n",
        "password = \"sk-live-1",
        "x = [ # secret = sk-live-1\n",
        "[node]\nstore = \"postgres://me:sk-live-1@host/db\"",
        "[node]\nstore = \"postgres://host/db?password=sk-live-1\"",
        "[node]\nstore = \"postgres://me:sk-live-1@host:port/db?sslmode=x\"",
        "[node]\nstore = \"mysql://me:sk-live-1@host/db\"",
        "providers.p = { kind = 'openai-compatible', base_url = 'ftp://me:sk-live-1@host' }",
    ] {
        let problems = config::parse("f", text, Path::new("")).expect_err("syntax");
        let all = [Rendering::Plain, Rendering::Fancy { color: false }]
            .map(|how| problems.render(how))
            .concat();
        assert!(!all.contains("sk-live"), "{all}");
        assert!(
            !problems.to_json().to_string().contains("sk-live"),
            "{text}"
        );
    }
}

#[test]
fn more_mistakes_than_anybody_reads_are_counted() {
    let text: String = (0..MAX_PROBLEMS + 7)
        .map(|i| format!("x{i} = 1\n"))
        .collect();
    let problems = config::parse("f", &text, Path::new("")).expect_err("unknown keys");
    assert_eq!(
        (problems.list().len(), problems.omitted()),
        (MAX_PROBLEMS, 7)
    );
    assert!(
        problems
            .render(Rendering::Plain)
            .ends_with("… and 7 more\n107 problems in f\n")
    );
}

#[test]
fn a_long_line_is_shown_around_its_mistake() {
    let text = format!("{}x = 1", "é".repeat(0) + &" ".repeat(5_000));
    let problems = config::parse("f", &text, Path::new("")).expect_err("unknown key");
    let drawn = problems.render(Rendering::Fancy { color: true });
    assert!(
        drawn.len() < 500 && drawn.contains("f:1:5001: unknown key `x`"),
        "{drawn}"
    );
}

#[test]
fn files_that_cannot_be_read() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).expect("a file");
        let problems = config::load(&path).expect_err("it cannot be read");
        problems.list()[0]
            .message
            .replace(&folder.path().display().to_string(), "")
    };
    assert_eq!(
        file("latin1", b"a = 1\nb = \"\xe4\""),
        "the file is not UTF-8 text: byte 11"
    );
    assert_eq!(
        file("large", &vec![b' '; (1 << 20) + 1]),
        "cannot read `/large`: it is larger than 1048576 bytes"
    );
    let message = |path: &str| {
        config::load(path).expect_err("no file").list()[0]
            .message
            .clone()
    };
    assert_eq!(
        message("nowhere.toml"),
        "cannot read `nowhere.toml`: there is no such file"
    );
    assert_eq!(message("tests"), "cannot read `tests`: it is a folder");
}

#[test]
fn a_file_of_nothing_but_mistakes_is_not_waited_for() {
    let shells = format!("agents.a = {{ tools = [{}] }}", "'shel',".repeat(20_000));
    let syntax = "= \n".repeat(20_000);
    let keys: String = (0..20_000).map(|i| format!("k{i} = 1\n")).collect();
    for text in [shells, syntax, keys] {
        let problems = config::parse("f", &text, Path::new("")).expect_err("mistakes");
        assert!(problems.omitted() >= 19_000);
    }
}

#[test]
fn nesting_has_a_limit() {
    let deep = format!("x = {}1", "[".repeat(50_000));
    let keys = format!("{}x = 1", "a.".repeat(50_000));
    for text in [deep, keys] {
        config::parse("f", &text, Path::new("")).expect_err("too deep");
    }
}
