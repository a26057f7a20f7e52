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
    Ledger { version: u32 },
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

fn sum(json: &[u8]) -> String {
    blake3::hash(json).to_hex()[..SUM].to_owned()
}

/// What a file holds.
#[derive(Debug, PartialEq)]
pub(super) struct Read {
    pub(super) records: Vec<Record>,
    /// How many bytes they take; what follows was torn off in the middle of being written.
    pub(super) whole: usize,
}

/// Reads a file. Its last line may be torn: nobody was told of it. Any other must be whole; the error is the number of one that is not.
pub(super) fn read(file: &[u8]) -> Result<Read, usize> {
    let mut read = Read {
        records: Vec::new(),
        whole: 0,
    };
    let mut lines = file.split_inclusive(|byte| *byte == b'\n').peekable();
    while let Some(line) = lines.next() {
        let record = line.strip_suffix(b"\n").and_then(Record::of);
        match record {
            Some(record) => read.records.push(record),
            None if lines.peek().is_none() => break,
            None => return Err(read.records.len() + 1),
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
            Record::Ledger { version: VERSION },
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
            let whole = file[..end].iter().filter(|byte| **byte == b'\n').count();
            assert_eq!(read.records, records()[..whole], "torn at {end}");
            assert!(read.whole <= end);
        }
    }

    #[test]
    fn a_change_anywhere_but_in_the_last_line_is_found() {
        let file = file();
        let last = file.len() - records()[4].line().unwrap().len();
        for at in 0..file.len() {
            let mut changed = file.clone();
            changed[at] ^= 1;
            match read(&changed) {
                Ok(read) => assert!(at + 1 >= last && read.records.len() == 4, "at {at}"),
                Err(_) => assert!(at < last, "at {at}"),
            }
        }
    }
}
