//! Holds docs/architecture.md: which module may import which, what must never be there, and that no test file is forgotten.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Rust files below a folder, relative to the repository, tests inside modules left out.
pub(crate) fn files(folder: &str) -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    let mut folders = vec![root.join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display())) {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                found.push(path.strip_prefix(root).expect("below the root").to_owned());
            }
        }
    }
    found.sort();
    found
}

/// The lines of a file that are code of the product: comments and test modules are left out.
pub(crate) fn code(file: &Path) -> Vec<(usize, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = fs::read_to_string(root.join(file)).expect("a readable file");
    let product = text
        .split("#[cfg(test)]\nmod tests {")
        .next()
        .unwrap_or_default();
    let lines = product
        .lines()
        .enumerate()
        .map(|(n, line)| (n + 1, line.to_owned()));
    lines
        .filter(|(_, line)| !line.trim_start().starts_with("//"))
        .collect()
}

pub(crate) fn is_test(file: &Path) -> bool {
    file.file_name().is_some_and(|name| name == "tests.rs")
}

/// The folder of a package's source; the root package has no name.
fn source(package: &str) -> PathBuf {
    if package.is_empty() {
        return "src".into();
    }
    Path::new(package).join("src")
}

/// The first part of a file's path below `src`, without its ending: the room it stands in.
fn room(package: &str, file: &Path) -> String {
    let below = file.strip_prefix(source(package)).expect("below src");
    let first = below
        .components()
        .next()
        .expect("a part")
        .as_os_str()
        .to_string_lossy();
    first.trim_end_matches(".rs").to_owned()
}

/// Rooms that a line of code names with `crate::`, also inside braces at the top level of a `use`.
fn named(line: &str) -> Vec<String> {
    let word = |text: &str| {
        text.chars()
            .take_while(|c| c.is_alphanumeric() || *c == '_')
            .collect::<String>()
    };
    line.match_indices("crate::")
        .map(|(at, _)| word(&line[at + "crate::".len()..]))
        .filter(|word| !word.is_empty())
        .collect()
}

fn imports(package: &str) -> BTreeMap<String, BTreeSet<String>> {
    let mut arrows = BTreeMap::<String, BTreeSet<String>>::new();
    for file in files(&source(package).to_string_lossy())
        .iter()
        .filter(|file| !is_test(file))
    {
        let from = room(package, file);
        for (_, line) in code(file) {
            arrows
                .entry(from.clone())
                .or_default()
                .extend(named(&line).into_iter().filter(|to| *to != from));
        }
    }
    arrows
}

fn allow(package: &str, arrows: &[(&str, &str)]) {
    let allowed: BTreeMap<_, BTreeSet<_>> = arrows
        .iter()
        .map(|(from, to)| (*from, to.split_whitespace().collect()))
        .collect();
    let mut wrong = Vec::new();
    for (from, imported) in imports(package) {
        let may = allowed
            .get(from.as_str())
            .unwrap_or_else(|| panic!("{package}: room `{from}` is not in the table"));
        wrong.extend(
            imported
                .iter()
                .filter(|to| !may.contains(to.as_str()))
                .map(|to| format!("{from} → {to}")),
        );
    }
    assert!(
        wrong.is_empty(),
        "{package}: arrows that docs/architecture.md does not have: {wrong:?}"
    );
}

#[test]
fn arrows_inside_supervision() {
    let words = "spec strategy exit backoff health report restart";
    let core = format!(
        "{words} fault watchdog incarnation root actor child handle inbox shell supervisor tree Start AtRestart"
    );
    allow(
        "supervision",
        &[
            ("spec", words),
            ("strategy", words),
            ("exit", ""),
            ("backoff", "spec"),
            ("breaker", "backoff spec"),
            ("restart", words),
            ("report", &format!("{words} actor fault")),
            ("health", "spec"),
            ("fault", "spec restart"),
            ("watchdog", "report"),
            ("incarnation", "exit spec"),
            ("inbox", "handle incarnation report restart Start"),
            ("handle", "inbox restart AtRestart"),
            (
                "actor",
                "exit handle health inbox incarnation report restart watchdog",
            ),
            ("child", &core),
            ("shell", &core),
            ("supervisor", &core),
            ("root", &core),
            ("dynamic", &format!("{core} root")),
            ("tree", &core),
            ("lib", "actor child dynamic"),
            (
                "testing",
                "actor child dynamic handle inbox shell supervisor tree spec strategy exit backoff report restart Flags Actor Added AtRestart ChildSpec ChildState Context Exit Failure Handle Init Root Start StartError SupervisorHandle SupervisorSpec",
            ),
        ],
    );
}

