//! What tests need of the outside world, made by us.

pub(crate) mod chat_wire;
pub(crate) mod fake_model;
pub(crate) mod postgres;
pub(crate) mod program;
pub(crate) mod proxy;
pub(crate) mod terminal;
