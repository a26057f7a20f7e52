//! Streams that nobody has written: noise, likely fragments in any order, and the known ones in pieces of any size.

use std::collections::HashSet;

use actors::model::Reply;
use actors::provider::ProviderError;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::servers::STREAMS;
use super::{events, read_pieces, read_whole};

fn noise() -> impl Strategy<Value = Vec<u8>> {
    let key = prop::sample::select(vec![
        "choices",
        "delta",
        "message",
        "content",
        "tool_calls",
        "index",
        "id",
        "function",
        "name",
        "arguments",
        "finish_reason",
        "usage",
        "error",
        "code",
        "prompt_tokens",
        "cost",
    ]);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        prop::sample::select(vec![
            "",
            "stop",
            "length",
            "tool_calls",
            "{",
            "{}",
            "{\"a\":1}",
            "é"
        ])
        .prop_map(Value::from),
    ];
    let document = leaf.prop_recursive(6, 40, 4, move |inner| {
        let object =
            prop::collection::btree_map(key.clone().prop_map(str::to_owned), inner.clone(), 0..5);
        prop_oneof![
            3 => object.prop_map(|map| map.into_iter().collect::<Value>()),
            2 => prop::collection::vec(inner, 0..3).prop_map(Value::from),
        ]
    });
    prop_oneof![
        8 => document.prop_map(|document| events(&[document]).into_bytes()),
        1 => prop::collection::vec(any::<u8>(), 0..20),
        1 => Just(b"data: [DONE]\n\n".to_vec()),
    ]
}

/// Likely chunks: fragments of calls with and without indexes, ids, names and arguments, in any order.
fn chunk() -> impl Strategy<Value = Vec<u8>> {
    let maybe = |values: Vec<Value>| prop::sample::select(values);
    let index = maybe(vec![Value::Null, 0.into(), 1.into(), 7.into()]);
    let id = maybe(vec![
        Value::Null,
        "".into(),
        "x".into(),
        "y".into(),
        "call_0".into(),
    ]);
    let name = maybe(vec![Value::Null, "".into(), "a".into(), "b".into()]);
    let args = maybe(vec![
        Value::Null,
        "".into(),
        "{".into(),
        "}".into(),
        "{\"k\":".into(),
        "1}".into(),
        json!({"o": 1}),
    ]);
    let finish = maybe(vec![
        Value::Null,
        Value::Null,
        Value::Null,
        "stop".into(),
        "tool_calls".into(),
        "length".into(),
    ]);
    (index, id, name, args, finish).prop_map(|(index, id, name, args, finish)| {
        let call = json!({"index": index, "id": id, "function": {"name": name, "arguments": args}});
        let choice = json!({"index": 0, "delta": {"tool_calls": [call]}, "finish_reason": finish});
        events(&[json!({"choices": [choice]})]).into_bytes()
    })
}

fn is_sound(outcome: Result<Reply, ProviderError>) -> Result<(), TestCaseError> {
    let Ok(reply) = outcome else { return Ok(()) };
    let ids: HashSet<_> = reply.calls.iter().map(|call| &call.id).collect();
    prop_assert_eq!(ids.len(), reply.calls.len(), "ids are distinct");
    for call in &reply.calls {
        prop_assert!(
            call.args.is_object()
                && !call.name.is_empty()
                && !call.id.is_empty()
                && call.id != "call_0"
        );
    }
    Ok(())
}

proptest! {
    #[test]
    fn noise_is_an_error_or_a_sound_reply(pieces in prop::collection::vec(noise(), 0..6)) {
        is_sound(read_pieces([pieces.concat().as_slice()]).0)?;
    }

    #[test]
    fn any_order_of_fragments_is_an_error_or_a_sound_reply(pieces in prop::collection::vec(chunk(), 0..8)) {
        is_sound(read_pieces([pieces.concat().as_slice()]).0)?;
    }

    #[test]
    fn a_reply_does_not_depend_on_how_its_bytes_are_cut(
        (_, stream) in prop::sample::select(STREAMS),
        sizes in prop::collection::vec(1..200usize, 1..20),
    ) {
        let mut rest = stream.as_bytes();
        let mut sizes = sizes.iter().cycle();
        let mut pieces = Vec::new();
        while let Some(size) = sizes.next().filter(|_| !rest.is_empty()) {
            let (piece, after) = rest.split_at((*size).min(rest.len()));
            pieces.push(piece);
            rest = after;
        }
        prop_assert_eq!(read_pieces(pieces), read_whole(stream));
    }
}
