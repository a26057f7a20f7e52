//! Frames as texts. Pure.

use actors::model::executor::{
    CallError, CallErrorCode, CallOutcome, FromExecutor, PROTOCOL, ToExecutor,
};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::SUBPROTOCOL;
use super::carry::Written;
use super::close::{Close, code};

/// How long what an executor says of itself may be, in bytes, and how many tools it may have.
const NAME: usize = 200;
const ROOT: usize = 4096;
const TOOLS: usize = 256;

/// Reads a frame.
pub(crate) fn read<T: DeserializeOwned>(text: &str) -> Result<T, Close> {
    serde_json::from_str(text).map_err(|error| {
        Close::new(
            code::POLICY,
            format!("a frame is not of this protocol: {error}"),
        )
    })
}

/// Reads what an executor says after its hello.
pub(crate) fn said_by_executor(text: &str) -> Result<FromExecutor, Close> {
    match read(text)? {
        FromExecutor::Hello { .. } => Err(refused("hello was said already")),
        frame => Ok(frame),
    }
}

/// What is looked at before anything else, as another version may have all the rest otherwise.
#[derive(Deserialize)]
#[serde(expecting = "an object with a `type`")]
struct First {
    #[serde(rename = "type")]
    kind: String,
    protocol: Option<Value>,
}

/// Reads the first frame of an executor.
pub(crate) fn greeting(text: &str) -> Result<FromExecutor, Close> {
    let first: First = read(text)?;
    if first.kind != "hello" {
        return Err(refused("the first frame must be hello"));
    }
    if let Some(other) = first.protocol.filter(|said| *said != PROTOCOL) {
        let words = format!("the executor speaks protocol {other}, this node {PROTOCOL}");
        return Err(Close::new(
            code::VERSION,
            format!("{words}: {SUBPROTOCOL} is needed"),
        ));
    }
    let hello = read(text)?;
    checked(&hello).map_err(refused)?;
    Ok(hello)
}

fn checked(hello: &FromExecutor) -> Result<(), String> {
    let FromExecutor::Hello {
        name,
        tools,
        root,
        session,
        ledger,
        ..
    } = hello
    else {
        return Ok(());
    };
    let ledger = ledger.as_deref().unwrap_or("none");
    within("name", name, NAME)?;
    within("session", session, NAME)?;
    within("ledger", ledger, NAME)?;
    within("root", root, ROOT)?;
    match tools.len() > TOOLS {
        true => Err(format!("hello has {} tools, {TOOLS} at most", tools.len())),
        false => Ok(()),
    }
}

fn within(what: &str, text: &str, most: usize) -> Result<(), String> {
    match text.len() {
        0 => Err(format!("the {what} in hello is empty")),
        length if length > most => Err(format!(
            "the {what} in hello has {length} bytes, {most} at most"
        )),
        _ => Ok(()),
    }
}

fn refused(words: impl Into<String>) -> Close {
    Close::new(code::POLICY, words)
}

/// What is sent to an executor. A call that is too long is not made: the answer to it comes back.
pub(crate) fn call_for(frame: ToExecutor, most: usize) -> Written<FromExecutor> {
    let text = serde_json::to_string(&frame).unwrap_or_default();
    match frame {
        _ if text.len() <= most && !text.is_empty() => Written::Text(text),
        ToExecutor::Call { call_id, .. } => {
            let error = CallError {
                code: CallErrorCode::BadArguments,
                message: format!(
                    "the call has {} bytes and an executor takes {most} at most; nothing was done: pass less at a time",
                    text.len()
                ),
            };
            let outcome = CallOutcome::Error(error);
            Written::Answer(FromExecutor::Result { call_id, outcome })
        }
        ToExecutor::Cancel { .. } | ToExecutor::Ack { .. } => Written::Nothing,
    }
}

/// What is sent to a node. A result that is too long is cut, and says so: it is never kept back.
pub(crate) fn fitting(frame: FromExecutor, most: usize) -> String {
    let text = serde_json::to_string(&frame).unwrap_or_default();
    match frame {
        FromExecutor::Result { call_id, outcome } if text.len() > most => {
            cut(&call_id, &outcome, text.len(), most)
        }
        _ => text,
    }
}

