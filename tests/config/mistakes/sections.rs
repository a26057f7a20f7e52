//! Settings that do not go together.

use super::{each, not_yet};
use crate::config::marked::{Expected, has_problems};

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
        (
            "[[faults]]\ntarget = «'agent:z*'»\nkind = 'kill'\nat = '1s'",
            ("`z*` fits no agent", "known agents"),
        ),
        (
            "[[faults]]\ntarget = «'supervisor:task'»\nkind = 'kill'\nat = '1s'",
            ("unknown supervisor `task`", "did you mean `tasks`?"),
        ),
        (
            "[[faults]]\ntarget = 'run:*'\nkind = «'corrupt'»\nat = '1s'",
            (
                "`corrupt` cannot happen to `run:*`",
                "what can: `panic`, `kill`, `hang`, `delay`, `error`",
            ),
        ),
        (
            "[[faults]]\ntarget = 'link:ann->*'\nkind = «'delay'»\nat = '1s'",
            ("a delay without its length", "add `delay = \"200ms\"`"),
        ),
        (
            "[[faults]]\ntarget = 'run:*'\nkind = 'kill'\nat = '1s'\n«delay» = '1s'",
            ("`delay` without `kind = \"delay\"`", "remove one"),
        ),
        (
            "[[faults]]\ntarget = 'run:*'\nkind = 'delay'\nat = '1s'\ndelay = «'2h'»",
            ("`delay` is longer than an hour", ""),
        ),
        (
            "[[faults]]\ntarget = 'node'\nkind = 'kill'\non = «'fault_injected'»",
            ("`fault_injected` is what a fault writes itself", "wait for"),
        ),
        (
            "[[faults]]\ntarget = 'node'\nkind = 'kill'\non = «'verification'»",
            ("`verification` does not happen in this version", "wait for"),
        ),
    ]);
}
