//! The machine's clock, watched: the table says with each answer what time it is there.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use async_trait::async_trait;
use aws_sdk_dynamodb::config::interceptors::BeforeDeserializationInterceptorContextRef;
use aws_sdk_dynamodb::config::{ConfigBag, Intercept, RuntimeComponents};
use dutykey_engine::ports::clock::Clock;
use dutykey_policy::time::millis_between;
use jiff::Timestamp;

use super::SystemClock;

/// A clock may differ by so much, in milliseconds, from what the table says.
const MOST_MS: i64 = 3_000;
/// A `Date` header is cut to whole seconds (RFC 9110, section 5.6.7).
const CUT_MS: i64 = 1_000;

/// The machine's clock, compared with the `Date` of the table's answers. Clones share what they have seen.
#[derive(Debug, Clone, Default)]
pub struct WatchedClock {
    /// How far the machine was ahead when the table last answered; negative where it was behind.
    ahead_ms: Arc<AtomicI64>,
}

impl WatchedClock {
    /// Takes in what a `Date` header says. What is no date says nothing.
    fn hear(&self, date: &str) {
        let Some(there) = httpdate::parse_http_date(date).ok().and_then(|date| Timestamp::try_from(date).ok()) else {
            return;
        };
        let ahead = millis_between(there, self.now());
        let beyond_the_cut = if ahead >= 0 { (ahead - CUT_MS).max(0) } else { ahead };
        self.ahead_ms.store(beyond_the_cut, Ordering::Relaxed);
    }

    /// What has the clients of the table report the time there.
    #[must_use]
    pub fn watcher(&self) -> Watcher {
        Watcher(self.clone())
    }
}

#[async_trait]
impl Clock for WatchedClock {
    fn now(&self) -> Timestamp {
        SystemClock.now()
    }

    async fn sleep_until(&self, at: Timestamp) {
        SystemClock.sleep_until(at).await;
    }

    fn doubt(&self) -> Option<String> {
        let ahead = self.ahead_ms.load(Ordering::Relaxed);
        let way = if ahead > 0 { "ahead of" } else { "behind" };
        (ahead.abs() > MOST_MS).then(|| {
            format!(
                "this machine's clock is {} ms {way} the table's; nothing is decided until they agree: set it",
                ahead.abs()
            )
        })
    }
}

/// Reports the time of each answer to a [`WatchedClock`].
#[derive(Debug)]
pub struct Watcher(WatchedClock);

impl Intercept for Watcher {
    fn name(&self) -> &'static str {
        "Watcher"
    }

    fn read_before_deserialization(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), aws_sdk_dynamodb::error::BoxError> {
        if let Some(date) = context.response().headers().get("date") {
            self.0.hear(date);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use dutykey_policy::time::{earlier, later};

    fn header(at: Timestamp) -> String {
        httpdate::fmt_http_date(std::time::SystemTime::from(at))
    }

    #[test]
    fn r25_a_clock_that_differs_by_more_than_three_seconds_is_in_doubt_until_it_agrees() {
        let clock = WatchedClock::default();
        assert_eq!(clock.doubt(), None, "nothing was heard yet");
        clock.hear(&header(clock.now()));
        assert_eq!(clock.doubt(), None);
        clock.hear(&header(later(clock.now(), Duration::from_secs(6))));
        assert!(clock.doubt().is_some_and(|why| why.contains("behind")));
        clock.hear(&header(earlier(clock.now(), Duration::from_secs(6))));
        assert!(clock.doubt().is_some_and(|why| why.contains("ahead")));
        clock.hear("not a date");
        assert!(clock.doubt().is_some(), "what is no date says nothing");
        clock.hear(&header(earlier(clock.now(), Duration::from_secs(2))));
        assert_eq!(clock.doubt(), None);
    }
}
