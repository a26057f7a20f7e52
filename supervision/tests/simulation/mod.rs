//! Simulations from seeds: of the rules alone, and of the real supervisors under faults.

mod cores;
mod live;
