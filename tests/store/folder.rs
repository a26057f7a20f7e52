//! One process has a data folder at a time.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use actors::store::StoreError;
use impresario::store::{DataFolder, Options, Sqlite};

use super::child::{self, Child};

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
fn a_holder_that_is_about_to_go_is_waited_for() {
    let parent = tempfile::tempdir().expect("a folder");
    let first = DataFolder::open(parent.path()).expect("the folder");
    let path = parent.path().to_owned();
    let (begins, begun) = std::sync::mpsc::channel();
    let second = std::thread::spawn(move || {
        begins.send(()).expect("somebody listens");
        DataFolder::open(path)
    });
    begun.recv().expect("it begins");
    // Longer than one try takes.
    assert!(
        begun
            .recv_timeout(std::time::Duration::from_millis(200))
            .is_err()
    );
    drop(first);
    second
        .join()
        .expect("no panic")
        .expect("it is free by then");
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
    let Some(path) = child::place() else {
        return;
    };
    let _folder = DataFolder::open(path).expect("the folder");
    child::say("holding");
    child::wait_for_the_end();
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

#[test]
fn a_disk_that_cannot_be_written_is_said() {
    let folder = tempfile::tempdir().expect("a folder");
    let Some(disk) = child::with_disk(folder.path(), "ro") else {
        return;
    };
    let mut child = Child::start_in(disk, "store::folder::on_a_read_only_disk", folder.path());
    let mut said = || {
        child
            .next_line()
            .expect("the child goes on")
            .replace(folder.path().to_str().expect("a path"), "PLACE")
    };
    assert_eq!(
        said(),
        "PLACE: the data folder cannot be written to (read-only file system): choose another one"
    );
    assert_eq!(
        said(),
        "PLACE/data: the data folder cannot be made (read-only file system): choose another one"
    );
    assert_eq!(
        said(),
        "PLACE/store.db: it cannot be opened for writing (read-only file system): choose a place that this user may write to"
    );
}

#[test]
#[ignore = "a child process of another test"]
fn on_a_read_only_disk() {
    let Some(place) = child::place() else {
        return;
    };
    let refused = [
        DataFolder::open(&place).expect_err("it cannot be written"),
        DataFolder::open(place.join("data")).expect_err("it cannot be made"),
        Sqlite::open(Options::new(place.join("store.db"))).expect_err("it cannot be made"),
    ];
    refused
        .iter()
        .for_each(|error| child::say(&error.to_string()));
}
