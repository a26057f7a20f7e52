//! How do I have a running node do something, and follow it from my own program?
//!
//! ```text
//! IMPRESARIO_KEY=ik_… cargo run --example client "count the chairs" AGENT
//! ```
//!
//! The node is the one at `IMPRESARIO_URL`, or on this machine; without a key in `IMPRESARIO_KEY`, the one the node wrote to
//! `.impresario/admin.key` is taken. The stream of events goes on by itself when the line breaks or the node is started again.

use impresario::client::{Client, Error, NewTask, Update};

#[tokio::main]
async fn main() -> Result<(), Error> {
    let mut args = std::env::args().skip(1);
    let (what, who) = (
        args.next().unwrap_or_default(),
        args.next().unwrap_or_default(),
    );

    let client = Client::from_env()?;
    let task = client.create_task(&NewTask::new(what).agent(who)).await?;
    let mut events = client.events(task.id());
    while let Some(update) = events.next().await? {
        if let Update::Event(event) = update {
            println!("{:>3} {}", event.id, event.body.kind());
        }
    }
    println!(
        "{}",
        client.task(task.id()).await?.result.unwrap_or_default()
    );
    Ok(())
}
