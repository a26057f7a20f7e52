//! Workspaces that are not there, and an executor's ledger that cannot be read.

use actors::model::event::Outcome;
use actors::model::{Content, EventBody};

use super::{NOTES, Record, Stage, overwrite, ran};
use crate::support::program::impresario;

#[test]
fn a_workspace_that_cannot_be_made() {
    let stage = Stage::new(NOTES);
    std::fs::write(stage.path("workspace"), "in the way").expect("a file");
    let refused = stage.run();
    assert_eq!(refused.code(), Some(2));
    let told = stage.told(&refused);
    assert!(
        told.contains("DIR/workspace") && told.contains("choose another"),
        "{told}"
    );
    std::fs::remove_file(stage.path("workspace")).expect("a file");
    assert_eq!(stage.run().code(), Some(0), "nothing had been started");
    stage.comes_to_its_end();
}

#[test]
fn a_workspace_around_the_data_folder() {
    let stage = Stage::new(NOTES);
    let mut command = impresario();
    command.arg("run").arg(stage.path("team.toml"));
    command.arg("--data-dir").arg(stage.data());
    let refused = ran(command.arg("--workspace").arg(stage.path(".")));
    assert_eq!(refused.code(), Some(2));
    let told = stage.told(&refused);
    assert!(told.contains("DIR/data"), "{told}");
    assert_eq!(stage.run().code(), Some(0), "nothing had been started");
}

#[test]
fn a_workspace_that_goes_away() {
    let stage = Stage::new(&NOTES.replace("Both are written.", "I was told: {{result.1}}"));
    let work = stage.at_work("tool_call_completed");
    std::fs::remove_dir_all(stage.path("workspace")).expect("the workspace");
    let ended = work.end();
    assert_eq!(ended.code(), Some(0), "{ended:?}");
    let record = Record::read(&stage.data());
    record.check();
    let failed = record.events.iter().find_map(|event| match &event.body {
        EventBody::ToolCallCompleted {
            outcome: Outcome::Error,
            content,
            ..
        } => Some(content),
        _ => None,
    });
    let Some(Content::Inline(why)) = failed else {
        panic!("a file was written nowhere: {failed:?}");
    };
    let told = format!("I was told: {why}");
    assert!(ended.stdout.contains(&told), "the model hears of it: {why}");
}

#[test]
fn a_workspace_that_has_gone() {
    let stage = Stage::interrupted();
    let (workspace, elsewhere) = (stage.path("workspace"), stage.path("elsewhere"));
    std::fs::rename(&workspace, &elsewhere).expect("the workspace");
    let refused = stage.go_on();
    assert_eq!(refused.code(), Some(2), "{refused:?}");
    insta::assert_snapshot!(stage.told(&refused), @"error: the workspace DIR/workspace has gone, and unfinished tasks were at work in it: put it back, or make an empty folder in its place if they are to go on without it");
    assert!(
        !workspace.exists(),
        "it is not made anew over what was done"
    );
    std::fs::rename(&elsewhere, &workspace).expect("the workspace");
    stage.comes_to_its_end();
}

#[test]
fn a_damaged_ledger() {
    let stage = Stage::interrupted();
    let ledger = stage.data().join("executor/ledger");
    assert!(overwrite(&ledger, b"\"ledger\"", b"\"lodger\""));
    let refused = stage.go_on();
    assert_eq!(refused.code(), Some(2));
    insta::assert_snapshot!(stage.told(&refused), @"error: the ledger DIR/data/executor/ledger is damaged in line 1: what calls did cannot be told; restore the file, or move it away: every call that was under way then counts as interrupted");
    assert!(overwrite(&ledger, b"\"lodger\"", b"\"ledger\""));
    stage.comes_to_its_end();
}
