//! When something that failed is tried again.

use std::time::Duration;

/// The first wait.
const FIRST: Duration = Duration::from_secs(1);
/// The longest wait, and the retry interval of which P1 speaks.
pub const LONGEST: Duration = Duration::from_secs(300);
/// How often something that needs a person is tried again.
pub const HOURLY: Duration = Duration::from_secs(3_600);
/// The longest wait before an app is asked again whose account somebody has.
const LOOK_UP: Duration = Duration::from_secs(30);
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
        None => doubled(failures),
    }
}

fn doubled(failures: u32) -> Duration {
    FIRST.saturating_mul(1 << failures.saturating_sub(1).min(16)).min(LONGEST)
}

/// [`backoff`] for one of many that may have failed together: from the second failure on up to a quarter of the doubling
/// wait apart, by `chance`. What comes again in step fills the same target's limit in step, with its reads, and never gets
/// to the calls behind them. Never earlier than the target asks, never later than five minutes where it asks for nothing.
#[must_use]
pub fn backoff_apart(failures: u32, asked: Option<Duration>, chance: u8) -> Duration {
    let apart = if failures < 2 { Duration::ZERO } else { part(doubled(failures) / 4, chance) };
    match asked {
        Some(_) => backoff(failures, asked) + apart,
        None => backoff(failures, None) - apart,
    }
}

/// How long until an app is asked again whose account somebody has, where it could not say: up to half a minute, by
/// `chance`. No failures are counted of a person, so those who were refused together come as far apart as that at once.
/// Never earlier than the target asks, and never at once.
#[must_use]
pub fn look_up_again(asked: Option<Duration>, chance: u8) -> Duration {
    match asked {
        Some(_) => backoff(1, asked) + part(LOOK_UP, chance),
        None => LOOK_UP - part(LOOK_UP / 2, chance),
    }
}

/// How long until a turn is asked for again of which so often none was free: about a second, doubling to fifteen. `chance`
/// takes away up to the half, so that those who came together don't come together again.
#[must_use]
pub fn turn_wait(looks: u32, chance: u8) -> Duration {
    let half = FIRST.saturating_mul(1 << looks.min(16)).min(TURN) / 2;
    half + part(half, chance)
}

/// So much of a wait, in whole milliseconds, as instants are on record.
fn part(of: Duration, chance: u8) -> Duration {
    let millis = u64::try_from(of.as_millis()).unwrap_or(u64::MAX);
    Duration::from_millis(millis.saturating_mul(chance.into()) / 255)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p1_a_wait_doubles_from_a_second_to_five_minutes_unless_the_target_asks_for_another() {
        for (failures, seconds) in [(0, 1), (1, 1), (2, 2), (3, 4), (9, 256), (10, 300), (u32::MAX, 300)] {
            assert_eq!(backoff(failures, None), Duration::from_secs(seconds), "after {failures} failures");
        }
        for (asked, seconds) in [(0, 1), (60, 60), (900, 900), (3_600, 900)] {
            let asked = Duration::from_secs(asked);
            assert_eq!(backoff(9, Some(asked)), Duration::from_secs(seconds), "asked for {asked:?}");
        }
    }

    #[test]
    fn r11_a_wait_for_a_turn_doubles_to_fifteen_seconds_of_which_chance_leaves_at_least_the_half() {
        for (looks, most) in [(0, 1_000), (1, 2_000), (2, 4_000), (3, 8_000), (4, 15_000), (u32::MAX, 15_000)] {
            let waits = [0, 255].map(|chance| turn_wait(looks, chance).as_millis());
            assert_eq!(waits, [most / 2, most], "after {looks} looks");
        }
    }

    #[test]
    fn p1_what_fails_together_comes_apart_and_never_before_the_target_asks() {
        let asked = Some(Duration::from_secs(1));
        assert_eq!(backoff_apart(1, asked, 255), Duration::from_secs(1), "the first failure is nobody's fault");
        for failures in 2..40 {
            let (first, last) = (backoff_apart(failures, asked, 0), backoff_apart(failures, asked, 255));
            assert_eq!(first, Duration::from_secs(1), "no earlier than asked");
            assert_eq!(last - first, doubled(failures) / 4, "at failure {failures}");
            assert!(backoff_apart(failures, None, 0) <= LONGEST, "P1: tried again within five minutes");
            assert!(backoff_apart(failures, None, 255) < backoff_apart(failures, None, 0), "apart at the longest too");
        }
    }

    #[test]
    fn p10_people_who_are_refused_together_are_looked_up_apart_and_never_at_once() {
        for asked in [None, Some(Duration::ZERO), Some(Duration::from_millis(3)), Some(Duration::from_secs(60))] {
            let waits: Vec<Duration> = (0..=u8::MAX).map(|chance| look_up_again(asked, chance)).collect();
            let (first, last) = (waits.iter().min().copied(), waits.iter().max().copied());
            let least = asked.unwrap_or_default().max(Duration::from_secs(1));
            assert!(first.is_some_and(|first| first >= least), "asked for {asked:?}, and again after {first:?}");
            let apart = last.unwrap_or_default().saturating_sub(first.unwrap_or_default());
            assert!(apart >= LOOK_UP / 2, "asked for {asked:?}, and all within {apart:?}");
            let most = asked.map_or(Duration::ZERO, |_| least) + LOOK_UP;
            assert!(last <= Some(most), "asked for {asked:?}, and at last after {last:?}");
        }
    }
}
