//! A human's answer, and a human's end of one run.

use std::time::Duration;

use supervision::{Context, Failure, Reply};

use crate::model::{Attention, EventBody, Question, RunId, RunStatus, Seq, TaskId};
use crate::run::RunMessage;
use crate::run::actor::{Answer, RunContext};
use crate::store::{Append, Cause, Draft, Store, StoreError, each_event};
use crate::task::questions::Questions;
use crate::task::registry::Registry;

use super::{PATIENCE, Room, RoomMessage};

/// What a task waits for a person to decide.
pub(crate) async fn open_questions(
    store: &dyn Store,
    task: TaskId,
) -> Result<Questions, StoreError> {
    let mut questions = Questions::default();
    each_event(store, task, 0, |event| questions.fold(&event)).await?;
    Ok(questions)
}

impl Room {
    /// Answers once everything that may have asked is up.
    pub(super) fn answer(&mut self, text: String, reply: Reply<bool>, cx: &Context<RoomMessage>) {
        self.answers.push((text, reply));
        self.answer_all(cx);
    }

    pub(super) fn answer_all(&mut self, cx: &Context<RoomMessage>) {
        if !self.is_open || !self.starting.is_empty() || self.is_answering {
            return;
        }
        let Some((text, reply)) = (!self.answers.is_empty()).then(|| self.answers.remove(0)) else {
            return;
        };
        self.is_answering = true;
        let registry = self.arguments.registry.clone();
        let context = self.arguments.context.clone();
        let _ = cx.attach(async move {
            let answered = answer(&context, &registry, &text).await.unwrap_or_default();
            reply.send(answered.taken);
            let _ = ask_passed_over(&context).await;
            RoomMessage::Answered(answered.released)
        });
    }
}

#[derive(Debug, Default)]
struct Answered {
    taken: bool,
    released: Option<RunId>,
}

/// How often is looked again whether a question is open, when whoever asked it crashed over the answer.
const LOOKS: u32 = 10;

/// How long is waited before that.
const PAUSE: Duration = Duration::from_millis(200);

/// The first question that somebody still waits for gets the answer; the others stay open.
async fn answer(
    context: &RunContext,
    registry: &Registry,
    text: &str,
) -> Result<Answered, Failure> {
    let mut tried: Option<Attention> = None;
    for _ in 0..LOOKS {
        let questions = open_questions(context.journal.store().as_ref(), context.task).await?;
        if tried.is_some_and(|tried| !questions.is_open(&tried)) {
            return Ok(Answered::taken(None));
        }
        tried = None;
        for asked in questions.all() {
            let rest = questions.without(asked);
            match give(context, registry, asked, text, rest).await? {
                Given::Taken(released) => return Ok(Answered::taken(released)),
                Given::Lost => tried = Some(asked.attention.clone()),
                Given::Refused => continue,
            }
            break;
        }
        if tried.is_none() {
            break;
        }
        tokio::time::sleep(PAUSE).await;
    }
    Ok(Answered::default())
}

impl Answered {
    fn taken(released: Option<RunId>) -> Self {
        Self {
            taken: true,
            released,
        }
    }
}

/// What became of an answer to one question.
enum Given {
    /// It is durable, and may have released a run.
    Taken(Option<RunId>),
    /// Nobody waits for it any more.
    Refused,
    /// Whoever asked crashed over it.
    Lost,
}

