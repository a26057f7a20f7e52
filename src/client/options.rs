//! How long is waited and how often is asked. PURE.

use std::time::Duration;

use super::Error;

/// Limits of a client.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Options {
    /// How long a connection may take; 5 s.
    pub connect_timeout: Duration,
    /// How long an answer may take; 60 s.
    pub timeout: Duration,
    /// How often a request is sent again when its answer was lost or the node says that it cannot do it now; 4 times.
    pub retries: u32,
    /// The first wait before that, which doubles each time; 100 ms.
    pub base: Duration,
    /// The longest such wait; 5 s. A node that wants a longer one (`Retry-After`) is not waited for.
    pub cap: Duration,
    /// How long a stream of events may be silent before it is connected again; 45 s. A node shows every 15 s that it is there.
    pub silence: Duration,
    /// How long a stream of events goes on trying to reach its node; 10 min.
    pub outage: Duration,
    /// The largest answer or event, in bytes; 64 MiB.
    pub largest: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(5),
            timeout: Duration::from_secs(60),
            retries: 4,
            base: Duration::from_millis(100),
            cap: Duration::from_secs(5),
            silence: Duration::from_secs(45),
            outage: Duration::from_secs(600),
            largest: 64 * 1024 * 1024,
        }
    }
}

impl Options {
    /// The wait before the next try after `tries` that failed, the last of them so; none if there is to be none.
    pub(super) fn again(&self, error: &Error, tries: u32, chance: f64) -> Option<Duration> {
        if tries > self.retries {
            return None;
        }
        self.wait(error, tries, chance)
    }

    /// The same without an end.
    pub(super) fn wait(&self, error: &Error, tries: u32, chance: f64) -> Option<Duration> {
        if !error.is_retryable() {
            return None;
        }
        let asked = error.retry_after().unwrap_or_default();
        let doubled = 1_u32.checked_shl(tries.saturating_sub(1).min(31));
        let wait = self.base.saturating_mul(doubled.unwrap_or(u32::MAX));
        // Clients that lost their node together do not come back together.
        let wait = wait
            .min(self.cap)
            .mul_f64(0.5 + chance.clamp(0.0, 1.0) / 2.0);
        (asked <= self.cap).then(|| wait.max(asked))
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Problem, ProblemKind};
    use super::*;

    fn away() -> Error {
        Error::Unreachable {
            url: "http://n".to_owned(),
            cause: "gone".to_owned(),
        }
    }

    fn problem(retryable: bool, after: Option<u64>) -> Error {
        Error::Problem(Box::new(Problem {
            kind: ProblemKind::Unavailable,
            title: String::new(),
            status: 503,
            detail: String::new(),
            retryable,
            state: None,
            errors: Vec::new(),
            retry_after: after.map(Duration::from_secs),
        }))
    }

    #[test]
    fn waits_double_up_to_the_cap_and_end() {
        let options = Options::default();
        let waits = (1..=5).map(|tries| options.again(&away(), tries, 1.0));
        let waits: Vec<_> = waits.map(|wait| wait.map(|it| it.as_millis())).collect();
        let expected = [Some(100), Some(200), Some(400), Some(800), None];
        assert_eq!(waits, expected);
        assert_eq!(options.wait(&away(), 40, 0.0), Some(options.cap / 2));
    }

    #[test]
    fn the_node_says_when_and_whether() {
        let options = Options::default();
        let wait = |error| options.again(&error, 1, 0.0).map(|it| it.as_millis());
        assert_eq!(wait(problem(true, Some(2))), Some(2000));
        assert_eq!(wait(problem(true, Some(6))), None);
        assert_eq!(wait(problem(true, None)), Some(50));
        assert_eq!(wait(problem(false, Some(1))), None);
    }
}
