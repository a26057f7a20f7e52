//! No run's model is shown another run's private words, but for what it was given: what its parent put into the brief, the results of
//! what it delegated, what the room's topology lets it see, and the context it was begun with.
//!
//! In a troupe every text bears a mark of the run that made it up, so whose words a request holds can be read off it. What a request
//! may hold is worked out here from the journal alone.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;
use std::time::Duration;

use actors::model::{
    AgentName, Content, ContextMode, Event, EventBody, ModelRequest, RunId, RunSpec, Seq,
};
use actors::testing::sim::{Moments, Stage, settle};
use regex::Regex;
use serde_json::json;

use crate::support::examples;
use crate::support::plays::{Played, text};
use crate::support::requests::Record;
use crate::support::trace::{Trace, requests};
use crate::support::virtual_time;

/// How a run came by words of another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Way {
    Snippet,
    Room,
    Result,
    Inherited,
}

/// A mark: `<text BRIEF …>`, `<args BRIEF …>`, `<post BRIEF …>` or `<snippet BRIEF …>`, of the run that was given that brief.
type Mark = String;

fn marks(text: &str) -> BTreeSet<Mark> {
    static MARK: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new("<(?:text|args|post|snippet) job[/0-9]* [.0-9]+>").expect("a pattern")
    });
    MARK.find_iter(text)
        .map(|it| it.as_str().to_owned())
        .collect()
}

fn brief(mark: &str) -> &str {
    mark.split(' ').nth(1).unwrap_or_default()
}

struct Journal<'a> {
    record: Record<'a>,
    specs: BTreeMap<RunId, (Seq, &'a RunSpec)>,
}

impl<'a> Journal<'a> {
    fn of(played: &'a Played) -> Self {
        let queued = |event: &'a Event| match &event.body {
            EventBody::RunQueued { spec } => Some((event.run_id?, (event.id, &**spec))),
            _ => None,
        };
        Self {
            record: virtual_time(Record::new(&played.events, &*played.stage.store)),
            specs: played.events.iter().filter_map(queued).collect(),
        }
    }

    /// The runs that may have made up a mark; two where a clean slate delegated the same once more.
    fn owners(&self, mark: &str) -> Vec<RunId> {
        let runs = self.specs.iter();
        let given = runs.filter(|(_, (_, spec))| spec.input == brief(mark));
        given.map(|(run, _)| *run).collect()
    }

    /// The words of others that a run may have heard of up to an event.
    fn allowed(&self, run: RunId, up_to: Seq) -> BTreeMap<Mark, Way> {
        let (queued, spec) = self.specs[&run];
        let mut allowed = BTreeMap::new();
        let mut allow = |text: &str, way| {
            allowed.extend(marks(text).into_iter().map(|mark| (mark, way)));
        };
        if spec.context == ContextMode::Scoped {
            spec.snippets
                .iter()
                .for_each(|snippet| allow(snippet, Way::Snippet));
        }
        let is_alone = spec.context == ContextMode::None && spec.parent.is_some();
        for event in self.record.visible(&spec.agent) {
            if event.id > up_to {
                break;
            }
            match &event.body {
                EventBody::TaskMessage { content, .. } if !(is_alone && event.id < queued) => {
                    allow(content, Way::Room);
                }
                EventBody::RunCompleted { result, .. } if self.is_child(event, run) => {
                    allow(&self.capsule(result), Way::Result);
                }
                _ => {}
            }
        }
        if let Some(parent) = spec
            .parent
            .as_ref()
            .filter(|_| spec.context == ContextMode::Full)
        {
            let above = self.allowed(parent.run, parent.up_to);
            allowed.extend(above.into_keys().map(|mark| (mark, Way::Inherited)));
            allowed.extend(self.said_by(parent.run, parent.up_to));
        }
        allowed
    }

    fn is_child(&self, event: &Event, of: RunId) -> bool {
        let spec = event.run_id.and_then(|run| self.specs.get(&run));
        let parent = spec.and_then(|(_, spec)| spec.parent.as_ref());
        parent.is_some_and(|parent| parent.run == of)
    }

    /// What a parent is shown of a result.
    fn capsule(&self, result: &Content) -> String {
        let text = match result {
            Content::Inline(text) => text,
            Content::Blob { blob, .. } => &self.record.blobs[blob],
        };
        let limit = self.record.task.limits.capsule_chars as usize;
        text.chars().take(limit).collect()
    }

    /// The words of a run itself, up to an event.
    fn said_by(&self, run: RunId, up_to: Seq) -> impl Iterator<Item = (Mark, Way)> {
        let own = self.record.events.iter();
        let own = own.filter(move |event| event.run_id == Some(run) && event.id <= up_to);
        let said = own.flat_map(|event| match &event.body {
            EventBody::ModelCallCompleted { text, calls, .. } => {
                let args = calls.iter().map(|call| call.args.to_string());
                args.chain([text.clone()]).collect()
            }
            _ => Vec::new(),
        });
        let marks = said.flat_map(|text| marks(&text));
        marks.map(|mark| (mark, Way::Inherited))
    }
}

/// How often each way was gone, and how many marks of its own runs were shown.
#[derive(Debug, Default)]
struct Shown {
    own: usize,
    others: BTreeMap<Way, usize>,
}

