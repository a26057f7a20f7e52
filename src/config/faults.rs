//! From `[[faults]]` to a plan as the domain knows it.

use actors::fault::{Fault, FaultPlan, Kind, Target, When};

use super::file::{Config, FaultConfig, FaultKind, FaultTarget};

impl Config {
    /// The faults of the file.
    #[must_use]
    pub fn fault_plan(&self) -> FaultPlan {
        FaultPlan(self.faults.iter().map(FaultConfig::fault).collect())
    }
}

impl FaultConfig {
    fn fault(&self) -> Fault {
        Fault {
            target: self.target.of_domain(),
            kind: self.kind_of_domain(),
            when: self.when(),
            seed: self.seed,
        }
    }

    fn kind_of_domain(&self) -> Kind {
        match self.kind {
            FaultKind::Panic => Kind::Panic,
            FaultKind::Kill => Kind::Kill,
            FaultKind::Hang => Kind::Hang,
            FaultKind::Delay => Kind::Delay(self.delay.unwrap_or_default().get()),
            FaultKind::Drop => Kind::Drop,
            FaultKind::Duplicate => Kind::Duplicate,
            FaultKind::Corrupt => Kind::Corrupt,
            FaultKind::Error => Kind::Error,
            FaultKind::Disconnect => Kind::Disconnect,
        }
    }

    fn when(&self) -> When {
        let nth = self.nth.map(|nth| u64::from(nth.get()));
        match (self.at, self.every, self.chance, &self.on) {
            (Some(at), ..) => When::At(at.get()),
            (_, Some(every), ..) => When::Every(every.get()),
            (.., Some(chance), _) => When::Chance(chance),
            (.., Some(event)) => {
                let event = event.clone();
                When::On { event, nth }
            }
            // No file says so.
            (None, None, None, None) => When::Chance(0.0),
        }
    }
}

impl FaultTarget {
    pub(crate) fn of_domain(&self) -> Target {
        match self.clone() {
            Self::Agent(name) => Target::Agent(name),
            Self::Run(name) => Target::Run(name),
            Self::Provider(name) => Target::Provider(name),
            Self::Executor(name) => Target::Executor(name),
            Self::Link(from, to) => Target::Link(from, to),
            Self::Supervisor(name) => Target::Supervisor(name),
            Self::Node => Target::Node,
        }
    }
}
