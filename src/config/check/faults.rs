//! `[[faults]]`

use actors::fault::plan::{LONGEST_DELAY, MOST_FAULTS, SUPERVISORS};
use actors::fault::victims::fits;

use super::Names;
use super::outside::one_of;
use crate::config::catalog::{EVENTS, TO_COME};
use crate::config::file::{Config, FaultConfig, FaultKind, FaultTarget};
use crate::config::nearest::listing;
use crate::config::path::{Path, setting};
use crate::config::problem::Complaint;
use crate::config::read::Report;
use crate::config::source::quoted;

/// What a fault may strike or wait for.
struct Known<'c> {
    agents: Names<'c>,
    providers: Names<'c>,
    supervisors: Names<'c>,
    events: Names<'c>,
}

/// A fault that waits for faults would bring about itself.
const NO_CAUSE: &str = "fault_injected";

pub(super) fn check(config: &Config, report: &mut Report<'_>) {
    let events = EVENTS.iter().copied();
    let known = Known {
        agents: Names::of("agent", "agents", &config.agents),
        providers: Names::of("provider", "providers", &config.providers),
        supervisors: Names {
            one: "supervisor",
            all: "supervisors",
            known: SUPERVISORS.iter().copied().collect(),
        },
        events: Names {
            one: "event",
            all: "events",
            known: events.filter(|event| *event != NO_CAUSE).collect(),
        },
    };
    let count = config.faults.len();
    if count > MOST_FAULTS {
        let complaint = Complaint::new(format!("{count} faults; {MOST_FAULTS} are the most"));
        report.at_key(&setting!["faults"], complaint);
    }
    for (i, fault) in config.faults.iter().enumerate() {
        let path = setting!["faults", i];
        target(&fault.target, &path.then("target"), &known, report);
        kind(fault, &path, report);
        delay(fault, &path, report);
        when(fault, &path, &known, report);
    }
}

/// Reports a target that names what is not there.
fn target(target: &FaultTarget, path: &Path, known: &Known<'_>, report: &mut Report<'_>) {
    let named = match target {
        FaultTarget::Agent(name) => vec![(&known.agents, name)],
        FaultTarget::Provider(name) => vec![(&known.providers, name)],
        FaultTarget::Link(from, to) => vec![(&known.agents, from), (&known.agents, to)],
        FaultTarget::Supervisor(name) => vec![(&known.supervisors, name)],
        FaultTarget::Run(_) | FaultTarget::Executor(_) | FaultTarget::Node => Vec::new(),
    };
    for (names, name) in named {
        if !name.contains('*') {
            names.check(name, path, report);
        } else if !names.known.iter().any(|known| fits(name, known)) {
            let known: Vec<_> = names.known.iter().copied().collect();
            let complaint = Complaint::new(format!("{} fits no {}", quoted(name), names.one));
            report.at(path, complaint.help(listing(names.all, &known)));
        }
    }
}

/// Reports what cannot happen there.
fn kind(fault: &FaultConfig, path: &Path, report: &mut Report<'_>) {
    let unread = ["target", "kind"].map(|key| path.then(key));
    if unread.iter().any(|path| report.is_spoiled(path)) {
        return;
    }
    let (kind, kinds) = (fault.kind.to_string(), fault.target.of_domain().kinds());
    if !kinds.contains(&kind.as_str()) {
        let target = quoted(&fault.target.to_string());
        let complaint = Complaint::new(format!("{} cannot happen to {target}", quoted(&kind)));
        let known: Vec<_> = kinds.iter().map(|kind| quoted(kind)).collect();
        let help = format!("what can: {}", known.join(", "));
        report.at(&path.then("kind"), complaint.help(help));
    }
}

fn delay(fault: &FaultConfig, path: &Path, report: &mut Report<'_>) {
    let (is_delay, at) = (fault.kind == FaultKind::Delay, path.then("delay"));
    if report.is_spoiled(&path.then("kind")) {
        return;
    }
    match fault.delay {
        None if is_delay => report.at(
            &path.then("kind"),
            Complaint::new("a delay without its length").help("add `delay = \"200ms\"`"),
        ),
        Some(_) if !is_delay => report.at_key(
            &at,
            Complaint::new("`delay` without `kind = \"delay\"`").help("remove one of them"),
        ),
        Some(delay) if delay.get() > LONGEST_DELAY => {
            report.at(&at, Complaint::new("`delay` is longer than an hour"));
        }
        _ => {}
    }
}

fn when(fault: &FaultConfig, path: &Path, known: &Known<'_>, report: &mut Report<'_>) {
    one_of(&["at", "every", "chance", "on"], path, report);
    if fault
        .chance
        .is_some_and(|chance| !(chance > 0.0 && chance <= 1.0))
    {
        let complaint = Complaint::new("`chance` must be more than 0 and at most 1");
        report.at(&path.then("chance"), complaint);
    }
    if let Some(event) = &fault.on {
        cause(event, &path.then("on"), known, report);
    } else if fault.nth.is_some() {
        report.at_key(
            &path.then("nth"),
            Complaint::new("`nth` without `on`").help("name the event: `on = \"…\"`"),
        );
    }
}

fn cause(event: &str, path: &Path, known: &Known<'_>, report: &mut Report<'_>) {
    let why = match event {
        NO_CAUSE => "is what a fault writes itself",
        event if TO_COME.contains(&event) => "does not happen in this version",
        event => return known.events.check(event, path, report),
    };
    let complaint = Complaint::new(format!("{} {why}", quoted(event)));
    report.at(path, complaint.help("wait for another event"));
}
