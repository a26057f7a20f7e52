//! A thousand teams drawn from seeds, each with troubles of its own: whatever is killed, lost, full or garbled, the task comes to its
//! end, its journal is true, and what was done outside was done once or is in doubt. The same seed gives the same journal.
//!
//! `TROUPE=17 cargo test -p impresario-actors --test it seeds` plays one of them and shows it; the example `seeds` plays many more.

use actors::testing::census::Census;
use actors::testing::seeds::examine::{Verdict, examine};
use actors::testing::seeds::plays::{each, play, text};
use actors::testing::seeds::trial::Trial;

/// How many seeds are played in an ordinary run.
const TROUPES: u64 = 1_000;

/// Trials beyond them that once found something.
fn found() -> Vec<Trial> {
    vec![Trial::plain(3_342)]
}

/// Of everything that can befall a team some befalls these seeds.
fn nothing_is_missing(census: &Census) {
    let all = census.all();
    let missing: Vec<_> = KINDS
        .iter()
        .filter(|kind| !all.contains_key(**kind))
        .collect();
    assert!(
        missing.is_empty(),
        "it never happens: {missing:?}\n{census}"
    );
}

const KINDS: [&str; 0] = [];

#[test]
fn whatever_happens_a_task_comes_to_its_end_and_the_journal_is_true() {
    if let Ok(seed) = std::env::var("TROUPE") {
        let trial = Trial::of(seed.parse().expect("a seed is a number"));
        println!("{trial:#?}");
        println!("{}", text(&play(&trial).events));
        let verdict = examine(&trial);
        return assert!(verdict.is_ok(), "{}", verdict.unwrap_err());
    }
    let (census, failed) = (Census::default(), Census::default());
    let tell = |trial: &Trial, verdict: &Verdict| match verdict {
        Ok(befell) => census.add(befell),
        Err(why) => {
            let why: String = why.chars().take(600).collect();
            println!("TROUPE={}: {why}", trial.seed);
            failed.note(format!("seed {}", trial.seed));
        }
    };
    let trials = found();
    let verdicts = each(0..TROUPES, |seed| examine(&Trial::of(seed)));
    (0..)
        .map(Trial::of)
        .zip(&verdicts)
        .for_each(|(trial, it)| tell(&trial, it));
    trials.iter().for_each(|trial| tell(trial, &examine(trial)));
    assert!(failed.all().is_empty(), "failed:\n{failed}\n{census}");
    nothing_is_missing(&census);
}
