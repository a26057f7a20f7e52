//! What a task may use up.
//!
//! [`ledger`] is the fold of what was used and set aside, [`standing`] decides what that allows, and [`purse`] reads the journal for
//! those who ask, one at a time.

mod held;
pub mod ledger;
pub mod purse;
pub mod standing;

pub use ledger::{Ledger, TimeLeft};
pub use purse::{Admission, Caller, Purse, Refused};
pub use standing::{Standing, Verdict};
