//! What `impresario connect` says, and how it ends.

use rustix::process::Signal;
use tokio::net::TcpListener;

use super::super::stage::{Stage, run};
use super::calls::{connect, signal};
use super::node::{House, KEY, OTHER_KEY};
use crate::support::program::{Program, Ran, impresario};

/// The program with these arguments, and no node or key in its environment but these.
fn ran(stage: &Stage, key: Option<&str>, args: &[&str]) -> Ran {
    let mut command = impresario();
    command
        .arg("connect")
        .args(args)
        .env_remove("IMPRESARIO_URL")
        .env_remove("IMPRESARIO_EXECUTOR_KEY")
        .env("HOME", stage.path());
    if let Some(key) = key {
        command.env("IMPRESARIO_EXECUTOR_KEY", key);
    }
    crate::support::program::run(&mut command)
}

/// The last line without what differs from run to run.
fn last(stage: &Stage, ran: &Ran) -> String {
    assert_eq!(ran.stdout, "");
    let line = ran.stderr.lines().last().unwrap_or_default();
    let line = line.replace(&stage.path().display().to_string(), "STAGE");
    format!("{} {line}\n", ran.code().unwrap_or(-1))
}

#[test]
fn what_makes_no_sense_is_refused_before_anything_starts() {
    let stage = Stage::new();
    let root = stage.root();
    let root = root.to_str().unwrap();
    let inside = format!("{root}/state");
    let mut said = String::new();
    for (key, args) in [
        (Some("ik_admin"), &["--root", root][..]),
        (Some("ek_a b"), &["--root", root]),
        (Some(KEY), &["--root", root, "--url", "127.0.0.1:7700"]),
        (
            Some(KEY),
            &["--root", root, "--url", "http://me:pw@127.0.0.1"],
        ),
        (Some(KEY), &["--root", "/nowhere/at/all"]),
        (Some(KEY), &["--root", root, "--state-dir", &inside]),
    ] {
        said += &last(&stage, &ran(&stage, key, args));
    }
    insta::assert_snapshot!(said, @r"
    2 error: this is no key of an executor: those begin with `ek_`; `impresario key create` makes one
    2 error: the executor's key has spaces or other signs in it that no key has; copy it once more
    2 error: `127.0.0.1:7700` is no address of a node: it has no beginning such as http:// or https://
    2 error: `…@127.0.0.1` is no address of a node: take the name and password out of it
    2 error: cannot work in the root /nowhere/at/all: No such file or directory (os error 2)
    2 error: the state folder STAGE/root/state lies inside the root STAGE/root, where agents could change it; put it elsewhere
    ");
    let without = ran(&stage, None, &["--root", root]);
    assert_eq!(without.code(), Some(2));
    assert!(without.stderr.contains("--key <KEY>"), "{}", without.stderr);
}

#[test]
fn a_node_that_refuses_ends_it_with_3() {
    let stage = Stage::new();
    let root = stage.root();
    let root = root.to_str().unwrap();
    run(async {
        let house = House::new([]);
        let node = house.node().await;
        let url = house.url();
        let mut said = String::new();
        for (key, url) in [
            ("ek_unknown", url.clone()),
            (OTHER_KEY, url.clone()),
            (KEY, format!("{url}/elsewhere")),
        ] {
            let ran = ran(&stage, Some(key), &["--root", root, "--url", &url]);
            said += &last(&stage, &ran).replace(&url, "URL");
            assert!(!ran.stderr.contains(key), "{}", ran.stderr);
        }
        let mut program = connect(&stage, &url);
        program.wait_for("connected");
        node.has_executors(1).await;
        node.revoke
            .send(Some(impresario::http::link::Revoked::Key))
            .unwrap();
        said += &last(&stage, &program.end());
        insta::assert_snapshot!(said, @r"
        3 error: the node refuses: it does not know this key (401); ask for a key of the project with `impresario key create`
        3 error: the node refuses: this key may not connect executors there (403); ask for a key of the project with `impresario key create`
        3 error: what answers at URL is no node that takes executors: it says 404; look at the URL
        3 error: the node refuses: the executor's key was revoked (4401); ask for a key of the project with `impresario key create`
        ");
    });
}

/// Says that it is a node of another version.
async fn other_version(listener: TcpListener) {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let (mut socket, _) = listener.accept().await.unwrap();
    let _ = socket.read(&mut [0; 4096]).await.unwrap();
    let answer = "HTTP/1.1 426 Upgrade Required\r\nContent-Length: 0\r\n\r\n";
    socket.write_all(answer.as_bytes()).await.unwrap();
}

#[test]
fn a_node_of_another_version_ends_it_with_3() {
    let stage = Stage::new();
    let root = stage.root();
    let root = root.to_str().unwrap().to_owned();
    run(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let mut command = impresario();
        command
            .args(["connect", "--root", &root, "--url", &url])
            .env("HOME", stage.path())
            .env("IMPRESARIO_EXECUTOR_KEY", KEY);
        let program = Program::start(&mut command);
        other_version(listener).await;
        insta::assert_snapshot!(last(&stage, &program.end()), @"3 error: the node is of another version: it does not speak impresario.executor.v1 (426); use the same version of impresario on both sides");
    });
}

#[test]
fn a_node_that_is_not_there_is_waited_for() {
    let stage = Stage::new();
    run(async {
        let house = House::new([]);
        let mut program = connect(&stage, &house.url());
        program.wait_for("the node cannot be reached: ");
        let node = house.node().await;
        program.wait_for("connected");
        node.has_executors(1).await;
        signal(&program, Signal::INT);
        let ran = program.end();
        assert_eq!(ran.code(), Some(130));
        let said: Vec<_> = ran.stderr.lines().collect();
        let tried = said
            .iter()
            .find(|line| line.starts_with("the node cannot"))
            .unwrap();
        assert!(
            tried.contains("onnection refused") && tried.contains("; trying again in "),
            "{tried}"
        );
        assert_eq!(said.last(), Some(&"stopping: what runs is ended"));
        assert!(!ran.stderr.contains(KEY));
    });
}

#[test]
fn a_second_executor_on_the_same_folder_is_refused() {
    let stage = Stage::new();
    run(async {
        let house = House::new([]);
        let node = house.node().await;
        let mut first = connect(&stage, &house.url());
        first.wait_for("connected");
        let second = connect(&stage, &house.url()).end();
        assert_eq!(second.code(), Some(2));
        let words = "is in use by another executor";
        assert!(second.stderr.contains(words), "{}", second.stderr);
        node.has_executors(1).await;
    });
}
