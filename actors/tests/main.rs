//! The domain through its public boundary, in virtual time; `hundred` alone takes real time and real threads.

mod budget;
mod busy;
mod cancel;
mod crash;
mod doubt;
mod durability;
mod hundred;
mod pause;
mod pool;
mod privacy;
mod seeds;
mod story;
mod support;
mod timeouts;
mod topology;
mod wait;
mod why;
