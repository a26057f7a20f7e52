//! What several tests need.

pub(crate) mod slow;

pub(crate) use actors::testing::seeds::{
    causes, check, expect_panics, plays, requests, trace, troupe, virtual_time,
};
