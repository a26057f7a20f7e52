//! Output as it is shown while a command runs: pieces for people to watch, which never hold the command up.

use super::super::Watch;

/// The longest piece.
const PIECE: usize = 16 * 1024;

/// How much waits while nobody can take it.
const WAITING: usize = 64 * 1024;

/// Shows output in pieces. What nobody takes in time is passed over, and so is what is beyond the limit; both with a note.
pub(super) struct Live {
    watch: Watch,
    /// Bytes of a character that has not come whole yet, and what has not been taken yet.
    broken: Vec<u8>,
    waiting: String,
    passed_over: usize,
    /// How much may still be shown.
    left: usize,
}

impl Live {
    pub(super) fn new(watch: Watch, most: usize) -> Self {
        Self {
            watch,
            broken: Vec::new(),
            waiting: String::new(),
            passed_over: 0,
            left: most,
        }
    }

    pub(super) fn is_waiting(&self) -> bool {
        !self.waiting.is_empty() || self.passed_over > 0
    }

    pub(super) fn push(&mut self, bytes: &[u8]) {
        if self.left == 0 {
            return;
        }
        self.broken.extend_from_slice(bytes);
        let whole = whole(&self.broken);
        let text = String::from_utf8_lossy(&self.broken[..whole]).into_owned();
        self.broken.drain(..whole);
        let (shown, rest) = text.split_at(text.floor_char_boundary(self.left));
        self.left -= shown.len();
        self.waiting.push_str(shown);
        if !rest.is_empty() {
            self.left = 0;
            self.waiting
                .push_str("\n[more output is not shown while it runs]\n");
        }
        self.keep_up();
    }

    /// Lets go of the oldest part of what nobody took.
    fn keep_up(&mut self) {
        let too_much = self.waiting.len().saturating_sub(WAITING);
        let cut = self.waiting.ceil_char_boundary(too_much);
        self.waiting.drain(..cut);
        self.passed_over += cut;
    }

    /// Shows one piece, if somebody can take it now.
    pub(super) fn flush(&mut self) {
        if !self.is_waiting() {
            return;
        }
        let end = self.waiting.floor_char_boundary(PIECE);
        let mut piece: String = self.waiting.drain(..end).collect();
        if self.passed_over > 0 {
            piece = format!("[{} bytes passed over]\n{piece}", self.passed_over);
        }
        let note = piece.len() - end;
        match (self.watch)(piece) {
            Ok(()) => self.passed_over = 0,
            Err(piece) => self.waiting.insert_str(0, &piece[note..]),
        }
    }
}

/// How many bytes hold only whole characters: all, but for the beginning of one at the end.
fn whole(bytes: &[u8]) -> usize {
    match std::str::from_utf8(bytes) {
        Err(error) if error.error_len().is_none() => error.valid_up_to(),
        Err(_) => match bytes.iter().rposition(|byte| byte & 0xC0 != 0x80) {
            Some(start) if bytes[start] >= 0xC0 && bytes.len() - start < 4 => start,
            _ => bytes.len(),
        },
        Ok(_) => bytes.len(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use proptest::prelude::*;

    use super::*;

    /// Somebody who takes only while `open`.
    #[derive(Default, Clone)]
    struct Somebody(Arc<Mutex<(bool, String)>>);

    impl Somebody {
        fn watch(&self) -> Watch {
            let somebody = self.clone();
            Box::new(move |piece| {
                let mut state = somebody.0.lock().unwrap();
                if !state.0 {
                    return Err(piece);
                }
                state.1.push_str(&piece);
                Ok(())
            })
        }

        fn open(&self) {
            self.0.lock().unwrap().0 = true;
        }

        fn seen(&self) -> String {
            self.0.lock().unwrap().1.clone()
        }
    }

    fn drain(live: &mut Live) {
        while live.is_waiting() {
            live.flush();
        }
    }

    #[test]
    fn what_nobody_takes_is_passed_over_with_a_note() {
        let somebody = Somebody::default();
        let mut live = Live::new(somebody.watch(), usize::MAX);
        for _ in 0..10 {
            live.push("é".repeat(5000).as_bytes());
            live.flush();
        }
        somebody.open();
        drain(&mut live);
        let seen = somebody.seen();
        assert!(
            seen.starts_with("[34464 bytes passed over]\né"),
            "{}",
            &seen[..40]
        );
        assert_eq!(seen.matches('é').count() * 2 + 34464, 100_000);
    }

    #[test]
    fn beyond_the_limit_there_is_one_note() {
        let somebody = Somebody::default();
        somebody.open();
        let mut live = Live::new(somebody.watch(), 5);
        for _ in 0..3 {
            live.push(b"abc");
        }
        drain(&mut live);
        assert_eq!(
            somebody.seen(),
            "abcab\n[more output is not shown while it runs]\n"
        );
    }

    proptest! {
        #[test]
        fn characters_come_whole_however_they_are_cut(text in "[aé€😀]{0,30}", size in 1usize..5) {
            let somebody = Somebody::default();
            somebody.open();
            let mut live = Live::new(somebody.watch(), usize::MAX);
            for piece in text.as_bytes().chunks(size) {
                live.push(piece);
                live.flush();
            }
            drain(&mut live);
            prop_assert_eq!(somebody.seen(), text);
        }

        #[test]
        fn bytes_that_are_no_text_do_no_harm(bytes in proptest::collection::vec(any::<u8>(), 0..60), size in 1usize..5) {
            let somebody = Somebody::default();
            somebody.open();
            let mut live = Live::new(somebody.watch(), usize::MAX);
            for piece in bytes.chunks(size) {
                live.push(piece);
            }
            drain(&mut live);
            prop_assert!(live.broken.len() < 4);
        }
    }
}
