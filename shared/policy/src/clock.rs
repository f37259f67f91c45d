//! Whether a machine's clock can be trusted: what answers from elsewhere say of it, and whether it ran evenly.
//!
//! A machine has two clocks. The one on the wall tells the time and can be set; the steady one only counts, and stands
//! still while the machine sleeps. Where the two come apart the machine slept or its clock was set, and nothing that was
//! heard before counts any more.
//!
//! Two clocks that agree are right, and a third that differs from them is wrong. So one place whose clock is wrong stops
//! nobody while another agrees with this machine; where nobody else is heard, nobody can tell which of the two is wrong,
//! and it waits for a person.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

use crate::time::millis_between;

/// Two clocks that agree differ by at most so much, in milliseconds.
pub const AGREES_MS: i64 = 3_000;
/// After a jump the clock is trusted where nobody has contradicted it for so long, as nobody may be there to ask. A wrong
/// clock is found out all the same, by the read that comes before each call.
pub const SETTLES: Duration = Duration::from_secs(30);
/// What a place has said counts for so long. It bounds for how long one that is never heard again is in the way.
const COUNTS: Duration = Duration::from_secs(3_600);
/// A `Date` is cut to whole seconds (RFC 9110 §5.6.7), in milliseconds.
const CUT_MS: i64 = 1_000;

/// Both clocks of a machine at one instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reading {
    /// The one on the wall.
    pub wall: Timestamp,
    /// The steady one, from any beginning on.
    pub steady: Duration,
}

/// An answer from elsewhere that says when it was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answer<'a> {
    /// Whose it is: one clock has one name.
    pub from: &'a str,
    /// What the clock there said, cut to whole seconds.
    pub date: Timestamp,
    /// How long ago it was asked for, by the steady clock: it was made since then.
    pub took: Duration,
    /// Whether it comes from another machine. This one's own word proves nothing, but may pass on what another said.
    pub elsewhere: bool,
}

/// Why a clock is not trusted. Nothing is decided by it until it agrees again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Doubt {
    /// It differs from another and agrees with none.
    #[error(
        "this machine's clock is at least {} ms {} that of {from}, and nobody agrees with it; set the one that is wrong",
        ahead_ms.abs(),
        way(*ahead_ms)
    )]
    Differs {
        /// Whose clock.
        from: String,
        /// How far this machine is ahead of it, at least, in milliseconds; negative where it is behind.
        ahead_ms: i64,
    },
    /// It moved at once, and nobody has agreed with it since.
    #[error("this machine's clock moved by {by_ms} ms at once, as after a sleep, and nobody has agreed with it since")]
    Jumped {
        /// By how much, in milliseconds; negative where it went back.
        by_ms: i64,
    },
}

fn way(ahead_ms: i64) -> &'static str {
    if ahead_ms > 0 { "ahead of" } else { "behind" }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// What a place has said last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Said {
    /// The same time.
    Agrees,
    /// Nothing for certain: the answer took too long, or is this machine's own.
    Nothing,
    /// Another time: this machine is ahead by at least so many milliseconds, or behind where negative.
    Differs(i64),
}

/// What is known of a machine's clock.
#[derive(Debug, Clone, Default)]
pub struct Trust {
    last: Option<Reading>,
    /// By how much it jumped and when by the steady clock, until somebody agrees.
    jumped: Option<(i64, Duration)>,
    said: BTreeMap<String, (Said, Duration)>,
}

impl Trust {
    /// Takes in an answer that has come at `now`. Answers how far this machine is ahead where the answer contradicts it
    /// and none from there did so before: somebody may want to know, even where others agree.
    pub fn hear(&mut self, answer: &Answer<'_>, now: Reading) -> Option<i64> {
        self.follow(now);
        // It was made at some instant since it was asked for: so far ahead at most, and so far at least.
        let most = millis_between(answer.date, now.wall);
        let least = most.saturating_sub(CUT_MS).saturating_sub(millis(answer.took));
        let said = if least > AGREES_MS {
            Said::Differs(least)
        } else if most < -AGREES_MS {
            Said::Differs(most)
        } else if answer.elsewhere && most <= AGREES_MS && least >= -AGREES_MS {
            Said::Agrees
        } else {
            Said::Nothing
        };
        let before = self.said.insert(answer.from.to_owned(), (said, now.steady));
        match (said, before) {
            (Said::Differs(_), Some((Said::Differs(_), _))) => None,
            (Said::Differs(ahead), _) => Some(ahead),
            _ => None,
        }
    }

    /// Why the clock is not trusted at `now`; `None` where it is, as far as anybody has said.
    pub fn doubt(&mut self, now: Reading) -> Option<Doubt> {
        self.follow(now);
        if self.said.values().any(|(said, _)| *said == Said::Agrees) {
            self.jumped = None;
            return None;
        }
        let differs = |(from, (said, _)): (&String, &(Said, Duration))| match said {
            Said::Differs(ahead_ms) => Some(Doubt::Differs { from: from.clone(), ahead_ms: *ahead_ms }),
            Said::Agrees | Said::Nothing => None,
        };
        if let Some(doubt) = self.said.iter().find_map(differs) {
            return Some(doubt);
        }
        self.jumped = self.jumped.filter(|(_, at)| now.steady.saturating_sub(*at) < SETTLES);
        self.jumped.map(|(by_ms, _)| Doubt::Jumped { by_ms })
    }

    /// The clocks have come to `now`: side by side, or not.
    fn follow(&mut self, now: Reading) {
        if let Some(last) = self.last.replace(now) {
            let ran = millis(now.steady.saturating_sub(last.steady));
            let moved = millis_between(last.wall, now.wall).saturating_sub(ran);
            if moved.abs() > AGREES_MS {
                self.said.clear();
                self.jumped = Some((moved, now.steady));
            }
        }
        self.said.retain(|_, (_, at)| now.steady.saturating_sub(*at) < COUNTS);
    }
}

#[cfg(test)]
mod tests;
