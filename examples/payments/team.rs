//! Who pays what.

use std::error::Error;

use actors::model::Limits;
use impresario::{AgentSpec, Scripted, TaskDefinition};
use serde_json::{Value, json};

/// A treasurer who delegates, one thing after the other to the clerk and beside it to the secretary.
pub(crate) fn bills() -> TaskDefinition {
    let tools = [
        "price_list",
        "transfer",
        "order",
        "post_letter",
        "write_file",
        "create_run",
        "post_message",
    ];
    let agent = || AgentSpec::new("stage").tools(tools);
    let limits = Limits {
        inline_bytes: 1024,
        ..Limits::default()
    };
    TaskDefinition::new("bills", "pay the bills")
        .agent("treasurer", agent())
        .agent("clerk", agent())
        .agent("secretary", agent())
        .limits(limits)
}

pub(crate) fn stage() -> Result<Scripted, Box<dyn Error>> {
    let of = |tool: &str, what: &str| json!({ "tool": tool, "args": { "what": what } });
    let file =
        |path: &str| json!({ "tool": "write_file", "args": { "path": path, "content": "paid" } });
    let run = |agent: &str, mode: &str| json!({ "tool": "create_run", "args": { "agent": agent, "input": "pay your part", "mode": mode } });
    let scripts = json!({
        "treasurer": [
            turn("First the prices, and a letter.", &[of("price_list", "all"), of("post_letter", "notice")]),
            turn("Now you two.", &[run("clerk", "foreground"), run("secretary", "background")]),
            turn("What did we use?", &[of("order", "envelopes"), of("price_list", "all")]),
            turn("For the record.", &[file("summary.txt"), of("post_letter", "report")]),
            turn("All is paid.\n{{result.2}}", &[]),
        ],
        "clerk": [
            turn("Rent and its receipt.", &[of("transfer", "rent"), file("rent.txt")]),
            turn("That much.", &[json!({ "tool": "post_message", "args": { "content": "the rent is paid" } })]),
            turn("Coal, its receipt, and a letter.", &[of("order", "coal"), file("coal.txt"), of("post_letter", "thanks")]),
            turn("{{result.0}}; {{result.3}}", &[]),
        ],
        "secretary": [
            turn("The tax.", &[of("post_letter", "tax"), of("order", "stamps"), of("transfer", "tax"), file("tax.txt")]),
            turn("The tax is paid.", &[]),
        ],
    });
    let settings = serde_json::from_value(json!({ "latency": "2ms", "scripts": scripts }))?;
    Ok(Scripted::new(&settings)?)
}

fn turn(say: &str, calls: &[Value]) -> Value {
    json!({ "say": say, "calls": calls })
}
