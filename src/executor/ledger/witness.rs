//! A second place that knows which ledger there was and how long it had become, so that one that was lost or cut short is not taken
//! for one that never knew of a call.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::file::{put, sync_folder};
use super::record::sum;

/// No witness is longer, in bytes.
const LONGEST: u64 = 256;

/// How far a ledger had come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mark {
    /// Which ledger.
    pub(super) id: String,
    /// How many lines it had been given.
    pub(super) given: u64,
}

impl Mark {
    /// What the witness says, if it is there and whole.
    pub(super) fn read(path: &Path) -> io::Result<Option<Self>> {
        let file = match File::open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            opened => opened?,
        };
        let mut bytes = Vec::new();
        file.take(LONGEST).read_to_end(&mut bytes)?;
        Ok(std::str::from_utf8(&bytes).ok().and_then(Self::of))
    }

    /// Makes the witness say this, also after a power cut.
    pub(super) fn make(&self, path: &Path) -> io::Result<File> {
        let file = put(path, self.line().as_bytes())?;
        sync_folder(path)?;
        Ok(file)
    }

    /// Makes it say this, also after the death of this process; a power cut may take it back to what it said before.
    pub(super) fn tell(&self, witness: &File) -> io::Result<()> {
        witness.write_all_at(self.line().as_bytes(), 0)
    }

    /// Always as long for one ledger, so that what is overwritten is overwritten wholly.
    fn line(&self) -> String {
        let text = format!("{} {:020}", self.id, self.given);
        format!("{} {text}\n", sum(text.as_bytes()))
    }

    fn of(line: &str) -> Option<Self> {
        let (sum_read, text) = line.strip_suffix('\n')?.split_once(' ')?;
        let (id, given) = text.split_once(' ')?;
        let mark = Self {
            id: id.to_owned(),
            given: given.parse().ok()?,
        };
        (sum_read == sum(text.as_bytes())).then_some(mark)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_whole_witness_says_anything() {
        let mark = Mark {
            id: "abc".to_owned(),
            given: 12,
        };
        let line = mark.line();
        assert_eq!(Mark::of(&line), Some(mark));
        for end in 0..line.len() {
            assert_eq!(Mark::of(&line[..end]), None, "torn at {end}");
            let mut changed = line.clone().into_bytes();
            changed[end] ^= 1;
            let changed = String::from_utf8(changed).unwrap();
            assert_eq!(Mark::of(&changed), None, "changed at {end}");
        }
    }
}
