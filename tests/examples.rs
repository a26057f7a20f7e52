//! The examples do what they say, and print what they are said to print.

use super::api::Door;
use super::support::program::{example, run};

fn printed(name: &str) -> String {
    let ran = run(&mut example(name));
    assert_eq!(ran.code(), Some(0), "{name}: {}", ran.stderr);
    ran.stdout
}

/// Ids are new each time.
fn plain() -> insta::Settings {
    let mut settings = insta::Settings::clone_current();
    settings.add_filter("run_[0-9a-f]{32}", "run_…");
    settings
}

#[test]
fn embed() {
    plain().bind(|| insta::assert_snapshot!(printed("embed")));
}

#[test]
fn embed_knows_in_its_second_life_what_it_did() {
    let folder = tempfile::tempdir().expect("a folder");
    let lives = [0, 1].map(|_| run(example("embed").arg(folder.path())).stdout);
    assert_eq!(lives[0], lives[1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn client() {
    let door = Door::open().await;
    let mut client = example("client");
    client.args(["count the chairs", "lead"]);
    client.env("IMPRESARIO_URL", &door.url);
    client.env("IMPRESARIO_KEY", &door.key);
    let ran = tokio::task::block_in_place(|| run(&mut client));
    assert_eq!((ran.code(), ran.stderr.as_str()), (Some(0), ""));
    insta::assert_snapshot!(ran.stdout);
    door.close().await;
}

#[test]
fn provider() {
    plain().bind(|| insta::assert_snapshot!(printed("provider")));
}

#[test]
fn supervise() {
    plain().bind(|| insta::assert_snapshot!(printed("supervise")));
}

#[test]
fn tool() {
    plain().bind(|| insta::assert_snapshot!(printed("tool")));
}
