//! What a script makes of a request. PURE.

use super::choose;
use super::fill::Filler;
use super::ready::{Ready, ReadyEntry};
use crate::model::{ModelRequest, Reply, StopReason, ToolCall, Usage};
use crate::provider::{ProviderError, ProviderErrorKind, estimate, minted_call_id};

/// What a call comes to.
pub(super) enum Decision {
    Answer(Reply),
    Failure { said: String, error: ProviderError },
}

/// What `script` does with `request` when its newest turn has failed `failed` times.
pub(super) fn decide(
    script: &Ready,
    request: &ModelRequest,
    failed: usize,
) -> Result<Decision, ProviderError> {
    let Some(place) = choose::choose(script, &request.messages, failed) else {
        return used_up(script, request).map(Decision::Answer);
    };
    let entry = &script.0[place];
    let reply = answer(entry, request).map_err(|problem| at_entry(request, place, &problem))?;
    Ok(match entry.fail {
        None => Decision::Answer(reply),
        Some(failure) => Decision::Failure {
            said: reply.text,
            error: ProviderError::new(failure.kind(), as_written(request, place)),
        },
    })
}

fn as_written(request: &ModelRequest, place: usize) -> String {
    format!(
        "the script of `{}` fails this call, as its entry {} says",
        request.agent,
        place + 1
    )
}

fn at_entry(request: &ModelRequest, place: usize, problem: &str) -> ProviderError {
    bad_request(format!(
        "script of `{}`, entry {}: {problem}",
        request.agent,
        place + 1
    ))
}

pub(super) fn bad_request(message: String) -> ProviderError {
    ProviderError::new(ProviderErrorKind::BadRequest, message)
}

fn used_up(script: &Ready, request: &ModelRequest) -> Result<Reply, ProviderError> {
    let Some(place) = choose::last_say(script) else {
        let text = format!("The script of {} is used up.", request.agent);
        return Ok(reply(request, text, Vec::new(), None));
    };
    let say = script.0[place].say.as_deref().unwrap_or_default();
    let text = Filler::new(&request.brief, &request.messages).text(say);
    let text = text.map_err(|problem| at_entry(request, place, &problem))?;
    Ok(reply(request, text, Vec::new(), None))
}

fn answer(entry: &ReadyEntry, request: &ModelRequest) -> Result<Reply, String> {
    let mut filler = Filler::new(&request.brief, &request.messages);
    let text = filler.text(entry.say.as_deref().unwrap_or_default())?;
    let mut calls = Vec::with_capacity(entry.calls.len());
    for (index, call) in entry.calls.iter().enumerate() {
        calls.push(ToolCall {
            id: minted_call_id(request, index),
            name: call.tool.clone(),
            args: filler.args(&call.args)?.into(),
        });
    }
    let usage = entry.usage.map(|usage| Usage {
        input_tokens: usage.input,
        output_tokens: usage.output,
        ..Usage::default()
    });
    Ok(reply(request, text, calls, usage))
}

fn reply(
    request: &ModelRequest,
    text: String,
    calls: Vec<ToolCall>,
    usage: Option<Usage>,
) -> Reply {
    Reply {
        usage: usage.unwrap_or_else(|| estimate(request, &text, &calls)),
        stop: if calls.is_empty() {
            StopReason::End
        } else {
            StopReason::ToolCalls
        },
        text,
        calls,
        opaque: Vec::new(),
    }
}
