//! Scripts are checked twice: in a file, with places, and by the provider, for programs. Both accept the same.

use std::path::Path;

use impresario::actors::provider::scripted::{MAX_ENTRIES, Scripted};
use impresario::config;

/// All ways to put these together, one of each.
fn combinations(choices: &[&[&str]]) -> Vec<String> {
    let Some((first, rest)) = choices.split_first() else {
        return vec![String::new()];
    };
    let rest = combinations(rest);
    let with = |one: &&str| {
        let one = (*one).to_owned();
        rest.iter()
            .map(move |more| match one.is_empty() || more.is_empty() {
                true => format!("{one}{more}"),
                false => format!("{one}, {more}"),
            })
    };
    first.iter().flat_map(with).collect()
}

/// Whether a file with these replies, and a provider made of them, are accepted.
fn accepted(replies: &str) -> (bool, bool) {
    let text = format!(
        "[agents.a]\nprovider = 'p'\n[providers.p]\nkind = 'scripted'\nscripts.a = [{replies}]"
    );
    let settings = toml::from_str(&format!("scripts.a = [{replies}]")).expect("settings");
    let file = config::parse("f", &text, Path::new(""));
    (file.is_ok(), Scripted::new(&settings).is_ok())
}

#[test]
fn a_file_and_the_provider_accept_the_same_replies() {
    let replies = combinations(&[
        &["", "say = 'x'"],
        &["", "call = 'grep'", "call = ''"],
        &["", "args = { a = 1 }"],
        &["", "calls = [{ tool = 'grep' }]", "calls = [{ tool = '' }]"],
        &["", "when = 'x'", "when = '('"],
        &["", "fail = 'disconnect'", "fail = 'timeout'"],
        &["", "usage = { input = 1 }"],
    ]);
    let mut good = 0;
    for reply in &replies {
        let (file, provider) = accepted(&format!("{{ {reply} }}"));
        assert_eq!(file, provider, "{reply}");
        good += usize::from(file);
    }
    assert_eq!((replies.len(), good), (648, 34));
}

#[test]
fn and_the_same_number_of_them() {
    let script = |replies| "{ say = 'x' },".repeat(replies);
    assert_eq!(accepted(""), (false, false));
    assert_eq!(accepted(&script(MAX_ENTRIES)), (true, true));
    assert_eq!(accepted(&script(MAX_ENTRIES + 1)), (false, false));
}
