//! The faults that strike inside the tree, as its supervisors know them. Pure.

use supervision::{FaultKind, Point, Root, Trigger};

use super::plan::{Fault, Kind, Target, When};
use super::shared::Faults;

impl Faults {
    /// The root of the tree with those faults.
    #[must_use]
    pub fn in_tree(&self, root: Root) -> Root {
        let Some(shared) = self.shared() else {
            return root;
        };
        let faults = shared.plan.0.iter().zip(&shared.triggers);
        let faults: Vec<_> = faults
            .filter_map(|(fault, trigger)| in_tree(fault, trigger))
            .collect();
        match faults.is_empty() {
            true => root,
            false => root.faults(supervision::FaultPlan { seed: 0, faults }),
        }
    }
}

fn in_tree(fault: &Fault, trigger: &Trigger) -> Option<supervision::Fault> {
    let path = match &fault.target {
        _ if fault.is_active() => return None,
        Target::Agent(name) => format!("system/tasks/*/agents/{name}"),
        Target::Run(name) => format!("system/tasks/*/runs/{name}"),
        _ => return None,
    };
    let kind = match fault.kind {
        Kind::Panic => FaultKind::Panic,
        Kind::Kill => FaultKind::Kill,
        Kind::Hang => FaultKind::Hang,
        Kind::Delay(time) => FaultKind::Slow(time),
        Kind::Error => FaultKind::Error,
        Kind::Drop | Kind::Duplicate | Kind::Corrupt | Kind::Disconnect => return None,
    };
    let in_tree = supervision::Fault::new(path, Point::Handle, kind);
    Some(in_tree.when(when(&fault.when, trigger)).seed(fault.seed))
}

fn when(when: &When, trigger: &Trigger) -> supervision::When {
    let always = supervision::When::default();
    match when {
        When::At(at) => supervision::When {
            after: *at,
            at_most: Some(1),
            ..always
        },
        When::Every(every) => supervision::When {
            after: *every,
            apart: *every,
            ..always
        },
        When::Chance(chance) => supervision::When {
            chance: *chance,
            ..always
        },
        When::On { .. } => supervision::When {
            trigger: Some(trigger.clone()),
            ..always
        },
    }
}
