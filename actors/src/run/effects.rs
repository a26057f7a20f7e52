//! What a run has done outside, for a conversation that begins again. Pure.

use crate::model::EffectClass;
use crate::model::event::Outcome;

use super::state::{Call, CallPhase, Decided, Item, RunState};

impl RunState {
    /// What a clean slate must be told: the effects the conversation so far had outside, if any.
    #[must_use]
    pub fn effects_note(&self) -> Option<String> {
        let turns = self.items.iter().filter_map(|item| {
            if let Item::Turn(turn) = item {
                Some(turn)
            } else {
                None
            }
        });
        let effects: Vec<_> = turns
            .flat_map(|turn| turn.calls.iter().filter_map(Call::effect))
            .collect();
        let intro = "An earlier attempt at this was interrupted. It had already done the following; do not repeat it unseen:";
        (!effects.is_empty()).then(|| format!("{intro}\n{}", effects.join("\n")))
    }
}

impl Call {
    /// One line about what it may have done outside.
    fn effect(&self) -> Option<String> {
        if self.class? == EffectClass::Pure {
            return None;
        }
        let said = match (&self.phase, self.decided) {
            (CallPhase::Delegated(_), _) => "begun; its result comes as a message".to_owned(),
            (_, Some(Decided::Undone)) => "done and undone again".to_owned(),
            (_, Some(Decided::Unknown)) => "begun, outcome unknown".to_owned(),
            (
                CallPhase::Done {
                    outcome, content, ..
                },
                _,
            ) => {
                let how = if *outcome == Outcome::Ok {
                    "done"
                } else {
                    "failed"
                };
                format!("{how}: {}", beginning(content.beginning()))
            }
            _ => "begun, outcome unknown".to_owned(),
        };
        let args = self.call.args.to_string();
        Some(format!("- {} {}: {said}", self.call.name, beginning(&args)))
    }
}

/// How much of arguments and results a clean slate is told.
const BEGINNING: usize = 300;

fn beginning(text: &str) -> String {
    match text.char_indices().nth(BEGINNING) {
        Some((cut, _)) => format!("{}…", &text[..cut]),
        None => text.to_owned(),
    }
}
