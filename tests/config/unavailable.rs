//! What this version does not do is said, at its place, and never ignored.

use super::marked::has_problems;

fn refused(marked: &str, what: &'static str, help: &'static str) {
    let message: &'static str = format!("`{what}` is not available in this version").leak();
    has_problems(marked, &[(message, help)], |_| false);
}

#[test]
fn kinds_of_providers() {
    for kind in [
        "anthropic",
        "openai",
        "gemini",
        "openrouter",
        "claude-code",
        "acp",
        "codegen",
    ] {
        let text = format!("[providers.p]\nkind = «'{kind}'»");
        let what = format!("providers.p.kind = \"{kind}\"").leak();
        refused(
            &text,
            what,
            "this version has `scripted` and `openai-compatible`",
        );
    }
}

#[test]
fn settings_of_providers_and_agents() {
    let agent = "[agents.c]\nprovider = 'local'\n";
    refused(&format!("{agent}«mcp» = []"), "agents.c.mcp", "remove it");
    refused(&format!("{agent}«cwd» = '.'"), "agents.c.cwd", "remove it");
}

#[test]
fn ways_of_teams() {
    let team = "[teams.t]\nlead = 'ann'\n";
    refused(
        &format!("{team}mode = «'same_task'»"),
        "teams.t.mode = \"same_task\"",
        "this version has `delegate` and `peers`",
    );
    refused(
        &format!("{team}«pipeline» = 'production'"),
        "teams.t.pipeline",
        "remove it",
    );
    refused(
        &format!("{team}«pipeline» = {{ stages = 5 }}"),
        "teams.t.pipeline",
        "remove it",
    );
}

#[test]
fn settings_of_the_node() {
    refused(
        "[node]\nengine = «'restate:http://x'»",
        "node.engine = \"restate:…\"",
        "this version has `local`",
    );
}

#[test]
fn whole_sections() {
    refused(
        "[«workflows».w]\nfile = 'w.md'",
        "workflows",
        "put what is to be done",
    );
    refused(
        "[«mcp_servers».s]\ncommand = 'x'",
        "mcp_servers",
        "remove it",
    );
    refused(
        "[[«hooks»]]\nafter = 'shell'\ndecide = 'ask'",
        "hooks",
        "remove it",
    );
}

#[test]
fn what_this_version_does_is_accepted() {
    has_problems(
        "[node]\nengine = 'local'\nstore = 'sqlite:x'\ndurability = 'process'",
        &[],
        |_| false,
    );
    has_problems(
        "[teams.t]\nlead = 'ann'\nmode = 'delegate'\ntopology = 'hierarchical'",
        &[],
        |_| false,
    );
}
