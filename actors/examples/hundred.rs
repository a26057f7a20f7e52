//! A hundred agents of which some hang, some loop, some panic and some block a thread, on two threads, in real time.
//!
//! `cargo run --release -p impresario-actors --example hundred -- [SECONDS] [SEED]` prints what became of them, and fails if something
//! does not hold. Everything is in `actors/tests/hundred/`.

use std::process::ExitCode;
use std::time::Duration;

#[path = "../tests/hundred/mod.rs"]
mod hundred;

mod support {
    pub(crate) use actors::testing::seeds::check;
}

fn main() -> ExitCode {
    let numbers: Result<Vec<u64>, _> = std::env::args().skip(1).map(|it| it.parse()).collect();
    let (seconds, seed) = match numbers.as_deref() {
        Ok([]) => (60, 1),
        Ok([seconds]) => (*seconds, 1),
        Ok([seconds, seed]) => (*seconds, *seed),
        _ => {
            eprintln!("hundred takes the number of seconds and a seed, such as `hundred 60 1`");
            return ExitCode::from(2);
        }
    };
    std::panic::set_hook(Box::new(|panic| {
        let text = panic.payload_as_str().unwrap_or_default();
        if !text.ends_with("on purpose") {
            eprintln!("{panic}");
        }
    }));
    let time = Duration::from_secs(seconds);
    let verdict = hundred::play(hundred::Plan {
        time,
        limit: time / 60,
        seed,
    });
    println!("{verdict}");
    ExitCode::from(u8::from(!verdict.broken.is_empty()))
}
