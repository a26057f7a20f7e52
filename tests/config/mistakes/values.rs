//! Single values.

use super::{each, not_yet};
use crate::config::marked::has_problems;

#[test]
fn numbers_out_of_range() {
    each(&[
        (
            "[pools]\nworkers = «0»",
            ("`pools.workers` must be at least 1", ""),
        ),
        (
            "[agents.c]\nprovider = 'local'\nmax_turns = «-3»",
            ("`agents.c.max_turns` must be at least 1", ""),
        ),
        (
            "[teams.t]\nlead = 'ann'\nmax_restarts = «-1»",
            ("`teams.t.max_restarts` must be at least 0", ""),
        ),
        (
            "[teams.t]\nlead = 'ann'\nmax_workers = «99999999999»",
            ("`teams.t.max_workers` must be at most 4294967295", ""),
        ),
        (
            "[pools]\nworkers = «9_999_999_999_999_999_999_999_999_999_999_999_999_999»",
            ("`pools.workers` must be at most 4294967295", ""),
        ),
        (
            "[agents.c]\nprovider = 'local'\nsettings = { n = «99999999999999999999» }",
            ("`agents.c.settings.n` is not a number that JSON has", ""),
        ),
        (
            "[agents.c]\nprovider = 'local'\nsettings = { n = [«nan»] }",
            ("`agents.c.settings.n[0]` is not a number that JSON has", ""),
        ),
        (
            "[agents.c]\nprovider = 'local'\nbudget = { cost_usd = «inf» }",
            ("`agents.c.budget.cost_usd` must be a finite number", ""),
        ),
        (
            "[agents.c]\nprovider = 'local'\nbudget = { cost_usd = «-1» }",
            ("a budget of no money allows no model call", ""),
        ),
        (
            "[agents.c]\nprovider = 'local'\nbudget = { tokens = «0» }",
            ("a budget of no tokens allows no model call", ""),
        ),
        (
            "[agents.c]\nprovider = 'local'\nbudget = { turns = «0» }",
            ("a budget of no turns allows no model call", ""),
        ),
        (
            "[agents.c]\nprovider = 'local'\non_exceeded = «'asks'»",
            (
                "`asks` is not a choice for `agents.c.on_exceeded`",
                "did you mean `ask`?",
            ),
        ),
        (
            "[providers.p]\nkind = 'scripted'\nprice = { input = «-0.5» }",
            ("a price is not negative", ""),
        ),
        (
            "[limits]\nbudget = { tokens = «0» }",
            ("a budget of no tokens allows no model call", ""),
        ),
        (
            "[limits]\nloop_stop = «1»",
            (
                "the first time is no repetition",
                "write 2 or more, or 0 for never",
            ),
        ),
        (
            "[limits]\nloop_warn = «9»",
            (
                "a run is stopped after 6 times and would be told after 9",
                "make `loop_warn` smaller, or 0 for never",
            ),
        ),
    ]);
}

#[test]
fn limits() {
    each(&[
        (
            "[task]\ndescription = 'x'\nroot_agent = 'ann'\npriority = «11»",
            ("`task.priority` must be at most 10", ""),
        ),
        (
            "[task]\ndescription = 'x'\nroot_agent = 'ann'\npriority = «-11»",
            ("`task.priority` must be at least -10", ""),
        ),
        (
            "[node]\nmax_waiting_calls = «0»",
            ("`node.max_waiting_calls` must be at least 1", ""),
        ),
        (
            "[limits]\ndepth = «65»",
            ("`limits.depth` must be at most 64", ""),
        ),
        (
            "[limits]\nlive_runs = «0»",
            ("`limits.live_runs` must be at least 1", ""),
        ),
        (
            "[limits]\nfan_out = «'many'»",
            ("`limits.fan_out` must be a whole number, not a string", ""),
        ),
        (
            "[limits]\n«fanout» = 3",
            (
                "unknown key `fanout` in `limits`",
                "did you mean `fan_out`?",
            ),
        ),
        (
            "[limits]\nprogress = «'10ms'»",
            ("`progress` is shorter than a second", ""),
        ),
        (
            "[executor]\nresult_bytes = «100»",
            ("`executor.result_bytes` must be at least 1024", ""),
        ),
        (
            "[executor.shell]\ngrace = «'2m'»",
            ("`grace` is longer than a minute", ""),
        ),
        (
            "[executor.shell]\ntimeout = «'11m'»",
            (
                "the usual time, 11m, is longer than the longest, 10m",
                "make `timeout` shorter or `max_timeout` longer",
            ),
        ),
        (
            "[executor.shell]\nmax_timeout = «'1m'»",
            (
                "the usual time, 2m, is longer than the longest, 1m",
                "make `timeout` shorter or `max_timeout` longer",
            ),
        ),
        (
            "[agents.c]\nprovider = 'local'\ntool_timeout = «'0s'»",
            (
                "`0s` is not a duration such as `30s` or `5m`",
                "it must be more than nothing",
            ),
        ),
        (
            "[providers.p]\nkind = 'openai-compatible'\nbase_url = 'http://x'\nmax_reply_bytes = «10»",
            ("`providers.p.max_reply_bytes` must be at least 1024", ""),
        ),
        (
            "[providers.p]\nkind = 'scripted'\n«silence_timeout» = '1m'",
            (
                "a provider of kind `scripted` has no `silence_timeout`",
                "remove it, or change `kind`",
            ),
        ),
    ]);
}

