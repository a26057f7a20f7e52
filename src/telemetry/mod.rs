//! What operators look at: numbers.

mod meter;

pub use meter::{Meter, start};
