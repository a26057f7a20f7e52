//! Patterns of file names.

use std::path::Path;

use actors::model::executor::CallError;
use globset::{GlobBuilder, GlobMatcher};

use super::bad_arguments;

/// A pattern; one without a slash matches the name in any folder.
pub(super) struct Pattern {
    glob: GlobMatcher,
    name_only: bool,
}

impl Pattern {
    pub(super) fn new(text: &str) -> Result<Self, CallError> {
        let glob = GlobBuilder::new(text.trim_start_matches("./"))
            .literal_separator(true)
            .build()
            .map_err(|error| bad_arguments(format!("`{text}` is not a pattern: {error}")))?;
        Ok(Self {
            glob: glob.compile_matcher(),
            name_only: !text.contains('/'),
        })
    }

    pub(super) fn matches(&self, path: &Path) -> bool {
        match (self.name_only, path.file_name()) {
            (true, Some(name)) => self.glob.is_match(name),
            _ => self.glob.is_match(path),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slash_decides_where_it_matches() {
        let matches =
            |pattern: &str, path: &str| Pattern::new(pattern).unwrap().matches(Path::new(path));
        assert!(matches("*.rs", "a/b/c.rs"));
        assert!(!matches("a/*.rs", "a/b/c.rs"));
        assert!(matches("a/**/*.rs", "a/b/c.rs"));
        assert!(matches("./a/*/c.{rs,toml}", "a/b/c.rs"));
        assert!(Pattern::new("[").is_err());
    }
}
