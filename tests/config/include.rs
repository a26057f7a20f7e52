//! A node file that includes others: they are one, and each mistake is told at its own place.

use std::path::Path;

use impresario::config::{self, Rendering};
use tempfile::TempDir;

const NODE: &str = "include = ['teams/*.toml', 'more.toml']\n[providers.p]\nkind = 'scripted'\nscripts = { a = [{ say = 'x' }], b = [{ say = 'x' }] }\n[agents.a]\nprovider = 'p'\n";

fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    folder
}

fn problems(files: &[(&str, &str)]) -> String {
    let folder = folder(files);
    let problems = config::load(folder.path().join("node.toml")).unwrap_err();
    for rendering in [Rendering::Fancy { color: false }, Rendering::Plain] {
        assert!(problems.render(rendering).lines().count() > problems.list().len());
    }
    let rendered = problems.render(Rendering::Plain);
    rendered.replace(&folder.path().display().to_string(), "FOLDER")
}

#[test]
fn included_files_are_one_with_the_node_s() {
    let folder = folder(&[
        ("node.toml", NODE),
        (
            "teams/b.toml",
            "[agents.b]\nprovider = 'p'\ninstructions_file = 'b.md'\n[task]\ndescription = 'x'\nroot_agent = 'b'\n",
        ),
        ("teams/b.md", "Be b."),
        ("teams/deep/no.toml", "nonsense"),
        ("more.toml", "[teams.t]\nlead = 'a'\nmembers = ['b']\n"),
    ]);
    let loaded = config::load_all(folder.path().join("node.toml")).unwrap();
    let config = loaded.config;
    assert_eq!(config.agents["b"].instructions, "Be b.");
    assert_eq!(config.teams["t"].members, ["b"]);
    assert!(config.task.is_none(), "it is for that file alone");
    let below = |path: &Path| path.strip_prefix(folder.path()).unwrap().to_owned();
    let files: Vec<_> = loaded.files.iter().map(|path| below(path)).collect();
    assert_eq!(
        files,
        ["node.toml", "teams/b.toml", "more.toml"].map(Path::new)
    );
}

#[test]
fn every_mistake_of_all_files_is_told_at_its_place() {
    insta::assert_snapshot!(problems(&[
        ("node.toml", &format!("{NODE}colour = 'red'\n")),
        (
            "teams/b.toml",
            "# é\n[agents.a]\nprovider = 'p'\n[agents.b]\nprovider = 'q'\napi_key = 'sk-1'\n"
        ),
        (
            "more.toml",
            "include = ['x']\n[teams.t]\nlead = 'c'\n[node]\nname = 'x'\n[nodes]\n"
        ),
    ]));
}

#[test]
fn what_is_missing_or_goes_in_a_circle_is_told() {
    let all = "include = ['node.toml', 'none.toml', 'teams', 'x*.toml', '[', 1, './more.toml']\n";
    insta::assert_snapshot!(problems(&[
        ("node.toml", all),
        ("more.toml", "include = ['node.toml']\n"),
        ("teams/x", ""),
    ]));
    insta::assert_snapshot!(problems(&[
        ("node.toml", "include = ['*.toml']"),
        ("a.toml", "x = 1\n[y\n"),
        ("b.toml", "z =\n"),
    ]));
}
