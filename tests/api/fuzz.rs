//! Whatever is sent, the answer is one that the description has: no other status, no other content type, no other shape, and never
//! that the node failed.
//!
//! `FUZZ=17 cargo test --test it api::fuzz` plays one seed; a failure names its seed and its request.

use reqwest::Method;
use serde_json::Value;

use super::described::{Description, Operation, text};
use super::{Answer, Door};

/// How many requests each seed sends.
const REQUESTS: usize = 150;

struct Sent {
    method: Method,
    path: String,
    body: Option<Vec<u8>>,
    idempotency: Option<String>,
}

fn request(
    described: &Description,
    operation: &Operation,
    known: &[String],
    pick: &mut dyn FnMut(usize) -> usize,
) -> Sent {
    let mut path = operation.path.clone();
    while let (Some(open), Some(close)) = (path.find('{'), path.find('}')) {
        let value = match pick(3) {
            0 => text(pick),
            _ => known[pick(known.len())].clone(),
        };
        let value = if value.is_empty() {
            "-".to_owned()
        } else {
            value
        };
        path.replace_range(open..=close, &escaped(&value));
    }
    let mut query = Vec::new();
    for parameter in operation.described["parameters"]
        .as_array()
        .into_iter()
        .flatten()
    {
        if parameter["in"] == "query" && pick(3) == 0 {
            let value = match described.value(&parameter["schema"], pick) {
                Value::String(text) => text,
                other => other.to_string(),
            };
            let name = parameter["name"].as_str().expect("a name");
            query.push(format!("{name}={}", escaped(&value)));
        }
    }
    if pick(20) == 0 {
        query.push("unknown=1".to_owned());
    }
    if !query.is_empty() {
        path = format!("{path}?{}", query.join("&"));
    }
    let schema = &operation.described["requestBody"]["content"]["application/json"]["schema"];
    let body = (!schema.is_null()).then(|| match pick(12) {
        0 => b"{\"a\": \xff\xfe}".to_vec(),
        1 => b"{\"description\": ".to_vec(),
        2 => vec![b'['; 50_000],
        3 => Vec::new(),
        _ => described.value(schema, pick).to_string().into_bytes(),
    });
    let idempotency =
        (operation.method == Method::POST && pick(4) == 0).then(|| pick(5).to_string());
    Sent {
        method: operation.method.clone(),
        path,
        body,
        idempotency,
    }
}

fn escaped(text: &str) -> String {
    let escape = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => {
            char::from(byte).to_string()
        }
        byte => format!("%{byte:02X}"),
    };
    text.bytes().map(escape).collect()
}

/// What of an answer is not as it is described.
fn wrong(described: &Description, operation: &Operation, answer: &Answer) -> Vec<String> {
    let responses = &operation.described["responses"];
    let status = answer.status.as_u16().to_string();
    let range = format!("{}XX", &status[..1]);
    let Some(response) = responses.get(&status).or_else(|| responses.get(&range)) else {
        return vec![format!("status {status} is not described")];
    };
    let Some(content) = response["content"].as_object() else {
        return match answer.body {
            Value::Null => Vec::new(),
            _ => vec![format!("status {status} has a body that is not described")],
        };
    };
    let kind = answer.headers.get("content-type");
    let kind = kind.map_or("", |kind| kind.to_str().unwrap_or_default());
    let media = kind.split(';').next().unwrap_or_default().trim();
    match content.get(media) {
        None => vec![format!(
            "status {status} comes as {kind:?}, which is not described"
        )],
        Some(_) if media == "text/event-stream" => Vec::new(),
        Some(content) => described.wrong(&content["schema"], &answer.body, ""),
    }
}

async fn play(seed: u64, door: &Door, described: &Description) {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut pick = move |n: usize| random.usize(..n);
    let operations = described.operations();
    let mut known = vec![door.key.clone(), "default".to_owned(), "lead".to_owned()];
    for _ in 0..REQUESTS {
        let operation = &operations[pick(operations.len())];
        let sent = request(described, operation, &known, &mut pick);
        // A socket, and streams of tasks that go on, have no end of their own; they have tests of their own.
        if operation.path == "/v1/ws"
            || operation.path.ends_with("/connect")
            || operation.path.ends_with("/events")
        {
            continue;
        }
        let mut request = door.request(sent.method.clone(), &sent.path, &door.key);
        if let Some(body) = &sent.body {
            request = request
                .header("Content-Type", "application/json")
                .body(body.clone());
        }
        if let Some(key) = &sent.idempotency {
            request = request.header("Idempotency-Key", key);
        }
        let answer = Answer::of(request.send().await).await;
        let wrong = wrong(described, operation, &answer);
        let body = sent
            .body
            .map(|body| String::from_utf8_lossy(&body[..body.len().min(600)]).into_owned());
        let asked = format!(
            "FUZZ={seed}: {} {}\n{body:?}\n{}",
            sent.method,
            sent.path,
            answer.told()
        );
        assert!(answer.status.as_u16() != 500, "the node failed: {asked}");
        assert!(wrong.is_empty(), "{wrong:?}: {asked}");
        if let Some(id) = answer.body["id"].as_str() {
            known.push(id.to_owned());
        }
        for item in answer.body["data"].as_array().into_iter().flatten().take(2) {
            known.extend(item["id"].as_str().map(str::to_owned));
        }
    }
}

#[tokio::test]
async fn no_answer_is_one_that_is_not_described() {
    let described = Description::read();
    let seeds = match std::env::var("FUZZ") {
        Ok(seed) => vec![seed.parse().expect("a seed is a number")],
        Err(_) => (0..8).collect(),
    };
    for seed in seeds {
        let door = Door::open().await;
        play(seed, &door, &described).await;
        door.close().await;
    }
}
