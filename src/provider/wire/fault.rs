//! Errors as model servers write them, and what kind each is. PURE.

use actors::provider::ProviderErrorKind;
use serde_json::Value;

/// An error as a server describes it, in a body or in a stream.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Fault {
    /// Its words for people.
    pub(crate) message: String,
    /// Its words for programs: type and code.
    pub(crate) labels: String,
    /// The HTTP status it names in its body.
    pub(crate) status: Option<u16>,
}

impl Fault {
    /// The error that a JSON document is, in any of the shapes that are about.
    pub(crate) fn find(document: &Value) -> Option<Self> {
        let document = match document {
            Value::Array(items) => items.first()?,
            other => other,
        };
        match document.get("error") {
            None | Some(Value::Null | Value::Bool(false)) => Self::bare(document),
            Some(Value::String(message)) if message.is_empty() => Self::bare(document),
            Some(Value::String(message)) => Some(Self {
                message: message.clone(),
                ..Self::read(document)
            }),
            Some(error) => Some(Self::read(error)),
        }
    }

    /// vLLM writes the error without an envelope, web frameworks write `detail`.
    fn bare(document: &Value) -> Option<Self> {
        let is_error = document
            .get("object")
            .is_some_and(|object| object == "error");
        let is_error = is_error || document.get("type").is_some_and(|kind| kind == "error");
        (is_error || document.get("detail").is_some()).then(|| Self::read(document))
    }

    /// The error in a document that is known to be one.
    pub(crate) fn read(error: &Value) -> Self {
        let code = error.get("code").unwrap_or(&Value::Null);
        let label =
            |value: Option<&Value>| value.and_then(Value::as_str).unwrap_or_default().to_owned();
        let message = error.get("message").or_else(|| error.get("detail"));
        Self {
            message: match message {
                Some(Value::String(message)) => message.clone(),
                Some(other) => other.to_string(),
                None => error.to_string(),
            },
            labels: [
                label(error.get("type")),
                label(Some(code)),
                label(error.get("status")),
            ]
            .join(" "),
            status: code
                .as_u64()
                .and_then(|code| u16::try_from(code).ok())
                .filter(|code| *code >= 400),
        }
    }
}

/// What kind of error it is, by the HTTP status and by what the server says.
///
/// Its words come first where they tell more than the status: whether a `429` is an empty purse and a `400` a conversation
/// that is too long. In a stream that began with a `200` they are all there is.
pub(crate) fn kind_of(status: Option<u16>, fault: &Fault) -> ProviderErrorKind {
    let words = format!("{} {}", fault.labels, fault.message).to_lowercase();
    let status = status.or(fault.status);
    let status_kind = status.map(kind_of_status);
    by_words(&FINER, &words)
        .filter(|kind| is_finer(*kind, status))
        .or(status_kind)
        .or_else(|| by_words(&LABELS, &words))
        .unwrap_or(ProviderErrorKind::Internal)
}

fn kind_of_status(status: u16) -> ProviderErrorKind {
    use ProviderErrorKind as K;
    match status {
        401..=403 => K::BadCredentials,
        408 | 504 => K::Timeout,
        // 409 and 425 mean a lock or a race on the server's side: the same request may succeed
        409 | 425 => K::Internal,
        413 => K::ContextTooLong,
        429 => K::RateLimited,
        503 | 529 => K::Overloaded,
        500.. => K::Internal,
        _ => K::BadRequest,
    }
}

type Words = (ProviderErrorKind, &'static [&'static str]);

const FINER: [Words; 3] = [
    (
        ProviderErrorKind::ContextTooLong,
        &[
            "context_length_exceeded",
            "exceed_context_size",
            "context length",
            "context size",
            "context window",
            "prompt is too long",
        ],
    ),
    (
        ProviderErrorKind::ContentFilter,
        &[
            "content_filter",
            "content_policy",
            "content management policy",
            "moderation",
        ],
    ),
    (
        ProviderErrorKind::BadCredentials,
        &[
            "insufficient_quota",
            "insufficient credits",
            "credit balance",
            "billing",
        ],
    ),
];

const LABELS: [Words; 5] = [
    (
        ProviderErrorKind::RateLimited,
        &[
            "rate_limit",
            "rate limit",
            "ratelimit",
            "too many requests",
            "too_many_requests",
            "resource_exhausted",
        ],
    ),
    (
        ProviderErrorKind::Overloaded,
        &["overloaded", "unavailable", "capacity", "too busy"],
    ),
    (ProviderErrorKind::Timeout, &["timeout", "timed out"]),
    (
        ProviderErrorKind::BadCredentials,
        &[
            "authentication",
            "api_key",
            "api key",
            "unauthorized",
            "permission",
        ],
    ),
    (
        ProviderErrorKind::BadRequest,
        &[
            "invalid_request",
            "bad_request",
            "badrequest",
            "not_found",
            "notfound",
        ],
    ),
];

