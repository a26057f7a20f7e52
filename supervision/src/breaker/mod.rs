//! A circuit breaker: leaves alone what fails too often, and finds out with a few probes when it is well again.
//!
//! It stands alone: it knows neither supervisors nor actors. [`Core`] holds the rules as functions of the time; [`CircuitBreaker`] is the
//! thread-safe shell around it, on tokio's clock. What the states mean and which way leads where: `docs/lifecycles/breaker.md`.

mod config;
mod core;
mod open;
mod permit;
mod shell;
mod snapshot;
mod subscription;
mod transition;
mod window;

pub use self::core::{Core, Ticket};
pub use config::{Abandoned, Config, Slow};
pub use open::Open;
pub use permit::Permit;
pub use shell::{CircuitBreaker, Listener};
pub use snapshot::{Snapshot, Totals};
pub use subscription::Subscription;
pub use transition::{Cause, Failure, Outcome, State, TRANSITIONS_KEPT, Transition};
pub use window::Tally;
