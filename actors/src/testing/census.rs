//! Counts what befell a simulation.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How often each kind of thing happened. Clones count together.
#[derive(Debug, Clone, Default)]
pub struct Census(Arc<Mutex<BTreeMap<String, u64>>>);

impl Census {
    fn counts(&self) -> MutexGuard<'_, BTreeMap<String, u64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// It happened once more.
    pub fn note(&self, what: impl Into<String>) {
        *self.counts().entry(what.into()).or_default() += 1;
    }

    /// All that another one counted happened too.
    pub fn add(&self, other: &BTreeMap<String, u64>) {
        let mut counts = self.counts();
        for (what, times) in other {
            *counts.entry(what.clone()).or_default() += times;
        }
    }

    /// What was counted so far.
    #[must_use]
    pub fn all(&self) -> BTreeMap<String, u64> {
        self.counts().clone()
    }
}

impl fmt::Display for Census {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (what, times) in self.all() {
            writeln!(f, "{times:>9}  {what}")?;
        }
        Ok(())
    }
}
