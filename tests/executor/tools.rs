use actors::model::executor::{CallErrorCode, CallOutcome, FromExecutor, ToExecutor};
use insta::assert_snapshot;
use serde_json::json;

use super::stage::{Stage, id, linked, run};

#[test]
fn what_is_offered() {
    let stage = Stage::new();
    let mut options = stage.options();
    options.witness = None;
    options.shell.landlock = false;
    let executor = impresario::executor::Executor::open(options).unwrap();
    let FromExecutor::Hello {
        protocol,
        name,
        tools,
        root,
        session,
        ledger,
    } = executor.hello()
    else {
        panic!("no hello");
    };
    assert_eq!((protocol, name.as_str()), (1, "executor"));
    assert_eq!(
        root,
        stage.root().canonicalize().unwrap().display().to_string()
    );
    assert!(session.starts_with("session_") && session.len() > 30);
    drop(executor);
    let again = stage.open().hello();
    let FromExecutor::Hello { ledger: later, .. } = again else {
        panic!("no hello");
    };
    assert!(ledger.is_some(), "it has no witness");
    assert_eq!(ledger, later, "the ledger outlives the process");
    insta::assert_json_snapshot!("specs", tools);
}

#[test]
fn a_file_is_written_read_and_edited() {
    let stage = Stage::new();
    let executor = stage.open();
    run(linked(&executor, async |node| {
        let args = json!({"path": "src/a.txt", "content": "one\ntwo\nthree\n"});
        assert_snapshot!(node.done("write_file", args).await, @"created src/a.txt: 3 lines, 14 bytes");
        let args = json!({"path": "src/a.txt"});
        assert_snapshot!(node.done("read_file", args).await, @r"
             1	one
             2	two
             3	three
        ");
        let args = json!({"path": "src/a.txt", "offset": 2, "limit": 1});
        assert_snapshot!(node.done("read_file", args).await, @r"
             2	two
        [more follows: call again with offset=3]
        ");
        let args = json!({"path": "src/a.txt", "old_text": "two", "new_text": "zwei"});
        assert_snapshot!(node.done("edit_file", args).await, @"replaced once in src/a.txt, from line 2");
        let args = json!({"path": "src/a.txt", "content": "new"});
        assert_snapshot!(node.done("write_file", args).await, @"replaced src/a.txt: 1 line, 3 bytes");
        assert_eq!(stage.read("src/a.txt"), "new");
        let left: Vec<_> = std::fs::read_dir(stage.root().join("src"))
            .unwrap()
            .collect();
        assert_eq!(left.len(), 1, "no temporary file stays");
    }));
}

#[test]
fn an_absolute_path_inside_the_root_is_welcome() {
    let stage = Stage::new();
    stage.write("a.txt", "x");
    let executor = stage.open();
    run(linked(&executor, async |node| {
        let path = stage.root().join("a.txt");
        assert_eq!(
            node.done("read_file", json!({"path": path})).await,
            "     1\tx\n"
        );
    }));
}

#[cfg(unix)]
#[test]
fn a_replaced_file_keeps_its_mode_and_a_link_stays_a_link() {
    use std::os::unix::fs::{PermissionsExt, symlink};
    let stage = Stage::new();
    stage.write("bin/run", "old");
    std::fs::set_permissions(
        stage.root().join("bin/run"),
        PermissionsExt::from_mode(0o755),
    )
    .unwrap();
    symlink("bin/run", stage.root().join("link")).unwrap();
    let executor = stage.open();
    run(linked(&executor, async |node| {
        node.done("write_file", json!({"path": "link", "content": "new"}))
            .await;
    }));
    assert_eq!(stage.read("bin/run"), "new");
    let found = std::fs::metadata(stage.root().join("bin/run")).unwrap();
    assert_eq!(found.permissions().mode() & 0o777, 0o755);
    assert!(
        std::fs::symlink_metadata(stage.root().join("link"))
            .unwrap()
            .is_symlink()
    );
}

#[test]
fn errors_say_what_to_do() {
    let stage = Stage::new();
    stage.write("a.txt", "one\ntwo\ntwo\n");
    std::fs::write(stage.root().join("image"), b"PNG\0\0\0").unwrap();
    std::os::unix::net::UnixListener::bind(stage.root().join("socket")).unwrap();
    let executor = stage.open();
    let tries = [
        ("read_file", json!({"path": "none.txt"})),
        ("read_file", json!({"path": "."})),
        ("read_file", json!({"path": ""})),
        ("read_file", json!({"path": "a\0b"})),
        ("read_file", json!({"path": "image"})),
        ("read_file", json!({"path": "socket"})),
        ("read_file", json!({"path": "a.txt", "lines": 3})),
        ("read_file", json!({"path": "../x"})),
        ("write_file", json!({"path": "a.txt/b", "content": ""})),
        ("write_file", json!({"path": "..", "content": ""})),
        (
            "edit_file",
            json!({"path": "a.txt", "old_text": "two", "new_text": "2"}),
        ),
        (
            "edit_file",
            json!({"path": "a.txt", "old_text": "  one", "new_text": "2"}),
        ),
        (
            "edit_file",
            json!({"path": "image", "old_text": "a", "new_text": "b"}),
        ),
        ("list_dir", json!({"path": "a.txt"})),
        ("glob", json!({"pattern": "a["})),
        ("grep", json!({"pattern": "("})),
        (
            "shell",
            json!({"command": "true", "timeout_ms": 999_999_999}),
        ),
        ("shell", json!({"command": "true", "cwd": "/"})),
        ("fly", json!({})),
    ];
    let mut told = String::new();
    run(linked(&executor, async |node| {
        for (tool, args) in tries {
            let (code, message) = node.refused(tool, args.clone()).await;
            told += &format!("{tool} {args}\n  {code:?}: {message}\n");
        }
    }));
    let told = told.replace(
        &*stage.root().canonicalize().unwrap().to_string_lossy(),
        "ROOT",
    );
    assert_snapshot!("errors", told);
}

#[test]
fn folders_are_listed_and_searched_in_a_fixed_order() {
    let stage = Stage::new();
    for name in [
        "b/two.rs",
        "b/one.rs",
        "a.rs",
        "c/.git/x.rs",
        ".git/y.rs",
        "c/z.txt",
    ] {
        stage.write(name, "fn main() {}\n// Main\n");
    }
    std::fs::write(stage.root().join("data.rs"), b"main\0").unwrap();
    std::os::unix::fs::symlink("a.rs", stage.root().join("link.rs")).unwrap();
    std::os::unix::fs::symlink("b", stage.root().join("folder")).unwrap();
    let executor = stage.open();
    let tries = [
        ("list_dir", json!({})),
        ("list_dir", json!({"limit": 2})),
        ("list_dir", json!({"path": "b", "offset": 1})),
        ("glob", json!({"pattern": "*.rs"})),
        ("glob", json!({"pattern": "*.rs", "path": "b"})),
        ("glob", json!({"pattern": "b/*.rs", "limit": 1})),
        ("glob", json!({"pattern": "none"})),
        ("grep", json!({"pattern": "main"})),
        (
            "grep",
            json!({"pattern": "main", "ignore_case": true, "glob": "b/*", "limit": 3}),
        ),
        ("grep", json!({"pattern": "^fn", "path": "a.rs"})),
        ("grep", json!({"pattern": "none"})),
    ];
    let mut told = String::new();
    run(linked(&executor, async |node| {
        for (tool, args) in tries {
            told += &format!("{tool} {args}\n{}", node.done(tool, args.clone()).await);
        }
    }));
    assert_snapshot!("listings", told);
}

#[test]
fn what_is_too_much_says_how_to_get_the_rest() {
    let stage = Stage::new();
    stage.write("d/long.txt", &"x".repeat(5000));
    stage.write("d/many.txt", &"0123456789\n".repeat(100));
    let mut options = stage.options();
    options.limits.tools.result_bytes = 100;
    options.limits.tools.file_bytes = 3000;
    options.limits.tools.entries = 2;
    let executor = impresario::executor::Executor::open(options).unwrap();
    run(linked(&executor, async |node| {
        let text = node.done("read_file", json!({"path": "d/long.txt"})).await;
        assert!(
            text.ends_with("xx [3000 more bytes in this line]\n"),
            "{text}"
        );
        let text = node
            .done("read_file", json!({"path": "d/many.txt", "offset": 10}))
            .await;
        assert!(
            text.ends_with("[more follows: call again with offset=15]\n"),
            "{text}"
        );
        let text = node.done("grep", json!({"pattern": "none"})).await;
        assert!(
            text.contains("[1 file larger than 3000 bytes passed over"),
            "{text}"
        );
        assert!(text.contains("[stopped after 2 entries"), "{text}");
        for (tool, path) in [
            ("write_file", "sub/a"),
            ("write_file", "sub/b"),
            ("write_file", "c"),
        ] {
            node.done(tool, json!({"path": path, "content": ""})).await;
        }
        let (_, message) = node.refused("list_dir", json!({})).await;
        assert_snapshot!(message, @". holds more than 2 entries: list it with the shell");
        let args = json!({"path": "a", "content": "x".repeat(3001)});
        let (code, _) = node.refused("write_file", args).await;
        assert_eq!(code, CallErrorCode::BadArguments);
    }));
}

#[test]
fn a_file_is_written_or_it_is_said_that_time_was_up() {
    let stage = Stage::new();
    let executor = stage.open();
    run(linked(&executor, async |node| {
        for round in 0..40 {
            let (name, path) = (format!("a{round}"), format!("f{round}"));
            let args = json!({"path": path, "content": "x"});
            node.send(ToExecutor::Call {
                call_id: id(&name),
                epoch: 1,
                tool: "write_file".to_owned(),
                args,
                timeout_ms: round % 2,
            })
            .await;
            match node.result(&name).await {
                CallOutcome::Ok(_) => assert_eq!(stage.read(&path), "x"),
                CallOutcome::Error(error) => {
                    assert_eq!(error.code, CallErrorCode::Timeout);
                    assert!(!stage.root().join(path).exists());
                }
            }
        }
    }));
}
