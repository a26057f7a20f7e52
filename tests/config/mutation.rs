//! Whatever happens to a file, it loads or its problems have places in it.

use std::fs;
use std::path::Path;

use impresario::config::{self, Rendering};
use proptest::prelude::*;
use tempfile::TempDir;

use super::good::TEAM;

#[derive(Debug, Clone)]
enum Mutation {
    Flip { at: usize, bit: u8 },
    Replace { at: usize, with: u8 },
    Insert { at: usize, text: &'static str },
    DropLine { at: usize },
    RepeatLine { at: usize, to: usize },
    Truncate { at: usize },
}

fn mutation() -> impl Strategy<Value = Mutation> {
    let at = 0..10_000usize;
    let texts = [
        "\"", "'''", "[", "[[x]]\n", "{", "}", "=", "\n", "#", ".", "\u{feff}", "ü", "\0", "\r",
        "\u{1b}", "9e99", "-",
    ];
    prop_oneof![
        (at.clone(), 0..8u8).prop_map(|(at, bit)| Mutation::Flip { at, bit }),
        (at.clone(), 32..127u8).prop_map(|(at, with)| Mutation::Replace { at, with }),
        (at.clone(), prop::sample::select(texts.to_vec()))
            .prop_map(|(at, text)| Mutation::Insert { at, text }),
        at.clone().prop_map(|at| Mutation::DropLine { at }),
        (at.clone(), at.clone()).prop_map(|(at, to)| Mutation::RepeatLine { at, to }),
        at.prop_map(|at| Mutation::Truncate { at }),
    ]
}

impl Mutation {
    fn apply(&self, file: &mut Vec<u8>) {
        let length = file.len().max(1);
        match *self {
            Self::Flip { at, bit } => file
                .iter_mut()
                .skip(at % length)
                .take(1)
                .for_each(|b| *b ^= 1 << bit),
            Self::Replace { at, with } => file
                .iter_mut()
                .skip(at % length)
                .take(1)
                .for_each(|b| *b = with),
            Self::Insert { at, text } => {
                let at = at % (file.len() + 1);
                file.splice(at..at, text.bytes());
            }
            Self::DropLine { at } => with_lines(file, |lines| drop(lines.remove(at % lines.len()))),
            Self::RepeatLine { at, to } => with_lines(file, |lines| {
                let line = lines[at % lines.len()].clone();
                lines.insert(to % lines.len(), line);
            }),
            Self::Truncate { at } => file.truncate(at % length),
        }
    }
}

fn with_lines(file: &mut Vec<u8>, change: impl FnOnce(&mut Vec<Vec<u8>>)) {
    let mut lines: Vec<_> = file.split(|b| *b == b'\n').map(<[u8]>::to_vec).collect();
    change(&mut lines);
    *file = lines.join(&b'\n');
}

fn check(file: &[u8], path: &Path) -> Result<(), TestCaseError> {
    fs::write(path, file).expect("a file");
    let problems = match config::load(path) {
        Ok(config) => {
            let read_back = serde_json::from_value(config.to_json()).ok();
            prop_assert_eq!(read_back, Some(config));
            return Ok(());
        }
        Err(problems) => problems,
    };
    prop_assert!(!problems.list().is_empty());
    for problem in problems.list() {
        prop_assert!(
            problem.span.start <= problem.span.end && problem.span.end <= file.len(),
            "{:?}",
            problem
        );
        let before = String::from_utf8_lossy(&file[..problem.span.start]);
        prop_assert_eq!(problem.line, before.matches('\n').count() + 1);
        let column = before.chars().rev().take_while(|c| *c != '\n').count() + 1;
        prop_assert_eq!(problem.column, column);
        prop_assert!(!problem.message.is_empty());
    }
    let shown =
        problems.render(Rendering::Plain) + &problems.render(Rendering::Fancy { color: false });
    prop_assert!(
        !shown.contains(['\u{1b}', '\0']),
        "control characters reach the terminal"
    );
    Ok(())
}

/// The fixture's folder, copied: mutations may name other files in it.
fn folder() -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let instructions = "instructions/architect.md";
    fs::create_dir(folder.path().join("instructions")).expect("a folder");
    fs::copy(
        format!("tests/fixtures/{instructions}"),
        folder.path().join(instructions),
    )
    .expect("a copy");
    folder
}

#[test]
fn no_mutation_panics_or_is_without_a_place() {
    let folder = folder();
    let path = folder.path().join("team.toml");
    let team = fs::read(TEAM).expect("the fixture");
    check(&team, &path).expect("the fixture itself");
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig {
        cases: 512,
        failure_persistence: None,
        ..ProptestConfig::default()
    });
    let result = runner.run(&prop::collection::vec(mutation(), 1..4), |mutations| {
        let mut file = team.clone();
        mutations
            .iter()
            .for_each(|mutation| mutation.apply(&mut file));
        check(&file, &path)
    });
    result.unwrap_or_else(|error| panic!("{error}"));
}
