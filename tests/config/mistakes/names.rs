//! Names that lead nowhere, and secrets.

use super::each;

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
        (
            "[agents.c]\nprovider = 'local'\ntools = ['shell']\neffects = { shell = «'pure'» }",
            (
                "`shell` has an effect, and its executor makes each call at most once whatever is said here",
                "leave it out, or say \"ledgered\" or \"once\"; what follows when nobody knows whether it was done is set with `in_doubt`",
            ),
        ),
        (
            "[agents.c]\nprovider = 'local'\ntools = ['edit_file']\neffects = { edit_file = «'keyed'» }",
            (
                "`edit_file` has an effect, and its executor makes each call at most once whatever is said here",
                "leave it out",
            ),
        ),
        (
            "[agents.c]\nprovider = 'local'\ntools = ['grep', 'glob']\neffects = { grep = «'queryable'», glob = 'once' }",
            (
                "`grep` has no effect that could have a key or be asked about",
                "leave it out",
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