#[test]
fn arrows_inside_actors() {
    let data = "model clock";
    allow(
        "actors",
        &[
            ("lib", ""),
            ("model", ""),
            ("clock", "model"),
            ("provider", "model"),
            ("tool", "model"),
            ("store", data),
            ("recipient", ""),
            ("feed", "model store"),
            ("registry", "model clock store"),
            ("journal", "model clock store feed"),
            ("registry", "model clock store"),
            ("budget", "model store journal"),
            ("pool", "model"),
            ("fault", "model executor feed journal provider store"),
            ("topology", "model fault journal store"),
            ("agent", "model provider feed pool"),
            ("executor", "model tool"),
            (
                "run",
                "model clock agent budget pool topology journal tool recipient store provider",
            ),
            (
                "task",
                "model clock fault run agent budget topology journal store feed pool provider recipient tool",
            ),
            (
                "system",
                "model clock fault task run executor feed journal pool provider store tool topology",
            ),
            (
                "testing",
                "model clock budget fault run executor feed journal pool provider recipient store system task tool topology",
            ),
        ],
    );
}

#[test]
fn arrows_inside_the_program() {
    allow(
        "",
        &[
            ("lib", ""),
            ("main", ""),
            ("cli", "client config node executor local"),
            ("client", "local sse"),
            ("sse", ""),
            ("settings", "config"),
            ("local", ""),
            (
                "node",
                "config executor http local provider retention schedule settings store telemetry webhook",
            ),
            ("webhook", "config"),
            ("schedule", "config"),
            ("retention", ""),
            ("telemetry", ""),
            ("config", "store"),
            ("provider", "sse"),
            ("store", ""),
            ("executor", "link tool"),
            ("http", "config link schedule settings webhook"),
            ("link", ""),
            ("tool", ""),
        ],
    );
}

