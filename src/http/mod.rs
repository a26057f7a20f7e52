//! What the node answers over the network.

pub mod link;
