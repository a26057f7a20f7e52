//! Keys and types.

use super::{each, not_yet};
use crate::config::marked::has_problems;

#[test]
fn unknown_keys() {
    each(&[
        (
            "[«agent».x]",
            (
                "unknown key `agent` at the top of the file",
                "did you mean `agents`?",
            ),
        ),
        (
            "[«stuff»]",
            (
                "unknown key `stuff` at the top of the file",
                "known keys: `node`, `pools`, `providers`",
            ),
        ),
        (
            "[agents.c]\nprovider = 'local'\n«timeoot» = '5m'",
            (
                "unknown key `timeoot` in `agents.c`",
                "did you mean `timeout`?",
            ),
        ),
        (
            "[providers.p]\nkind = 'scripted'\nretry = { «attemps» = 3 }",
            (
                "unknown key `attemps` in `providers.p.retry`",
                "did you mean `attempts`?",
            ),
        ),
        (
            "[providers.p]\nkind = 'scripted'\nscripts.ann = [{ «sya» = 'x', say = 'y' }]",
            (
                "unknown key `sya` in `providers.p.scripts.ann[0]`",
                "did you mean `say`?",
            ),
        ),
        (
            "[node]\n«\"a\\u001Bb\"» = 1",
            ("unknown key `a\\u{1b}b` in `node`", "known keys"),
        ),
    ]);
}

#[test]
fn missing_keys() {
    each(&[
        (
            "[agents.«c»]",
            ("`agents.c` has no `provider`", "add `provider = …`"),
        ),
        (
            "[providers.«p»]",
            ("`providers.p` has no `kind`", "add `kind = …`"),
        ),
        (
            "[teams.«t»]\nmembers = ['bob']",
            ("`teams.t` has no `lead`", "add `lead = …`"),
        ),
        (
            "[«task»]\nteam = 'pair'",
            ("`task` has no `description`", "add `description = …`"),
        ),
        (
            "[providers.p]\nkind = 'scripted'\nscripts.ann = [{ calls = [«{ }»] }]",
            ("`providers.p.scripts.ann[0].calls[0]` has no `tool`", "add"),
        ),
        (
            "[providers.p]\nkind = «'openai-compatible'»",
            ("`providers.p` has no `base_url`", "say where the server is"),
        ),
        (
            "[workflows.«w»]",
            ("`workflows.w` has no `file`", "add `file = …`"),
        ),
        (
            "[webhooks.«w»]",
            ("`webhooks.w` has no `url`", "add `url = …`"),
        ),
        (
            "«[[faults]]»\nkind = 'panic'\nat = '1s'",
            ("`faults[0]` has no `target`", "add `target = …`"),
        ),
    ]);
}

#[test]
fn wrong_types() {
    each(&[
        (
            "[node]\nname = «5»",
            ("`node.name` must be a string, not an integer", ""),
        ),
        (
            "[node]\nauto_recover = «'yes'»",
            (
                "`node.auto_recover` must be true or false, not a string",
                "",
            ),
        ),
        (
            "[agents.c]\nprovider = 'local'\ntools = «'shell'»",
            ("`agents.c.tools` must be an array, not a string", ""),
        ),
        (
            "[agents.c]\nprovider = 'local'\ntools = ['grep', «1»]",
            ("`agents.c.tools[1]` must be a string, not an integer", ""),
        ),
        (
            "[agents.c]\nprovider = 'local'\ntimeout = «30»",
            (
                "`agents.c.timeout` must be a duration such as `30s` or `5m`, not an integer",
                "",
            ),
        ),
        (
            "[agents.c]\nprovider = 'local'\nsettings = «true»",
            ("`agents.c.settings` must be a table, not a boolean", ""),
        ),
        (
            "[agents.c]\nprovider = 'local'\nrecovery = «1979-05-27»",
            (
                "`agents.c.recovery` must be one of `resume`, `clean_slate`, not a date or time",
                "",
            ),
        ),
        (
            "[workflows]\nt = «[]»",
            ("`workflows.t` must be a table, not an array", ""),
        ),
        (
            "[teams.t]\nlead = 'ann'\nmax_restarts = «1.5»",
            (
                "`teams.t.max_restarts` must be a whole number, not a float",
                "",
            ),
        ),
        (
            "[task]\ndescription = «['x']»\nteam = 'pair'",
            ("`task.description` must be a string, not an array", ""),
        ),
    ]);
}

#[test]
fn a_mistake_is_told_once() {
    has_problems(
        "[providers.p]\nkind = «'scriptd'»\nbase_url = 'http://x'\n[agents.c]\nprovider = 'p'\n[agents.d]\nprovider = «7»",
        &[
            (
                "`scriptd` is not a choice for `providers.p.kind`",
                "did you mean",
            ),
            ("`agents.d.provider` must be a string, not an integer", ""),
        ],
        not_yet,
    );
}

#[test]
fn syntax() {
    has_problems(
        "[node]\nname = «unquoted»\n[[«»\nauto_recover = true",
        &[
            (
                "not TOML: string values must be quoted, expected literal string",
                "the other checks",
            ),
            (
                "not TOML: unquoted keys cannot be empty, expected letters, numbers, `-`, `_`",
                "the other checks",
            ),
        ],
        not_yet,
    );
}
