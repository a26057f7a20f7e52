//! Each kind of mistake, with the place it points at, what it says, and what it advises.

use impresario::config::Problem;

use super::marked::{Expected, has_problems};

fn each(cases: &[(&str, Expected)]) {
    for (marked, expected) in cases {
        has_problems(marked, &[*expected], not_yet);
    }
}

/// What this version does not do is checked like everything else.
fn not_yet(problem: &Problem) -> bool {
    problem
        .message
        .ends_with("is not available in this version")
}

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
fn names_that_lead_nowhere() {
    each(&[
        (
            "[agents.c]\nprovider = «'locl'»",
            ("unknown provider `locl`", "did you mean `local`?"),
        ),
        (
            "[agents.c]\nprovider = 'local'\npool = «'workesr'»",
            ("unknown pool `workesr`", "did you mean `workers`?"),
        ),
        (
            "[agents.c]\nprovider = 'local'\npool = «'quiet'»",
            (
                "unknown pool `quiet`",
                "known pools: `claude_code`, `workers`",
            ),
        ),
        (
            "[agents.c]\nprovider = 'local'\ntools = [«'shel'»]",
            ("unknown tool `shel`", "did you mean `shell`?"),
        ),
        (
            "[agents.c]\nprovider = 'local'\nmcp = [«'git'»]",
            ("unknown MCP server `git`", "the file has no MCP servers"),
        ),
        (
            "[teams.t]\nlead = «'bop'»",
            ("unknown agent `bop`", "did you mean `bob`?"),
        ),
        (
            "[teams.t]\nlead = 'ann'\nmembers = ['bob', «'cleo'»]",
            ("unknown agent `cleo`", "known agents: `ann`, `bob`"),
        ),
        (
            "[task]\ndescription = 'x'\nteam = «'pairs'»",
            ("unknown team `pairs`", "did you mean `pair`?"),
        ),
        (
            "[task]\ndescription = 'x'\nroot_agent = «'bobo'»",
            ("unknown agent `bobo`", "did you mean `bob`?"),
        ),
        (
            "[task]\ndescription = 'x'\nroot_agent = 'ann'\navailable_agents = [«'eve'»]",
            ("unknown agent `eve`", "known agents"),
        ),
        (
            "[task]\ndescription = 'x'\nteam = 'pair'\nworkflow = «'w'»",
            ("unknown workflow `w`", "the file has no workflows"),
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
fn tools_and_effects() {
    each(&[
        (
            "[agents.c]\nprovider = 'local'\ntools = [«'*'»]",
            (
                "`*` is a pattern: tools are named one by one",
                "tools: create_run, post_message, read_file",
            ),
        ),
        (
            "[agents.c]\nprovider = 'local'\ntools = [«'read_*'»]",
            (
                "`read_*` is a pattern: tools are named one by one",
                "tools:",
            ),
        ),
        (
            "[agents.c]\nprovider = 'local'\ntools = ['grep', «'grep'»]",
            ("tool `grep` stands here twice", "remove one of them"),
        ),
        (
            "[agents.c]\nprovider = 'local'\ntools = ['grep']\neffects = { «shell» = 'pure' }",
            (
                "an effect for `shell`, which is not among the agent's tools",
                "known tools of the agent: `grep`",
            ),
        ),
    ]);
}

#[test]
fn instructions() {
    each(&[
        (
            "[agents.c]\nprovider = 'local'\ninstructions_file = «'nowhere.md'»",
            (
                "cannot read `nowhere.md`: there is no such file",
                "the path is relative to the folder of this file",
            ),
        ),
        (
            "[agents.c]\nprovider = 'local'\ninstructions_file = «'/dev/null'»",
            (
                "cannot read `/dev/null`: it is not a regular file",
                "the path",
            ),
        ),
        (
            "[agents.c]\nprovider = 'local'\ninstructions_file = «'instructions'»",
            ("cannot read `instructions`: it is a folder", "the path"),
        ),
        (
            "[agents.c]\nprovider = 'local'\ninstructions = 'x'\n«instructions_file» = 'instructions/architect.md'",
            (
                "`instructions` and `instructions_file`: one of them",
                "remove one of them",
            ),
        ),
    ]);
}

#[test]
fn providers_and_their_agents() {
    each(&[
        (
            "[providers.p]\nkind = 'scripted'\n«base_url» = 'http://x'",
            (
                "a provider of kind `scripted` has no `base_url`",
                "remove it, or change `kind`",
            ),
        ),
        (
            "[providers.p]\nkind = 'openai-compatible'\nbase_url = 'http://x'\n«latency» = '1s'",
            (
                "a provider of kind `openai-compatible` has no `latency`",
                "remove it",
            ),
        ),
        (
            "[providers.p]\nkind = 'openai-compatible'\nbase_url = «'localhost'»",
            ("`localhost` is not an address", "addresses begin with"),
        ),
        (
            "[providers.p]\nkind = 'scripted'\n[agents.c]\nprovider = «'p'»",
            (
                "the scripted provider `p` has no script for `c`",
                "add `c = [{ say = \"…\" }]` to `[providers.p.scripts]`",
            ),
        ),
        (
            "[providers.p]\nkind = 'openai-compatible'\nbase_url = 'http://x'\n[agents.c]\nprovider = «'p'»",
            (
                "neither `c` nor its provider `p` names a model",
                "add `model = \"…\"` to one of them",
            ),
        ),
    ]);
}

#[test]
fn scripts() {
    let script =
        |text: &str| format!("[providers.p]\nkind = 'scripted'\n[providers.p.scripts]\n{text}");
    let cases: &[(&str, Expected)] = &[
        (
            "ann = «[]»",
            ("the script of `ann` is empty", "give it at least one reply"),
        ),
        (
            "«anna» = [{ say = 'x' }]",
            ("unknown agent `anna`", "did you mean `ann`?"),
        ),
        (
            "ann = [{ say = 'x', when = «'(a'» }]",
            ("`(a` is not a regular expression", "unclosed group"),
        ),
        (
            "ann = [{ say = 'x', when = «'((((\\w{99}){99}){99}){99})'» }]",
            (
                "`((((\\w{99}){99}){99}){99})` is not a regular expression",
                "Compiled regex exceeds size limit",
            ),
        ),
        (
            "ann = [{ call = «'grap'» }]",
            ("unknown tool `grap`", "did you mean `grep`?"),
        ),
        (
            "ann = [{ calls = [{ tool = 'grep' }, { tool = «'shelf'» }] }]",
            ("unknown tool `shelf`", "did you mean `shell`?"),
        ),
        (
            "ann = [«{ }»]",
            ("a reply that does nothing", "give it `say`"),
        ),
        (
            "ann = [«{ when = 'x' }»]",
            ("a reply that does nothing", "give it `say`"),
        ),
        (
            "ann = [«{ args = { a = 1 } }»]",
            ("`args` without `call`", "name the tool"),
        ),
        (
            "ann = [«{ call = 'grep', calls = [{ tool = 'grep' }] }»]",
            (
                "a reply has `call` or `calls`, not both",
                "put all calls into `calls`",
            ),
        ),
        (
            "ann = [«{ fail = 'timeout', call = 'grep' }»]",
            (
                "a reply that fails calls no tools and has no usage",
                "give it a reply",
            ),
        ),
        (
            "ann = [«{ fail = 'timeout', say = 'x' }»]",
            (
                "only `fail = \"disconnect\"` can say something first",
                "give it a reply",
            ),
        ),
    ];
    for (text, expected) in cases {
        has_problems(&script(text), &[*expected], not_yet);
    }
    has_problems(
        &script("ann = [{ fail = 'disconnect', say = 'I was about to' }]"),
        &[],
        not_yet,
    );
}

#[test]
fn teams_and_tasks() {
    each(&[
        (
            "[teams.t]\nlead = 'ann'\nmembers = ['bob', «'bob'»]",
            ("agent `bob` stands here twice", "remove one of them"),
        ),
        (
            "[teams.t]\nlead = 'ann'\nmembers = ['bob', «'ann'»]",
            (
                "`ann` is the lead and a member: twice in the team",
                "remove it from `members`",
            ),
        ),
        (
            "[task]\ndescription = 'x'\nteam = 'pair'\n«root_agent» = 'ann'",
            (
                "a task has a `team` or a `root_agent` with `available_agents`, not both",
                "the team's lead",
            ),
        ),
        (
            "[task]\ndescription = 'x'\n«available_agents» = ['ann']",
            ("`available_agents` without `root_agent`", "name the agent"),
        ),
        (
            "[task]\ndescription = «'  '»\nteam = 'pair'",
            ("`description` is empty", "say what is to be done"),
        ),
        (
            "[teams.t]\nlead = 'ann'\n[«task»]\ndescription = 'x'",
            (
                "`task` says neither `team` nor `root_agent`",
                "say who gets it",
            ),
        ),
    ]);
}

#[test]
fn outside_connections() {
    each(&[
        (
            "[mcp_servers.«s»]",
            (
                "`mcp_servers.s` has none of `command`, `url`",
                "give it one of",
            ),
        ),
        (
            "[mcp_servers.s]\ncommand = 'x'\n«url» = 'http://x'",
            ("`command` and `url`: one of them", "give it one of"),
        ),
        (
            "[webhooks.w]\nurl = «'ftp://x'»",
            ("`ftp://x` is not an address", "addresses begin with"),
        ),
        (
            "[webhooks.w]\nurl = 'http://x'\nevents = [«'run_done'»]",
            ("unknown event `run_done`", "known events"),
        ),
        (
            "[[hooks]]\nbefore = «'a[b'»\ndecide = 'ask'",
            (
                "`a[b` is not a glob: unclosed character class; missing ']'",
                "",
            ),
        ),
        (
            "[[hooks]]\nbefore = 'a'\ndecide = 'ask'\nagents = [«'cleo'»]",
            ("unknown agent `cleo`", "known agents"),
        ),
        (
            "[[hooks]]\nbefore = 'a'\ncommand = «[]»",
            ("a command without a program", ""),
        ),
    ]);
}

#[test]
fn faults() {
    let what = "a target such as `agent:NAME`, `run:*`, `link:FROM->TO` or `node`";
    let wrong = |text: &str| -> &'static str { format!("`{text}` is not {what}").leak() };
    each(&[
        (
            "[[faults]]\ntarget = «'agent:bib'»\nkind = 'kill'\nat = '0s'",
            ("unknown agent `bib`", "did you mean `bob`?"),
        ),
        (
            "[[faults]]\ntarget = «'link:ann->cleo'»\nkind = 'drop'\nchance = 0.5",
            ("unknown agent `cleo`", "known agents"),
        ),
        (
            "[[faults]]\ntarget = «'provider:x'»\nkind = 'error'\nevery = '1s'",
            ("unknown provider `x`", "known providers"),
        ),
        (
            "[[faults]]\ntarget = «'moon'»\nkind = 'kill'\nat = '1s'",
            (wrong("moon"), "there are agent, run"),
        ),
        (
            "[[faults]]\ntarget = «'agent:'»\nkind = 'kill'\nat = '1s'",
            (wrong("agent:"), "`agent:` needs a name"),
        ),
        (
            "[[faults]]\ntarget = «'link:ann'»\nkind = 'drop'\nat = '1s'",
            (wrong("link:ann"), "a link is written"),
        ),
        (
            "[[faults]]\ntarget = 'run:*'\nkind = 'kill'\nchance = «1.5»",
            ("`chance` must be more than 0 and at most 1", ""),
        ),
        (
            "[[faults]]\ntarget = 'run:*'\nkind = 'kill'\nat = '1s'\n«every» = '1s'",
            ("`at` and `every`: one of them", "give it one of"),
        ),
        (
            "[[faults]]\ntarget = 'run:*'\nkind = 'kill'\non = «'tool_started'»",
            (
                "unknown event `tool_started`",
                "did you mean `run_started`?",
            ),
        ),
        (
            "[[faults]]\ntarget = 'run:*'\nkind = 'kill'\nat = '1s'\n«nth» = 3",
            ("`nth` without `on`", "name the event"),
        ),
    ]);
}

#[test]
fn secrets() {
    let never = "secrets never stand in the file: `api_key`";
    each(&[
        (
            "[providers.p]\nkind = 'scripted'\n«api_key» = 'sk-1'",
            (
                never,
                "put it into an environment variable and name that: `api_key_env = ",
            ),
        ),
        (
            "[webhooks.w]\nurl = 'http://x'\n«secret» = 'abc'",
            (
                "secrets never stand in the file: `secret`",
                "put it into an environment variable and name that: `secret_env = ",
            ),
        ),
        (
            "[agents.c]\nprovider = 'local'\nsettings = { «api_key» = 'x' }",
            (never, "put it into an environment variable of the program"),
        ),
        (
            "[providers.p]\nkind = 'openai-compatible'\nbase_url = 'http://x'\n«api_key_env» = 'sk-1'",
            (
                "`providers.p.api_key_env` is not the name of an environment variable",
                "secrets never stand in the file",
            ),
        ),
        (
            "[providers.p]\nkind = 'openai-compatible'\n«base_url» = 'http://me:pw@x/v1'",
            (
                "secrets never stand in the file: a user and a password in an address",
                "name an environment variable",
            ),
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
