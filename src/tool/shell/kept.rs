//! Output of which the beginning and the end are kept.

use std::collections::VecDeque;

/// Bytes as they came, the middle left out where they are too many.
#[derive(Debug)]
pub(super) struct Kept {
    head: Vec<u8>,
    tail: VecDeque<u8>,
    most_head: usize,
    most_tail: usize,
    total: u64,
}

impl Kept {
    /// Keeps at most about `most` bytes.
    pub(super) fn new(most: usize) -> Self {
        Self {
            head: Vec::new(),
            tail: VecDeque::new(),
            most_head: most / 2,
            most_tail: most - most / 2,
            total: 0,
        }
    }

    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.total += bytes.len() as u64;
        let (head, rest) = bytes.split_at(bytes.len().min(self.most_head - self.head.len()));
        self.head.extend_from_slice(head);
        let rest = &rest[rest.len().saturating_sub(self.most_tail)..];
        let room = self.most_tail - rest.len();
        self.tail.drain(..self.tail.len().saturating_sub(room));
        self.tail.extend(rest);
    }

    /// The text, with a line in the middle where something is left out.
    pub(super) fn text(self) -> String {
        let left_out = self.total - (self.head.len() + self.tail.len()) as u64;
        let tail: Vec<u8> = self.tail.into();
        if left_out == 0 {
            return String::from_utf8_lossy(&[self.head, tail].concat()).into_owned();
        }
        format!(
            "{}\n[{left_out} of {} bytes left out here; to see them, send the output to a file and use grep or read_file]\n{}",
            String::from_utf8_lossy(&self.head),
            self.total,
            String::from_utf8_lossy(whole_characters(&tail))
        )
    }
}

/// Without the rest of a character whose beginning was left out.
fn whole_characters(bytes: &[u8]) -> &[u8] {
    let rest = bytes
        .iter()
        .take(3)
        .take_while(|byte| **byte & 0xC0 == 0x80);
    &bytes[rest.count()..]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_beginning_and_the_end_are_kept(pieces in proptest::collection::vec("[a-zé]{0,20}", 0..12), most in 0usize..64) {
            let all = pieces.concat();
            let mut kept = Kept::new(most);
            pieces.iter().for_each(|piece| kept.push(piece.as_bytes()));
            let text = kept.text();
            if all.len() <= most / 2 * 2 {
                prop_assert_eq!(text, all);
            } else if all.len() > most {
                let (head, rest) = text.split_once("\n[").unwrap();
                let (_, tail) = rest.split_once("]\n").unwrap();
                let whole = head.trim_end_matches(char::REPLACEMENT_CHARACTER);
                prop_assert!(all.starts_with(whole));
                prop_assert!(all.ends_with(tail));
                prop_assert!(head.len() + tail.len() <= most + 3);
            }
        }
    }
}
