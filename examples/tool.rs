//! How do I give agents a tool of my own, and what is its effect class for?
//!
//! ```text
//! cargo run --example tool
//! ```
//!
//! A tool books a table. Every call crashes right after the booking, before anybody hears of it: the moment at which a retry would
//! book twice and giving up would book nothing. What the system does then is the tool's effect class: a `queryable` one is asked
//! whether the call took effect, a `keyed` one is called again with the same key, and of a `once` one the outcome is in doubt, which
//! the model is told. None of them books twice. (The crashes themselves are reported on stderr.)

use std::error::Error;
use std::sync::{Arc, Mutex};

use actors::model::{EffectClass, Place, ToolSpec};
use actors::tool::{Invocation, Probe, ToolError};
use futures_util::future::BoxFuture;
use impresario::{AgentSpec, Memory, Scripted, System, TaskDefinition, Tool};
use serde_json::json;

/// The restaurant's book: which call booked. It outlives every crash.
type Book = Arc<Mutex<Vec<String>>>;

struct BookTable(EffectClass, Book);

impl Tool for BookTable {
    fn spec(&self) -> ToolSpec {
        ToolSpec {
            name: "book_table".to_owned(),
            description: "Books a table for `people`.".to_owned(),
            parameters: json!({ "type": "object", "properties": { "people": { "type": "integer" } } }),
            effect: self.0,
            place: Place::Node,
        }
    }

    fn call(&self, call: Invocation) -> BoxFuture<'_, Result<String, ToolError>> {
        Box::pin(async move {
            // The call's id is the same after any number of restarts: the key of a keyed tool.
            let key = call.call_id.to_string();
            let mut book = self.1.lock().expect("the book");
            if self.0 == EffectClass::Keyed && book.contains(&key) {
                return Ok("booked, under the same key".to_owned());
            }
            book.push(key);
            drop(book);
            panic!("the waiter fell down the stairs")
        })
    }

    fn probe(&self, call: Invocation) -> BoxFuture<'_, Probe> {
        let booked = self
            .1
            .lock()
            .expect("the book")
            .contains(&call.call_id.to_string());
        Box::pin(async move {
            match (self.0, booked) {
                (EffectClass::Queryable, true) => Probe::Done("booked, says the book".to_owned()),
                (EffectClass::Queryable, false) => Probe::NotDone,
                _ => Probe::Unknown("the restaurant does not answer".to_owned()),
            }
        })
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    for class in [
        EffectClass::Queryable,
        EffectClass::Keyed,
        EffectClass::Once,
    ] {
        let book = Book::default();
        let guest = json!([
            { "say": "A table, please.", "call": "book_table", "args": { "people": 2 } },
            { "say": "I was told: {{result.0}}" },
        ]);
        let settings = serde_json::from_value(json!({ "scripts": { "guest": guest } }))?;
        let deps = impresario::deps(Arc::new(Memory::default()))
            .provider("stage", Scripted::new(&settings)?)
            .tool(BookTable(class, book.clone()));
        let system = System::start(deps).await?;
        let guest = AgentSpec::new("stage").tools(["book_table"]);
        let task = TaskDefinition::new("dinner", "a table for two").agent("guest", guest);
        let settled = system.wait(system.create_task(task).await?).await?;
        let booked = book.lock().expect("the book").len();
        println!("{class:?}: booked {booked} time(s); {settled:?}");
        system.shutdown().await;
    }
    Ok(())
}
