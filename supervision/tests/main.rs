//! All tests of the crate's public boundary, in one binary. A file that is not listed here fails `no_forgotten_file`.

mod backoff;
mod bed;
mod breaker;
mod handle;
mod nesting;
mod otp;
mod overlap;
mod recorded;
mod reports;
mod simulation;
mod tree;

#[test]
fn no_forgotten_file() {
    let tests = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let listed = |folder: &std::path::Path, root: &str| {
        let root = std::fs::read_to_string(folder.join(root)).expect("the root of the modules");
        for entry in std::fs::read_dir(folder).expect("the folder of tests") {
            let path = entry.expect("an entry").path();
            let stem = path
                .file_stem()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            let is_module = path.is_dir() && path.join("mod.rs").exists()
                || path.extension().is_some_and(|ext| ext == "rs");
            if is_module && !["main", "mod"].contains(&&*stem) {
                assert!(
                    root.contains(&format!("mod {stem};")),
                    "{} is not listed",
                    path.display()
                );
            }
        }
    };
    listed(&tests, "main.rs");
    for entry in std::fs::read_dir(&tests).expect("the folder of tests") {
        let path = entry.expect("an entry").path();
        if path.join("mod.rs").exists() {
            listed(&path, "mod.rs");
        }
    }
}