/// Words that must not stand in the product code below a folder, with the reason.
pub(crate) fn absent(folder: &str, words: &[&str], but: &[&str], reason: &str) {
    let mut wrong = Vec::new();
    for file in files(folder).iter().filter(|file| !is_test(file)) {
        if but.iter().any(|but| file.starts_with(but)) {
            continue;
        }
        for (n, line) in code(file) {
            if let Some(word) = words.iter().find(|word| line.contains(**word)) {
                wrong.push(format!("{}:{n}: {word}", file.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{reason}:\n{}", wrong.join("\n"));
}

#[test]
fn supervision_knows_no_agent() {
    let words = [
        "agent", "Agent", "provider", "Provider", "task_", "serde", "rusqlite", "reqwest",
    ];
    absent(
        "supervision/src",
        &words,
        &[],
        "supervision knows nothing of what is supervised",
    );
}

#[test]
fn the_domain_knows_nothing_outside() {
    let words = [
        "std::fs",
        "std::env",
        "std::net",
        "std::process",
        "tokio::fs",
        "tokio::net",
        "tokio::process",
        "rusqlite",
        "reqwest",
        "axum",
    ];
    absent(
        "actors/src",
        &words,
        &["actors/src/testing"],
        "the domain is given everything from outside through its traits",
    );
}

#[test]
fn the_nouns_wait_for_nothing() {
    let words = [
        "async ",
        "tokio",
        "ractor",
        "supervision",
        "BoxFuture",
        "crate::store",
        "crate::provider",
        "crate::tool",
    ];
    absent("actors/src/model", &words, &[], "the nouns are data");
}

#[test]
fn what_decides_does_not_act() {
    let words = [
        "async ",
        ".await",
        "tokio",
        "ractor",
        "Instant::now",
        "SystemTime::now",
        "fastrand::Rng::new",
        "Handle<",
        "Context<",
    ];
    let pure = [
        "supervision/src/restart",
        "supervision/src/breaker/config.rs",
        "supervision/src/breaker/core.rs",
        "supervision/src/breaker/transition.rs",
        "supervision/src/breaker/window.rs",
        "actors/src/model",
        "actors/src/run/state.rs",
        "actors/src/run/fold.rs",
        "actors/src/run/accounts.rs",
        "actors/src/run/effects.rs",
        "actors/src/run/next",
        "actors/src/run/snapshot.rs",
        "actors/src/run/tools.rs",
        "actors/src/run/context.rs",
        "actors/src/run/recover.rs",
        "actors/src/run/why.rs",
        "actors/src/task/budget.rs",
        "actors/src/task/peers.rs",
        "actors/src/topology/mail.rs",
        "actors/src/budget/ledger.rs",
        "actors/src/budget/standing.rs",
        "actors/src/topology/routing.rs",
        "actors/src/executor/calls.rs",
        "actors/src/fault/dice.rs",
        "actors/src/fault/plan.rs",
        "actors/src/fault/tree.rs",
        "actors/src/fault/victims.rs",
        "actors/src/pool/cool.rs",
        "actors/src/pool/core.rs",
        "actors/src/pool/gate.rs",
        "actors/src/pool/look.rs",
        "actors/src/pool/rate.rs",
        "actors/src/store/project.rs",
        "src/cli/run/view",
        "src/cli/run/draw",
        "src/cli/run/lines.rs",
        "src/cli/run/summary.rs",
        "src/cli/run/words.rs",
    ];
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for place in pure {
        assert!(
            root.join(place).exists(),
            "{place} is gone: this list is the list of pure rooms"
        );
        let folder = if place.ends_with(".rs") {
            Path::new(place).parent().expect("a folder")
        } else {
            Path::new(place)
        };
        let others: Vec<_> = files(&folder.to_string_lossy())
            .into_iter()
            .filter(|file| !file.starts_with(place))
            .collect();
        let others: Vec<_> = others
            .iter()
            .map(|file| file.to_string_lossy().into_owned())
            .collect();
        let others: Vec<_> = others.iter().map(String::as_str).collect();
        absent(
            &folder.to_string_lossy(),
            &words,
            &others,
            "a pure room decides; actors act",
        );
    }
}

#[test]
fn product_code_does_not_use_what_is_for_tests() {
    absent("src", &["testing::"], &[], "what is for tests stays there");
    absent(
        "actors/src",
        &["crate::testing"],
        &["actors/src/testing"],
        "what is for tests stays there",
    );
    absent(
        "supervision/src",
        &["crate::testing"],
        &["supervision/src/testing"],
        "what is for tests stays there",
    );
}

#[test]
fn no_forgotten_file() {
    for (folder, main) in [
        ("tests", "tests/main.rs"),
        ("actors/tests", "actors/tests/main.rs"),
        ("supervision/tests", "supervision/tests/main.rs"),
    ] {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let listed = |file: &Path, name: &str| {
            fs::read_to_string(root.join(file)).is_ok_and(|text| {
                text.lines().any(|line| {
                    line.trim() == format!("mod {name};")
                        || line.trim() == format!("pub mod {name};")
                        || line.trim() == format!("pub(crate) mod {name};")
                })
            })
        };
        for file in files(folder).iter().filter(|file| *file != Path::new(main)) {
            let name = file
                .file_stem()
                .expect("a name")
                .to_string_lossy()
                .into_owned();
            let folder = file.parent().expect("a folder");
            let (above, name) = if name == "mod" {
                (
                    folder.parent().expect("a folder"),
                    folder
                        .file_name()
                        .expect("a name")
                        .to_string_lossy()
                        .into_owned(),
                )
            } else {
                (folder, name)
            };
            let stands_in = [
                above.join("mod.rs"),
                above.join("main.rs"),
                above.with_extension("rs"),
            ];
            assert!(
                stands_in.iter().any(|parent| listed(parent, &name)),
                "{} is listed nowhere and never runs",
                file.display()
            );
        }
    }
}

#[test]
fn the_page_is_short_enough_to_stay_true() {
    let text =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/architecture.md"))
            .expect("the page");
    assert!(
        text.lines().count() <= 250,
        "docs/architecture.md has {} lines",
        text.lines().count()
    );
}

#[test]
fn dependencies_that_must_not_come_in() {
    let lock = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.lock"))
        .expect("the lock file");
    for (name, reason) in [
        (
            "aws-lc-rs",
            "TLS is ring's: two providers in one program refuse each other",
        ),
        ("openssl-sys", "a fresh machine has no OpenSSL to link"),
        (
            "ractor_cluster",
            "it changes every message type of the build",
        ),
    ] {
        assert!(
            !lock.contains(&format!("name = \"{name}\"\n")),
            "{name}: {reason}"
        );
    }
    let ractor = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml"))
        .expect("the manifest");
    let line = ractor
        .lines()
        .find(|line| line.starts_with("ractor = "))
        .expect("ractor");
    assert!(
        line.contains("default-features = false"),
        "ractor's default features overflow the stack in long causal chains"
    );
}
