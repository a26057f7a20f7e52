//! Damage in the write-ahead log, which SQLite passes over in silence.
//!
//! SQLite reads its log up to the first frame that is not as it was written and takes that for the end, because after a power cut it
//! is: the last transaction was not yet on the disk. But every transaction before the last one was. So where a frame is wrong and
//! something was written after a commit that follows it, the disk has lost what was acknowledged, and that must not be taken for an end.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, TransactionBehavior};

use super::error::Failure;

const HEADER: usize = 32;
const FRAME_HEADER: usize = 24;
/// The first word of a log whose checksums are over little-endian words; with the last bit set, over big-endian ones.
const MAGIC: u32 = 0x377f_0682;

/// The log's file.
pub(super) fn path(database: &Path) -> PathBuf {
    let mut path = database.as_os_str().to_owned();
    path.push("-wal");
    path.into()
}

/// Looks through the log while nobody writes. It is left as it is, whatever is found; [`fold`] ends that.
pub(super) fn check(conn: &mut Connection, database: &Path) -> Result<(), Failure> {
    if std::fs::metadata(path(database)).map_or(0, |log| log.len()) == 0 {
        return Ok(());
    }
    // Closing would fold the log in as far as SQLite understands it, and remove it.
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    let tx = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let found = File::open(path(database)).and_then(|file| examine(BufReader::new(file)));
    tx.finish()?;
    match found {
        Ok(None) => Ok(()),
        Ok(Some(damage)) => Err(Failure::damage(format!(
            "{damage} of its write-ahead log {} is not as it was written, and what was acknowledged after it would be lost",
            path(database).display()
        ))),
        Err(error) => Err(Failure::Limit(format!(
            "its write-ahead log cannot be read ({error})"
        ))),
    }
}

/// Folds a log that is sound into the database, so that the next one begins empty and no frame of an earlier life lies in it.
pub(super) fn fold(conn: &Connection) -> Result<(), Failure> {
    // Where that fails, as on a full disk, the log goes on as it is.
    let _ = conn.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false)?;
    Ok(())
}

/// The first damage that cannot be the end of a log.
fn examine(mut log: impl Read) -> io::Result<Option<String>> {
    let mut header = [0; HEADER];
    if !fill(&mut log, &mut header)? {
        return Ok(None);
    }
    let Some(mut reading) = Reading::begin(&header) else {
        let mut rest = Vec::new();
        log.take(1 << 20).read_to_end(&mut rest)?;
        // A file that was made and never written to.
        let blank = header.iter().chain(&rest).all(|byte| *byte == 0);
        return Ok((!blank).then(|| "the beginning".to_owned()));
    };
    let mut frame = vec![0; FRAME_HEADER + reading.page];
    while fill(&mut log, &mut frame)? {
        if let Some(wrong) = reading.take(&frame) {
            return Ok(Some(format!("frame {wrong}")));
        }
    }
    Ok(None)
}

/// Whether there was enough to fill it.
fn fill(from: &mut impl Read, buffer: &mut [u8]) -> io::Result<bool> {
    match from.read_exact(buffer) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

/// How far a log has been read. Pure.
struct Reading {
    big_endian: bool,
    page: usize,
    salts: [u8; 8],
    sum: (u32, u32),
    frames: u32,
    wrong: Option<Wrong>,
}

/// The first frame that is not as it was written.
#[derive(Clone, Copy)]
struct Wrong {
    frame: u32,
    /// Whether a transaction ends at or after it.
    committed: bool,
}

impl Reading {
    fn begin(header: &[u8; HEADER]) -> Option<Self> {
        let magic = word(header, 0, true);
        let page = usize::try_from(word(header, 8, true)).ok()?;
        let mut salts = [0; 8];
        salts.copy_from_slice(&header[16..24]);
        let mut reading = Self {
            big_endian: magic & 1 == 1,
            page,
            salts,
            sum: (0, 0),
            frames: 0,
            wrong: None,
        };
        reading.add(&header[..24]);
        let fits = magic & !1 == MAGIC && page.is_power_of_two() && (512..=65536).contains(&page);
        (fits && reading.sum == sum_in(header, 24)).then_some(reading)
    }

    /// Takes in the next frame; the number of the first wrong one, once it is known to be no mere end.
    fn take(&mut self, frame: &[u8]) -> Option<u32> {
        self.frames += 1;
        let ours = frame[8..16] == self.salts;
        if self.wrong.is_none() {
            self.add(&frame[..8]);
            self.add(&frame[FRAME_HEADER..]);
            if ours && self.sum == sum_in(frame, 16) {
                return None;
            }
        }
        let before = self.wrong;
        if ours && before.is_some_and(|wrong| wrong.committed) {
            return before.map(|wrong| wrong.frame);
        }
        let commits = ours && word(frame, 4, true) != 0;
        self.wrong = Some(Wrong {
            frame: before.map_or(self.frames, |wrong| wrong.frame),
            committed: commits || before.is_some_and(|wrong| wrong.committed),
        });
        None
    }

    fn add(&mut self, bytes: &[u8]) {
        let (mut a, mut b) = self.sum;
        for pair in bytes.chunks_exact(8) {
            a = a
                .wrapping_add(word(pair, 0, self.big_endian))
                .wrapping_add(b);
            b = b
                .wrapping_add(word(pair, 4, self.big_endian))
                .wrapping_add(a);
        }
        self.sum = (a, b);
    }
}

fn word(bytes: &[u8], at: usize, big_endian: bool) -> u32 {
    let mut word = [0; 4];
    word.copy_from_slice(&bytes[at..at + 4]);
    match big_endian {
        true => u32::from_be_bytes(word),
        false => u32::from_le_bytes(word),
    }
}

fn sum_in(bytes: &[u8], at: usize) -> (u32, u32) {
    (word(bytes, at, true), word(bytes, at + 4, true))
}
