//! The client of a running node, against the node's HTTP interface.

mod errors;
mod life;
mod stream;
mod things;

use impresario::client::Client;

use crate::api::Door;

fn client(door: &Door) -> Client {
    Client::new(&door.url, &door.key).expect("an address and a key")
}
