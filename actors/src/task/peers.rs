//! Which peers are to be asked whether they engage: a fold of the task's events. Pure.
//!
//! A peer that does nothing and sees something in the room that none of its runs was shown is asked, once about all of it. Whoever
//! is busy sees it in its context. The lead is asked last, when nobody does anything any more.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::event::Seq;
use crate::model::team::PeerLimits;
use crate::model::{
    AgentName, ContextMode, Event, EventBody, Limits, RunId, RunSpec, Sender, TaskDefinition,
    TeamMode,
};
use crate::topology::{Said, Wiring};

/// The floor of a room of peers.
#[derive(Debug, Clone)]
pub struct Floor {
    wiring: Wiring,
    peer_limits: PeerLimits,
    limits: Limits,
    max_workers: Option<u32>,
    head: Seq,
    agents: BTreeMap<AgentName, Peer>,
    runs: BTreeMap<RunId, Run>,
    root: Option<RunId>,
    /// Limits that were told, until they hold no longer.
    told: BTreeSet<String>,
}

#[derive(Debug, Clone, Default)]
struct Peer {
    /// The newest event of the room that it may see, and what that is.
    newest: (Seq, String),
    /// Up to where it was asked or shown.
    heard: Seq,
    /// How often it was asked since a person said something.
    asked: u32,
    /// Messages it has said.
    said: u32,
}

#[derive(Debug, Clone)]
struct Run {
    agent: AgentName,
    /// Up to where the model call under way was shown the room.
    seen: Seq,
    is_live: bool,
}

/// What is to be done on the floor.
#[derive(Debug, Clone, PartialEq)]
pub enum Move {
    /// Ask these agents, and tell these limits that keep others from being asked.
    Ask(Vec<Asked>, Vec<(AgentName, String)>),
    /// Somebody works, or is about to.
    Wait,
    /// Nobody does anything, and there is something that the lead has not seen: its run goes on.
    Lead(RunId),
    /// Nobody does anything, and everybody has seen everything.
    Quiet,
}

/// A peer that is to be asked, and about what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// Whom.
    pub agent: AgentName,
    /// The newest event it may see.
    pub about: Seq,
    /// That in a few words.
    pub title: String,
}

/// What the lead is told when the room has gone quiet.
pub const GONE_QUIET: &str = "The room has gone quiet; what was said since you looked last stands above. If the task is done, give \
                              its result. If it is not, go on.";

impl Floor {
    /// The floor of a task, if its team are peers.
    #[must_use]
    pub fn of(task: &TaskDefinition, wiring: Wiring) -> Option<Self> {
        let team = task.team.as_ref()?;
        let agents = wiring.company().all();
        let agents = agents.map(|name| (name.clone(), Peer::default())).collect();
        (team.mode == TeamMode::Peers).then(|| Self {
            wiring,
            peer_limits: team.peers,
            limits: task.limits.clone(),
            max_workers: team.max_workers,
            head: 0,
            agents,
            runs: BTreeMap::new(),
            root: None,
            told: BTreeSet::new(),
        })
    }

    /// The last event that was folded in.
    #[must_use]
    pub fn head(&self) -> Seq {
        self.head
    }

    /// The newest event of the room that an agent may see, if there is any.
    #[must_use]
    pub fn newest(&self, agent: &AgentName) -> Option<Seq> {
        let newest = self.agents.get(agent)?.newest.0;
        (newest > 0).then_some(newest)
    }

    /// The same for the lead.
    #[must_use]
    pub fn newest_of_lead(&self) -> Option<Seq> {
        self.newest(&self.wiring.company().lead)
    }

    /// Takes the next event in.
    pub fn fold(&mut self, event: &Event) {
        self.head = event.id;
        self.wiring.fold(event);
        match (&event.body, event.run_id) {
            (EventBody::TaskCreated { .. }, _) => self.begun(event.id),
            (EventBody::TaskMessage { .. }, _) => self.said(event),
            (EventBody::BudgetExceeded { limit, .. }, None) => {
                self.told.insert(limit.clone());
            }
            (EventBody::RunQueued { spec }, Some(run)) => self.queued(run, spec),
            (body, Some(run)) => self.of_run(run, body),
            _ => {}
        }
    }

    /// The lead is told the task as its brief; the others hear it.
    fn begun(&mut self, at: Seq) {
        let lead = self.wiring.company().lead.clone();
        for (name, peer) in &mut self.agents {
            if *name != lead {
                peer.newest = (at, "the task".to_owned());
            }
        }
    }

    fn said(&mut self, event: &Event) {
        let Some(said) = Said::of(event) else { return };
        let words = title(said);
        let readers: Vec<_> = self.wiring.readers(said).cloned().collect();
        for name in readers {
            if let Some(peer) = self.agents.get_mut(&name) {
                peer.newest = (event.id, words.clone());
            }
        }
        match said.from {
            Sender::Human => {
                self.agents.values_mut().for_each(|peer| peer.asked = 0);
                self.told.clear();
            }
            Sender::Agent(author) => {
                if let Some(peer) = self.agents.get_mut(author) {
                    peer.said = peer.said.saturating_add(1);
                }
            }
            Sender::System => {}
        }
    }

    fn queued(&mut self, run: RunId, spec: &RunSpec) {
        let agent = spec.agent.clone();
        if spec.parent.is_none() && spec.heard.is_none() {
            self.root.get_or_insert(run);
        }
        if let (Some(about), Some(peer)) = (spec.heard, self.agents.get_mut(&agent)) {
            peer.heard = peer.heard.max(about);
            peer.asked = peer.asked.saturating_add(1);
        }
        let (seen, is_live) = (0, true);
        self.runs.insert(
            run,
            Run {
                agent,
                seen,
                is_live,
            },
        );
    }

