//! Times in five fields, as cron has them: minute, hour, day of the month, month, day of the week; in UTC. Pure.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::model::Timestamp;

/// A text that is not such a time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct CronError(String);

/// The minutes that five fields name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cron {
    text: String,
    minutes: u64,
    hours: u64,
    days: u64,
    months: u64,
    weekdays: u64,
    /// A day has to fit both fields where either of them is `*`, and one of them where neither is.
    either_day: bool,
}

struct Field {
    name: &'static str,
    first: u32,
    last: u32,
    names: &'static [&'static str],
}

const MONTHS: &[&str] = &[
    "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
];
const WEEKDAYS: &[&str] = &["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

const fn field(name: &'static str, first: u32, last: u32, names: &'static [&'static str]) -> Field {
    Field {
        name,
        first,
        last,
        names,
    }
}

const FIELDS: [Field; 5] = [
    field("minute", 0, 59, &[]),
    field("hour", 0, 23, &[]),
    field("day of the month", 1, 31, &[]),
    field("month", 1, 12, MONTHS),
    field("day of the week", 0, 7, WEEKDAYS),
];

impl Field {
    /// The values that a list of ranges names, each as a bit.
    fn parse(&self, text: &str) -> Result<u64, CronError> {
        let mut parts = text.split(',').map(|part| self.part(part));
        parts.try_fold(0, |bits, part| Ok(bits | part?))
    }

    fn part(&self, text: &str) -> Result<u64, CronError> {
        let (range, step) = match text.split_once('/') {
            Some((range, step)) => (range, Some(self.step(step)?)),
            None => (text, None),
        };
        let (from, to) = match (range, range.split_once('-'), step) {
            ("*", ..) => (self.first, self.last),
            (_, Some((from, to)), _) => (self.value(from)?, self.value(to)?),
            (_, None, Some(_)) => (self.value(range)?, self.last),
            (_, None, None) => (self.value(range)?, self.value(range)?),
        };
        if from > to {
            return Err(self.wrong(text));
        }
        let values = (from..=to).step_by(step.unwrap_or(1) as usize);
        Ok(values.fold(0, |bits, value| bits | 1 << value))
    }

    fn step(&self, text: &str) -> Result<u32, CronError> {
        let step = text.parse().ok().filter(|step| (1..=60).contains(step));
        step.ok_or_else(|| self.wrong(text))
    }

    fn value(&self, text: &str) -> Result<u32, CronError> {
        let lower = text.to_ascii_lowercase();
        let named = self.names.iter().position(|name| *name == lower);
        let named = named.and_then(|at| u32::try_from(at).ok());
        let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let number = text.parse().ok().filter(|_| is_number);
        let value = named.map(|at| at + self.first.min(1)).or(number);
        value
            .filter(|value| (self.first..=self.last).contains(value))
            .ok_or_else(|| self.wrong(text))
    }

    fn wrong(&self, text: &str) -> CronError {
        let Self {
            name, first, last, ..
        } = self;
        let text: String = text.chars().take(40).collect();
        CronError(format!(
            "`{text}` is no {name}: values are {first} to {last}, as in `*`, `5`, `1-5`, `*/10`, `1,15`"
        ))
    }
}

impl FromStr for Cron {
    type Err = CronError;

    fn from_str(text: &str) -> Result<Self, CronError> {
        let fields: Vec<&str> = text.split_whitespace().collect();
        let Ok(fields) = <[&str; 5]>::try_from(fields) else {
            let shape = "five fields: minute, hour, day of the month, month, day of the week";
            return Err(CronError(format!(
                "a cron time has {shape}, as in `30 9 * * 1-5`"
            )));
        };
        let mut bits = [0; 5];
        for ((bits, field), text) in bits.iter_mut().zip(&FIELDS).zip(fields) {
            *bits = field.parse(text)?;
        }
        let [minutes, hours, days, months, weekdays] = bits;
        let cron = Self {
            text: fields.join(" "),
            minutes,
            hours,
            days,
            months,
            // Sunday is 0 and 7.
            weekdays: (weekdays | weekdays >> 7) & 0x7f,
            either_day: !fields[2].starts_with('*') && !fields[4].starts_with('*'),
        };
        match cron.after(Timestamp(0)) {
            Some(_) => Ok(cron),
            None => Err(CronError("there is no such day in any year".to_owned())),
        }
    }
}

impl fmt::Display for Cron {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Serialize for Cron {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Cron {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = String::deserialize(d)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

const MINUTE: u64 = 60_000;
const DAY: u64 = 24 * 60 * MINUTE;

/// How many days are looked at: a 29th of February on a given weekday comes within forty years.
const DAYS: u64 = 41 * 366;

impl Cron {
    /// The first of its minutes after a time.
    #[must_use]
    pub fn after(&self, time: Timestamp) -> Option<Timestamp> {
        let from = (time.0 / MINUTE).checked_add(1)?.checked_mul(MINUTE)?;
        let today = from / DAY;
        let days = (today..today.checked_add(DAYS)?).filter(|day| self.has_day(*day));
        let mut found = days.filter_map(|day| {
            let begin = if day == today {
                (from % DAY) / MINUTE
            } else {
                0
            };
            let minute = (begin..24 * 60).find(|minute| self.has_minute(*minute))?;
            Some(Timestamp(day * DAY + minute * MINUTE))
        });
        found.next()
    }

    /// Whether it names the minute that a time lies in.
    #[must_use]
    pub fn names(&self, time: Timestamp) -> bool {
        self.has_day(time.0 / DAY) && self.has_minute((time.0 % DAY) / MINUTE)
    }

    fn has_minute(&self, of_day: u64) -> bool {
        has(self.hours, of_day / 60) && has(self.minutes, of_day % 60)
    }

    fn has_day(&self, day: u64) -> bool {
        let (month, of_month) = civil(day);
        // 1970-01-01 was a Thursday.
        let weekday = has(self.weekdays, (day + 4) % 7);
        let of_month = has(self.days, of_month);
        let fits = match self.either_day {
            true => weekday || of_month,
            false => weekday && of_month,
        };
        fits && has(self.months, month)
    }
}

fn has(bits: u64, value: u64) -> bool {
    bits >> value & 1 == 1
}

/// The month and the day of the month of a day since 1970-01-01, reckoned in years that begin in March.
fn civil(day: u64) -> (u64, u64) {
    let day = day + 719_468;
    let of_era = day % 146_097;
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let of_month = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (month, of_month)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn time(text: &str) -> Timestamp {
        serde_json::from_value(text.into()).expect("a time")
    }

    #[test]
    fn the_next_time() {
        let from = time("2026-02-27T23:59:30Z");
        let next = |text: &str| {
            let cron: Cron = text.parse().expect("a cron time");
            cron.after(from)
                .map_or_else(String::new, |at| at.to_string())
        };
        let told: Vec<_> = [
            "* * * * *",
            "0 0 29 2 *",
            "30 9 * * 1-5",
            "0 12 1 * mon",
            "*/15 8-10 * JAN,mar *",
            "5/20 0 * * *",
            "0 0 * * 7",
            "59 23 31 12 *",
        ]
        .iter()
        .map(|text| format!("{text} → {}", next(text)))
        .collect();
        insta::assert_snapshot!(told.join("\n"), @r"
        * * * * * → 2026-02-28T00:00:00.000Z
        0 0 29 2 * → 2028-02-29T00:00:00.000Z
        30 9 * * 1-5 → 2026-03-02T09:30:00.000Z
        0 12 1 * mon → 2026-03-01T12:00:00.000Z
        */15 8-10 * JAN,mar * → 2026-03-01T08:00:00.000Z
        5/20 0 * * * → 2026-02-28T00:05:00.000Z
        0 0 * * 7 → 2026-03-01T00:00:00.000Z
        59 23 31 12 * → 2026-12-31T23:59:00.000Z
        ");
    }

    #[test]
    fn what_is_none() {
        let wrong: Vec<_> = [
            "",
            "* * * *",
            "60 * * * *",
            "* 24 * * *",
            "* * 0 * *",
            "* * * 13 *",
            "* * * * 8",
            "5-1 * * * *",
            "*/0 * * * *",
            "+5 * * * *",
            "a * * * *",
            "1,, * * * *",
            "0 0 30 2 *",
        ]
        .iter()
        .map(|text| match text.parse::<Cron>() {
            Ok(_) => format!("{text}: taken"),
            Err(error) => format!("{text}: {error}"),
        })
        .collect();
        insta::assert_snapshot!(wrong.join("\n"), @r"
        : a cron time has five fields: minute, hour, day of the month, month, day of the week, as in `30 9 * * 1-5`
        * * * *: a cron time has five fields: minute, hour, day of the month, month, day of the week, as in `30 9 * * 1-5`
        60 * * * *: `60` is no minute: values are 0 to 59, as in `*`, `5`, `1-5`, `*/10`, `1,15`
        * 24 * * *: `24` is no hour: values are 0 to 23, as in `*`, `5`, `1-5`, `*/10`, `1,15`
        * * 0 * *: `0` is no day of the month: values are 1 to 31, as in `*`, `5`, `1-5`, `*/10`, `1,15`
        * * * 13 *: `13` is no month: values are 1 to 12, as in `*`, `5`, `1-5`, `*/10`, `1,15`
        * * * * 8: `8` is no day of the week: values are 0 to 7, as in `*`, `5`, `1-5`, `*/10`, `1,15`
        5-1 * * * *: `5-1` is no minute: values are 0 to 59, as in `*`, `5`, `1-5`, `*/10`, `1,15`
        */0 * * * *: `0` is no minute: values are 0 to 59, as in `*`, `5`, `1-5`, `*/10`, `1,15`
        +5 * * * *: `+5` is no minute: values are 0 to 59, as in `*`, `5`, `1-5`, `*/10`, `1,15`
        a * * * *: `a` is no minute: values are 0 to 59, as in `*`, `5`, `1-5`, `*/10`, `1,15`
        1,, * * * *: `` is no minute: values are 0 to 59, as in `*`, `5`, `1-5`, `*/10`, `1,15`
        0 0 30 2 *: there is no such day in any year
        ");
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "[0-9*/,a-z -]{0,30}") {
            let _ = text.parse::<Cron>();
        }

        /// The next time is later, is named, and none between is: against a walk minute by minute.
        #[test]
        fn the_next_time_is_the_first_one_named(
            minute in 0u32..60, step in 1u32..30, hour in 0u32..24, weekday in 0u32..8,
            from in 0u64..4_000_000_000_000,
        ) {
            let texts = [
                format!("{minute} {hour} * * {weekday}"),
                format!("*/{step} {hour} * * *"),
                format!("{minute} * {} * {weekday}", hour + 1),
            ];
            for text in texts {
                let cron: Cron = text.parse().unwrap();
                let next = cron.after(Timestamp(from)).unwrap();
                prop_assert!(next.0 > from && next.0.is_multiple_of(MINUTE) && cron.names(next));
                let mut between = (from / MINUTE + 1) * MINUTE;
                while between < next.0 {
                    prop_assert!(!cron.names(Timestamp(between)), "{text}");
                    between += MINUTE;
                }
            }
        }

        /// Days against a calendar that is not ours.
        #[test]
        fn days_are_those_of_the_calendar(day in 0u64..80_000) {
            let text = Timestamp(day * DAY).to_string();
            let (month, of_month) = civil(day);
            prop_assert_eq!(&text[5..10], format!("{month:02}-{of_month:02}"));
        }
    }
}
