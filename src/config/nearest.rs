//! The name that was probably meant.

use super::source::quoted;

/// How many known names a message lists.
const LISTED: usize = 12;
/// How many known names one name is compared with.
const COMPARED: usize = 1_000;

/// The known name nearest to `name`, if one is near enough to be a slip of the hand.
pub(crate) fn nearest<'n>(name: &str, known: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
    let name = folded(name);
    let allowed = (name.chars().count() / 3).clamp(1, 4);
    known
        .into_iter()
        .take(COMPARED)
        .map(|candidate| (strsim::osa_distance(&name, &folded(candidate)), candidate))
        .filter(|(distance, _)| *distance <= allowed)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

fn folded(name: &str) -> String {
    name.chars()
        .take(100)
        .map(|c| if c == '-' { '_' } else { c })
        .flat_map(char::to_lowercase)
        .collect()
}

/// Help for an unknown name: the nearest one, or what there is.
pub(crate) fn suggestion(name: &str, what: &str, known: &[&str]) -> String {
    match nearest(name, known.iter().copied()) {
        Some(near) => format!("did you mean {}?", quoted(near)),
        None => listing(what, known),
    }
}

/// All known names of a kind, for a message.
pub(crate) fn listing(what: &str, known: &[&str]) -> String {
    let names: Vec<_> = known.iter().take(LISTED).map(|name| quoted(name)).collect();
    match known.len() {
        0 => format!("the file has no {what}"),
        n if n > LISTED => format!(
            "known {what}: {}, and {} more",
            names.join(", "),
            n - LISTED
        ),
        _ => format!("known {what}: {}", names.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_recognised_and_strangers_are_not() {
        let known = ["one_for_one", "one_for_all", "rest_for_one"];
        assert_eq!(nearest("rest-for-on", known), Some("rest_for_one"));
        assert_eq!(nearest("One_For_All", known), Some("one_for_all"));
        assert_eq!(nearest("everybody", known), None);
        assert_eq!(nearest("", known), None);
    }

    #[test]
    fn a_stranger_is_told_what_there_is() {
        assert_eq!(
            suggestion("x", "agents", &["a_b", "b_c"]),
            "known agents: `a_b`, `b_c`"
        );
        assert_eq!(suggestion("x", "agents", &[]), "the file has no agents");
    }
}
