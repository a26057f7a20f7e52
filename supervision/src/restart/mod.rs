//! The rules of supervision as functions: what happened goes in, what is to be done comes out. Pure.
//!
//! [`SupervisorCore`] holds OTP's rules for declared children, [`DynamicCore`] those for any number of instances of one template.
//! Neither knows tokio or an actor; time is given to them. Where OTP's supervisor blocks while a child starts or stops, a core
//! remembers what it is in the middle of, takes mutations in turn behind it, and can be asked at any time.

mod child;
mod declared;
mod dynamic;
mod event;
mod ledger;
mod storm;
mod window;

pub use self::declared::SupervisorCore;
pub use self::dynamic::DynamicCore;
pub use self::event::{
    AdminError, Availability, ChildKey, ChildRow, ChildState, Core, Effect, Event, Hold,
    Incarnation, Reply, Request, RequestId, Target, TimerId,
};
pub use self::storm::Storm;
