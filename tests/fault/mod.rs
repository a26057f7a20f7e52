//! What is promised, shown with real processes: killed at every point, and put into every trouble the outside world has.

mod crash;
mod line;
mod outside;
mod record;
mod size;
