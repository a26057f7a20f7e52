//! The world outside: what was really done, and tools of every effect class that do it.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use actors::model::{EffectClass, Place, ToolSpec};
use actors::tool::{Invocation, Probe, ToolError};
use futures_util::future::BoxFuture;
use impresario::Tool;
use serde_json::json;

use super::points::Points;

/// Books that are only ever appended to. A line is on the disk before anybody hears of it.
#[derive(Debug)]
pub(crate) struct Bank {
    folder: PathBuf,
    counter: Mutex<()>,
}

impl Bank {
    pub(crate) fn open(folder: &Path) -> io::Result<Arc<Self>> {
        std::fs::create_dir_all(folder)?;
        Ok(Arc::new(Self {
            folder: folder.to_owned(),
            counter: Mutex::default(),
        }))
    }

    /// Writes a line into a book.
    ///
    /// # Panics
    /// When it cannot: an experiment whose books are wrong shows nothing.
    pub(crate) fn append(&self, book: &str, line: &str) {
        let write = || -> io::Result<()> {
            let path = self.folder.join(book);
            let mut file = OpenOptions::new().append(true).create(true).open(path)?;
            file.write_all(format!("{line}\n").as_bytes())?;
            file.sync_all()?;
            File::open(&self.folder)?.sync_all()
        };
        write().unwrap_or_else(|error| panic!("the book {book} cannot be kept: {error}"));
    }

    fn has(&self, book: &str, key: &str) -> bool {
        let lines = std::fs::read_to_string(self.folder.join(book)).unwrap_or_default();
        lines
            .lines()
            .any(|line| line.split(' ').next() == Some(key))
    }

    /// Writes a line that begins with a key, unless there is one.
    fn append_once(&self, book: &str, key: &str, what: &str) {
        let _one_at_the_counter = self.counter.lock().unwrap_or_else(PoisonError::into_inner);
        if !self.has(book, key) {
            self.append(book, &format!("{key} {what}"));
        }
    }
}

/// One tool for each class that has a place in the node. The executor's own tools are the ledgered ones.
pub(crate) fn tools(bank: &Arc<Bank>, points: &Arc<Points>) -> Vec<Arc<dyn Tool>> {
    let classes = [
        ("price_list", EffectClass::Pure),
        ("transfer", EffectClass::Keyed),
        ("order", EffectClass::Queryable),
        ("post_letter", EffectClass::Once),
    ];
    let tool = |(name, class)| {
        let (bank, points) = (bank.clone(), points.clone());
        Arc::new(Counter {
            name,
            class,
            bank,
            points,
        }) as Arc<dyn Tool>
    };
    classes.map(tool).into()
}

/// A counter of the bank.
struct Counter {
    name: &'static str,
    class: EffectClass,
    bank: Arc<Bank>,
    points: Arc<Points>,
}

impl Tool for Counter {
    fn spec(&self) -> ToolSpec {
        ToolSpec {
            name: self.name.to_owned(),
            description: format!("{} for `what`", self.name),
            parameters: json!({ "type": "object", "properties": { "what": { "type": "string" } } }),
            effect: self.class,
            place: Place::Node,
        }
    }

    fn call(&self, call: Invocation) -> BoxFuture<'_, Result<String, ToolError>> {
        Box::pin(async move {
            // The answer takes its way, and something else has its turn meanwhile.
            tokio::task::yield_now().await;
            let number = self.points.before("effect");
            let text = self.serve(&call);
            self.points.after("effect", number);
            tokio::task::yield_now().await;
            Ok(text)
        })
    }

    fn probe(&self, call: Invocation) -> BoxFuture<'_, Probe> {
        Box::pin(async move {
            let known = self.bank.has("order", &call.call_id.to_string());
            match self.class {
                EffectClass::Queryable if known => Probe::Done(done(self.name, what(&call))),
                EffectClass::Queryable => Probe::NotDone,
                _ => Probe::Unknown("a letter in the post cannot be asked for".to_owned()),
            }
        })
    }
}

impl Counter {
    fn serve(&self, call: &Invocation) -> String {
        let (key, what) = (call.call_id.to_string(), what(call));
        match self.class {
            EffectClass::Pure => return prices(),
            EffectClass::Keyed => self.bank.append_once(self.name, &key, what),
            _ => self.bank.append(self.name, &format!("{key} {what}")),
        }
        done(self.name, what)
    }
}

fn what(call: &Invocation) -> &str {
    call.args["what"].as_str().unwrap_or("nothing")
}

fn done(name: &str, what: &str) -> String {
    format!("{name} of {what}: done")
}

/// Long enough that it does not stay in the journal but goes to a blob.
fn prices() -> String {
    (1..200)
        .map(|item| format!("item {item} costs {}\n", item * 7 % 40))
        .collect()
}
