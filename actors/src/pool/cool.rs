//! A pause after a provider refused a call because there were too many, and a slow start after it. Pure.
//!
//! All who call the provider share it: one refusal holds back everybody. The pause is what the provider asked for, and some chance on
//! top, so that several processes do not come back in one moment. Then one call may go at a time, and for each that is answered one
//! more, up to half of what was under way when it was refused; from there on one more for each round. Ten minutes without a refusal
//! end that. So the number of calls that are refused each time stays near the number that may be under way.

use std::time::Duration;

/// The longest pause that is granted to a provider, before the chance on top.
pub(super) const MOST_PAUSE: Duration = Duration::from_secs(3600);

const BASE: Duration = Duration::from_secs(1);
const CAP: Duration = Duration::from_secs(30);
/// So long without a refusal, and it may be asked by any number again.
const CALM: Duration = Duration::from_secs(600);

const LEAST: Duration = Duration::from_millis(50);

#[derive(Debug, Clone)]
pub(super) struct Cooling {
    until: Duration,
    /// Counts the pauses: what was let go before the newest one says nothing new.
    generation: u64,
    /// Pauses in a row.
    streak: u32,
    slow: Option<Slow>,
    chance: fastrand::Rng,
}

/// How many calls may be under way after a pause, and how many are.
#[derive(Debug, Clone, Copy)]
struct Slow {
    room: u32,
    under_way: u32,
    /// From here on room grows by one a round instead of one an answer.
    enough: u32,
    /// Answers since room grew last.
    answers: u32,
}

/// Why a call may not go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hold {
    Pause(Duration),
    SlowStart,
}

impl Cooling {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            until: Duration::ZERO,
            generation: 0,
            streak: 0,
            slow: None,
            chance: fastrand::Rng::with_seed(seed),
        }
    }

    pub(super) fn hold(&self, now: Duration) -> Option<Hold> {
        if now < self.until {
            return Some(Hold::Pause(self.until));
        }
        let is_full = |slow: Slow| slow.under_way >= slow.room;
        self.slow.is_some_and(is_full).then_some(Hold::SlowStart)
    }

    /// Lets one go; what is returned is to be said when something becomes of it.
    pub(super) fn begin(&mut self) -> u64 {
        if let Some(slow) = &mut self.slow {
            slow.under_way += 1;
        }
        self.generation
    }

    pub(super) fn end(&mut self, generation: u64) {
        if let Some(slow) = self.slow.as_mut().filter(|_| generation == self.generation) {
            slow.under_way = slow.under_way.saturating_sub(1);
        }
    }

    /// One was answered.
    pub(super) fn answered(&mut self, now: Duration, generation: u64) {
        let Some(slow) = self.slow.as_mut().filter(|_| generation == self.generation) else {
            return;
        };
        self.streak = 0;
        slow.answers += 1;
        if slow.room < slow.enough || slow.answers >= slow.room {
            (slow.room, slow.answers) = (slow.room.saturating_add(1), 0);
        }
        if now >= self.until + CALM {
            self.slow = None;
        }
    }

    /// One was refused while so many were under way.
    pub(super) fn refused(
        &mut self,
        now: Duration,
        generation: u64,
        asked: Option<Duration>,
        under_way: u32,
    ) {
        let asked = asked.unwrap_or_default().min(MOST_PAUSE);
        if generation != self.generation {
            self.until = self.until.max(now + asked);
            return;
        }
        let whole = BASE.saturating_mul(1 << self.streak.min(10)).min(CAP);
        let pause = asked + whole.mul_f64(self.chance.f64());
        self.until = self.until.max(now + pause.max(LEAST));
        self.generation += 1;
        self.streak = self.streak.saturating_add(1);
        let had = self.slow.map_or(under_way, |slow| slow.room);
        self.slow = Some(Slow {
            room: 1,
            under_way: 0,
            enough: (had / 2).max(1),
            answers: 0,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn end_of(cooling: &Cooling, now: Duration) -> Duration {
        match cooling.hold(now) {
            Some(Hold::Pause(until)) => until,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn many_refusals_of_one_moment_are_one_pause() {
        let mut cooling = Cooling::new(7);
        let calls: Vec<_> = (0..50).map(|_| cooling.begin()).collect();
        cooling.refused(SECOND, calls[0], Some(10 * SECOND), 50);
        let until = end_of(&cooling, SECOND);
        assert!((11 * SECOND..=12 * SECOND).contains(&until), "{until:?}");
        for call in &calls[1..] {
            cooling.refused(SECOND, *call, Some(10 * SECOND), 50);
        }
        assert_eq!(end_of(&cooling, SECOND), until);
        cooling.refused(SECOND, calls[1], Some(20 * SECOND), 50);
        assert_eq!(
            end_of(&cooling, SECOND),
            21 * SECOND,
            "a longer wish counts"
        );
    }

    #[test]
    fn after_a_pause_room_doubles_with_each_round_then_grows_by_one_and_calm_ends_it() {
        let mut cooling = Cooling::new(7);
        let call = cooling.begin();
        cooling.refused(Duration::ZERO, call, None, 12);
        let mut now = end_of(&cooling, Duration::ZERO);
        let mut rounds = Vec::new();
        while rounds.len() < 8 {
            let mut round = Vec::new();
            if rounds.len() == 6 {
                now += CALM;
            }
            while cooling.hold(now).is_none() && round.len() < 100 {
                round.push(cooling.begin());
            }
            rounds.push(round.len());
            for call in round {
                cooling.answered(now, call);
                cooling.end(call);
            }
        }
        assert_eq!(rounds, [1, 2, 4, 6, 7, 8, 9, 100]);
    }

    #[test]
    fn pauses_in_a_row_grow_and_are_capped_and_differ_by_seed() {
        let longest = |times: u32| {
            let pauses = (0..200).map(|seed| {
                let mut cooling = Cooling::new(seed);
                let mut now = Duration::ZERO;
                let mut pause = Duration::ZERO;
                for _ in 0..times {
                    let call = cooling.begin();
                    cooling.refused(now, call, None, 1);
                    let until = end_of(&cooling, now);
                    (pause, now) = (until - now, until);
                }
                pause
            });
            pauses.max().expect("some").as_secs_f64().round()
        };
        assert_eq!([1, 2, 3, 6, 40].map(longest), [1.0, 2.0, 4.0, 30.0, 30.0]);
    }

    #[test]
    fn a_wish_is_granted_up_to_an_hour() {
        let mut cooling = Cooling::new(7);
        let call = cooling.begin();
        cooling.refused(Duration::ZERO, call, Some(Duration::MAX), 1);
        assert!(end_of(&cooling, Duration::ZERO) <= MOST_PAUSE + CAP);
    }
}
