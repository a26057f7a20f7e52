//! Who sees which message of the room. Pure; live routing and the history a later run is shown are the same function.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::model::topology::{Decide, Party, Rule};
use crate::model::{AgentName, Event, EventBody, Sender, TaskDefinition, Topology};

/// The agents of a room, in the order of their team.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Company {
    /// Who got the task.
    pub lead: AgentName,
    /// The others.
    pub members: Vec<AgentName>,
}

impl Company {
    /// The team of a task, or else its root agent and those it may delegate to.
    #[must_use]
    pub fn of(task: &TaskDefinition) -> Self {
        let lead = task.root_agent.clone();
        let named = task.team.as_ref().map(|team| team.members.as_slice());
        let others = named.unwrap_or(&task.available_agents).iter();
        let members = others.filter(|name| **name != lead).cloned().collect();
        Self { lead, members }
    }

    /// All of them, the lead first.
    pub fn all(&self) -> impl Iterator<Item = &AgentName> {
        std::iter::once(&self.lead).chain(&self.members)
    }
}

/// A message of the room.
#[derive(Debug, Clone, Copy)]
pub struct Said<'a> {
    /// Who said it.
    pub from: &'a Sender,
    /// To whom alone, if not to the room.
    pub to: Option<&'a AgentName>,
    /// What.
    pub content: &'a str,
}

impl<'a> Said<'a> {
    /// What was said with an event, if it is a message of the room.
    #[must_use]
    pub fn of(event: &'a Event) -> Option<Self> {
        match &event.body {
            EventBody::TaskMessage {
                from, to, content, ..
            } => Some(Self {
                from,
                to: to.as_ref(),
                content,
            }),
            _ => None,
        }
    }

    fn is_by(&self, agent: &AgentName) -> bool {
        matches!(self.from, Sender::Agent(author) if author == agent)
    }
}

/// A topology of one's own, given to a system under a name ([`Deps::topology`](crate::system::Deps::topology)).
///
/// It must be pure: what it said once it says again, after a crash, in another process and for every reader of the past. It is
/// not asked about an agent's own messages, nor whether a third one sees what is said to one agent alone.
pub trait Route: Send + Sync + 'static {
    /// Whether `reader` sees it.
    fn sees(&self, company: &Company, reader: &AgentName, said: Said<'_>) -> bool;
}

impl<F> Route for F
where
    F: Fn(&Company, &AgentName, Said<'_>) -> bool + Send + Sync + 'static,
{
    fn sees(&self, company: &Company, reader: &AgentName, said: Said<'_>) -> bool {
        self(company, reader, said)
    }
}

/// The topologies a system was given, by name.
pub type Routes = Arc<BTreeMap<String, Arc<dyn Route>>>;

/// Who hears whom in a room at one moment: a fold of the task's definition and of the changes since.
#[derive(Clone)]
pub struct Wiring {
    company: Arc<Company>,
    topology: Topology,
    routes: Routes,
}

impl std::fmt::Debug for Wiring {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Wiring")
            .field("company", &self.company)
            .field("topology", &self.topology)
            .finish_non_exhaustive()
    }
}

impl Wiring {
    /// How a task begins.
    #[must_use]
    pub fn of(task: &TaskDefinition, routes: &Routes) -> Self {
        let team = task.team.as_ref();
        Self {
            company: Arc::new(Company::of(task)),
            topology: team.map(|team| team.topology.clone()).unwrap_or_default(),
            routes: routes.clone(),
        }
    }

    /// The same room under another topology, if there is one.
    #[must_use]
    pub fn under(&self, topology: Option<&Topology>) -> Self {
        Self {
            company: self.company.clone(),
            topology: topology.unwrap_or(&self.topology).clone(),
            routes: self.routes.clone(),
        }
    }

    /// Takes one event of the task in: what is said after a change is seen by the new rules.
    pub fn fold(&mut self, event: &Event) {
        if let EventBody::TopologyChanged { topology, .. } = &event.body {
            self.topology = topology.clone();
        }
    }

    /// Who is there.
    #[must_use]
    pub fn company(&self) -> &Company {
        &self.company
    }

    /// The topology that holds now.
    #[must_use]
    pub fn topology(&self) -> &Topology {
        &self.topology
    }

