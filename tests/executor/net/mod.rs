//! Executors over the network: real sockets, a real system behind them, and whatever can happen to either side and to the wire.

mod calls;
mod cut;
mod frames;
mod host;
mod kill;
mod node;
mod other_end;
mod pages;
mod program;
mod proxy;
mod python;
mod tls;
