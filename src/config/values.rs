//! Settings with a notation of their own: durations, rates.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::problem::Complaint;
use super::read::{Node, Read, Report};
use super::source::quoted;
use super::whole::Count;

/// The longest duration that can be written; timers reach no further.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// A setting that is written as a string with a meaning.
pub(crate) trait Notation: FromStr<Err = NotationError> + fmt::Display + Default {
    /// What it is, for messages: "a duration such as `30s`".
    const WHAT: &'static str;
    /// Values an editor may show.
    const EXAMPLES: &'static [&'static str];
}

/// A text that is not what its setting takes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NotationError(pub(crate) String);

/// The value a string stands for; anything else is reported.
pub(crate) fn read<T: Notation>(node: &Node<'_>, report: &mut Report<'_>) -> T {
    let Some(text) = node.value.as_str() else {
        report.expected(node, T::WHAT);
        return T::default();
    };
    text.parse().unwrap_or_else(|error: NotationError| {
        let message = format!("{} is not {}", quoted(text), T::WHAT);
        report.spoil(
            &node.path,
            node.span.clone(),
            Complaint::new(message).help(error.0),
        );
        T::default()
    })
}

/// The schema of a notation.
pub(crate) fn schema<T: Notation>() -> Schema {
    json_schema!({ "type": "string", "description": T::WHAT, "examples": T::EXAMPLES })
}

/// Serde, schema and reader of a [`Notation`].
macro_rules! notation {
    ($name:ident) => {
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                s.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                String::deserialize(d)?
                    .parse()
                    .map_err(serde::de::Error::custom)
            }
        }

        impl JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                $crate::config::values::schema::<Self>()
            }
        }

        impl Read for $name {
            fn read(node: &Node<'_>, report: &mut Report<'_>) -> Self {
                $crate::config::values::read(node, report)
            }
        }
    };
}
pub(crate) use notation;

fn duration(text: &str) -> Result<Duration, NotationError> {
    let duration = humantime::parse_duration(text).map_err(|e| NotationError(e.to_string()))?;
    if duration > LONGEST {
        return Err(NotationError("it is longer than a year".to_owned()));
    }
    if !duration.subsec_nanos().is_multiple_of(1_000_000) {
        return Err(NotationError("durations are whole milliseconds".to_owned()));
    }
    Ok(duration)
}

/// A length of time that is not zero, such as `30s`, `5m` or `1h 30m`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Period(Duration);

impl Period {
    /// So many milliseconds; one for zero.
    #[must_use]
    pub const fn from_millis(n: u64) -> Self {
        Self(Duration::from_millis(if n == 0 { 1 } else { n }))
    }

    /// The time.
    #[must_use]
    pub const fn get(self) -> Duration {
        self.0
    }
}

impl Default for Period {
    fn default() -> Self {
        Self::from_millis(1)
    }
}

impl FromStr for Period {
    type Err = NotationError;

    fn from_str(text: &str) -> Result<Self, NotationError> {
        match duration(text)? {
            Duration::ZERO => Err(NotationError("it must be more than nothing".to_owned())),
            time => Ok(Self(time)),
        }
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        humantime::format_duration(self.0).fmt(f)
    }
}

impl Notation for Period {
    const WHAT: &'static str = "a duration such as `30s` or `5m`";
    const EXAMPLES: &'static [&'static str] = &["30s", "5m", "1h 30m"];
}

/// A length of time that may be zero.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Delay(Duration);

impl Delay {
    /// So many milliseconds.
    #[must_use]
    pub const fn from_millis(n: u64) -> Self {
        Self(Duration::from_millis(n))
    }

    /// The time.
    #[must_use]
    pub const fn get(self) -> Duration {
        self.0
    }
}

impl FromStr for Delay {
    type Err = NotationError;

    fn from_str(text: &str) -> Result<Self, NotationError> {
        duration(text).map(Self)
    }
}

impl fmt::Display for Delay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        humantime::format_duration(self.0).fmt(f)
    }
}

impl Notation for Delay {
    const WHAT: &'static str = "a duration such as `0s`, `20ms` or `2s`";
    const EXAMPLES: &'static [&'static str] = &["20ms", "0s", "2s"];
}

/// So many in a time, such as `10/1m`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Rate {
    /// How many.
    pub count: Count,
    /// In how long.
    pub per: Period,
}

impl FromStr for Rate {
    type Err = NotationError;

    fn from_str(text: &str) -> Result<Self, NotationError> {
        let parts = text.split_once('/');
        let (count, per) =
            parts.ok_or_else(|| NotationError("there is no `/` in it".to_owned()))?;
        let count = count.trim().parse().ok().filter(|count| *count > 0);
        let at_least = "the number before the `/` must be at least 1";
        Ok(Self {
            count: count
                .map(Count::new)
                .ok_or_else(|| NotationError(at_least.to_owned()))?,
            per: per.parse()?,
        })
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.count.get(), self.per)
    }
}

impl Notation for Rate {
    const WHAT: &'static str = "a rate such as `10/1m`";
    const EXAMPLES: &'static [&'static str] = &["10/1m", "60/30s"];
}

notation!(Period);
notation!(Delay);
notation!(Rate);

#[cfg(test)]
mod tests {
    use super::*;

    fn error<T: Notation + fmt::Debug>(text: &str) -> String {
        text.parse::<T>().unwrap_err().to_string()
    }

    #[test]
    fn durations_survive_being_written_and_read() {
        for text in ["30s", "5m", "1h 30m", "1500ms", "365d", "32d", "1ms"] {
            let period: Period = text.parse().unwrap();
            assert_eq!(period.to_string().parse(), Ok(period), "{text}");
        }
        let rate: Rate = "60/30s".parse().unwrap();
        assert_eq!(
            (rate.count.get(), rate.per.get()),
            (60, Duration::from_secs(30))
        );
        assert_eq!(rate.to_string(), "60/30s");
    }

    #[test]
    fn durations_have_limits() {
        assert_eq!(error::<Period>("0s"), "it must be more than nothing");
        assert_eq!(error::<Period>("2years"), "it is longer than a year");
        assert_eq!(error::<Period>("1us"), "durations are whole milliseconds");
        assert!(error::<Period>("5 parsecs").starts_with("unknown time unit \"parsecs\""));
        assert_eq!("0s".parse::<Delay>().unwrap().get(), Duration::ZERO);
    }

    #[test]
    fn rates_say_what_is_wrong() {
        assert_eq!(error::<Rate>("10"), "there is no `/` in it");
        assert_eq!(
            error::<Rate>("0/1m"),
            "the number before the `/` must be at least 1"
        );
        assert_eq!(error::<Rate>("5/0s"), "it must be more than nothing");
    }
}