    fn of_run(&mut self, id: RunId, body: &EventBody) {
        let Some(run) = self.runs.get_mut(&id) else {
            return;
        };
        match body {
            EventBody::ModelCallStarted { seen, .. } => run.seen = *seen,
            EventBody::ModelCallCompleted { .. } => {
                if let Some(peer) = self.agents.get_mut(&run.agent) {
                    peer.heard = peer.heard.max(run.seen);
                }
            }
            EventBody::RunContinued { .. } => run.is_live = true,
            body if body.is_run_end() => run.is_live = false,
            _ => {}
        }
    }

    // ---- what is to be done

    /// What is to be done now.
    #[must_use]
    pub fn next(&self) -> Move {
        let (asked, reached) = self.due();
        if !asked.is_empty() || !reached.is_empty() {
            return Move::Ask(asked, reached);
        }
        let lead = self.agents.get(&self.wiring.company().lead);
        match self.root {
            _ if self.live() > 0 => Move::Wait,
            Some(root) if lead.is_some_and(Peer::has_more) => Move::Lead(root),
            _ => Move::Quiet,
        }
    }

    /// Whom to ask, and the limits that keep others from it and were not told yet.
    fn due(&self) -> (Vec<Asked>, Vec<(AgentName, String)>) {
        let (mut asked, mut reached) = (Vec::new(), Vec::new());
        for (name, peer) in self.idle() {
            let more = u32::try_from(asked.len()).unwrap_or(u32::MAX);
            match self.limit(name, peer, more) {
                Some(limit) if self.told.contains(&limit) => {}
                Some(limit) => reached.push((name.clone(), limit)),
                None if self.is_full(more) => {}
                None => asked.push(Asked {
                    agent: name.clone(),
                    about: peer.newest.0,
                    title: format!("heard {}", peer.newest.1),
                }),
            }
        }
        (asked, reached)
    }

    /// The peers that do nothing and have something to hear, in the order of the team.
    fn idle(&self) -> impl Iterator<Item = (&AgentName, &Peer)> {
        let busy: BTreeSet<_> = self.working().map(|run| &run.agent).collect();
        let members = self.wiring.company().members.iter();
        let peers = members.filter_map(|name| Some((name, self.agents.get(name)?)));
        peers.filter(move |(name, peer)| peer.has_more() && !busy.contains(name))
    }

    fn working(&self) -> impl Iterator<Item = &Run> {
        self.runs.values().filter(|run| run.is_live)
    }

    fn live(&self) -> u32 {
        u32::try_from(self.working().count()).unwrap_or(u32::MAX)
    }

    /// The limit that forbids to ask a peer at all, with its name in the file.
    fn limit(&self, name: &AgentName, peer: &Peer, more: u32) -> Option<String> {
        let PeerLimits { rounds, messages } = self.peer_limits;
        let runs = u32::try_from(self.runs.len()).unwrap_or(u32::MAX);
        if peer.asked >= rounds {
            return Some(format!(
                "{name} was asked {rounds} times since a person said something (peers.rounds): it is not asked again before"
            ));
        }
        if peer.said >= messages {
            return Some(format!(
                "{name} has said {messages} messages (peers.messages): it is not asked any more"
            ));
        }
        (runs.saturating_add(more) >= self.limits.total_runs).then(|| {
            let total = self.limits.total_runs;
            format!("{total} runs of the task in all (total_runs): nobody is asked any more")
        })
    }

    /// Whether as many work as may at a time; whoever is to be asked waits until one of them has ended.
    fn is_full(&self, more: u32) -> bool {
        let live = self.live().saturating_add(more);
        let is_up = |run: &RunId| self.runs.get(run).is_some_and(|run| run.is_live);
        let lead = u32::from(self.root.as_ref().is_some_and(is_up));
        let workers = live.saturating_sub(lead);
        live >= self.limits.live_runs || self.max_workers.is_some_and(|most| workers >= most)
    }
}

impl Peer {
    fn has_more(&self) -> bool {
        self.newest.0 > self.heard
    }
}

/// Characters of a message that stand in a title.
const TITLE: usize = 48;

fn title(said: Said<'_>) -> String {
    let from = match said.from {
        Sender::Human => "a person",
        Sender::System => "the runtime",
        Sender::Agent(name) => name.as_str(),
    };
    let line = said.content.lines().next().unwrap_or_default();
    match line.char_indices().nth(TITLE) {
        Some((cut, _)) => format!("{from}: {}…", &line[..cut]),
        None => format!("{from}: {line}"),
    }
}

impl Asked {
    /// The run in which a peer is asked.
    #[must_use]
    pub fn spec(self, task: &TaskDefinition, wiring: &Wiring) -> RunSpec {
        let others = wiring.company().all().filter(|name| **name != self.agent);
        let others: Vec<_> = others.map(AgentName::as_str).collect();
        let input = format!(
            "{}\n{}\n\nYou are {} in a room with {}. Nobody has told you to act: decide for yourself whether you engage with \
             what was said in the room. If you do, do your part; what you answer last is said in the room. If you do not, \
             call `decline`, or answer with that one word.",
            task.name,
            task.description,
            self.agent,
            others.join(", ")
        );
        RunSpec {
            agent: self.agent,
            title: self.title,
            input,
            depth: 0,
            context: ContextMode::None,
            snippets: Vec::new(),
            worker: false,
            parent: None,
            heard: Some(self.about),
        }
    }
}
