//! The pages for those who write an executor in another language say what is so.

use std::path::{Path, PathBuf};

use actors::model::executor::{FromExecutor, ToExecutor};
use serde_json::Value;

fn page(name: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    root.join("docs/reference").join(name)
}

#[test]
fn the_schema_is_that_of_the_frames() {
    let path = page("executor-protocol.schema.json");
    let made = format!("{:#}\n", impresario::link::schema());
    if std::env::var_os("IMPRESARIO_UPDATE_PAGES").is_some() {
        std::fs::write(&path, &made).expect("it can be written");
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        kept == made,
        "{} is not what the frames are: run this test with IMPRESARIO_UPDATE_PAGES=1",
        path.display()
    );
}

/// Every frame on the page is one, comes back as it was written, and every kind of frame is there.
#[test]
fn the_examples_are_frames() {
    let text = std::fs::read_to_string(page("executor-protocol.md")).expect("the page");
    let frames = text.split("```json\n").skip(1).flat_map(|block| {
        let block = block.split("```").next().unwrap_or_default();
        block.lines().map(str::to_owned).collect::<Vec<_>>()
    });
    let mut kinds = Vec::new();
    for frame in frames {
        let value: Value = serde_json::from_str(&frame).unwrap_or_else(|e| panic!("{frame}: {e}"));
        let kind = value["type"].as_str().expect("a type").to_owned();
        let again = match kind.as_str() {
            "call" | "cancel" | "ack" => {
                let frame: ToExecutor = serde_json::from_value(value.clone()).expect(&frame);
                serde_json::to_value(frame)
            }
            _ => {
                let frame: FromExecutor = serde_json::from_value(value.clone()).expect(&frame);
                serde_json::to_value(frame)
            }
        };
        assert_eq!(again.expect("json"), value);
        kinds.push(kind);
    }
    kinds.sort();
    kinds.dedup();
    let all = [
        "ack", "call", "cancel", "hello", "output", "result", "started",
    ];
    assert_eq!(kinds, all);
}
