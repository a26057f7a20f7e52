//! OTP's supervisor for Rust actors, measured against OTP itself.
//!
//! A supervisor starts its children in order, restarts them by rule when they end, and gives up, to its own supervisor, when that
//! happens too often. The rules are those of Erlang/OTP's `supervisor`, down to the order of events: the recorded traces of the
//! real one are part of this crate's tests.
//!
//! ```
//! use supervision::{Actor, AtRestart, ChildSpec, Context, Failure, Flags, Root, Start, Strategy, SupervisorSpec, inbox};
//!
//! struct Counter(u64);
//!
//! impl Actor for Counter {
//!     type Message = u64;
//!
//!     async fn handle(&mut self, n: u64, _: &mut Context<u64>) -> Result<(), Failure> {
//!         self.0 = self.0.checked_add(n).ok_or("too much")?;
//!         Ok(())
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let (counter, reads) = inbox(64, AtRestart::Carry);
//! let spec = SupervisorSpec::new(Flags::new(Strategy::OneForOne))
//!     .child(ChildSpec::new("counter", Start::actor(reads, |_| async { Ok(Counter(0)) })));
//! let root = Root::new("example").start(spec).await?;
//! counter.send(u64::MAX).await?;
//! counter.send(1).await?; // crashes it
//! counter.send(2).await?; // waits for the next incarnation
//! # root.stop().await; Ok(()) }
//! ```
//!
//! Reading order: [`spec`], [`strategy`] and [`exit`] are the words; [`restart`] holds the rules as functions; [`Start`] and
//! [`Actor`] are what you write, [`Handle`] is what you hold; [`Root`], [`SupervisorHandle`] and [`DynamicSpec`] tie them together;
//! [`report`] and [`tree`] are for looking; [`fault`] is for trying what it all is good for. [`CircuitBreaker`] stands alone.
//!
//! Not here: live code change, hibernation, registration across nodes.

mod actor;
pub mod backoff;
pub mod breaker;
mod child;
mod dynamic;
pub mod exit;
pub mod fault;
mod handle;
pub mod health;
mod inbox;
mod incarnation;
pub mod report;
pub mod restart;
mod root;
mod shell;
pub mod spec;
pub mod strategy;
mod supervisor;
#[cfg(feature = "testing")]
pub mod testing;
pub mod tree;
mod watchdog;

pub use actor::{Actor, Context, Failure};
pub use backoff::{Backoff, Jitter};
pub use breaker::CircuitBreaker;
pub use child::{Init, Start};
pub use dynamic::{DynamicHandle, DynamicSpec, template};
pub use exit::Exit;
pub use fault::{Fault, FaultKind, FaultPlan, Point, Trigger, When};
pub use handle::{CallError, Handle, Reply, ResendError, SendError};
pub use health::{Activity, HangLimits, Pulse, Zone};
pub use inbox::{AtRestart, DEAD_LETTERS_KEPT, DeadLetter, Inbox, inbox, inbox_redelivering};
pub use incarnation::{Extra, StartFailure};
pub use report::{Decision, Doing, Listener, Report};
pub use restart::{AdminError, ChildKey, ChildState, Incarnation};
pub use root::{Root, StartError};
pub use spec::{ChildId, Kind, Plan, Restart, Shutdown, SpecError};
pub use strategy::{AutoShutdown, Flags, Intensity, Strategy};
pub use supervisor::{Added, ChildSpec, InitResult, SupervisorHandle, SupervisorSpec};
pub use tree::{Counts, Tree};
