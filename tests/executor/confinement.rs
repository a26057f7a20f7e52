//! Random trees with links everywhere, random paths, every file tool: nothing outside of the root is read or changed.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use actors::model::executor::{CallErrorCode, CallOutcome};
use proptest::prelude::*;
use rustix::fs::{CWD, RenameFlags, renameat_with};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::stage::{Node, Stage, error, linked, run};

const SECRET: &str = "secret-of-the-outside";

/// Something in the tree.
#[derive(Debug, Clone)]
enum Thing {
    Folder,
    File,
    Link(String),
}

fn name() -> impl Strategy<Value = &'static str> {
    prop::sample::select(&["a", "b", "c"][..])
}

fn place() -> impl Strategy<Value = String> {
    prop::collection::vec(name(), 1..4).prop_map(|parts| parts.join("/"))
}

/// A path as somebody with bad intentions writes it; `OUT` and `IN` stand for the outer folder and the root.
fn path() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        4 => name().prop_map(str::to_owned),
        2 => Just("..".to_owned()),
        1 => Just(".".to_owned()),
        1 => Just(String::new()),
        1 => Just("secret".to_owned()),
    ];
    let start = prop::sample::select(
        &[
            "",
            "",
            "",
            "./",
            "../",
            "../outside/",
            "OUT/",
            "IN/",
            "IN/../outside/",
            "/",
            "/proc/self/cwd/",
            "//",
        ][..],
    );
    (start, prop::collection::vec(part, 0..5))
        .prop_map(|(start, parts)| format!("{start}{}", parts.join("/")))
}

fn thing() -> impl Strategy<Value = Thing> {
    prop_oneof![
        1 => Just(Thing::Folder),
        1 => Just(Thing::File),
        3 => path().prop_map(Thing::Link),
    ]
}

fn call() -> impl Strategy<Value = (&'static str, Value)> {
    (path(), 0..7).prop_map(|(path, which)| match which {
        0 => ("read_file", json!({"path": path})),
        1 | 2 => ("write_file", json!({"path": path, "content": "written"})),
        3 => (
            "edit_file",
            json!({"path": path, "old_text": "secret", "new_text": "edited"}),
        ),
        4 => ("list_dir", json!({"path": path})),
        5 => ("glob", json!({"pattern": "**", "path": path})),
        _ => ("grep", json!({"pattern": ".", "path": path})),
    })
}

fn placed(stage: &Stage, text: &str) -> String {
    let out = stage.path().join("outside").display().to_string();
    text.replace("OUT", &out)
        .replace("IN", &stage.root().display().to_string())
}

/// Makes the tree. The links in it lead anywhere, so nothing is made where they lead: this is the test and not yet what it tests.
fn build(stage: &Stage, tree: &[(String, Thing)]) {
    let root = stage.root().canonicalize().unwrap();
    for (place, thing) in tree {
        let place = root.join(place);
        let parent = place.parent().unwrap().canonicalize();
        if !parent.is_ok_and(|parent| parent.starts_with(&root)) {
            continue;
        }
        // What is there already stays.
        let _made = match thing {
            Thing::Folder => fs::create_dir(&place),
            Thing::File => fs::File::create_new(&place).map(drop),
            Thing::Link(target) => symlink(placed(stage, target), &place),
        };
    }
}

fn outside(stage: &Stage) -> PathBuf {
    let outside = stage.path().join("outside");
    fs::create_dir_all(outside.join("a/b")).unwrap();
    for file in ["secret", "a/secret", "a/b/c", "b"] {
        fs::write(outside.join(file), SECRET).unwrap();
    }
    fs::write(stage.path().join("secret"), SECRET).unwrap();
    outside
}

/// Everything below a folder but the root and the executor's own: path and content.
fn seen(folder: &Path, found: &mut BTreeMap<PathBuf, Vec<u8>>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let kind = fs::symlink_metadata(&path).unwrap().file_type();
        if path.ends_with("root") || path.ends_with("state") {
            continue;
        }
        assert!(
            !kind.is_symlink(),
            "nobody made a link at {}",
            path.display()
        );
        if kind.is_dir() {
            seen(&path, found);
        }
        let content = if kind.is_dir() {
            Vec::new()
        } else {
            fs::read(&path).unwrap()
        };
        found.insert(path, content);
    }
}

fn everything_outside(stage: &Stage) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    seen(stage.path(), &mut found);
    found
}