fn by_words(table: &[Words], words: &str) -> Option<ProviderErrorKind> {
    let mut rows = table.iter();
    let row = rows.find(|(_, marks)| marks.iter().any(|mark| words.contains(mark)));
    row.map(|(kind, _)| *kind)
}

/// Whether words of this kind may overrule a status.
fn is_finer(kind: ProviderErrorKind, status: Option<u16>) -> bool {
    match (kind, status) {
        (_, None) => true,
        // llama-cpp-python answers a conversation that is too long with 500
        (ProviderErrorKind::ContextTooLong, Some(status)) => {
            matches!(status, 400 | 413 | 422 | 500)
        }
        (ProviderErrorKind::ContentFilter, Some(status)) => matches!(status, 400 | 403 | 422 | 451),
        (_, Some(status)) => matches!(status, 400 | 402 | 429),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn kind(status: impl Into<Option<u16>>, document: Value) -> ProviderErrorKind {
        kind_of(status.into(), &Fault::find(&document).expect("an error"))
    }

    #[test]
    fn a_status_is_enough() {
        use ProviderErrorKind as K;
        let kinds = [
            (400, K::BadRequest),
            (401, K::BadCredentials),
            (402, K::BadCredentials),
            (403, K::BadCredentials),
            (404, K::BadRequest),
            (408, K::Timeout),
            (409, K::Internal),
            (413, K::ContextTooLong),
            (422, K::BadRequest),
            (429, K::RateLimited),
            (500, K::Internal),
            (502, K::Internal),
            (503, K::Overloaded),
            (504, K::Timeout),
            (529, K::Overloaded),
            (599, K::Internal),
        ];
        for (status, expected) in kinds {
            assert_eq!(
                kind_of(Some(status), &Fault::default()),
                expected,
                "{status}"
            );
        }
    }

    #[test]
    fn words_tell_more_than_a_status() {
        use ProviderErrorKind as K;
        let openai = json!({"error": {"message": "m", "type": "invalid_request_error", "param": null, "code": "context_length_exceeded"}});
        assert_eq!(kind(400, openai), K::ContextTooLong);
        let python = json!({"error": {"message": "Requested tokens (5000) exceed context window of 4096", "type": "internal_server_error", "code": null}});
        assert_eq!(kind(500, python), K::ContextTooLong);
        let quota = json!({"error": {"message": "m", "type": "insufficient_quota", "code": "insufficient_quota"}});
        assert_eq!(kind(429, quota), K::BadCredentials);
        let tokens = json!({"error": {"message": "too many tokens for your context window per minute", "type": "tokens"}});
        assert_eq!(kind(429, tokens), K::RateLimited);
        let filter = json!({"error": {"message": "m", "code": "content_filter"}});
        assert_eq!(kind(400, filter), K::ContentFilter);
    }

    #[test]
    fn every_shape_of_error_is_read() {
        use ProviderErrorKind as K;
        let llama = json!({"error": {"code": 503, "message": "Loading model", "type": "unavailable_error"}});
        assert_eq!(kind(None, llama), K::Overloaded);
        let vllm = json!({"object": "error", "message": "m", "type": "BadRequestError", "param": null, "code": 400});
        assert_eq!(kind(None, vllm), K::BadRequest);
        assert_eq!(
            kind(None, json!({"error": "model is too busy"})),
            K::Overloaded
        );
        assert_eq!(
            kind(
                None,
                json!([{"error": {"code": 429, "message": "m", "status": "RESOURCE_EXHAUSTED"}}])
            ),
            K::RateLimited
        );
        assert_eq!(
            kind(
                None,
                json!({"error": {"message": "m", "type": "overloaded_error"}})
            ),
            K::Overloaded
        );
        assert_eq!(
            kind(
                None,
                json!({"error": {"message": "m", "type": "server_error"}})
            ),
            K::Internal
        );
        let detail =
            Fault::find(&json!({"detail": [{"loc": ["body"], "msg": "field required"}]})).unwrap();
        assert!(detail.message.contains("field required"));
        assert_eq!(Fault::find(&json!({"choices": [], "error": null})), None);
    }

    fn document() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<i64>().prop_map(Value::from),
            "(429|error|timeout|é)?".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 24, 4, |inner| {
            let key =
                prop::sample::select(vec!["error", "message", "code", "type", "object", "detail"]);
            let object =
                prop::collection::btree_map(key.prop_map(str::to_owned), inner.clone(), 0..4);
            prop_oneof![
                object.prop_map(|map| map.into_iter().collect::<Value>()),
                prop::collection::vec(inner, 0..3).prop_map(Value::from),
            ]
        })
    }

    proptest! {
        #[test]
        fn any_document_can_be_read(document in document()) {
            let fault = Fault::find(&document);
            prop_assert!(fault.is_some() || !document.get("error").is_some_and(Value::is_object));
            let _ = fault.map(|fault| kind_of(None, &fault));
        }
    }
}
