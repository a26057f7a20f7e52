//! Hundreds of teams drawn from seeds, each with troubles of its own: whatever is killed, lost, full or garbled, the task comes to its
//! end, its journal is true, and what was done outside was done once or is in doubt. The same seed gives the same journal.
//!
//! `TROUPE=17 cargo test -p impresario-actors --test it seeds` plays one of them and shows it; the example `seeds` plays many more.

use actors::testing::census::Census;
use actors::testing::seeds::examine::{Verdict, examine};
use actors::testing::seeds::plays::{each, play, text};
use actors::testing::seeds::trial::Trial;

/// How many seeds are played in an ordinary run.
const TROUPES: u64 = 500;

/// Trials beyond them that once found something.
fn found() -> Vec<Trial> {
    let seeds = [
        7_685, 10_173, 11_349, 21_166, 25_237, 26_545, 27_453, 29_597, 51_547, 53_138, 61_345,
        64_249, 66_102, 89_494,
    ];
    let plain = [Trial::plain(3_342)];
    plain.into_iter().chain(seeds.map(Trial::of)).collect()
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

const KINDS: [&str; 47] = [
    "crash",
    "disk full",
    "executor lost for ever",
    "executor lost, and back",
    "failed sync",
    "power failure",
    "store died, the append was lost",
    "store died, the append was written",
    "kill a run",
    "kill an agent",
    "kill journal",
    "kill opener",
    "kill room",
    "kill topology",
    "fault: kill of node",
    "fault: kill of supervisor",
    "fault: hang of provider",
    "fault: corrupt of provider",
    "fault: disconnect of provider",
    "fault: disconnect of executor",
    "fault: drop of executor",
    "fault: drop of link",
    "model: RateLimited",
    "model: Overloaded",
    "model: Timeout",
    "model: Cut",
    "model: Unreachable",
    "model: Internal",
    "model: Nonsense",
    "model: BadRequest",
    "model: hangs",
    "model: panics",
    "model: stalls",
    "model: garbage, Args",
    "model: garbage, SameIds",
    "person: another topology",
    "person: cancel of a run",
    "person: cancel of the task",
    "person: pause of a run",
    "person: pause of a subtree",
    "person: pause of an agent",
    "person: pause of the task",
    "person: more budget",
    "event: budget_exceeded",
    "event: run_quarantined",
    "event: tool_call_in_doubt",
    "run at depth 3",
];

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
