//! From a file and the command line to a task.

use std::path::Path;
use std::time::Duration;

use impresario::actors::model::TaskDefinition;
use impresario::config::{self, Config, ConfigError, ProviderKind, TaskChoice};

use super::good::team;

fn parse(text: &str) -> Config {
    config::parse("f", text, Path::new("")).expect("a good file")
}

fn define(
    config: &Config,
    task: Option<&str>,
    team: Option<&str>,
) -> Result<TaskDefinition, ConfigError> {
    let choice = TaskChoice {
        task: task.map(str::to_owned),
        team: team.map(str::to_owned),
    };
    config.definition(&choice)
}

/// Who gets the task and who is available.
fn who(definition: &TaskDefinition) -> String {
    let available: Vec<_> = definition
        .available_agents
        .iter()
        .map(|name| name.as_str())
        .collect();
    format!("{} with [{}]", definition.root_agent, available.join(", "))
}

#[test]
fn the_task_of_a_file_with_everything_pinned() {
    let mut definition = define(&team(), None, None).expect("a task");
    let source = std::mem::take(&mut definition.source);
    assert_eq!(serde_json::from_value::<Config>(source).ok(), Some(team()));
    insta::assert_json_snapshot!(definition);
}

#[test]
fn the_command_line_goes_before_the_file() {
    let definition = define(
        &team(),
        Some("\n  Count the words\nof this text.\n"),
        Some("review"),
    )
    .expect("a task");
    assert_eq!(definition.name, "Count the words");
    assert_eq!(
        definition.description,
        "\n  Count the words\nof this text.\n"
    );
    assert_eq!(who(&definition), "reviewer with []");
    let reviewer = &definition.agents[&"reviewer".into()];
    assert_eq!(
        (reviewer.model.as_str(), reviewer.timeout),
        ("small", Duration::from_secs(300))
    );
}

const TWO: &str = "providers.p = { kind = 'openai-compatible', base_url = 'http://x', model = 'm' }
agents.a = { provider = 'p' }\nagents.b = { provider = 'p', model = 'n' }\n";

#[test]
fn somebody_gets_the_task() {
    let who = |text: &str, team: Option<&str>| {
        define(&parse(&format!("{TWO}{text}")), Some("x"), team).map(|d| who(&d))
    };
    let ok = |text: &str| Ok(text.to_owned());
    assert_eq!(
        who(
            "task = { description = 'y', root_agent = 'a', available_agents = ['b', 'a'] }",
            None
        ),
        ok("a with [b, a]")
    );
    assert_eq!(
        who("teams.t = { lead = 'a', members = ['b'] }", None),
        ok("a with [b]")
    );
    assert_eq!(who("", None), Err(ConfigError::NobodyToDoIt));
    assert_eq!(
        who("teams.t = { lead = 'a' }\nteams.u = { lead = 'b' }", None),
        Err(ConfigError::NobodyToDoIt)
    );
    assert_eq!(
        who(
            "teams.t = { lead = 'a' }\nteams.u = { lead = 'b' }",
            Some("u")
        ),
        ok("b with []")
    );
    let one = parse(
        "providers.p = { kind = 'scripted', scripts.a = [{ say = 'x' }] }\nagents.a = { provider = 'p' }",
    );
    assert_eq!(
        define(&one, Some("x"), None).map(|d| d.root_agent.to_string()),
        ok("a")
    );
}

#[test]
fn what_is_missing_is_said() {
    let said =
        |result: Result<TaskDefinition, ConfigError>| result.expect_err("no task").to_string();
    let two = parse(TWO);
    assert_eq!(
        said(define(&two, None, None)),
        "no task: give the file a `[task]` with a `description`, or say it with `--task`"
    );
    assert_eq!(
        said(define(&team(), Some("x"), Some("biuld"))),
        "unknown team `biuld`; did you mean `build`?"
    );
    assert_eq!(
        said(define(&two, Some("x"), Some("t"))),
        "unknown team `t`; the file has no teams"
    );
    assert_eq!(define(&two, Some("  "), None), Err(ConfigError::NoTask));
}

#[test]
fn pinned_data_that_no_file_could_have_is_refused() {
    let mut config = team();
    config.agents.remove("architect");
    let unknown = define(&config, None, None).expect_err("it is missing");
    assert!(matches!(&unknown, ConfigError::UnknownAgent { name, .. } if name == "architect"));
    let mut json = team().to_json();
    json["teams"]["build"]["mode"] = "same_task".into();
    let config: Config = serde_json::from_value(json).expect("a config");
    assert_eq!(
        define(&config, None, None).expect_err("no").to_string(),
        "the mode `same_task` is not available in this version"
    );
}

#[test]
fn scripts_are_kept_as_data() {
    let stage = &team().providers["stage"];
    assert_eq!(stage.kind, ProviderKind::Scripted);
    assert_eq!(
        stage.latency.map(config::Delay::get),
        Some(Duration::from_millis(20))
    );
    let architect = &stage.scripts["architect"];
    let tools: Vec<Vec<_>> = architect
        .iter()
        .map(|r| r.tool_calls().into_iter().map(|c| c.tool).collect())
        .collect();
    assert_eq!(
        tools,
        [vec!["list_dir"], vec!["write_file", "post_message"], vec![]]
    );
}

#[test]
fn an_agent_that_is_watched_for_hanging_says_so_in_its_pinned_definition() {
    let text = |hang: &str| {
        format!(
            "[agents.a]\nprovider = 'p'\n{hang}\n[providers.p]\nkind = 'scripted'\nscripts = {{ a = [{{ say = 'x' }}] }}"
        )
    };
    for (hang, limit) in [("", None), ("hang_after = '90s'", Some(90))] {
        let definition = define(&parse(&text(hang)), Some("x"), None).expect("a task");
        let pinned = serde_json::to_string(&definition).expect("JSON");
        let read: TaskDefinition = serde_json::from_str(&pinned).expect("the same");
        let agent = &read.agents[&read.root_agent];
        assert_eq!(agent.hang_after, limit.map(Duration::from_secs));
        assert_eq!(pinned.contains("hang_after\":90000"), limit.is_some());
    }
}
