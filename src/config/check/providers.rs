//! `[providers.NAME]`

use actors::pool::{LONGEST_OPEN, MOST_REQUESTS};
use actors::provider::scripted::MAX_LATENCY;

use super::{url, variable, waits};
use crate::config::file::{Breaker, Config, ProviderConfig, ProviderKind};
use crate::config::path::{Path, setting};
use crate::config::problem::Complaint;
use crate::config::read::Report;
use crate::config::values::Rate;

pub(super) fn check(config: &Config, report: &mut Report<'_>) {
    for (name, provider) in &config.providers {
        let path = setting!["providers", name];
        keys_of_kind(provider.kind, &path, report);
        address(provider, &path, report);
        latency(provider, &path.then("latency"), report);
        if let Some(own) = &provider.breaker {
            breaker(own, &path.then("breaker"), report);
        }
        rates(&provider.rate_limits, &path.then("rate_limits"), report);
        price(provider, &path.then("price"), report);
        if let Some(name) = &provider.api_key_env {
            variable(name, &path.then("api_key_env"), report);
        }
        waits(
            provider.retry.base,
            provider.retry.cap,
            &path.then("retry"),
            report,
        );
    }
}

fn price(provider: &ProviderConfig, path: &Path, report: &mut Report<'_>) {
    let Some(price) = provider.price else { return };
    for (key, dollars) in [("input", price.input), ("output", price.output)] {
        if dollars < 0.0 {
            let complaint = Complaint::new("a price is not negative");
            report.at(&path.then(key), complaint);
        }
    }
}

/// The keys that not all kinds of providers have.
const OF_SOME_KINDS: [&str; 7] = [
    "latency",
    "scripts",
    "base_url",
    "api_key_env",
    "connect_timeout",
    "silence_timeout",
    "max_reply_bytes",
];

/// Which kinds of providers have a key; kinds that are not listed have all the others.
fn has_key(kind: ProviderKind, key: &str) -> bool {
    match key {
        "latency" | "scripts" => kind == ProviderKind::Scripted,
        "base_url" | "api_key_env" | "connect_timeout" | "silence_timeout" | "max_reply_bytes" => {
            kind != ProviderKind::Scripted
        }
        _ => true,
    }
}

fn keys_of_kind(kind: ProviderKind, path: &Path, report: &mut Report<'_>) {
    if report.is_spoiled(&path.then("kind")) {
        return;
    }
    for key in OF_SOME_KINDS {
        if !has_key(kind, key) && report.says(&path.then(key)) {
            let message = format!("a provider of kind `{}` has no `{key}`", kind);
            report.at_key(
                &path.then(key),
                Complaint::new(message).help("remove it, or change `kind`"),
            );
        }
    }
}

fn breaker(breaker: &Breaker, path: &Path, report: &mut Report<'_>) {
    for (key, time) in [
        ("within", breaker.within),
        ("reset_after", breaker.reset_after),
    ] {
        if time.get() > LONGEST_OPEN {
            let complaint = Complaint::new(format!("`{key}` is longer than a day"));
            report.at(&path.then(key), complaint);
        }
    }
    if breaker.failures.get() > MOST_REQUESTS {
        let complaint = Complaint::new(format!("`failures` is more than {MOST_REQUESTS}"));
        report.at(&path.then("failures"), complaint);
    }
}

/// How many rates a provider may have.
const MOST_RATES: usize = 16;

fn rates(rates: &[Rate], path: &Path, report: &mut Report<'_>) {
    if rates.len() > MOST_RATES {
        let message = format!("{} rates are more than {MOST_RATES}", rates.len());
        let complaint =
            Complaint::new(message).help("a few are enough: each call has to fit into all of them");
        report.at(path, complaint);
    }
    for (n, rate) in rates.iter().enumerate() {
        if rate.count.get() > MOST_REQUESTS {
            let message = format!("`{rate}` is more than {MOST_REQUESTS} calls");
            let complaint =
                Complaint::new(message).help("say it for a shorter time, or leave it out");
            report.at(&path.then(n), complaint);
        }
    }
}

fn latency(provider: &ProviderConfig, path: &Path, report: &mut Report<'_>) {
    if provider
        .latency
        .is_some_and(|latency| latency.get() > MAX_LATENCY)
    {
        report.at(path, Complaint::new("`latency` is longer than an hour"));
    }
}

fn address(provider: &ProviderConfig, path: &Path, report: &mut Report<'_>) {
    match &provider.base_url {
        Some(text) => url(text, &path.then("base_url"), report),
        None if provider.kind == ProviderKind::OpenaiCompatible => {
            let complaint = Complaint::new(format!("`{path}` has no `base_url`"));
            let help =
                "say where the server is, such as `base_url = \"http://localhost:11434/v1\"`";
            report.at(&path.then("kind"), complaint.help(help));
        }
        None => {}
    }
}
