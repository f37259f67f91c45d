//! When something that failed is tried again.

use std::time::Duration;

/// The first wait.
const FIRST: Duration = Duration::from_secs(1);
/// The longest wait, and the retry interval of which P1 speaks.
pub const LONGEST: Duration = Duration::from_secs(300);
/// How often something that needs a person is tried again.
pub const HOURLY: Duration = Duration::from_secs(3_600);
/// The longest wait for a turn.
const TURN: Duration = Duration::from_secs(15);
/// The bounds of a wait that a target asks for.
const ASKED: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(900));

/// How long to wait after so many failures in a row: a second, doubling to five minutes. What the target asks for wins,
/// within a second and a quarter of an hour.
#[must_use]
pub fn backoff(failures: u32, asked: Option<Duration>) -> Duration {
    match asked {
        Some(asked) => asked.clamp(ASKED.0, ASKED.1),
        None => FIRST.saturating_mul(1 << failures.saturating_sub(1).min(16)).min(LONGEST),
    }
}

/// How long until a turn is asked for again of which so often none was free: about a second, doubling to fifteen. `chance`
/// takes away up to the half, so that those who came together don't come together again.
#[must_use]
pub fn turn_wait(looks: u32, chance: u8) -> Duration {
    let longest = FIRST.saturating_mul(1 << looks.min(16)).min(TURN);
    let half = u64::try_from(longest.as_millis()).unwrap_or(u64::MAX) / 2;
    Duration::from_millis(half + half * u64::from(chance) / 255)
}
