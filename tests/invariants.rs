//! Holds those sentences of docs/architecture.md, “What is never there”, that are about more than which room names which.

use std::path::Path;

use crate::architecture::{absent, code, files, is_test};

const SOURCES: [&str; 3] = ["src", "actors/src", "supervision/src"];

/// How many modules stand above what is written in a file, itself counted: 0 for the root of a package.
fn depth(source: &str, file: &Path) -> usize {
    let below = file.strip_prefix(source).expect("below the source");
    let names = below.with_extension("");
    let last = names.file_name().expect("a name").to_string_lossy();
    let own = usize::from(!matches!(&*last, "mod" | "lib" | "main"));
    names.components().count() - 1 + own
}

/// The longest chain of `super::` in a line.
fn supers(line: &str) -> usize {
    let longest = (0..).take_while(|n| line.contains(&"super::".repeat(n + 1)));
    longest.count()
}

/// So that the arrows between rooms, which are read from `crate::`, are all there are.
#[test]
fn super_stays_in_its_room() {
    let mut wrong = Vec::new();
    for source in SOURCES {
        for file in files(source).iter().filter(|file| !is_test(file)) {
            let depth = depth(source, file);
            let leaves = |(_, line): &(usize, String)| depth > 0 && supers(line) >= depth;
            let lines = code(file).into_iter().filter(leaves);
            wrong.extend(lines.map(|(n, line)| format!("{}:{n}: {line}", file.display())));
        }
    }
    assert!(
        wrong.is_empty(),
        "name another room with `crate::`:\n{}",
        wrong.join("\n")
    );
}

#[test]
fn only_supervision_starts_tasks_and_actors() {
    let words = [
        "tokio::spawn(",
        "task::spawn(",
        "spawn_local",
        "ActorRuntime",
        "spawn_linked",
        "spawn_instant",
        "JoinSet",
    ];
    let but = [
        "supervision/src/child/spawn.rs",
        "supervision/src/actor.rs",
        "actors/src/testing",
        "supervision/src/testing",
    ];
    for source in SOURCES {
        absent(source, &words, &but, "nothing runs beside the tree");
    }
}

#[test]
fn nobody_but_supervision_speaks_to_ractor() {
    for source in ["src", "actors/src"] {
        let reason = "actors and their children are supervision's";
        absent(source, &["ractor::"], &[], reason);
    }
    let words = ["ractor::registry", "ractor::pg", "where_is("];
    absent("supervision/src", &words, &[], "ractor's names are global");
}

/// Patterns that never change, the hooks of processes that panic on purpose, and what a thread is polling.
#[test]
fn there_is_no_global_state() {
    let may = [
        "src/config/source.rs",
        "src/tool/shell/program.rs",
        "supervision/src/watchdog.rs",
        "actors/src/testing/seeds/mod.rs",
    ];
    let mut wrong = Vec::new();
    for file in SOURCES.iter().flat_map(|source| files(source)) {
        if is_test(&file) || may.iter().any(|may| file == Path::new(may)) {
            continue;
        }
        let is_static = |line: &str| {
            let words: Vec<_> = line.split_whitespace().take(2).collect();
            words.first() == Some(&"static")
                || (words.get(1) == Some(&"static") && words[0].starts_with("pub"))
                || line.contains("thread_local!")
        };
        let lines = code(&file).into_iter().filter(|(_, line)| is_static(line));
        wrong.extend(lines.map(|(n, line)| format!("{}:{n}: {line}", file.display())));
    }
    assert!(wrong.is_empty(), "global state:\n{}", wrong.join("\n"));
}