async fn give(
    context: &RunContext,
    registry: &Registry,
    question: &Question,
    text: &str,
    rest: Vec<Question>,
) -> Result<Given, Failure> {
    let asked = question.asked;
    match &question.attention {
        Attention::InDoubt { run, question } | Attention::Limit { run, question, .. } => {
            let Some(run) = registry.get(*run) else {
                return Ok(Given::Refused);
            };
            let answer = Box::new(Answer {
                question: question.clone(),
                asked,
                text: text.to_owned(),
                rest,
            });
            let answer = |reply| RunMessage::Answer(answer, reply);
            Ok(match run.call(answer, PATIENCE).await {
                Ok(true) => Given::Taken(None),
                Ok(false) => Given::Refused,
                Err(_) => Given::Lost,
            })
        }
        Attention::Quarantined { run, .. } => {
            let released = release(context, *run, (asked, text), rest).await?;
            Ok(match released {
                true => Given::Taken(Some(*run)),
                false => Given::Refused,
            })
        }
        Attention::GaveUp { .. } => Ok(Given::Refused),
    }
}

/// Lets a quarantined run go on; what else is open is asked again.
async fn release(
    context: &RunContext,
    run: RunId,
    (asked, answer): (Seq, &str),
    rest: Vec<Question>,
) -> Result<bool, Failure> {
    let rows = context.journal.store().runs(context.task).await?;
    let is_it = |row: &&crate::store::RunRow| row.id == run && row.status == RunStatus::Quarantined;
    let Some(row) = rows.iter().find(is_it) else {
        return Ok(false);
    };
    let draft = |run: Option<RunId>, cause, body| Draft {
        run,
        agent: Some(row.agent.clone()),
        at: context.journal.clock().now(),
        epoch: run.map_or(0, |_| row.epoch),
        cause: Some(cause),
        body,
    };
    let resumed = EventBody::TaskResumed {
        answer: answer.to_owned(),
    };
    let again = rest.into_iter().map(|Question { asked, attention }| {
        let body = EventBody::TaskNeedsAttention { attention };
        draft(None, Cause::Event(asked), body)
    });
    let drafts = [
        draft(None, Cause::Event(asked), resumed),
        draft(Some(row.id), Cause::Draft(0), EventBody::RunReleased),
    ];
    let append = Append {
        task: context.task,
        fence: Some((row.id, row.epoch)),
        drafts: drafts.into_iter().chain(again).collect(),
        blobs: Vec::new(),
    };
    context.journal.append(append).await?;
    Ok(true)
}

/// When nobody waits for an answer any more, because whoever asked has ended, the task does not need one either.
pub(super) async fn settle_attention(context: &RunContext) -> Result<(), Failure> {
    let store = context.journal.store();
    let row = store.task(context.task).await?;
    let needs = crate::model::TaskStatus::NeedsAttention;
    if row.is_none_or(|row| row.status != needs) {
        return Ok(());
    }
    let questions = open_questions(store.as_ref(), context.task).await?;
    if !questions.all().is_empty() {
        return Ok(());
    }
    let body = EventBody::TaskResumed {
        answer: "the run that asked has ended".to_owned(),
    };
    write(context, [(body, questions.forgotten())]).await;
    ask_passed_over(context).await
}

/// What was asked while somebody answered something else, and who took the answer did not know of it, is asked again.
pub(super) async fn ask_passed_over(context: &RunContext) -> Result<(), Failure> {
    let questions = open_questions(context.journal.store().as_ref(), context.task).await?;
    let again = questions.passed_over().iter().cloned();
    let again = again.map(|Question { asked, attention }| {
        let body = EventBody::TaskNeedsAttention { attention };
        (body, Some(asked))
    });
    write(context, again).await;
    Ok(())
}

async fn write(context: &RunContext, bodies: impl IntoIterator<Item = (EventBody, Option<Seq>)>) {
    let draft = |(body, cause): (EventBody, Option<Seq>)| Draft {
        run: None,
        agent: None,
        at: context.journal.clock().now(),
        epoch: 0,
        cause: cause.map(Cause::Event),
        body,
    };
    let append = Append {
        task: context.task,
        fence: None,
        drafts: bodies.into_iter().map(draft).collect(),
        blobs: Vec::new(),
    };
    if !append.drafts.is_empty() {
        // The task may have ended meanwhile: nobody is asked anything then either.
        let _ = context.journal.append(append).await;
    }
}
