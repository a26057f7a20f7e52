//! What agents need and OTP does not have. Switched off it changes nothing: all of OTP's traces are played without it.

mod blocking;
mod budget;
mod faults;
mod hang;
mod parking;
mod plans;
mod redelivery;
mod start_within;
mod storm;
mod together;
mod watchdog;
