//! The promises of `docs/guarantees.md`, one test for each sentence that no other file holds.
//!
//! That nothing happens twice at any moment of any accident is in `crash.rs`, what becomes of calls in doubt in `doubt.rs`, and that
//! the rows are the fold of the journal, whatever happened, in `seeds.rs`.

mod cancel;
mod commit;
mod fence;
mod limits;
mod order;
mod poison;
mod resume;
mod size;
mod snapshot;