fn examine(played: &Played, shown: &mut Shown) {
    let journal = Journal::of(played);
    for (head, request) in requests(&played.facts) {
        let held = marks(&serde_json::to_string(request).expect("json"));
        let mut allowed = None;
        for mark in held {
            let owners = journal.owners(&mark);
            if owners.contains(&request.run) {
                shown.own += 1;
                continue;
            }
            let allowed = allowed.get_or_insert_with(|| journal.allowed(request.run, head));
            let way = allowed.get(&mark).unwrap_or_else(|| {
                panic!(
                    "TROUPE={}: {} holds {mark}, words of {owners:?}\n{}",
                    played.seed,
                    request.run,
                    text(&played.events)
                )
            });
            *shown.others.entry(*way).or_default() += 1;
        }
    }
}

#[test]
fn no_request_holds_private_words_of_another_run() {
    let mut shown = Shown::default();
    for played in examples() {
        examine(played, &mut shown);
    }
    let enough = |way| shown.others.get(&way).is_some_and(|count| *count > 50);
    let ways = [Way::Snippet, Way::Room, Way::Result, Way::Inherited];
    assert!(
        shown.own > 1_000 && ways.into_iter().all(enough),
        "{shown:?}"
    );
}

/// A parent that has said and paid something, and delegates with each context.
fn contexts() -> Stage {
    let delegate = |context: &str| {
        let mut args = json!({ "agent": "ada", "input": format!("{context}: what ada does"), "context": context });
        if context == "scoped" {
            args["snippets"] = json!(["a snippet for ada"]);
        }
        json!({ "say": format!("lead's word, {context}"), "call": "create_run", "args": args })
    };
    let post = json!({ "tool": "post_message", "args": { "content": "said in the room" } });
    let whisper =
        json!({ "tool": "post_message", "args": { "content": "said to ben", "to": "ben" } });
    let pay = json!({ "tool": "pay_pure", "args": { "what": "lead's result" } });
    let scripts = json!({ "latency": "20ms", "scripts": {
        "lead": [
            { "say": "lead's first word", "calls": [pay, post, whisper] },
            delegate("none"), delegate("scoped"), delegate("full"), { "say": "Done." }
        ],
        "ada": [ { "say": "ada's private word", "call": "pay_pure", "args": { "what": "ada's result" } }, { "say": "ada's last word" } ]
    } });
    Stage::new(serde_json::from_value(scripts).expect("scripts"), 6)
}

/// What each run of an agent was asked first.
fn first_requests(trace: &Trace, agent: &str) -> Vec<ModelRequest> {
    let facts = trace.all();
    let mut seen = BTreeSet::new();
    let of_agent = requests(&facts).filter(|(_, request)| request.agent == agent);
    let first = of_agent.filter(|(_, request)| seen.insert(request.run));
    first.map(|(_, request)| request.clone()).collect()
}

#[tokio::test(start_paused = true)]
async fn a_context_shows_what_it_is_said_to_show() {
    let stage = contexts();
    let trace = Trace::of(&stage);
    let moments = Moments::calm();
    let system = stage.open_with(&moments, |deps| trace.watch(deps)).await;
    let task = system.create_task(stage.task(&["lead", "ada", "ben"]));
    let task = task.await.expect("a task");
    settle(&system, task, Duration::from_secs(60)).await;
    let mut text = String::new();
    for request in first_requests(&trace, "ada") {
        for message in &request.messages {
            text += &format!(
                "{}\n\n",
                serde_json::to_string_pretty(message).expect("json")
            );
        }
    }
    for (nth, row) in system.runs(task).await.expect("runs").iter().enumerate() {
        text = text.replace(&row.id.to_string(), &format!("run_{nth}"));
    }
    system.shutdown().await;
    insta::assert_snapshot!(text.replace("\\n", "\n"));
}

#[tokio::test(start_paused = true)]
async fn what_a_person_says_to_one_agent_is_shown_to_no_other() {
    let delegate = |agent: &str| json!({ "tool": "create_run", "args": { "agent": agent, "input": agent, "mode": "background", "context": "full" } });
    let busy = json!([{ "call": "pay_pure" }, { "call": "pay_pure" }, { "call": "pay_pure" }, { "say": "Done." }]);
    let scripts = json!({ "latency": "1s", "scripts": {
        "lead": [{ "calls": [delegate("ada"), delegate("ben")] }, { "call": "pay_pure" }, { "say": "I wait." }],
        "ada": busy.clone(), "ben": busy
    } });
    let stage = Stage::new(serde_json::from_value(scripts).expect("scripts"), 6);
    let trace = Trace::of(&stage);
    let moments = Moments::calm();
    let system = stage.open_with(&moments, |deps| trace.watch(deps)).await;
    let task = system.create_task(stage.task(&["lead", "ada", "ben"]));
    let task = task.await.expect("a task");
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    let ada = Some(AgentName::from("ada"));
    system.say(task, "for ada alone", ada).await.expect("said");
    system.say(task, "for everybody", None).await.expect("said");
    settle(&system, task, Duration::from_secs(60)).await;
    system.shutdown().await;
    let heard = |words: &str| -> BTreeSet<String> {
        let facts = trace.all();
        let holds = |request: &ModelRequest| {
            let text = serde_json::to_string(request).expect("json");
            text.contains(words)
        };
        let heard = requests(&facts).filter(|(_, request)| holds(request));
        heard.map(|(_, request)| request.agent.clone()).collect()
    };
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    assert_eq!(heard("for everybody"), names(&["lead", "ada", "ben"]));
    assert_eq!(heard("for ada alone"), names(&["ada"]));
}
