//! A request as Chat Completions wants it. PURE.

use actors::model::{ChatMessage, ModelRequest, ToolCall, ToolSpec};
use actors::provider::{ProviderError, ProviderErrorKind};
use serde_json::{Map, Value, json};

/// What a request says by itself, so that settings cannot.
pub(super) const RESERVED: [&str; 5] = ["model", "messages", "tools", "stream", "n"];

/// The body of a request: the provider's settings, over them the agent's, and the conversation.
///
/// Equal requests have equal bodies, and a longer conversation begins like the shorter one, as prompt caches want it.
pub(super) fn body(
    request: &ModelRequest,
    default_model: &str,
    defaults: &Map<String, Value>,
) -> Result<Value, ProviderError> {
    let mut body = Map::new();
    body.insert("stream_options".into(), json!({"include_usage": true}));
    body.extend(defaults.clone());
    body.extend(request.settings.clone());
    if let Some(key) = reserved(&request.settings) {
        return Err(ProviderError::new(
            ProviderErrorKind::BadRequest,
            format!("the agent's `settings.{key}` cannot be set: the request says it by itself"),
        ));
    }
    // some older servers refuse the field; `stream_options = false` leaves it out
    if body["stream_options"] == false {
        body.remove("stream_options");
    }
    let model = if request.model.is_empty() {
        default_model
    } else {
        &request.model
    };
    if !model.is_empty() {
        body.insert("model".into(), model.into());
    }
    body.insert("stream".into(), true.into());
    body.insert("messages".into(), messages(request));
    if !request.tools.is_empty() {
        body.insert("tools".into(), request.tools.iter().map(tool).collect());
    }
    Ok(Value::Object(body))
}

/// The first key of `settings` that is not theirs to set.
pub(super) fn reserved(settings: &Map<String, Value>) -> Option<&'static str> {
    RESERVED.into_iter().find(|key| settings.contains_key(*key))
}

fn messages(request: &ModelRequest) -> Value {
    let system = Some(&request.system).filter(|text| !text.is_empty());
    let system = system.map(|text| json!({"role": "system", "content": text}));
    system
        .into_iter()
        .chain(request.messages.iter().map(message))
        .collect()
}

fn message(message: &ChatMessage) -> Value {
    match message {
        ChatMessage::User { text } => json!({"role": "user", "content": text}),
        ChatMessage::Assistant { text, calls, .. } if calls.is_empty() => {
            json!({"role": "assistant", "content": text})
        }
        ChatMessage::Assistant { text, calls, .. } => json!({
            "role": "assistant",
            "content": Some(text).filter(|text| !text.is_empty()),
            "tool_calls": calls.iter().map(call).collect::<Value>(),
        }),
        ChatMessage::Tool {
            call_id,
            text,
            is_error,
            ..
        } => json!({
            "role": "tool",
            "tool_call_id": call_id,
            "content": if *is_error { format!("error: {text}") } else { text.clone() },
        }),
    }
}

fn call(call: &ToolCall) -> Value {
    json!({
        "id": call.id,
        "type": "function",
        "function": {"name": call.name, "arguments": call.args.to_string()},
    })
}

fn tool(tool: &ToolSpec) -> Value {
    let parameters = match &tool.parameters {
        Value::Object(schema) => Value::Object(schema.clone()),
        _ => json!({"type": "object", "properties": {}}),
    };
    json!({
        "type": "function",
        "function": {"name": tool.name, "description": tool.description, "parameters": parameters},
    })
}
