//! Every file, folder and module that a page names is there.

use std::fs;
use std::path::{Path, PathBuf};

use crate::architecture::files;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn pages() -> Vec<PathBuf> {
    let mut pages = vec!["README.md".into(), "supervision/README.md".into()];
    let mut folders = vec![root().join("docs")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ending| ending == "md") {
                pages.push(path.strip_prefix(root()).expect("below it").to_owned());
            }
        }
    }
    pages
}

/// What stands between single backticks, code blocks left out.
fn quoted(text: &str) -> Vec<&str> {
    let prose = text.split("```").step_by(2);
    prose
        .flat_map(|prose| prose.split('`').skip(1).step_by(2))
        .collect()
}

fn is_made_of(text: &str, others: &str) -> bool {
    text.chars()
        .all(|c| c.is_ascii_alphanumeric() || others.contains(c))
}

/// Whether it is a path in the repository; one that begins at `/` is on the user's machine, and a name such as `run/step` is none.
fn is_path(text: &str) -> bool {
    let first = text.split('/').next().unwrap_or_default();
    let endings = [".rs", ".md", ".toml", ".lock", ".snap", "/"];
    let is_ours = endings.iter().any(|ending| text.ends_with(ending))
        || ["src", "tests", "docs", "actors", "supervision"].contains(&first);
    is_made_of(text, "_-./") && !first.is_empty() && is_ours && text.contains(['/', '.'])
}

/// All Rust files of the packages, with their folders.
fn places() -> Vec<String> {
    let sources = ["src", "actors", "supervision", "tests"];
    let all = sources.iter().flat_map(|source| files(source));
    let mut all: Vec<_> = all
        .flat_map(|file| {
            let above = file.ancestors().map(|above| above.display().to_string());
            above.collect::<Vec<_>>()
        })
        .collect();
    all.sort();
    all.dedup();
    all
}

fn is_there(page: &Path, path: &str, places: &[String]) -> bool {
    let beside = root().join(page).with_file_name(path);
    let below = format!("/{}", path.trim_end_matches('/'));
    let somewhere = || places.iter().any(|place| place.ends_with(&below));
    beside.exists() || root().join(path).exists() || somewhere()
}

/// A path of modules, without what it names in the last of them; nothing if its first part is none of ours.
fn modules<'a>(text: &'a str, places: &[String]) -> Option<Vec<&'a str>> {
    let parts: Vec<_> = text.split("::").collect();
    if parts.len() < 2 || !is_made_of(text, "_:") {
        return None;
    }
    let is_crate = ["actors", "supervision", "impresario"].contains(&parts[0]);
    let is_room = || is_module(&parts[..1], places);
    (is_crate || is_room()).then_some(parts)
}

/// Whether modules of these names stand in each other somewhere.
fn is_module(parts: &[&str], places: &[String]) -> bool {
    let below = match parts {
        ["actors", rest @ ..] => format!("actors/src/{}", rest.join("/")),
        ["supervision", rest @ ..] => format!("supervision/src/{}", rest.join("/")),
        ["impresario", rest @ ..] => format!("src/{}", rest.join("/")),
        parts => format!("src/{}", parts.join("/")),
    };
    let below = below.trim_end_matches('/');
    let is_it = |place: &str| {
        place.strip_suffix(".rs").unwrap_or(place) == below || {
            place
                .trim_end_matches(".rs")
                .ends_with(&format!("/{below}"))
        }
    };
    places.iter().any(|place| is_it(place))
}

#[test]
fn what_a_page_names_is_there() {
    let places = places();
    let mut missing = Vec::new();
    let mut seen = 0;
    for page in pages() {
        let text = fs::read_to_string(root().join(&page)).expect("a page");
        for name in quoted(&text) {
            let is_missing = if is_path(name) {
                !is_there(&page, name, &places)
            } else if let Some(parts) = modules(name, &places) {
                let of = &parts[..parts.len() - 1];
                !is_module(&parts, &places) && !is_module(of, &places)
            } else {
                continue;
            };
            seen += 1;
            if is_missing {
                missing.push(format!("{}: `{name}`", page.display()));
            }
        }
    }
    assert!(missing.is_empty(), "not there:\n{}", missing.join("\n"));
    assert!(seen > 100, "only {seen} names were found");
}
