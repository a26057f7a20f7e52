//! How the program ends.

use std::process::ExitCode;

/// What a command came to, as scripts see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Done.
    Done,
    /// The work failed.
    Failed,
    /// Bad usage or a bad file; nothing was started.
    Refused,
    /// The node could not be reached, or refused.
    Unreachable,
    /// Interrupted.
    Interrupted,
}

impl Exit {
    pub(super) const HELP: &'static str = "Exit codes: 0 done, 1 the work failed, 2 bad usage or a bad file (nothing was started), \
        3 the node could not be reached or refused, 130 interrupted";

    /// The number.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Refused => 2,
            Self::Unreachable => 3,
            Self::Interrupted => 130,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        exit.code().into()
    }
}
