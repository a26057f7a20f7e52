use actors::model::executor::{CallErrorCode, FromExecutor};
use impresario::executor::Executor;
use serde_json::json;

use super::stage::{Stage, call, linked, run};

#[test]
fn a_command_tells_its_code_and_both_outputs_in_order() {
    let stage = Stage::new();
    stage.write("sub/x", "");
    let executor = stage.open();
    let tries = [
        ("echo out; echo err >&2; echo out; exit 3", "."),
        ("printf 'no end of line'", "."),
        ("true", "."),
        ("kill -9 $$", "."),
        ("./no-such-program 2>/dev/null", "."),
        ("-c starts with a dash 2>/dev/null", "."),
        ("ls; cat", "sub"),
    ];
    let mut told = String::new();
    run(linked(&executor, async |node| {
        for (command, cwd) in tries {
            let answer = node
                .done("shell", json!({"command": command, "cwd": cwd}))
                .await;
            told += &format!("$ {command}\n{answer}");
        }
    }));
    insta::assert_snapshot!("shell", told);
}

#[test]
fn the_environment_is_short_and_holds_no_key() {
    let stage = Stage::new();
    let executor = stage.open();
    let told = run(linked(&executor, async |node| {
        node.done("shell", json!({"command": "env"})).await
    }));
    let mut names: Vec<_> = told
        .lines()
        .filter_map(|line| Some(line.split_once('=')?.0))
        .collect();
    names.sort_unstable();
    let always = [
        "HOME",
        "IMPRESARIO_SHELL",
        "LANG",
        "PATH",
        "PWD",
        "SHELL",
        "TERM",
        "TMPDIR",
    ];
    let perhaps = ["LC_ALL", "LC_CTYPE", "OLDPWD", "SHLVL", "TZ", "USER", "_"];
    assert!(always.iter().all(|name| names.contains(name)), "{names:?}");
    assert!(
        names
            .iter()
            .all(|name| always.contains(name) || perhaps.contains(name)),
        "{names:?}"
    );
}

#[test]
fn of_long_output_the_beginning_and_the_end_are_kept() {
    let stage = Stage::new();
    let mut options = stage.options();
    options.limits.tools.result_bytes = 40;
    options.limits.tools.shell.live_bytes = 100;
    let executor = Executor::open(options).unwrap();
    run(linked(&executor, async |node| {
        let command = "echo begin; seq 100000 | tr '\\n' ' '; echo; echo end";
        node.send(call("a", 1, "shell", json!({"command": command})))
            .await;
        let mut live = String::new();
        let told = loop {
            match node.next().await {
                FromExecutor::Output { chunk, .. } => live += &chunk,
                FromExecutor::Result { outcome, .. } => break outcome,
                _ => {}
            }
        };
        assert!(live.starts_with("begin\n1 2 3"), "{live}");
        assert!(
            live.ends_with("\n[more output is not shown while it runs]\n"),
            "{live}"
        );
        assert_eq!(
            live.len(),
            100 + "\n[more output is not shown while it runs]\n".len()
        );
        insta::assert_snapshot!(super::stage::text(told), @r"
        exit code 0
        begin
        1 2 3 4 5 6 7 
        [588866 of 588906 bytes left out here; to see them, send the output to a file and use grep or read_file]
        8 99999 100000 
        end
        ");
    }));
}

#[test]
fn a_command_may_have_less_time_but_not_more() {
    let stage = Stage::new();
    let mut options = stage.options();
    options.limits.tools.shell.default_timeout = std::time::Duration::from_millis(80);
    let executor = Executor::open(options).unwrap();
    run(linked(&executor, async |node| {
        let (code, message) = node.refused("shell", json!({"command": "sleep 60"})).await;
        assert_eq!(code, CallErrorCode::Timeout);
        assert_eq!(
            message,
            "it took longer than 80 ms and was ended; nothing of it runs any more\n[no output]\n"
        );
    }));
}

#[test]
fn its_own_folders_stay_and_go() {
    let stage = Stage::new();
    let command =
        json!({"command": "ls $HOME $TMPDIR | grep -c kept; touch $HOME/kept $TMPDIR/kept"});
    for expected in ["exit code 0\n0\n", "exit code 0\n1\n"] {
        let executor = stage.open();
        let told = run(linked(&executor, async |node| {
            node.done("shell", command.clone()).await
        }));
        assert_eq!(told, expected);
    }
}
