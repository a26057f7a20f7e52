//! Settings that are one word of a few.

use std::borrow::Cow;

use actors::model::agent::RestartType;
use actors::model::agent::WhenBusy;
use actors::model::team::TeamStrategy;
use actors::model::topology::Decide;
use actors::model::{EffectClass, InDoubtPolicy, OnExceeded, Recovery};
use schemars::{Schema, SchemaGenerator, json_schema};
use serde::Serialize;

use super::nearest::suggestion;
use super::problem::Complaint;
use super::read::{Node, Report};
use super::source::quoted;

/// One word of a few; its words are those serde writes.
pub(crate) trait Choice: Default + Copy + Serialize + 'static {
    /// All that a file may choose.
    const ALL: &'static [Self];
}

/// The word for a choice.
pub(crate) fn word<T: Serialize>(choice: &T) -> String {
    match serde_json::to_value(choice) {
        Ok(serde_json::Value::String(word)) => word,
        _ => String::new(),
    }
}

/// The choice a value names; anything else is reported.
pub(crate) fn read<T: Choice>(node: &Node<'_>, report: &mut Report<'_>) -> T {
    let words: Vec<String> = T::ALL.iter().map(word).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let Some(text) = node.value.as_str() else {
        report.expected(node, &format!("one of {}", one_of(&words)));
        return T::default();
    };
    match words.iter().position(|word| *word == text) {
        Some(index) => T::ALL[index],
        None => {
            report.spoil(&node.path, node.span.clone(), unknown(text, node, &words));
            T::default()
        }
    }
}

fn unknown(text: &str, node: &Node<'_>, words: &[&str]) -> Complaint {
    let setting = quoted(&node.path.to_string());
    Complaint::new(format!("{} is not a choice for {setting}", quoted(text)))
        .help(suggestion(text, "choices", words))
}

fn one_of(words: &[&str]) -> String {
    let words: Vec<_> = words.iter().map(|word| quoted(word)).collect();
    words.join(", ")
}

/// The schema of a choice whose type cannot describe itself.
pub(crate) fn schema<T: Choice>(_: &mut SchemaGenerator) -> Schema {
    let words: Vec<_> = T::ALL.iter().map(word).map(Cow::<str>::Owned).collect();
    json_schema!({ "type": "string", "enum": words })
}

/// An enum that is a [`Choice`], in the case that its serde attribute says, and is shown as a file writes it.
macro_rules! choices {
    ($(#[$about:meta])* pub enum $name:ident { $($(#[$what:meta])* $choice:ident,)+ }) => {
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
        $(#[$about])*
        pub enum $name { $($(#[$what])* $choice,)+ }

        $crate::config::choice::choice!($name: $($choice),+);

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&$crate::config::choice::word(self))
            }
        }
    };
}
pub(crate) use choices;

/// Makes an enum a [`Choice`] of these variants.
macro_rules! choice {
    ($name:ident: $($choice:ident),+) => {
        impl $crate::config::choice::Choice for $name {
            const ALL: &'static [Self] = &[$(Self::$choice),+];
        }

        impl $crate::config::read::Read for $name {
            fn read(
                node: &$crate::config::read::Node<'_>,
                report: &mut $crate::config::read::Report<'_>,
            ) -> Self {
                $crate::config::choice::read(node, report)
            }
        }
    };
}
pub(crate) use choice;

choice!(RestartType: Permanent, Transient, Temporary);
choice!(Recovery: Resume, CleanSlate);
choice!(InDoubtPolicy: TellModel, Ask, Retry, Compensate);
choice!(Decide: Allow, Deny);
choice!(WhenBusy: Queue, Reject, Interrupt);
choice!(OnExceeded: Fail, Ask);
choice!(TeamStrategy: OneForOne, OneForAll, RestForOne);
// `transactional` is not a choice: it is the class of tools that write to our own store.
choice!(EffectClass: Pure, Keyed, Queryable, Ledgered, Once);
