//! Values without a fixed shape: a model's settings, a tool's arguments.

use serde_json::{Map, Number, Value};
use toml::de::DeValue;

use super::{Node, Read, Report};
use crate::config::problem::Complaint;
use crate::config::source::quoted;

impl Read for Value {
    fn read(node: &Node<'_>, report: &mut Report<'_>) -> Self {
        match node.value {
            DeValue::String(text) => Self::from(text.as_ref()),
            DeValue::Boolean(flag) => Self::from(*flag),
            DeValue::Datetime(when) => Self::from(when.to_string()),
            DeValue::Integer(n) => finite(
                node,
                i64::from_str_radix(n.as_str(), n.radix()).ok(),
                report,
            ),
            DeValue::Float(n) => {
                let number = n.as_str().parse().ok();
                finite(node, number.and_then(Number::from_f64), report)
            }
            DeValue::Array(_) => Self::Array(Vec::read(node, report)),
            DeValue::Table(_) => Self::Object(Map::read(node, report)),
        }
    }
}

fn finite(node: &Node<'_>, number: Option<impl Into<Value>>, report: &mut Report<'_>) -> Value {
    number.map(Into::into).unwrap_or_else(|| {
        let message = format!(
            "{} is not a number that JSON has",
            quoted(&node.path.to_string())
        );
        report.spoil(&node.path, node.span.clone(), Complaint::new(message));
        Value::Null
    })
}

impl Read for Map<String, Value> {
    fn read(node: &Node<'_>, report: &mut Report<'_>) -> Self {
        let DeValue::Table(table) = node.value else {
            report.expected(node, "a table");
            return Self::new();
        };
        let mut map = Self::new();
        for (key, value) in table {
            let name = key.get_ref().as_ref();
            let value = Value::read(&Node::new(value, node.path.then(name)), report);
            map.insert(name.to_owned(), value);
        }
        map
    }
}
