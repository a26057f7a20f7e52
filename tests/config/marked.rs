//! Texts whose mistakes are marked: `«…»` stands around what a problem should point at.

use std::path::Path;

use impresario::config::{self, Problem};

/// What every text begins with: good, and with something of everything that can be referred to.
const BEGINNING: &str = r#"
providers.local = { kind = "openai-compatible", base_url = "http://localhost:1/v1", model = "m" }
agents.ann = { provider = "local" }
agents.bob = { provider = "local", tools = ["shell", "grep"] }
teams.pair = { lead = "ann", members = ["bob"] }
"#;

/// A problem to expect: what it says, and how its help begins.
pub(crate) type Expected = (&'static str, &'static str);

/// Checks that a text has these problems, in the order of the marks, and no others but those `besides`.
pub(crate) fn has_problems(marked: &str, expected: &[Expected], besides: fn(&Problem) -> bool) {
    let (text, marks) = unmarked(&format!("{BEGINNING}{marked}"));
    let problems = problems(&text);
    let found: Vec<_> = problems.iter().filter(|p| !besides(p)).collect();
    let said: Vec<_> = found.iter().map(|p| p.message.as_str()).collect();
    let wanted: Vec<_> = expected.iter().map(|(message, _)| *message).collect();
    assert_eq!(said, wanted, "in {marked}");
    let spans: Vec<_> = found.iter().map(|p| p.span.clone()).collect();
    assert_eq!(spans, marks, "in {marked}");
    for (problem, (_, help)) in found.iter().zip(expected) {
        let given = problem.help.as_deref().unwrap_or_default();
        let fits = if help.is_empty() {
            given.is_empty()
        } else {
            given.starts_with(help)
        };
        assert!(fits, "help is {given:?}, not {help:?}, in {marked}");
    }
}

fn problems(text: &str) -> Vec<Problem> {
    match config::parse("team.toml", text, Path::new("tests/fixtures")) {
        Ok(_) => Vec::new(),
        Err(problems) => problems.list().to_vec(),
    }
}

fn unmarked(marked: &str) -> (String, Vec<std::ops::Range<usize>>) {
    let (mut text, mut marks) = (String::new(), Vec::new());
    for part in marked.split_inclusive(['«', '»']) {
        text += part.trim_end_matches(['«', '»']);
        match part.chars().last() {
            Some('«') => marks.push(text.len()..text.len()),
            Some('»') => marks.last_mut().expect("« before »").end = text.len(),
            _ => {}
        }
    }
    (text, marks)
}
