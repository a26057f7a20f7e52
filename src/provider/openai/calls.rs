//! Tool calls put together from their pieces. PURE.

use std::collections::HashSet;

use actors::model::{ChatMessage, ModelRequest, ToolCall};
use actors::provider::{ProviderError, ProviderErrorKind, minted_call_id};
use serde_json::{Map, Value};

use super::chunk::CallPiece;
use crate::provider::wire::quote;

/// How many calls one reply may hold.
const MAX_CALLS: usize = 128;

/// A call as far as it has arrived.
#[derive(Debug, Default)]
struct Slot {
    index: Option<u64>,
    id: String,
    name: String,
    arguments: String,
}

/// The calls of a reply as far as they have arrived.
#[derive(Debug, Default)]
pub(super) struct Calls(Vec<Slot>);

impl Calls {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Takes a piece; gives the tool's name when a call begins with it.
    pub(super) fn take(&mut self, piece: CallPiece) -> Result<Option<String>, ProviderError> {
        let function = piece.function.unwrap_or_default();
        let arguments = fragment(function.arguments)?;
        let (id, name) = (
            piece.id.unwrap_or_default(),
            function.name.unwrap_or_default(),
        );
        let place = self.place(piece.index, &id, &name, &arguments);
        if place == self.0.len() {
            self.begin(piece.index)?;
        }
        let slot = &mut self.0[place];
        let named = slot.name.is_empty() && !name.is_empty();
        slot.arguments.push_str(&arguments);
        if slot.id.is_empty() {
            slot.id = id;
        }
        if named {
            slot.name.clone_from(&name);
        }
        Ok(named.then_some(name))
    }

    /// Which slot a piece belongs to: the one of its index, or of its id where it has no index, or the newest.
    fn place(&self, index: Option<u64>, id: &str, name: &str, arguments: &str) -> usize {
        let fits = |slot: &Slot| match index {
            Some(_) => slot.index == index,
            None => id.is_empty() || slot.id == id,
        };
        match self.0.iter().rposition(fits) {
            Some(place) if !begins_anew(&self.0[place], id, name, arguments) => place,
            _ => self.0.len(),
        }
    }

    fn begin(&mut self, index: Option<u64>) -> Result<(), ProviderError> {
        if self.0.len() == MAX_CALLS {
            return Err(nonsense(format!(
                "more than {MAX_CALLS} tool calls in one answer"
            )));
        }
        self.0.push(Slot {
            index,
            ..Slot::default()
        });
        Ok(())
    }

    /// The calls. Of an answer that was `cut_short` the last one is left out: nothing says that it was whole, also where what there is of
    /// it can be read.
    pub(super) fn finish(
        mut self,
        request: &ModelRequest,
        cut_short: bool,
    ) -> Result<Vec<ToolCall>, ProviderError> {
        if cut_short {
            self.0.pop();
        }
        let mut taken = taken_ids(request);
        let slots = self.0.into_iter().enumerate();
        slots
            .map(|(place, slot)| slot.finish(request, place, &mut taken))
            .collect()
    }
}

/// Whether a piece for a slot is really another call. Some servers give all calls of a reply the index 0, each whole in one
/// piece; others repeat id and name in every piece of the same call.
fn begins_anew(slot: &Slot, id: &str, name: &str, arguments: &str) -> bool {
    if name.is_empty() || slot.name.is_empty() || (!id.is_empty() && slot.id == id) {
        return false;
    }
    let other_id = !id.is_empty() && !slot.id.is_empty();
    other_id || slot.name != name || (!arguments.is_empty() && is_object(&slot.arguments))
}

fn is_object(text: &str) -> bool {
    serde_json::from_str::<Map<String, Value>>(text).is_ok()
}

/// A piece of arguments: text, or a whole object from servers that do not write it as text.
fn fragment(arguments: Option<Value>) -> Result<String, ProviderError> {
    match arguments {
        None | Some(Value::Null) => Ok(String::new()),
        Some(Value::String(text)) => Ok(text),
        Some(object @ Value::Object(_)) => Ok(object.to_string()),
        Some(other) => Err(nonsense(format!(
            "tool arguments that are no object: {}",
            quote(&other.to_string())
        ))),
    }
}

impl Slot {
    fn finish(
        self,
        request: &ModelRequest,
        place: usize,
        taken: &mut HashSet<String>,
    ) -> Result<ToolCall, ProviderError> {
        if self.name.is_empty() {
            return Err(nonsense("a tool call without the tool's name".to_owned()));
        }
        Ok(ToolCall {
            args: arguments(&self.name, &self.arguments)?,
            id: good_id(self.id, request, place, taken),
            name: self.name,
        })
    }
}

fn arguments(name: &str, text: &str) -> Result<Value, ProviderError> {
    if matches!(text.trim(), "" | "null") {
        return Ok(Value::Object(Map::new()));
    }
    serde_json::from_str(text)
        .map(Value::Object)
        .map_err(|error| {
            let text = quote(text);
            nonsense(format!(
                "arguments of the tool call `{name}` that are no JSON object ({error}): {text}"
            ))
        })
}

/// The server's id, or one of ours where it gave none or one that the conversation already has.
fn good_id(
    id: String,
    request: &ModelRequest,
    place: usize,
    taken: &mut HashSet<String>,
) -> String {
    let id = match id {
        id if id.is_empty() || taken.contains(&id) => minted_call_id(request, place),
        id => id,
    };
    taken.insert(id.clone());
    id
}

fn taken_ids(request: &ModelRequest) -> HashSet<String> {
    let calls = request.messages.iter().flat_map(|message| match message {
        ChatMessage::Assistant { calls, .. } => calls.as_slice(),
        _ => &[],
    });
    calls.map(|call| call.id.clone()).collect()
}

pub(super) fn nonsense(what: String) -> ProviderError {
    ProviderError::new(
        ProviderErrorKind::Nonsense,
        format!("the server sent {what}; if it stays so, another model or server is needed"),
    )
}