#[test]
fn durations_and_rates() {
    each(&[
        (
            "[agents.c]\nprovider = 'local'\ntimeout = «'5 parsecs'»",
            (
                "`5 parsecs` is not a duration such as `30s` or `5m`",
                "unknown time unit \"parsecs\"",
            ),
        ),
        (
            "[agents.c]\nprovider = 'local'\ntimeout = «'0s'»",
            (
                "`0s` is not a duration such as `30s` or `5m`",
                "it must be more than nothing",
            ),
        ),
        (
            "[agents.c]\nprovider = 'local'\ntimeout = «'-5s'»",
            (
                "`-5s` is not a duration such as `30s` or `5m`",
                "expected number at 0",
            ),
        ),
        (
            "[providers.p]\nkind = 'scripted'\nlatency = «'2h'»",
            ("`latency` is longer than an hour", ""),
        ),
        (
            "[providers.p]\nkind = 'scripted'\nrate_limits = ['10/1m', «'10'»]",
            (
                "`10` is not a rate such as `10/1m`",
                "there is no `/` in it",
            ),
        ),
        (
            "[providers.p]\nkind = 'scripted'\nrate_limits = ['10/1m', «'2000000/1d'»]",
            (
                "`2000000/1day` is more than 1000000 calls",
                "say it for a shorter time",
            ),
        ),
        (
            "[providers.p]\nkind = 'scripted'\nrate_limits = «['1/1s', '1/1s', '1/1s', '1/1s', '1/1s', '1/1s', '1/1s', '1/1s', '1/1s', '1/1s', '1/1s', '1/1s', '1/1s', '1/1s', '1/1s', '1/1s', '1/1s']»",
            ("17 rates are more than 16", "a few are enough"),
        ),
        (
            "[providers.p]\nkind = 'scripted'\nbreaker = { reset_after = «'2d'» }",
            ("`reset_after` is longer than a day", ""),
        ),
        (
            "[providers.p]\nkind = 'scripted'\nbreaker = { failures = «0» }",
            ("`providers.p.breaker.failures` must be at least 1", ""),
        ),
        (
            "[teams.t]\nlead = 'ann'\nbackoff = { base = «'1m'», cap = '5s' }",
            (
                "the first wait, 1m, is longer than the longest, 5s",
                "make `base` shorter",
            ),
        ),
        (
            "[teams.t]\nlead = 'ann'\nbackoff = { cap = «'5ms'» }",
            (
                "the first wait, 500ms, is longer than the longest, 5ms",
                "make `base` shorter",
            ),
        ),
        (
            "[providers.p]\nkind = 'scripted'\nretry = { base = «'2m'» }",
            (
                "the first wait, 2m, is longer than the longest, 1m",
                "make `base` shorter",
            ),
        ),
    ]);
}

