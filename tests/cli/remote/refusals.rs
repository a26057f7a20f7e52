//! Nodes that are not there, are none, or refuse.

use std::net::TcpListener;

use super::{program, ran, shown, told};
use crate::api::Door;
use crate::support::program::impresario;

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_refuses() {
    let door = Door::open().await;
    let never = "task_00000000000070008000000000000000";
    let asked: [&[&str]; 6] = [
        &["task", "show", never],
        &["task", "show", never, "--json"],
        &["task", "watch", never],
        &["task", "create", "x", "--agent", "nobody"],
        &["task", "list", "--key", "ik_unknown"],
        &["task", "list", "--cursor", "first"],
    ];
    insta::assert_snapshot!(asked.map(|args| told(&door, args)).concat());
    door.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_node_and_no_key() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    drop(listener);
    let folder = tempfile::tempdir().expect("a folder");
    let asked: [&[&str]; 4] = [
        &["task", "list", "--url", &url, "--key", "ik_1"],
        &["task", "list", "--url", &url],
        &["task", "list", "--url", "http://node.example"],
        &["task", "list", "--url", "node:7700", "--key", "ik_1"],
    ];
    let told = asked.map(|args| {
        let mut command = impresario();
        command.args(args).current_dir(folder.path());
        command
            .env_remove("IMPRESARIO_URL")
            .env_remove("IMPRESARIO_KEY");
        shown(args, &ran(&mut command))
    });
    insta::assert_snapshot!(told.concat().replace(&url, "URL"));
}

#[tokio::test(flavor = "multi_thread")]
async fn on_its_own_machine_the_nodes_first_key_is_found() {
    let door = Door::open().await;
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join(".impresario");
    std::fs::create_dir(&data).expect("a folder");
    std::fs::write(data.join("admin.key"), format!("{}\n", door.key)).expect("a file");
    let mut command = program(&door, &["task", "list"]);
    command
        .env_remove("IMPRESARIO_KEY")
        .current_dir(folder.path());
    let ran = ran(&mut command);
    assert_eq!(
        (ran.code(), ran.stdout.as_str()),
        (Some(0), "no tasks\n"),
        "{}",
        ran.stderr
    );
    door.close().await;
}
