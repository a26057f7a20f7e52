//! The executor's memory of calls, on disk: appended to and synced, written anew when much of it has been acknowledged.

mod book;
mod file;
mod record;

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use actors::model::CallId;
use actors::model::executor::{CallError, CallErrorCode, CallOutcome};

use super::OpenError;
use book::Book;
pub(super) use book::{Entry, State};
pub(super) use file::read_or_make;
use file::{Sync, Writer, lock, private, put, sync_folder};
use record::{Record, VERSION};

/// Why the ledger cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// A line that is not the last is not what was written.
    #[error(
        "the ledger {path} is damaged in line {line}: what calls did cannot be told; restore the file, or move it away and treat every \
         call that was under way as interrupted",
        path = path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
    },
    /// It was written by another version.
    #[error("the ledger {path} is of version {version} and this program knows {VERSION}: use the program that wrote it", path = path.display())]
    Version {
        /// The file.
        path: PathBuf,
        /// Its version.
        version: u32,
    },
    /// It is as large as it may be.
    #[error("the ledger is full ({what}): the node does not acknowledge results")]
    Full {
        /// Of what.
        what: String,
    },
    /// It can neither be read nor written.
    #[error("cannot use the ledger {path}: {source}", path = path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// An earlier write failed so that what is on disk is not known.
    #[error("the ledger {path} could not be synced: what is on disk is unknown; open the executor again", path = path.display())]
    Unknown {
        /// The file.
        path: PathBuf,
    },
}

/// How large a ledger may be.
#[derive(Debug, Clone, Copy)]
pub(super) struct LedgerLimits {
    pub(super) entries: usize,
    pub(super) bytes: u64,
    pub(super) compact: u64,
}

/// The calls that have not been acknowledged, durably. One process at a time has it.
#[derive(Debug)]
pub(super) struct Ledger {
    path: PathBuf,
    limits: LedgerLimits,
    file: Mutex<Writer>,
    book: Mutex<Book>,
    /// Held as long as this lives; the system lets go of it when the process dies.
    lock: File,
}

impl Ledger {
    /// Opens the ledger in `state_dir`, which is then its own.
    pub(super) fn open(state_dir: &Path, limits: LedgerLimits) -> Result<Self, OpenError> {
        let lock = lock(state_dir)?;
        let path = state_dir.join("ledger");
        Ok(Self::load(path, limits, lock)?)
    }

    /// Whether an earlier life has begun calls that it did not end.
    pub(super) fn has_unfinished(&self) -> bool {
        !locked(&self.book).unfinished().is_empty()
    }

    /// Records what was begun in an earlier life and did not end as interrupted.
    pub(super) fn interrupt_unfinished(&self) -> Result<(), LedgerError> {
        let unfinished = locked(&self.book).unfinished();
        for (call_id, tool) in unfinished {
            self.finish(&call_id, interrupted(&tool))?;
        }
        Ok(())
    }

    fn load(path: PathBuf, limits: LedgerLimits, lock: File) -> Result<Self, LedgerError> {
        let failed = |source| LedgerError::Io {
            path: path.clone(),
            source,
        };
        let mut file = private(&path).map_err(failed)?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(failed)?;
        let read = record::read(&bytes).map_err(|line| LedgerError::Damaged {
            path: path.clone(),
            line,
        })?;
        match read.records.first() {
            None | Some(Record::Ledger { version: VERSION }) => {}
            Some(Record::Ledger { version }) => {
                let version = *version;
                return Err(LedgerError::Version { path, version });
            }
            Some(_) => return Err(LedgerError::Damaged { path, line: 1 }),
        }
        let book = Book::of(read.records);
        let ledger = Self {
            limits,
            file: Mutex::new(Writer {
                file,
                length: read.whole as u64,
                live: 0,
                broken: false,
            }),
            book: Mutex::new(book),
            lock,
            path,
        };
        ledger.rewrite(&mut locked(&ledger.file))?;
        Ok(ledger)
    }

    /// What is known of a call.
    pub(super) fn entry(&self, call_id: &CallId) -> Option<Entry> {
        locked(&self.book).entries.get(call_id).cloned()
    }

    /// All results that have not been acknowledged.
    pub(super) fn results(&self) -> Vec<(CallId, CallOutcome)> {
        let book = locked(&self.book);
        let entries = book.entries.iter();
        entries
            .filter_map(|(call_id, entry)| match &entry.state {
                State::Done(outcome) => Some((call_id.clone(), outcome.clone())),
                _ => None,
            })
            .collect()
    }

    /// Records that a call begins. When this returns, no crash makes it begin again.
    pub(super) fn begin(
        &self,
        call_id: &CallId,
        epoch: u64,
        tool: &str,
    ) -> Result<(), LedgerError> {
        self.room()?;
        self.append(Record::Begun {
            call_id: call_id.clone(),
            epoch,
            tool: tool.to_owned(),
        })
    }

    /// Remembers a call without effect, in memory only.
    pub(super) fn note(&self, call_id: &CallId, epoch: u64) -> Result<(), LedgerError> {
        self.room()?;
        locked(&self.book).note(call_id, epoch);
        Ok(())
    }

