//! The executor's memory of calls, on disk: appended to and synced, written anew when much of it has been acknowledged.

mod book;
mod file;
mod record;
mod witness;

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use actors::model::CallId;
use actors::model::executor::{CallError, CallErrorCode, CallOutcome};

use super::OpenError;
use crate::tool::nonce;
use book::Book;
pub(super) use book::{Entry, State};
pub(super) use file::read_or_make;
use file::{Sync, Writer, lock, private, put, sync_folder};
use record::{Record, VERSION};
use witness::Mark;

/// Why the ledger cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// A line that is not the last is not what was written.
    #[error(
        "the ledger {path} is damaged in line {line}: what calls did cannot be told; restore the file, or move it away: \
         every call that was under way then counts as interrupted",
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
    /// Which ledger it is.
    id: String,
    /// The second place that knows of it.
    witness: Option<PathBuf>,
    limits: LedgerLimits,
    file: Mutex<Writer>,
    book: Mutex<Book>,
    /// Held as long as this lives; the system lets go of it when the process dies.
    lock: File,
}

impl Ledger {
    /// Opens the ledger in `state_dir`, which is then its own.
    pub(super) fn open(
        state_dir: &Path,
        witness: Option<PathBuf>,
        limits: LedgerLimits,
    ) -> Result<Self, OpenError> {
        let lock = lock(state_dir)?;
        let path = state_dir.join("ledger");
        Ok(Self::load(path, witness, limits, lock)?)
    }

    /// Which ledger it is, where nothing else tells that.
    pub(super) fn id(&self) -> Option<String> {
        self.witness.is_none().then(|| self.id.clone())
    }

    /// Whether what it does not know of was never begun: it is the ledger that its witness knows, and nothing is missing.
    pub(super) fn vouches(&self) -> bool {
        self.witness.is_none() || locked(&self.file).witness.is_some()
    }

    /// Takes calls that were begun, as far as it does not know of them, as interrupted. From then on it vouches.
    pub(super) fn adopt(&self, begun: Vec<(CallId, String)>) -> Result<(), LedgerError> {
        for (call_id, tool) in begun {
            if self.entry(&call_id).is_none() {
                let outcome = interrupted(&tool);
                let begun = Record::Begun {
                    call_id: call_id.clone(),
                    epoch: 0,
                    tool,
                };
                self.append(begun)?;
                self.append(Record::Result { call_id, outcome })?;
            }
        }
        let Some(path) = &self.witness else {
            return Ok(());
        };
        let mut writer = locked(&self.file);
        let made = self.mark(&writer).make(path);
        writer.witness = Some(made.map_err(|source| failed(path, source))?);
        Ok(())
    }

    fn mark(&self, writer: &Writer) -> Mark {
        Mark {
            id: self.id.clone(),
            given: writer.given,
        }
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

    fn load(
        path: PathBuf,
        witness: Option<PathBuf>,
        limits: LedgerLimits,
        lock: File,
    ) -> Result<Self, LedgerError> {
        let read = read(&path)?;
        let known = match &witness {
            Some(place) => Mark::read(place).map_err(|source| failed(place, source))?,
            None => None,
        };
        let vouched = known.filter(|known| read.has_all_of(known));
        let made = vouched.zip(witness.as_ref());
        let made = made.map(|(known, place)| {
            let made = known.make(place);
            made.map_err(|source| failed(place, source))
        });
        let ledger = Self {
            limits,
            id: read.id,
            witness,
            file: Mutex::new(Writer {
                file: read.file,
                length: read.whole,
                live: 0,
                given: read.given,
                witness: made.transpose()?,
                broken: false,
            }),
            book: Mutex::new(read.book),
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
        if let Record::Begun { .. } = record {
            self.told(&mut writer)?;
        }
        locked(&self.book).apply(record);
        self.tidy(&mut writer)
    }

    /// A call of which the witness is not told must not begin.
    fn told(&self, writer: &mut Writer) -> Result<(), LedgerError> {
        let mark = self.mark(writer);
        let told = writer.witness.as_ref().map(|witness| mark.tell(witness));
        if let Some(Err(error)) = told {
            tracing::error!(%error, "the witness of the ledger cannot be written");
            writer.broken = true;
        }
        self.known(writer)
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
        let records = locked(&self.book).records();
        let mut bytes = self.encoded(&Record::Ledger {
            version: VERSION,
            id: self.id.clone(),
            given: writer.given,
            kept: records.len() as u64,
        })?;
        for record in &records {
            bytes.extend(self.encoded(record)?);
        }
        let failed = |source| self.failed(source);
        let file = put(&self.path, &bytes).map_err(failed)?;
        writer.file = file;
        writer.length = bytes.len() as u64;
        writer.live = writer.length;
        writer.broken = true;
        sync_folder(&self.path).map_err(failed)?;
        writer.broken = false;
        Ok(())
    }

    fn encoded(&self, record: &Record) -> Result<Vec<u8>, LedgerError> {
        record.line().map_err(|error| self.failed(error.into()))
    }

    fn failed(&self, source: io::Error) -> LedgerError {
        failed(&self.path, source)
    }
}

fn failed(path: &Path, source: io::Error) -> LedgerError {
    LedgerError::Io {
        path: path.to_owned(),
        source,
    }
}

/// What is on disk.
struct Found {
    file: File,
    /// How many bytes of it are whole.
    whole: u64,
    id: String,
    given: u64,
    /// Whether less is there than was written when the file was made.
    is_short: bool,
    book: Book,
}

impl Found {
    /// Whether nothing that the witness knows of is missing.
    fn has_all_of(&self, known: &Mark) -> bool {
        !self.is_short && self.id == known.id && self.given >= known.given
    }
}

/// Reads a ledger; makes an empty one where there is none.
fn read(path: &Path) -> Result<Found, LedgerError> {
    let failed = |source| failed(path, source);
    let damaged = |line| LedgerError::Damaged {
        path: path.to_owned(),
        line,
    };
    let mut file = private(path).map_err(failed)?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).map_err(failed)?;
    let read = record::read(&bytes).map_err(damaged)?;
    let (id, given, kept) = match read.records.first() {
        None => (String::new(), 0, 0),
        Some(Record::Ledger { version, .. }) if *version != VERSION => {
            let (path, version) = (path.to_owned(), *version);
            return Err(LedgerError::Version { path, version });
        }
        Some(Record::Ledger {
            id, given, kept, ..
        }) => (id.clone(), *given, *kept),
        Some(_) => return Err(damaged(1)),
    };
    let lines = read.records.len().saturating_sub(1) as u64;
    Ok(Found {
        file,
        whole: read.whole as u64,
        // One without a name, of an earlier version or just made, gets one that no witness knows.
        id: if id.is_empty() {
            nonce() + &nonce()
        } else {
            id
        },
        given: given.saturating_add(lines.saturating_sub(kept)),
        is_short: lines < kept,
        book: Book::of(read.records),
    })
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