/// Each try keeps less, until it fits.
fn cut(
    call_id: &actors::model::CallId,
    outcome: &CallOutcome,
    length: usize,
    most: usize,
) -> String {
    let whole = match outcome {
        CallOutcome::Ok(text) => text.as_str(),
        CallOutcome::Error(error) => &error.message,
    };
    let mut keep = whole.len().saturating_mul(most) / length;
    loop {
        let kept = &whole[..whole.floor_char_boundary(keep)];
        let left_out = whole.len() - kept.len();
        let text =
            format!("{kept}\n[{left_out} more bytes: too long for the executor's connection]");
        let outcome = match outcome {
            CallOutcome::Ok(_) => CallOutcome::Ok(text),
            CallOutcome::Error(error) => CallOutcome::Error(CallError {
                code: error.code,
                message: text,
            }),
        };
        let call_id = call_id.clone();
        let frame = FromExecutor::Result { call_id, outcome };
        let text = serde_json::to_string(&frame).unwrap_or_default();
        if text.len() <= most || keep == 0 {
            return text;
        }
        keep = keep / 10 * 9;
    }
}

#[cfg(test)]
mod tests {
    use actors::model::CallId;
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn refusal(text: &str) -> String {
        greeting(text).expect_err("refused").to_string()
    }

    #[test]
    fn a_hello_of_another_version_is_recognised_whatever_else_it_has() {
        insta::assert_snapshot!(refusal(r#"{"type": "hello", "protocol": 2, "who": {}}"#), @"the executor speaks protocol 2, this node 1: impresario.executor.v1 is needed (4426)");
        insta::assert_snapshot!(refusal(r#"{"type": "hello", "protocol": "1"}"#), @r#"the executor speaks protocol "1", this node 1: impresario.executor.v1 is needed (4426)"#);
    }

    #[test]
    fn a_hello_that_is_none_is_refused_in_words() {
        insta::assert_snapshot!(refusal("{"), @"a frame is not of this protocol: EOF while parsing an object at line 1 column 1 (1008)");
        insta::assert_snapshot!(refusal(r#"{"type": "started", "call_id": "a"}"#), @"the first frame must be hello (1008)");
        insta::assert_snapshot!(refusal(r#"{"type": "hello"}"#), @"a frame is not of this protocol: missing field `protocol` (1008)");
        let hello = |name: &str, tools: usize| {
            let tool = json!({"name": "a", "description": "", "parameters": {}, "effect": "pure", "place": "executor"});
            json!({"type": "hello", "protocol": 1, "name": name, "root": "/", "session": "s", "tools": vec![tool; tools]}).to_string()
        };
        insta::assert_snapshot!(refusal(&hello("", 0)), @"the name in hello is empty (1008)");
        insta::assert_snapshot!(refusal(&hello(&"x".repeat(201), 0)), @"the name in hello has 201 bytes, 200 at most (1008)");
        insta::assert_snapshot!(refusal(&hello("x", 257)), @"hello has 257 tools, 256 at most (1008)");
        assert!(greeting(&hello("x", 256)).is_ok());
        let again = said_by_executor(&hello("x", 0)).expect_err("refused");
        insta::assert_snapshot!(again, @"hello was said already (1008)");
    }

    #[test]
    fn a_call_that_is_too_long_is_answered_instead_of_made() {
        let call = |bytes: usize| ToExecutor::Call {
            call_id: CallId("a".to_owned()),
            epoch: 1,
            tool: "write_file".to_owned(),
            args: json!({"content": "x".repeat(bytes)}),
            timeout_ms: 1,
        };
        assert!(matches!(call_for(call(800), 1000), Written::Text(_)));
        let Written::Answer(FromExecutor::Result { outcome, .. }) = call_for(call(1000), 1000)
        else {
            panic!("it is made");
        };
        let CallOutcome::Error(error) = outcome else {
            panic!("it worked");
        };
        insta::assert_snapshot!(error.message, @"the call has 1096 bytes and an executor takes 1000 at most; nothing was done: pass less at a time");
    }

    proptest! {
        #[test]
        fn a_result_fits_and_says_what_is_missing(text in "(?s)[\\x00-\\x7f«𝄞]{0,3000}", is_error: bool) {
            let outcome = match is_error {
                false => CallOutcome::Ok(text.clone()),
                true => CallOutcome::Error(CallError { code: CallErrorCode::Failed, message: text.clone() }),
            };
            let frame = FromExecutor::Result { call_id: CallId("a".to_owned()), outcome };
            let whole = serde_json::to_string(&frame).unwrap();
            let sent = fitting(frame.clone(), 1000);
            prop_assert!(sent.len() <= 1000);
            if whole.len() <= 1000 {
                prop_assert_eq!(sent, whole);
            } else {
                let Ok(FromExecutor::Result { outcome, .. }) = read(&sent) else { panic!("no result") };
                let said = match outcome {
                    CallOutcome::Ok(text) => text,
                    CallOutcome::Error(error) => error.message,
                };
                let (kept, note) = said.rsplit_once("\n[").unwrap();
                let rest: usize = note.split(' ').next().unwrap().parse().unwrap();
                prop_assert!(text.starts_with(kept));
                prop_assert_eq!(kept.len() + rest, text.len());
            }
        }
    }
}
