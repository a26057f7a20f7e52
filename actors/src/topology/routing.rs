//! Who sees which message of the room. Pure; live routing and the history a later run is shown are the same function.

use crate::model::{AgentName, Sender, TeamSpec, Topology};

/// Whether `reader` sees what `from` said, to the room or `to` one agent.
#[must_use]
pub fn sees(
    team: Option<&TeamSpec>,
    reader: &AgentName,
    from: &Sender,
    to: Option<&AgentName>,
) -> bool {
    if let Some(to) = to {
        return to == reader || matches!(from, Sender::Agent(author) if author == reader);
    }
    match team.map_or(Topology::Broadcast, |team| team.topology) {
        Topology::Broadcast => true,
        Topology::Hierarchical => hierarchical(team.map(|team| &team.lead), reader, from),
    }
}

/// The lead sees everything; members see the lead, people, the runtime and themselves.
fn hierarchical(lead: Option<&AgentName>, reader: &AgentName, from: &Sender) -> bool {
    match from {
        Sender::Human | Sender::System => true,
        Sender::Agent(author) => lead == Some(reader) || lead == Some(author) || author == reader,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn team(topology: Topology) -> TeamSpec {
        TeamSpec {
            lead: "lead".into(),
            members: vec!["a".into(), "b".into()],
            topology,
            ..TeamSpec::default()
        }
    }

    fn readers(topology: Topology, from: &Sender, to: Option<&str>) -> Vec<&'static str> {
        let (team, to) = (team(topology), to.map(AgentName::from));
        ["lead", "a", "b"]
            .into_iter()
            .filter(|name| sees(Some(&team), &(*name).into(), from, to.as_ref()))
            .collect()
    }

    #[test]
    fn in_a_broadcast_everybody_sees_everything() {
        assert_eq!(
            readers(Topology::Broadcast, &Sender::Agent("a".into()), None),
            ["lead", "a", "b"]
        );
    }

    #[test]
    fn in_a_hierarchy_members_do_not_see_each_other() {
        assert_eq!(
            readers(Topology::Hierarchical, &Sender::Agent("a".into()), None),
            ["lead", "a"]
        );
        assert_eq!(
            readers(Topology::Hierarchical, &Sender::Agent("lead".into()), None),
            ["lead", "a", "b"]
        );
        assert_eq!(
            readers(Topology::Hierarchical, &Sender::Human, None),
            ["lead", "a", "b"]
        );
    }

    #[test]
    fn what_is_said_to_one_is_seen_by_that_one_and_the_sayer() {
        for topology in [Topology::Broadcast, Topology::Hierarchical] {
            assert_eq!(
                readers(topology, &Sender::Agent("a".into()), Some("b")),
                ["a", "b"]
            );
            assert_eq!(readers(topology, &Sender::Human, Some("b")), ["b"]);
        }
    }
}