#[test]
fn words_that_are_no_choice() {
    each(&[
        (
            "[teams.t]\nlead = 'ann'\nstrategy = «'rest-for-on'»",
            (
                "`rest-for-on` is not a choice for `teams.t.strategy`",
                "did you mean `rest_for_one`?",
            ),
        ),
        (
            "[providers.p]\nkind = «'scripetd'»",
            (
                "`scripetd` is not a choice for `providers.p.kind`",
                "did you mean `scripted`?",
            ),
        ),
        (
            "[teams.t]\nlead = 'ann'\ntopology = «'star'»",
            (
                "`star` is not a choice for `teams.t.topology`",
                "known choices: `broadcast`, `filtered`, `hierarchical`, `chain`",
            ),
        ),
        (
            "[agents.c]\nprovider = 'local'\ntools = ['shell']\neffects = { shell = «'transactional'» }",
            (
                "`transactional` is not a choice for `agents.c.effects.shell`",
                "known choices: `pure`",
            ),
        ),
        (
            "[agents.c]\nprovider = 'local'\nin_doubt = «'guess'»",
            (
                "`guess` is not a choice for `agents.c.in_doubt`",
                "known choices: `tell_model`, `ask`, `retry`, `compensate`",
            ),
        ),
        (
            "[node]\nengine = «'cloud'»",
            (
                "`cloud` is not an engine such as `local` or `restate:http://host:port`",
                "no engine is called so",
            ),
        ),
        (
            "[node]\nstore = «'postgres://host'»",
            (
                "`postgres://host` is not a store such as `sqlite:journal.db` or `postgres://host/database`",
                "it names no database",
            ),
        ),
        (
            "[node]\nstore = «'postgres://host/db?sslmode=prefer'»",
            (
                "`postgres://host/db?sslmode=prefer` is not a store such as `sqlite:journal.db` or `postgres://host/database`",
                "`sslmode=prefer` is not available: use `disable`",
            ),
        ),
        (
            "[node]\nstore = «'mysql:x'»",
            (
                "`mysql:x` is not a store such as `sqlite:journal.db` or `postgres://host/database`",
                "it names neither",
            ),
        ),
        (
            "[providers.p]\nkind = 'scripted'\nscripts.ann = [{ fail = «'boom'» }]",
            (
                "`boom` is not a choice for `providers.p.scripts.ann[0].fail`",
                "known choices: `rate_limited`",
            ),
        ),
    ]);
}

#[test]
fn names_that_cannot_be_names() {
    let help = "names are up to 64 letters";
    each(&[
        (
            "[agents.«\"a b\"»]\nprovider = 'local'",
            ("`a b` cannot be a name", help),
        ),
        ("[pools]\n«_x» = 1", ("`_x` cannot be a name", help)),
        (
            "[providers.«\"\"»]\nkind = 'scripted'",
            ("`` cannot be a name", help),
        ),
        (
            "[teams.«\"ä\"»]\nlead = 'ann'",
            ("`ä` cannot be a name", help),
        ),
    ]);
}

#[test]
fn equal_waits_are_fine() {
    has_problems(
        "[teams.t]\nlead = 'ann'\nbackoff = { base = '5s', cap = '5s' }",
        &[],
        not_yet,
    );
}

#[test]
fn rooms_that_make_no_sense() {
    each(&[
        (
            "[teams.t]\nlead = 'ann'\nmembers = ['bob']\ntopology = { rules = [{ from = «'eve'», to = '*' }] }",
            ("`eve` is nobody in the team", "known names: `*`, `@lead`"),
        ),
        (
            "[teams.t]\nlead = 'ann'\nmembers = ['bob']\ntopology = { rules = [{ from = '@human', to = «'@human'» }] }",
            ("`@human` is nobody in the team", "known names"),
        ),
        (
            "[teams.t]\nlead = 'ann'\ntopology = { rules = [{ from = '*', to = 'ann' }, { from = '*', to = 'ann', when = «'(a'» }] }",
            (
                "not a regular expression: unclosed group",
                "outside of groups",
            ),
        ),
        (
            "[teams.t]\nlead = 'ann'\ntopology = { rules = [{ from = '*', to = 'ann', decide = «'ask'» }] }",
            (
                "`ask` is not a choice for `teams.t.topology.rules[0].decide`",
                "known choices: `allow`, `deny`",
            ),
        ),
        (
            "[teams.t]\nlead = 'ann'\nmode = «'peers'»",
            ("a lead alone has no peers", "name the others in `members`"),
        ),
        (
            "[teams.t]\nlead = 'ann'\n«peers» = { rounds = 2 }",
            (
                "`peers` means nothing without `mode = \"peers\"`",
                "set the mode",
            ),
        ),
    ]);
    let rules = "{ from = '*', to = '*' }, ".repeat(65);
    let many = format!("[teams.t]\nlead = 'ann'\ntopology = {{ «rules» = [{rules}] }}");
    each(&[(
        many.leak(),
        (
            "65 rules; 64 are the most",
            "the first that fits decides: put several patterns into one `when`, or use `@members` and `*`",
        ),
    )]);
}
