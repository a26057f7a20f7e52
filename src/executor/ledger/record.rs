//! The ledger's lines: a checksum, a space, a record as JSON.

use actors::model::CallId;
use actors::model::executor::CallOutcome;
use serde::{Deserialize, Serialize};

/// The version of these lines.
pub(super) const VERSION: u32 = 1;

const SUM: usize = 16;

/// What is written down.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "record", rename_all = "snake_case")]
pub(super) enum Record {
    /// The first line of every ledger.
    Ledger {
        version: u32,
        /// Which ledger it is, from its making on.
        #[serde(default)]
        id: String,
        /// How many lines it had ever been given when this file was written, and how many of them follow at once.
        #[serde(default)]
        given: u64,
        #[serde(default)]
        kept: u64,
    },
    /// The call is about to begin.
    Begun {
        call_id: CallId,
        epoch: u64,
        tool: String,
    },
    /// A later epoch has asked for it.
    Epoch { call_id: CallId, epoch: u64 },
    /// It has ended.
    Result {
        call_id: CallId,
        outcome: CallOutcome,
    },
    /// The node has its result: it can be forgotten.
    Acked { call_id: CallId },
}

impl Record {
    /// The line, with its end.
    pub(super) fn line(&self) -> Result<Vec<u8>, serde_json::Error> {
        let json = serde_json::to_vec(self)?;
        let mut line = sum(&json).into_bytes();
        line.push(b' ');
        line.extend(json);
        line.push(b'\n');
        Ok(line)
    }

    fn of(line: &[u8]) -> Option<Self> {
        let (sum_read, rest) = line.split_at_checked(SUM)?;
        let json = rest.strip_prefix(b" ")?;
        (sum_read == sum(json).as_bytes())
            .then(|| serde_json::from_slice(json).ok())
            .flatten()
    }
}

pub(super) fn sum(json: &[u8]) -> String {
    blake3::hash(json).to_hex()[..SUM].to_owned()
}

/// What a file holds.
#[derive(Debug, PartialEq)]
pub(super) struct Read {
    pub(super) records: Vec<Record>,
    /// How many bytes they take; what follows was torn off in the middle of being written.
    pub(super) whole: usize,
}

/// Reads a file. What follows the last end of a line was torn off in the middle of being written: nobody was told of it. All else
/// must be whole; the error is the number of the line that is not.
pub(super) fn read(file: &[u8]) -> Result<Read, usize> {
    let mut read = Read {
        records: Vec::new(),
        whole: 0,
    };
    for line in file.split_inclusive(|byte| *byte == b'\n') {
        let ended = line.strip_suffix(b"\n");
        match (Record::of(ended.unwrap_or(line)), ended) {
            (Some(record), _) => read.records.push(record),
            (None, Some(_)) => return Err(read.records.len() + 1),
            (None, None) => break,
        }
        read.whole += line.len();
    }
    Ok(read)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn records() -> Vec<Record> {
        let call_id = CallId("run/0.0".to_owned());
        vec![
            Record::Ledger {
                version: VERSION,
                id: "a".to_owned(),
                given: 7,
                kept: 0,
            },
            Record::Begun {
                call_id: call_id.clone(),
                epoch: 1,
                tool: "shell".to_owned(),
            },
            Record::Epoch {
                call_id: call_id.clone(),
                epoch: 2,
            },
            Record::Result {
                call_id: call_id.clone(),
                outcome: CallOutcome::Ok("a\nb".to_owned()),
            },
            Record::Acked { call_id },
        ]
    }

    fn file() -> Vec<u8> {
        records()
            .iter()
            .flat_map(|record| record.line().unwrap())
            .collect()
    }

    #[test]
    fn a_file_torn_anywhere_holds_what_was_whole() {
        let file = file();
        for end in 0..=file.len() {
            let read = read(&file[..end]).unwrap();
            // A line that lacks nothing but its end is whole.
            let ends = file[..end].iter().chain(file.get(end));
            let whole = ends.filter(|byte| **byte == b'\n').count();
            assert_eq!(read.records, records()[..whole], "torn at {end}");
            assert!(read.whole <= end);
        }
    }

    #[test]
    fn a_change_anywhere_but_at_the_very_end_is_found() {
        let file = file();
        for at in 0..file.len() {
            let mut changed = file.clone();
            changed[at] ^= 1;
            assert_eq!(read(&changed).is_ok(), at + 1 == file.len(), "at {at}");
        }
    }
}
