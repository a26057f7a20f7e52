//! When a provider wants to be asked again. PURE.

use std::time::{Duration, SystemTime};

/// The longest wait that is believed.
const MOST: Duration = Duration::from_secs(24 * 3600);

/// The wait that `retry-after-ms` or `retry-after` ask for: milliseconds, seconds, or a date, which is measured against the
/// response's own `date`, and against `now` where it has none.
pub(crate) fn retry_after<'a>(
    header: impl Fn(&str) -> Option<&'a str>,
    now: SystemTime,
) -> Option<Duration> {
    let millis = header("retry-after-ms").and_then(|text| number(text, 1e-3));
    millis.or_else(|| {
        let text = header("retry-after")?;
        number(text, 1.0).or_else(|| {
            let now = header("date").and_then(date).unwrap_or(now);
            let wait = date(text)?.duration_since(now).unwrap_or_default();
            Some(wait.min(MOST))
        })
    })
}

fn number(text: &str, unit: f64) -> Option<Duration> {
    let seconds = text.trim().parse::<f64>().ok()? * unit;
    let seconds = Some(seconds).filter(|s| s.is_finite())?;
    Duration::try_from_secs_f64(seconds.min(MOST.as_secs_f64())).ok()
}

/// A date as HTTP writes it: `Sun, 06 Nov 1994 08:49:37 GMT`.
fn date(text: &str) -> Option<SystemTime> {
    const MONTHS: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    let mut words = text.split_ascii_whitespace().skip(1);
    let day = words.next()?;
    let month = words.next()?;
    let month = MONTHS.iter().position(|name| *name == month)? + 1;
    let (year, time) = (words.next()?, words.next()?);
    humantime::parse_rfc3339(&format!("{year}-{month:02}-{day:0>2}T{time}Z")).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn wait(headers: &[(&str, &str)]) -> Option<f64> {
        let now = date("Sun, 06 Nov 1994 08:49:00 GMT").expect("a date");
        let find = |name: &str| headers.iter().find(|h| h.0 == name).map(|h| h.1);
        retry_after(find, now).map(|wait| wait.as_secs_f64())
    }

    #[test]
    fn every_way_to_say_it() {
        assert_eq!(wait(&[("retry-after", "7")]), Some(7.0));
        assert_eq!(wait(&[("retry-after", " 0.25 ")]), Some(0.25));
        assert_eq!(
            wait(&[("retry-after", "7"), ("retry-after-ms", "1500.5")]),
            Some(1.5005)
        );
        assert_eq!(
            wait(&[("retry-after", "7"), ("retry-after-ms", "soon")]),
            Some(7.0)
        );
        assert_eq!(wait(&[("retry-after", "1e99")]), Some(MOST.as_secs_f64()));
    }

    #[test]
    fn a_date_is_measured_by_the_clock_that_wrote_it() {
        let at = ("retry-after", "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(wait(&[at]), Some(37.0));
        assert_eq!(
            wait(&[at, ("date", "Sun, 06 Nov 1994 08:49:30 GMT")]),
            Some(7.0)
        );
        assert_eq!(
            wait(&[at, ("date", "Sun, 06 Nov 1994 09:00:00 GMT")]),
            Some(0.0)
        );
    }

    #[test]
    fn what_cannot_be_read_is_no_wish() {
        for text in [
            "",
            "-1",
            "NaN",
            "inf",
            "soon",
            "Sun, 06 Now 1994 08:49:37 GMT",
            "Sun, 99 Nov 1994 08:49:37 GMT",
        ] {
            assert_eq!(wait(&[("retry-after", text)]), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_can_be_read(text in "\\PC{0,40}") {
            let _ = wait(&[("retry-after", &text), ("retry-after-ms", &text)]);
            let _ = date(&format!("Sun, {text}"));
        }
    }
}
