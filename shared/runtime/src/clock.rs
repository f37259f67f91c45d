//! Time and chance: the machine's own, and ones that repeat themselves for tests. Nothing else reads either.

mod watched;

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use dutykey_engine::ports::clock::{Chance, Clock};
use dutykey_policy::time::{later, millis_between, to_millis};
use jiff::Timestamp;

pub use watched::{WatchedClock, Watcher};

/// The machine's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

/// A sleeper looks at the clock at least this often: the timers under it stand still while a laptop sleeps and know
/// nothing of a clock that was set.
const NAP: Duration = Duration::from_secs(5);

#[async_trait]
impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the clock that is passed in everywhere else")]
    fn now(&self) -> Timestamp {
        to_millis(Timestamp::now())
    }

    async fn sleep_until(&self, at: Timestamp) {
        while let Some(left) = left(self.now(), at) {
            tokio::time::sleep(left.min(NAP)).await;
        }
    }
}

fn left(now: Timestamp, at: Timestamp) -> Option<Duration> {
    u64::try_from(millis_between(now, at)).ok().filter(|left| *left > 0).map(Duration::from_millis)
}

/// A clock that begins at a given instant and goes with the runtime's own time, so that it jumps where that is paused.
#[derive(Debug, Clone, Copy)]
pub struct VirtualClock {
    start: Timestamp,
    begun: tokio::time::Instant,
}

impl VirtualClock {
    /// A clock that shows this instant now.
    #[must_use]
    pub fn starting_at(start: Timestamp) -> Self {
        Self { start, begun: tokio::time::Instant::now() }
    }
}

#[async_trait]
impl Clock for VirtualClock {
    fn now(&self) -> Timestamp {
        to_millis(later(self.start, self.begun.elapsed()))
    }

    async fn sleep_until(&self, at: Timestamp) {
        while let Some(left) = left(self.now(), at) {
            tokio::time::sleep(left).await;
        }
    }
}

/// The operating system's chance.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemChance;

impl Chance for SystemChance {
    #[expect(
        clippy::expect_used,
        reason = "no input leads here: a kernel without a random source cannot keep a secret, so nothing may run on it"
    )]
    fn bytes(&self) -> [u8; 32] {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes).expect("the operating system has a random source");
        bytes
    }
}

/// Chance that repeats itself with its seed. Anybody can guess it: it is for tests and simulations only.
#[derive(Debug)]
pub struct SeededChance(AtomicU64);

impl SeededChance {
    /// The chance of this seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(AtomicU64::new(seed))
    }
}

impl Chance for SeededChance {
    /// Four numbers of SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014).
    fn bytes(&self) -> [u8; 32] {
        const STEP: u64 = 0x9e37_79b9_7f4a_7c15;
        let mut state = self.0.fetch_add(STEP.wrapping_mul(4), Ordering::Relaxed);
        let mut bytes = [0; 32];
        for chunk in bytes.chunks_exact_mut(8) {
            state = state.wrapping_add(STEP);
            let mut z = state;
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            chunk.copy_from_slice(&(z ^ (z >> 31)).to_le_bytes());
        }
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn instant(text: &str) -> Timestamp {
        text.parse().expect("an instant")
    }

    #[tokio::test(start_paused = true)]
    async fn a_virtual_clock_wakes_at_the_instant_and_not_before() {
        let clock = VirtualClock::starting_at(instant("2026-03-29T00:59:59.000Z"));
        clock.sleep_until(instant("2026-03-29T09:00:00.001Z")).await;
        assert_eq!(clock.now(), instant("2026-03-29T09:00:00.001Z"));
        clock.sleep_until(instant("2026-03-29T08:00:00Z")).await;
        assert_eq!(clock.now(), instant("2026-03-29T09:00:00.001Z"), "an instant that has passed is not waited for");
    }

    #[tokio::test]
    async fn the_system_clock_shows_whole_milliseconds_and_never_wakes_early() {
        let now = SystemClock.now();
        assert_eq!(now, to_millis(now));
        let at = later(now, Duration::from_millis(5));
        SystemClock.sleep_until(at).await;
        assert!(SystemClock.now() >= at);
    }

    #[test]
    fn seeded_chance_repeats_itself_and_the_systems_does_not() {
        let (one, two) = (SeededChance::new(7), SeededChance::new(7));
        let first: Vec<_> = (0..3).map(|_| one.bytes()).collect();
        assert_eq!(first, (0..3).map(|_| two.bytes()).collect::<Vec<_>>());
        assert!(first[0] != first[1] && first[1] != first[2] && SeededChance::new(8).bytes() != first[0]);
        assert_ne!(SystemChance.bytes(), SystemChance.bytes());
    }
}
