//! Filling `{{input}}`, `{{last}}` and `{{result.N}}`. PURE.

use serde_json::{Map, Value};

use super::choose::{newest, text};
use crate::model::ChatMessage;

/// How large a filled reply may grow, its arguments included.
pub(super) const MAX_REPLY_BYTES: usize = 4 * 1024 * 1024;

/// What the placeholders stand for in one conversation, and how much may still be written.
pub(super) struct Filler<'a> {
    input: &'a str,
    last: &'a str,
    results: Vec<&'a str>,
    left: usize,
}

impl<'a> Filler<'a> {
    pub(super) fn new(brief: &'a str, messages: &'a [ChatMessage]) -> Self {
        let result = |m: &&ChatMessage| matches!(m, ChatMessage::Tool { .. });
        Self {
            input: brief,
            last: newest(messages),
            results: messages.iter().filter(result).map(text).collect(),
            left: MAX_REPLY_BYTES,
        }
    }

    /// `template` with its placeholders filled in; what was filled in is not looked at again.
    pub(super) fn text(&mut self, template: &str) -> Result<String, String> {
        let mut out = String::with_capacity(template.len());
        let mut rest = template;
        while let Some(start) = rest.find("{{") {
            self.write(&mut out, &rest[..start])?;
            rest = &rest[start..];
            let (value, length) = self.placeholder(rest)?;
            self.write(&mut out, value)?;
            rest = &rest[length..];
        }
        self.write(&mut out, rest)?;
        Ok(out)
    }

    /// `args` with every string in it filled in; keys are left alone.
    pub(super) fn args(&mut self, args: &Map<String, Value>) -> Result<Map<String, Value>, String> {
        let fill = |(key, value): (&String, &Value)| Ok((key.clone(), self.value(value)?));
        args.iter().map(fill).collect()
    }

    fn value(&mut self, value: &Value) -> Result<Value, String> {
        Ok(match value {
            Value::String(text) => Value::String(self.text(text)?),
            Value::Array(items) => {
                let items: Result<_, String> = items.iter().map(|item| self.value(item)).collect();
                Value::Array(items?)
            }
            Value::Object(map) => Value::Object(self.args(map)?),
            other => other.clone(),
        })
    }

    fn write(&mut self, out: &mut String, text: &str) -> Result<(), String> {
        self.left = self.left.checked_sub(text.len()).ok_or_else(|| {
            format!("the filled-in reply is larger than {MAX_REPLY_BYTES} bytes: put less into it")
        })?;
        out.push_str(text);
        Ok(())
    }

    /// What stands at the start of `rest`, which begins with two braces, and how long it is. A brace that begins no
    /// placeholder stands for itself, so that a script can write templates of another language.
    fn placeholder<'r>(&self, rest: &'r str) -> Result<(&'r str, usize), String>
    where
        'a: 'r,
    {
        if rest.starts_with("{{input}}") {
            return Ok((self.input, "{{input}}".len()));
        }
        if rest.starts_with("{{last}}") {
            return Ok((self.last, "{{last}}".len()));
        }
        match result_number(rest) {
            Some((n, length)) => Ok((self.result(n)?, length)),
            None => Ok((&rest[..1], 1)),
        }
    }

    fn result(&self, n: usize) -> Result<&'a str, String> {
        let there = self.results.len();
        self.results.get(n).copied().ok_or_else(|| {
            format!("`{{{{result.{n}}}}}` is not there: the run has {there} tool results so far, counted from 0")
        })
    }
}

/// The N of a `{{result.N}}` at the start of `rest`, and the length of it all.
fn result_number(rest: &str) -> Option<(usize, usize)> {
    const START: &str = "{{result.";
    let tail = rest.strip_prefix(START)?;
    let digits = tail.bytes().take_while(u8::is_ascii_digit).count();
    let n = tail[..digits].parse().ok()?;
    tail[digits..]
        .starts_with("}}")
        .then_some((n, START.len() + digits + 2))
}