async fn try_all(stage: &Stage, node: &mut Node, calls: &[(&'static str, Value)]) {
    for (tool, args) in calls {
        let args: Value = serde_json::from_str(&placed(stage, &args.to_string())).unwrap();
        let outcome = node.once(tool, args.clone()).await;
        let told = format!("{outcome:?}");
        assert!(!told.contains(SECRET), "{tool} {args}: {told}");
        assert!(!told.contains("broke down"), "{tool} {args}: {told}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn nothing_outside_is_read_or_changed(
        tree in prop::collection::vec((place(), thing()), 0..14),
        calls in prop::collection::vec(call(), 1..14),
    ) {
        let stage = Stage::new();
        outside(&stage);
        let before = everything_outside(&stage);
        let mut options = stage.options();
        // No command is run here, so nobody needs to be asked whether one could be.
        options.shell.supervisor = Some("/nonexistent".into());
        let executor = impresario::executor::Executor::open(options).unwrap();
        build(&stage, &tree);
        run(linked(&executor, async |node| try_all(&stage, node, &calls).await));
        prop_assert_eq!(everything_outside(&stage), before);
    }
}

#[test]
fn each_way_out_is_named_as_one() {
    let stage = Stage::new();
    let outside = outside(&stage);
    symlink(&outside, stage.root().join("absolute")).unwrap();
    symlink("../outside", stage.root().join("relative")).unwrap();
    symlink("../outside/secret", stage.root().join("file")).unwrap();
    symlink("relative/a", stage.root().join("chain")).unwrap();
    symlink("loop", stage.root().join("loop")).unwrap();
    let executor = stage.open();
    run(linked(&executor, async |node| {
        let ways = [
            "../outside/secret",
            "absolute/secret",
            "relative/secret",
            "file",
            "chain/b/c",
            "a/../../outside/secret",
            "/etc/passwd",
        ];
        for path in ways {
            for tool in ["read_file", "write_file", "edit_file"] {
                let args = match tool {
                    "read_file" => json!({"path": path}),
                    "write_file" => json!({"path": path, "content": "x"}),
                    _ => json!({"path": path, "old_text": "secret", "new_text": "x"}),
                };
                let (code, message) = node.refused(tool, args).await;
                let fits = code == CallErrorCode::Confined
                    || (path.starts_with("a/") && code == CallErrorCode::Failed);
                assert!(fits, "{tool} {path}: {code:?} {message}");
            }
        }
        let (code, _) = node.refused("list_dir", json!({"path": "relative"})).await;
        assert_eq!(code, CallErrorCode::Confined);
        let (code, _) = node
            .refused("write_file", json!({"path": "loop", "content": "x"}))
            .await;
        assert_eq!(code, CallErrorCode::Failed);
        let (code, _) = node
            .refused("shell", json!({"command": "pwd", "cwd": "relative"}))
            .await;
        assert_eq!(code, CallErrorCode::Confined);
    }));
}

#[test]
fn a_folder_that_turns_into_a_link_meanwhile_leads_nowhere() {
    let stage = Stage::new();
    outside(&stage);
    let before = everything_outside(&stage);
    let (at, link) = (stage.root().join("at"), stage.root().join("link"));
    fs::create_dir(&at).unwrap();
    fs::write(at.join("secret"), "harmless").unwrap();
    symlink("../outside", &link).unwrap();
    let executor = stage.open();
    let done = CancellationToken::new();
    std::thread::scope(|scope| {
        let _also_when_it_fails = done.clone().drop_guard();
        scope.spawn(|| {
            while !done.is_cancelled() {
                renameat_with(CWD, &at, CWD, &link, RenameFlags::EXCHANGE).unwrap();
            }
        });
        run(linked(&executor, async |node| {
            for round in 0..400 {
                let (tool, args) = match round % 2 {
                    0 => ("read_file", json!({"path": "at/secret"})),
                    _ => (
                        "write_file",
                        json!({"path": "at/secret", "content": "harmless"}),
                    ),
                };
                match node.once(tool, args).await {
                    CallOutcome::Ok(text) => assert!(!text.contains(SECRET)),
                    outcome => assert!(!error(outcome).message.contains(SECRET)),
                }
            }
        }));
    });
    assert_eq!(everything_outside(&stage), before);
}

#[test]
fn what_is_refused_leaves_no_folders_behind() {
    let stage = Stage::new();
    let executor = stage.open();
    run(linked(&executor, async |node| {
        for (id, path) in [("a", "new/deep/../../../esc3"), ("b", "new/../../esc3")] {
            let refused = node
                .ask(id, "write_file", json!({"path": path, "content": "x"}))
                .await;
            assert_eq!(error(refused).code, CallErrorCode::Confined, "{path}");
        }
        let within = json!({"path": "new/deep/../../kept/file", "content": "x"});
        node.ask("c", "write_file", within).await;
    }));
    let names = fs::read_dir(stage.root()).unwrap();
    let names: Vec<_> = names.map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["kept"]);
    assert_eq!(stage.read("kept/file"), "x");
}
