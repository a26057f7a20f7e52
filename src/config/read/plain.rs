//! Strings, numbers, lists and maps.

use std::collections::BTreeMap;

use toml::de::DeValue;

use super::{Node, Read, Report};
use crate::config::problem::Complaint;
use crate::config::source::quoted;

impl Read for String {
    fn read(node: &Node<'_>, report: &mut Report<'_>) -> Self {
        let text = node.value.as_str().map(str::to_owned);
        text.unwrap_or_else(|| {
            report.expected(node, "a string");
            Self::new()
        })
    }
}

impl Read for bool {
    fn read(node: &Node<'_>, report: &mut Report<'_>) -> Self {
        node.value.as_bool().unwrap_or_else(|| {
            report.expected(node, "true or false");
            false
        })
    }
}

impl Read for u32 {
    fn read(node: &Node<'_>, report: &mut Report<'_>) -> Self {
        whole_number(node, 0, i64::from(Self::MAX), report)
            .and_then(|n| Self::try_from(n).ok())
            .unwrap_or_default()
    }
}

impl Read for u64 {
    fn read(node: &Node<'_>, report: &mut Report<'_>) -> Self {
        whole_number(node, 0, i64::MAX, report)
            .and_then(|n| Self::try_from(n).ok())
            .unwrap_or_default()
    }
}

impl Read for f64 {
    fn read(node: &Node<'_>, report: &mut Report<'_>) -> Self {
        match number(node.value) {
            Some(number) if number.is_finite() => number,
            Some(_) => {
                let message = format!("{} must be a finite number", quoted(&node.path.to_string()));
                report.spoil(&node.path, node.span.clone(), Complaint::new(message));
                0.0
            }
            None => {
                report.expected(node, "a number");
                0.0
            }
        }
    }
}

impl<T: Read> Read for Option<T> {
    fn read(node: &Node<'_>, report: &mut Report<'_>) -> Self {
        Some(T::read(node, report))
    }
}

impl<T: Read> Read for Vec<T> {
    fn read(node: &Node<'_>, report: &mut Report<'_>) -> Self {
        let DeValue::Array(items) = node.value else {
            report.expected(node, "an array");
            return Self::new();
        };
        let items = items.iter().enumerate();
        items
            .map(|(i, item)| T::read(&Node::new(item, node.path.then(i)), report))
            .collect()
    }
}

impl<T: Read> Read for BTreeMap<String, T> {
    fn read(node: &Node<'_>, report: &mut Report<'_>) -> Self {
        let DeValue::Table(table) = node.value else {
            report.expected(node, "a table");
            return Self::new();
        };
        let entry = |(key, value): (&toml::Spanned<_>, _)| {
            let key: &std::borrow::Cow<'_, str> = key.get_ref();
            let value = T::read(&Node::new(value, node.path.then(key.as_ref())), report);
            (key.to_string(), value)
        };
        table.iter().map(entry).collect()
    }
}

/// A whole number of a range; anything else is reported.
pub(crate) fn whole_number(
    node: &Node<'_>,
    least: i64,
    most: i64,
    report: &mut Report<'_>,
) -> Option<i64> {
    let DeValue::Integer(digits) = node.value else {
        report.expected(node, "a whole number");
        return None;
    };
    let number = i128::from_str_radix(digits.as_str(), digits.radix());
    let number = number.ok().and_then(|n| i64::try_from(n).ok());
    let fitting = number.filter(|n| (least..=most).contains(n));
    if fitting.is_none() {
        let name = quoted(&node.path.to_string());
        let limit = match number {
            None if !digits.as_str().starts_with('-') => format!("at most {most}"),
            Some(n) if n > most => format!("at most {most}"),
            _ => format!("at least {least}"),
        };
        report.spoil(
            &node.path,
            node.span.clone(),
            Complaint::new(format!("{name} must be {limit}")),
        );
    }
    fitting
}

/// An integer or a float.
pub(crate) fn number(value: &DeValue<'_>) -> Option<f64> {
    match value {
        DeValue::Float(float) => float.as_str().parse().ok(),
        DeValue::Integer(integer) if integer.radix() == 10 => integer.as_str().parse().ok(),
        _ => None,
    }
}
