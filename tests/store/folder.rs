//! One process has a data folder at a time.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use actors::store::StoreError;
use impresario::store::{DataFolder, Options, Sqlite};

use super::child::Child;

fn mode(path: &Path) -> u32 {
    let metadata = std::fs::metadata(path).expect("it is there");
    metadata.permissions().mode() & 0o777
}

#[test]
fn a_folder_is_made_for_its_owner_alone() {
    let parent = tempfile::tempdir().expect("a folder");
    let path = parent.path().join("deep/data");
    let folder = DataFolder::open(&path).expect("the folder");
    assert_eq!(folder.path(), path);
    assert_eq!(folder.database(), path.join("impresario.db"));
    let store = Sqlite::open(Options::new(folder.database())).expect("the store opens");
    assert_eq!(mode(&path), 0o700);
    assert_eq!(mode(store.path()), 0o600);
}

#[test]
fn a_second_holder_is_told_who_has_it() {
    let parent = tempfile::tempdir().expect("a folder");
    let first = DataFolder::open(parent.path()).expect("the folder");
    let refused = DataFolder::open(parent.path()).expect_err("it is taken");
    let StoreError::InUse { place, by } = &refused else {
        panic!("{refused:?}");
    };
    assert_eq!(Path::new(place), parent.path());
    let me = format!("process {} (impresario ", std::process::id());
    assert!(by.starts_with(&me) && by.contains(") since 20"), "{by}");
    drop(first);
    DataFolder::open(parent.path()).expect("it is free again");
}

#[test]
fn a_killed_holder_leaves_it_free() {
    let parent = tempfile::tempdir().expect("a folder");
    let mut holder = Child::start("store::folder::hold", parent.path());
    assert_eq!(holder.next_line().as_deref(), Some("holding"));
    let refused = DataFolder::open(parent.path()).expect_err("the child has it");
    let pid = format!("process {} ", holder.id());
    assert!(refused.to_string().contains(&pid), "{refused}");
    holder.kill();
    DataFolder::open(parent.path()).expect("it is free again");
}

#[test]
#[ignore = "a child process of another test"]
fn hold() {
    let Some(path) = super::child::place() else {
        return;
    };
    let _folder = DataFolder::open(path).expect("the folder");
    super::child::say("holding");
    super::child::wait_for_the_end();
}

#[test]
fn what_cannot_be_a_data_folder_is_said() {
    let parent = tempfile::tempdir().expect("a folder");
    let file = parent.path().join("file");
    std::fs::write(&file, "").expect("a file");
    for (path, what) in [
        (file.clone(), "is not a folder"),
        (file.join("below"), "cannot be made"),
        ("/proc/no-such-place".into(), "cannot be made"),
    ] {
        match DataFolder::open(&path) {
            Err(StoreError::Io { place, detail }) => {
                assert_eq!(Path::new(&place), path);
                assert!(
                    detail.contains(what) && detail.contains("choose another one"),
                    "{detail}"
                );
            }
            other => panic!("{other:?}"),
        }
    }
}
