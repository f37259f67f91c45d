//! What is measured: collected in the process, then written as embedded-metric lines for CloudWatch or as Prometheus'
//! text. The names are the same in both. No dimension ever names a person, a rotation, a profile or a hold.

mod emf;
mod prometheus;

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;

pub use prometheus::CONTENT_TYPE;

macro_rules! metrics {
    ($($(#[$meta:meta])* enum $name:ident { $($(#[doc = $help:literal])+ $variant:ident,)+ })+) => {$(
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $($(#[doc = $help])+ $variant,)+ }

        impl $name {
            /// Each of them.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// The name under which it is published.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => stringify!($variant)),+ }
            }

            /// What it says, in a sentence.
            #[must_use]
            pub fn help(self) -> &'static str {
                match self { $(Self::$variant => concat!($($help),+).trim_ascii_start()),+ }
            }
        }
    )+};
}

metrics! {
    /// A time in milliseconds, once for each act.
    enum Lag {
        /// From when a grant was due and known to its first call.
        GrantLagMs,
        /// From when a revocation was due and known to its first call.
        RevokeLagMs,
        /// How long after its time something became known.
        LateNewsMs,
        /// How long a first call waited for a turn at its app; that is not in the other lags.
        TurnWaitMs,
    }
    /// A number as it is now.
    enum Gauge {
        /// Holds past their end that are not proven gone; at most 2,000 are counted.
        OverdueRevocations,
        /// How long the oldest of them has been overdue.
        OverdueMinutes,
        /// Sources with a view that is no longer fresh, of a rotation that a profile or the configuration names.
        StaleSources,
        /// Changes that the brake holds and of which nobody has said a word.
        BrakesWaiting,
        /// People on call, now or soon, whom nothing matches, in such a rotation.
        UnmatchedOnCall,
        /// Times within the day ahead when nobody is on call in a rotation that gives a profile.
        GapsAhead,
        /// 1 while nothing is begun or ended: the table was restored, and nobody has released it yet.
        StandingStill,
    }
    /// How often something happened.
    enum Counter {
        /// Ticks of the hand-off.
        HandoffRuns,
        /// Requests to on-call platforms, those that were sent again included.
        PlatformCalls,
        /// Calls to apps that grant, revoke or extend; reads are not among them.
        TargetCalls,
        /// Tries at apps that failed, those of reads included.
        TargetErrors,
        /// Items of evidence in the table that somebody has changed, removed or made up.
        EvidenceTouched,
    }
}

/// The upper bounds of the buckets of a lag, in milliseconds; 2,000 is the promise (P12).
const BUCKETS: [i64; 11] = [50, 100, 250, 500, 1_000, 2_000, 5_000, 15_000, 60_000, 300_000, 3_600_000];

/// At most this many lags of one kind wait to be written; where nobody writes them, they must not fill the memory.
const MAX_FRESH: usize = 10_000;

/// What was measured since it was last written.
#[derive(Debug, Default)]
struct Fresh {
    lags: BTreeMap<Lag, Vec<i64>>,
    gauges: BTreeMap<Gauge, u64>,
    counters: BTreeMap<Counter, u64>,
}

/// What was measured since the process began.
#[derive(Debug, Default)]
struct Totals {
    lags: BTreeMap<Lag, Histogram>,
    gauges: BTreeMap<Gauge, u64>,
    counters: BTreeMap<Counter, u64>,
}

#[derive(Debug, Default)]
struct Histogram {
    /// How many were at most the bucket's bound and above that of the bucket before.
    buckets: [u64; BUCKETS.len()],
    count: u64,
    sum: i64,
    max: i64,
}

/// Collects what is measured. It is shared, and cheap to write to.
#[derive(Debug, Default)]
pub struct Metrics {
    state: Mutex<(Fresh, Totals)>,
}

impl Metrics {
    /// Nothing measured yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Notes a lag, in milliseconds.
    pub fn lag(&self, lag: Lag, millis: i64) {
        let mut state = self.state();
        let (fresh, totals) = &mut *state;
        let waiting = fresh.lags.entry(lag).or_default();
        if waiting.len() < MAX_FRESH {
            waiting.push(millis);
        }
        totals.lags.entry(lag).or_default().add(millis);
    }

    /// Notes a number as it is now.
    pub fn set(&self, gauge: Gauge, value: u64) {
        let mut state = self.state();
        let (fresh, totals) = &mut *state;
        fresh.gauges.insert(gauge, value);
        totals.gauges.insert(gauge, value);
    }

    /// Notes that something happened so many times more.
    pub fn add(&self, counter: Counter, times: u64) {
        let mut state = self.state();
        let (fresh, totals) = &mut *state;
        for counters in [&mut fresh.counters, &mut totals.counters] {
            let count = counters.entry(counter).or_default();
            *count = count.saturating_add(times);
        }
    }

    /// Writes what was measured since the last time, for CloudWatch: one line, or several where there are more than 100
    /// values of a kind; nothing where nothing was measured. `at` is the time of the values, `environment` the
    /// installation's name, `function` the function's.
    ///
    /// # Errors
    /// Those of the writer. What could not be written is lost.
    pub fn flush(&self, at: Timestamp, environment: &str, function: &str, out: &mut impl Write) -> io::Result<()> {
        let fresh = std::mem::take(&mut self.state().0);
        for line in emf::lines(fresh, at, environment, function) {
            writeln!(out, "{line}")?;
        }
        out.flush()
    }

    /// The same on standard output, where CloudWatch finds it: the last act of each invocation. A function must not fail
    /// because its measurements cannot be written.
    pub fn publish(&self, at: Timestamp, environment: &str, function: &str) {
        if let Err(error) = self.flush(at, environment, function, &mut io::stdout().lock()) {
            tracing::warn!(%error, "what was measured could not be written");
        }
    }

    /// What was measured since the process began, in Prometheus' text format.
    #[must_use]
    pub fn prometheus(&self, environment: &str) -> String {
        prometheus::text(&self.state().1, environment)
    }

    /// The numbers stay usable after a panic of somebody who held them: each is whole by itself.
    fn state(&self) -> MutexGuard<'_, (Fresh, Totals)> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Histogram {
    fn add(&mut self, millis: i64) {
        if let Some((_, bucket)) = BUCKETS.iter().zip(&mut self.buckets).find(|(bound, _)| millis <= **bound) {
            *bucket += 1;
        }
        self.max = if self.count == 0 { millis } else { self.max.max(millis) };
        self.count += 1;
        self.sum = self.sum.saturating_add(millis);
    }
}
