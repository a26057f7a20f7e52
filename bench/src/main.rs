//! How Impresario compares, in one run on one machine: `cargo run --release --manifest-path bench/Cargo.toml`.
//!
//! Every figure is taken in a process of its own, the peers in turn, and repeated; what is printed is the median, and its ratio to
//! the peer that it is measured against. `… -- supervision` or `… -- orchestration` runs one half, `… -- supervision stop` of the
//! supervision half only the measures whose names hold that word.

mod measure;
mod orchestration;
mod peer;

use std::collections::BTreeMap;
use std::process::{Command, ExitCode};

use measure::{Op, Peer, Strategy};
use peer::by_hand::ByHand;
use peer::kameo::Kameo;
use peer::ours::Ours;
use peer::topology;

/// How often each measure is taken of each peer.
const ROUNDS: usize = 5;

const SUPERVISION: [&str; 14] = [
    "restart-error",
    "restart-panic",
    "all-10",
    "all-100",
    "all-1000",
    "start-10000",
    "stop-10000",
    "stop-100000",
    "bytes-100000",
    "relay",
    "broadcast",
    "topology-relay",
    "topology-wake",
    "topology-to-all",
];

const PEERS: [&str; 3] = ["ours", "by-hand", "kameo"];

fn main() -> ExitCode {
    let args: Vec<_> = std::env::args().skip(1).collect();
    let args: Vec<_> = args.iter().map(String::as_str).collect();
    match args[..] {
        ["measure", peer, measure] => {
            std::panic::set_hook(Box::new(|_| {}));
            println!("{}", run(peer, measure));
            // What a measure leaves running is not waited for.
            std::process::exit(0)
        }
        [] => {
            supervision("");
            orchestration::report();
        }
        ["supervision"] => supervision(""),
        ["supervision", word] => supervision(word),
        ["orchestration"] => orchestration::report(),
        _ => {
            eprintln!("usage: bench [supervision [MEASURE] | orchestration]");
            return ExitCode::from(2);
        }
    }
    ExitCode::SUCCESS
}

fn run(peer: &str, measure: &str) -> f64 {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    let runtime = runtime.expect("a runtime");
    let measure = measure.to_owned();
    let peer = peer.to_owned();
    let task = async move {
        match &*peer {
            "ours" if measure.starts_with("topology-") => through_topology(&measure).await,
            "ours" => of::<Ours>(&measure).await,
            "by-hand" => of::<ByHand>(&measure).await,
            "kameo" => of::<Kameo>(&measure).await,
            _ => orchestration::of(&peer, &measure).await,
        }
    };
    let measured = runtime.block_on(async { tokio::spawn(task).await });
    measured.expect("the measure ends")
}

/// What others do with a router, ours does with a team's topology.
async fn through_topology(measure: &str) -> f64 {
    match measure {
        "topology-relay" => topology::relay().await,
        "topology-wake" => topology::wake().await,
        _ => topology::to_all().await,
    }
}

async fn of<P: Peer>(measure: &str) -> f64 {
    let one = Strategy::OneForOne;
    match measure {
        "restart-error" => measure::restart::<P>(one, 10, || Op::Fail).await,
        "restart-panic" => measure::restart::<P>(one, 10, || Op::Panic).await,
        "all-10" => measure::restart::<P>(Strategy::OneForAll, 10, || Op::Fail).await,
        "all-100" => measure::restart::<P>(Strategy::OneForAll, 100, || Op::Fail).await,
        "all-1000" => measure::restart::<P>(Strategy::OneForAll, 1_000, || Op::Fail).await,
        "start-10000" => measure::tree::<P>(10_000).await.0,
        "stop-10000" => measure::tree::<P>(10_000).await.1,
        "stop-100000" => measure::tree::<P>(100_000).await.1,
        "bytes-100000" => measure::tree::<P>(100_000).await.2,
        "relay" | "topology-relay" => measure::relay::<P>().await.0,
        "broadcast" | "topology-wake" => measure::relay::<P>().await.1,
        _ => panic!("unknown measure {measure}"),
    }
}

/// Takes one measure of one peer in a process of its own; none if that fails.
pub fn taken(peer: &str, measure: &str) -> Option<f64> {
    let myself = std::env::current_exe().ok()?;
    let mut command = Command::new("timeout");
    command
        .arg("120")
        .arg(myself)
        .args(["measure", peer, measure]);
    let output = command.output().ok()?.stdout;
    String::from_utf8_lossy(&output).trim_end().parse().ok()
}

fn supervision(word: &str) {
    println!("## Supervision\n");
    println!(
        "Medians of {ROUNDS} runs; the ratio is to the hand-written supervisor over the same actor library.\n"
    );
    println!(
        "| measure | unit | ours | by hand | kameo | ours / by hand |\n|---|---|---:|---:|---:|---:|"
    );
    for measure in SUPERVISION.into_iter().filter(|it| it.contains(word)) {
        let mut taken_of = BTreeMap::<_, Vec<f64>>::new();
        for _ in 0..ROUNDS {
            for &peer in peers(measure) {
                taken_of
                    .entry(peer)
                    .or_default()
                    .extend(taken(peer, measure));
            }
        }
        let of = |peer: &str| {
            let values = taken_of.get(peer).filter(|values| !values.is_empty());
            values.map(|values| measure::median(values.clone()))
        };
        let [ours, by_hand, kameo] = PEERS.map(of);
        let shown =
            |value: Option<f64>| value.map_or("–".to_owned(), |value| format!("{value:.1}"));
        let ratio = ours
            .zip(by_hand)
            .map(|(ours, by_hand)| format!("{:.2}", ours / by_hand));
        println!(
            "| {} | {} | {} | {} | {} | {} |",
            title(measure),
            unit(measure),
            shown(ours),
            shown(by_hand),
            shown(kameo),
            ratio.unwrap_or_default()
        );
    }
    println!();
}

/// Nobody else keeps what is said to all without sending it to each.
fn peers(measure: &str) -> &'static [&'static str] {
    match measure {
        "topology-to-all" => &PEERS[..1],
        _ => &PEERS,
    }
}

fn title(measure: &str) -> &'static str {
    match measure {
        "restart-error" => "restart after an error, until the replacement answers",
        "restart-panic" => "restart after a panic, until the replacement answers",
        "all-10" => "one-for-all, 10 children",
        "all-100" => "one-for-all, 100 children",
        "all-1000" => "one-for-all, 1,000 children",
        "start-10000" => "start of a supervisor with 10,000 children",
        "stop-10000" => "its stop, in order",
        "stop-100000" => "stop of 100,000 children, in order",
        "bytes-100000" => "memory of one idle supervised child",
        "relay" => "a message through a router to one of 10,000",
        "broadcast" => "a broadcast through it to 10,000",
        "topology-relay" => "a message through a team's topology to one of 10,000",
        "topology-wake" => "a change of the topology that wakes all 10,000",
        _ => "a message through it to all 10,000, which wakes nobody",
    }
}

fn unit(measure: &str) -> &'static str {
    match measure {
        "start-10000" | "stop-10000" | "stop-100000" => "ms",
        "bytes-100000" => "bytes",
        _ => "µs",
    }
}
