//! Whether declared children still come and go in linear time when there are a hundred thousand of them:
//!
//! ```text
//! cargo run --release -p impresario-supervision --example scale
//! ```

use std::process::ExitCode;

use supervision::{ChildSpec, Root, Start, SupervisorSpec};
use tokio::time::{Duration, Instant};

/// A hundred thousand may cost this many times what a thousand cost, a hundred times over.
const SLACK: u32 = 10;

async fn add_and_terminate(count: usize) -> Duration {
    let root = Root::new("root").start(SupervisorSpec::default()).await;
    let root = root.expect("it starts");
    let begun = Instant::now();
    for n in 0..count {
        let child = ChildSpec::new(format!("c{n}"), Start::worker(std::future::pending));
        root.start_child(child).await.expect("it starts");
    }
    for n in 0..count {
        let ended = root.terminate_child(format!("c{n}")).await;
        ended.expect("it is known");
    }
    let took = begun.elapsed();
    root.stop().await;
    took
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let few = add_and_terminate(1_000).await;
    let many = add_and_terminate(100_000).await;
    println!("1,000 children took {few:?}, 100,000 took {many:?}");
    ExitCode::from(u8::from(many > SLACK * 100 * few))
}
