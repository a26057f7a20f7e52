//! What one incarnation, whoever watches over it, its inbox and its supervisor have in common. Nothing here acts.

mod fate;
mod path;
mod slot;
mod wake;

pub use self::fate::{Extra, StartFailure};
pub(crate) use self::fate::{Fate, Taken};
pub(crate) use self::path::Path;
pub(crate) use self::slot::{Leash, Slot};
pub(crate) use self::wake::{Awake, Own, Wake};
