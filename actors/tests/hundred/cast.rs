//! Who the hundred are.

use std::time::Duration;

use actors::model::{AgentName, AgentSpec, TaskDefinition};

/// How one of the hundred behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Manner {
    Lead,
    Steady,
    SlowModel,
    SlowTool,
    HangsOnce,
    HangsAlways,
    FallsSilent,
    ToolHangs,
    ToolHangsInDoubt,
    ActorHangs,
    Loops,
    ProviderPanics,
    ToolPanics,
    ActorPanics,
    RunKilled,
    BlocksBriefly,
    BlocksLong,
    ToolBlocksBriefly,
    ToolBlocksLong,
}

/// Each manner, the word for it in the names of agents, how many there are, and what it does.
pub(crate) const CAST: &[(Manner, &str, usize, &str)] = &[
    (Manner::Lead, "lead", 1, "delegates to all, in rounds"),
    (
        Manner::Steady,
        "steady",
        38,
        "streams at an even pace, talks in the room",
    ),
    (
        Manner::SlowModel,
        "slow",
        16,
        "a token at 0.8 to 0.9 of the limit",
    ),
    (
        Manner::SlowTool,
        "dawdler",
        6,
        "a tool that takes 0.8 to 0.9 of it",
    ),
    (
        Manner::HangsOnce,
        "mute",
        6,
        "model never answers, then does",
    ),
    (Manner::HangsAlways, "dead", 3, "model never answers"),
    (
        Manner::FallsSilent,
        "faint",
        4,
        "model stops in mid-sentence",
    ),
    (
        Manner::ToolHangs,
        "stuck",
        3,
        "a tool never ends (no effect)",
    ),
    (
        Manner::ToolHangsInDoubt,
        "doubtful",
        2,
        "a tool never ends (with effect)",
    ),
    (
        Manner::ActorHangs,
        "frozen",
        2,
        "the agent's own actor hangs",
    ),
    (
        Manner::Loops,
        "circling",
        5,
        "the same call again and again",
    ),
    (Manner::ProviderPanics, "jumpy", 3, "the provider panics"),
    (Manner::ToolPanics, "clumsy", 3, "a tool panics"),
    (
        Manner::ActorPanics,
        "nervous",
        2,
        "the agent's own actor panics",
    ),
    (
        Manner::RunKilled,
        "hunted",
        2,
        "the run's own actor is killed",
    ),
    (
        Manner::BlocksBriefly,
        "rude",
        1,
        "the provider blocks a thread, 1.15 of the limit",
    ),
    (
        Manner::BlocksLong,
        "ruder",
        1,
        "the provider blocks a thread, 2.2 of it",
    ),
    (
        Manner::ToolBlocksBriefly,
        "heavy",
        1,
        "a tool blocks a thread, 1.15 of it",
    ),
    (
        Manner::ToolBlocksLong,
        "heavier",
        1,
        "a tool blocks a thread, 2.2 of it",
    ),
];

/// How a run of this manner ends in every round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    Done,
    /// It fails, and the reason holds this.
    Failed(&'static str),
}

/// What the events of a run hold that are the traces of its misbehaviour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trace {
    /// None: nobody touched it.
    Untouched,
    /// The model call was made again; by another incarnation, where all threads were blocked just when it was to end.
    Retried,
    /// The run went on in another incarnation.
    Restarted,
    /// A tool call ended with this word.
    ToolSaid(&'static str),
    /// An alert.
    Alert,
    /// That depends on the occasion.
    Either,
}

impl Manner {
    /// The manner of an agent, by its name.
    pub(crate) fn of(agent: &str) -> Self {
        let word = agent.split('-').next().unwrap_or_default();
        let row = CAST.iter().find(|(_, own, ..)| *own == word);
        row.unwrap_or_else(|| panic!("nobody is called {agent}")).0
    }

    /// Whether it makes progress, all the time.
    pub(crate) fn is_well(self) -> bool {
        use Manner as M;
        matches!(self, M::Lead | M::Steady | M::SlowModel | M::SlowTool)
    }

    pub(crate) fn end(self) -> End {
        match self {
            Self::HangsAlways => End::Failed("no progress for too long (hang_after"),
            Self::Loops => End::Failed("goes round in circles"),
            _ => End::Done,
        }
    }

    pub(crate) fn trace(self) -> Trace {
        use Manner as M;
        match self {
            M::Lead | M::Steady | M::SlowModel | M::SlowTool => Trace::Untouched,
            M::HangsOnce | M::HangsAlways | M::FallsSilent => Trace::Retried,
            M::ToolHangs => Trace::ToolSaid("no progress for too long"),
            M::ToolHangsInDoubt => Trace::ToolSaid("unknown"),
            M::Loops => Trace::Alert,
            M::ProviderPanics | M::ToolPanics | M::RunKilled => Trace::Restarted,
            // Faults of actors come at intervals, blocks in every second round.
            _ => Trace::Either,
        }
    }

    /// How long it blocks a thread when it does, as a part of the limit, and in which of two rounds.
    pub(crate) fn blocks(self) -> Option<(f64, usize)> {
        match self {
            Self::ToolBlocksLong => Some((2.2, 0)),
            Self::BlocksBriefly => Some((1.15, 1)),
            Self::BlocksLong => Some((2.2, 1)),
            Self::ToolBlocksBriefly => Some((1.15, 1)),
            _ => None,
        }
    }
}

/// The names of all, the lead first.
pub(crate) fn names() -> Vec<String> {
    let row = |(_, word, count, _): &(Manner, &str, usize, &str)| {
        let word = (*word).to_owned();
        (1..=*count).map(move |n| match word.as_str() {
            "lead" => word.clone(),
            word => format!("{word}-{n:02}"),
        })
    };
    CAST.iter().flat_map(row).collect()
}

/// Everybody but the lead, the tools they have, and for how long they may be silent.
pub(crate) fn prepare(definition: &mut TaskDefinition, limit: Duration, tools: &[&str]) {
    let mut tools: Vec<_> = tools.iter().map(|tool| (*tool).to_owned()).collect();
    tools.extend(["create_run", "post_message"].map(str::to_owned));
    for agent in definition.agents.values_mut() {
        *agent = AgentSpec {
            provider: agent.provider.clone(),
            tools: tools.clone(),
            hang_after: Some(limit),
            max_turns: 10_000,
            ..AgentSpec::default()
        };
    }
}

/// The names of the members of the team.
pub(crate) fn members() -> Vec<AgentName> {
    let names = names();
    let members = names[1..].iter();
    members.map(|name| AgentName::from(name.as_str())).collect()
}
