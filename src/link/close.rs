//! Why a connection is closed, as it is said to the other end.

use std::fmt;

/// The codes. Those from 4000 on are the protocol's own.
pub mod code {
    /// Either end is going away; come back later.
    pub const AWAY: u16 = 1001;
    /// What came was no WebSocket.
    pub const BROKEN: u16 = 1002;
    /// A binary frame.
    pub const BINARY: u16 = 1003;
    /// A text that is not UTF-8.
    pub const NOT_TEXT: u16 = 1007;
    /// A frame that the protocol does not have, or not there.
    pub const POLICY: u16 = 1008;
    /// A frame that is too long.
    pub const TOO_LONG: u16 = 1009;
    /// The node let go of the connection; connect again.
    pub const AGAIN: u16 = 1012;
    /// The key is not known, or not any more.
    pub const UNAUTHORIZED: u16 = 4401;
    /// The key is not for this project any more.
    pub const FORBIDDEN: u16 = 4403;
    /// A newer connection of the same executor has taken this one's place.
    pub const REPLACED: u16 = 4409;
    /// The two ends speak different versions.
    pub const VERSION: u16 = 4426;
}

/// A WebSocket has no room for more, in bytes.
const REASON: usize = 123;

/// Why a connection is closed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Close {
    /// One of [`code`], or any other that a WebSocket may have.
    pub code: u16,
    /// In words.
    pub reason: String,
}

impl Close {
    /// With this code and these words, as far as there is room for them.
    #[must_use]
    pub fn new(code: u16, reason: impl Into<String>) -> Self {
        let mut reason = reason.into();
        if reason.len() > REASON {
            reason.truncate(reason.floor_char_boundary(REASON - '…'.len_utf8()));
            reason.push('…');
        }
        Self { code, reason }
    }
}

impl fmt::Display for Close {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.reason.is_empty() {
            true => write!(f, "closed with {}", self.code),
            false => write!(f, "{} ({})", self.reason, self.code),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_cut_where_a_websocket_has_no_more_room() {
        for letter in ["a", "é", "…", "𝄞"] {
            let close = Close::new(code::POLICY, letter.repeat(200));
            assert!(close.reason.len() <= REASON);
            assert!(close.reason.len() > REASON - 8);
            assert!(close.reason.ends_with('…'));
        }
        assert_eq!(Close::new(1, "x".repeat(REASON)).reason.len(), REASON);
    }
}
