//! The way from a file's root to one of its settings.

use std::fmt;

/// One step of a [`Path`].
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Step {
    Key(String),
    Index(usize),
}

impl From<&str> for Step {
    fn from(key: &str) -> Self {
        Self::Key(key.to_owned())
    }
}

impl From<&String> for Step {
    fn from(key: &String) -> Self {
        Self::Key(key.clone())
    }
}

impl From<usize> for Step {
    fn from(index: usize) -> Self {
        Self::Index(index)
    }
}

/// Where a setting stands in a file, such as `agents.lead.tools[2]`.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Path(pub(crate) Vec<Step>);

/// `setting!["agents", name, "tools", 2]`
macro_rules! setting {
    ($($step:expr),* $(,)?) => {
        $crate::config::path::Path(vec![$($crate::config::path::Step::from($step)),*])
    };
}
pub(crate) use setting;

impl Path {
    pub(crate) fn then(&self, step: impl Into<Step>) -> Self {
        let mut steps = self.0.clone();
        steps.push(step.into());
        Self(steps)
    }

    /// This path and all it leads through, the nearest first.
    pub(crate) fn ancestors(&self) -> impl Iterator<Item = Self> {
        (0..=self.0.len()).rev().map(|n| Self(self.0[..n].to_vec()))
    }

    /// Whether it is one that a pattern such as `agents.*.tools.*` means.
    pub(crate) fn fits(&self, pattern: &str) -> bool {
        let mut wanted = pattern.split('.');
        self.0.iter().all(|step| match (wanted.next(), step) {
            (Some("*"), _) => true,
            (Some(name), Step::Key(key)) => name == key,
            _ => false,
        }) && wanted.next().is_none()
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, step) in self.0.iter().enumerate() {
            match step {
                Step::Key(key) if i == 0 => write!(f, "{key}")?,
                Step::Key(key) => write!(f, ".{key}")?,
                Step::Index(index) => write!(f, "[{index}]")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn patterns_fit_whole_paths_only() {
        let tool = setting!["agents", "lead", "tools", 2];
        assert_eq!(tool.to_string(), "agents.lead.tools[2]");
        assert!(tool.fits("agents.*.tools.*"));
        assert!(!tool.fits("agents.*.tools"));
        assert!(!tool.fits("agents.*.tools.*.*"));
        assert!(!tool.fits("agents.*.mcp.*"));
    }
}