    /// Records how a call ended. The first end stays; the one that stands is returned.
    pub(super) fn finish(
        &self,
        call_id: &CallId,
        outcome: CallOutcome,
    ) -> Result<CallOutcome, LedgerError> {
        if !matches!(
            self.entry(call_id),
            Some(Entry {
                state: State::Done(_),
                ..
            })
        ) {
            self.append(Record::Result {
                call_id: call_id.clone(),
                outcome: outcome.clone(),
            })?;
        }
        match self.entry(call_id) {
            Some(Entry {
                state: State::Done(first),
                ..
            }) => Ok(first),
            _ => Ok(outcome),
        }
    }

    /// Records that a later epoch asked for a call.
    pub(super) fn raise(&self, call_id: &CallId, epoch: u64) -> Result<(), LedgerError> {
        match self.entry(call_id) {
            Some(Entry {
                state: State::Pure, ..
            }) => self.note(call_id, epoch),
            Some(_) => self.append(Record::Epoch {
                call_id: call_id.clone(),
                epoch,
            }),
            None => Ok(()),
        }
    }

    /// Forgets a call that has ended. Says whether the disk is to forget it too.
    pub(super) fn forget(&self, call_id: &CallId) -> bool {
        locked(&self.book).forget(call_id)
    }

    /// Lets the disk forget a call. Nothing is lost if that does not come to pass: its result is sent once more then.
    pub(super) fn record_forgotten(&self, call_id: CallId) -> Result<(), LedgerError> {
        let line = self.encoded(&Record::Acked {
            call_id: call_id.clone(),
        })?;
        let mut writer = locked(&self.file);
        // Begun anew meanwhile, it must stay known.
        if locked(&self.book).entries.contains_key(&call_id) {
            return Ok(());
        }
        self.write(&mut writer, &line, Sync::No)?;
        self.tidy(&mut writer)
    }

    fn room(&self) -> Result<(), LedgerError> {
        let entries = locked(&self.book).entries.len();
        let bytes = locked(&self.file).length;
        let full = |what| Err(LedgerError::Full { what });
        match () {
            () if entries >= self.limits.entries => full(format!("{entries} calls")),
            () if bytes >= self.limits.bytes => full(format!("{bytes} bytes")),
            () => Ok(()),
        }
    }

    /// Writes a record, sees it to the disk, and only then knows it.
    fn append(&self, record: Record) -> Result<(), LedgerError> {
        let line = self.encoded(&record)?;
        let mut writer = locked(&self.file);
        self.write(&mut writer, &line, Sync::Yes)?;
        locked(&self.book).apply(record);
        self.tidy(&mut writer)
    }

    fn write(&self, writer: &mut Writer, line: &[u8], sync: Sync) -> Result<(), LedgerError> {
        self.known(writer)?;
        let written = writer.append(line, sync);
        self.known(writer)?;
        written.map_err(|source| self.failed(source))
    }

    fn known(&self, writer: &Writer) -> Result<(), LedgerError> {
        match writer.broken {
            true => Err(LedgerError::Unknown {
                path: self.path.clone(),
            }),
            false => Ok(()),
        }
    }

    /// Writes the file anew if most of it is not needed any more. Where that fails before the new file is in its place, the old one
    /// goes on.
    fn tidy(&self, writer: &mut Writer) -> Result<(), LedgerError> {
        let limit = self.limits.compact.max(writer.live);
        if writer.length <= limit.saturating_mul(2) {
            return Ok(());
        }
        let tidied = self.rewrite(writer);
        self.known(writer)?;
        tidied.unwrap_or_else(|error| tracing::warn!(%error, "the ledger stays as long as it is"));
        Ok(())
    }

    /// Puts a file that holds only what is needed in place of the old one, wholly or not at all.
    fn rewrite(&self, writer: &mut Writer) -> Result<(), LedgerError> {
        let mut bytes = self.encoded(&Record::Ledger { version: VERSION })?;
        for record in locked(&self.book).records() {
            bytes.extend(self.encoded(&record)?);
        }
        let failed = |source| self.failed(source);
        let file = put(&self.path, &bytes).map_err(failed)?;
        *writer = Writer {
            file,
            length: bytes.len() as u64,
            live: bytes.len() as u64,
            broken: true,
        };
        sync_folder(&self.path).map_err(failed)?;
        writer.broken = false;
        Ok(())
    }

    fn encoded(&self, record: &Record) -> Result<Vec<u8>, LedgerError> {
        record.line().map_err(|error| self.failed(error.into()))
    }

    fn failed(&self, source: io::Error) -> LedgerError {
        LedgerError::Io {
            path: self.path.clone(),
            source,
        }
    }
}

impl Drop for Ledger {
    fn drop(&mut self) {
        // Closing is not enough: a child that another thread starts in this moment has the file open too.
        let _closing_lets_go_as_well = self.lock.unlock();
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What is told of a call whose end nobody saw.
pub(super) fn interrupted(tool: &str) -> CallOutcome {
    let tool = if tool.is_empty() { "the tool" } else { tool };
    CallOutcome::Error(CallError {
        code: CallErrorCode::Interrupted,
        message: format!(
            "the executor stopped while {tool} ran: whether it took effect is unknown, and it is not run again; look at what is there \
             before going on"
        ),
    })
}