    /// Checks the topology that holds now.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn check(&self) -> Result<(), String> {
        if let Topology::Custom(name) = &self.topology
            && !self.routes.contains_key(name)
        {
            return Err(format!(
                "topology `{name}` is not registered with the system; {}",
                registered(&self.routes)
            ));
        }
        // Only rules name anybody; a room may be large.
        match &self.topology {
            Topology::Rules(_) => self.topology.check(&self.company.all().collect()),
            _ => Ok(()),
        }
    }

    /// Whether an event may be shown to an agent: a message of the room only if the agent sees it.
    #[must_use]
    pub fn shows(&self, reader: &AgentName, event: &Event) -> bool {
        Said::of(event).is_none_or(|said| self.sees(reader, said))
    }

    /// Whether `reader` sees what was said. Everybody sees their own words, and nobody those that are for another one alone.
    #[must_use]
    pub fn sees(&self, reader: &AgentName, said: Said<'_>) -> bool {
        if said.is_by(reader) {
            return true;
        }
        if said.to.is_some_and(|to| to != reader) {
            return false;
        }
        let company = &*self.company;
        match &self.topology {
            Topology::Rules(rules) => by_rules(rules, company, reader, said),
            Topology::Custom(name) => {
                let route = self.routes.get(name);
                route.is_some_and(|route| route.sees(company, reader, said))
            }
            _ if said.to.is_some() => true,
            Topology::Broadcast => true,
            Topology::Filtered => filtered(company, reader, said),
            Topology::Hierarchical => hierarchical(company, reader, said.from),
            Topology::Chain => chain(company, reader, said.from),
        }
    }

    /// The agents that see it, without its author.
    pub fn readers<'a>(&'a self, said: Said<'a>) -> impl Iterator<Item = &'a AgentName> {
        let others = self.company.all().filter(move |name| !said.is_by(name));
        others.filter(move |name| self.sees(name, said))
    }
}

fn registered(routes: &Routes) -> String {
    match routes.is_empty() {
        true => "none is".to_owned(),
        false => {
            let names: Vec<_> = routes.keys().map(|name| format!("`{name}`")).collect();
            format!("{} are", names.join(", "))
        }
    }
}

/// The lead sees everything; members see the lead, people and the runtime.
fn hierarchical(company: &Company, reader: &AgentName, from: &Sender) -> bool {
    match from {
        Sender::Human | Sender::System => true,
        Sender::Agent(author) => *reader == company.lead || *author == company.lead,
    }
}

/// Who is named with an `@` sees it; where nobody is, it is for all.
fn filtered(company: &Company, reader: &AgentName, said: Said<'_>) -> bool {
    let names = |name: &str| mentions(said.content, name);
    names(reader.as_str()) || names(ALL) || !company.all().any(|name| names(name.as_str()))
}

/// The mention that means everybody.
const ALL: &str = "all";

fn mentions(content: &str, name: &str) -> bool {
    let is_part = |c: char| c.is_alphanumeric() || c == '_' || c == '-';
    content.match_indices('@').any(|(at, _)| {
        let rest = &content[at + 1..];
        let is_name = rest.starts_with(name) && !rest[name.len()..].starts_with(is_part);
        // A dot in an address, such as `ann@ada.example`, is no mention either.
        is_name && !content[..at].ends_with(is_part)
    })
}

/// The lead, the members as they are declared, and round to the lead again.
fn chain(company: &Company, reader: &AgentName, from: &Sender) -> bool {
    let Sender::Agent(author) = from else {
        return true;
    };
    let before = match company.members.iter().position(|name| name == reader) {
        None if *reader == company.lead => company.members.last(),
        None | Some(0) => None,
        Some(place) => company.members.get(place - 1),
    };
    before == Some(author) || *author == company.lead
}

fn by_rules(rules: &[Rule], company: &Company, reader: &AgentName, said: Said<'_>) -> bool {
    let says = |rule: &&Rule| {
        is_from(&rule.from, company, said.from)
            && is_agent(&rule.to, company, reader)
            && (rule.when.as_ref()).is_none_or(|when| when.fits(said.content))
    };
    match rules.iter().find(says) {
        Some(rule) => rule.decide == Decide::Allow,
        None => !matches!(said.from, Sender::Agent(_)),
    }
}

fn is_from(party: &Party, company: &Company, from: &Sender) -> bool {
    match (party, from) {
        (Party::Anybody, _) | (Party::Human, Sender::Human) | (Party::System, Sender::System) => {
            true
        }
        (party, Sender::Agent(author)) => is_agent(party, company, author),
        _ => false,
    }
}

fn is_agent(party: &Party, company: &Company, agent: &AgentName) -> bool {
    match party {
        Party::Anybody => true,
        Party::Lead => *agent == company.lead,
        Party::Members => *agent != company.lead,
        Party::Agent(name) => name == agent,
        Party::Human | Party::System => false,
    }
}

#[cfg(test)]
#[path = "routing/tests.rs"]
mod tests;
