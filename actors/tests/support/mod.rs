//! What several tests need.

pub(crate) mod slow;

use std::sync::LazyLock;

use actors::testing::seeds::trial::Trial;

pub(crate) use actors::testing::seeds::{
    causes, check, expect_panics, plays, requests, trace, troupe, virtual_time,
};

/// The seeds that the tests of single promises look at.
const EXAMPLES: std::ops::Range<u64> = 10_000..10_120;

/// Some troupes, with accidents, played once.
pub(crate) fn examples() -> &'static [plays::Played] {
    static PLAYED: LazyLock<Vec<plays::Played>> =
        LazyLock::new(|| plays::each(EXAMPLES, |seed| plays::play(&Trial::plain(seed))));
    &PLAYED
}
