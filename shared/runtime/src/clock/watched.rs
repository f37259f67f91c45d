//! The machine's clock, watched: what answers from elsewhere say of it, and whether it ran evenly.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_dynamodb::config::interceptors::{
    BeforeDeserializationInterceptorContextRef, BeforeTransmitInterceptorContextRef,
};
use aws_sdk_dynamodb::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_dynamodb::error::BoxError;
use aws_smithy_types::config_bag::{Storable, StoreReplace};
use dutykey_engine::ports::clock::{Clock, Dated};
use dutykey_policy::clock::{Answer, Doubt, Reading, Trust};
use jiff::Timestamp;
use tokio::time::Instant;

use super::SystemClock;

/// Between two readings of the steady clock that are less apart than this, the one on the wall was read at one instant.
const AT_ONCE: Duration = Duration::from_millis(500);
/// The table's name among those that are heard.
const TABLE: &str = "the table";

/// A clock, compared with what answers say of the time elsewhere and with the machine's steady clock. Clones share what
/// they have seen.
///
/// The steady clock is that of [`std::time::Instant`]: on Linux `CLOCK_MONOTONIC`, on macOS `CLOCK_UPTIME_RAW`. Both stand
/// still while the machine sleeps, so that a sleep shows as a jump of the one on the wall.
#[derive(Clone)]
pub struct WatchedClock(Arc<Watched>);

struct Watched {
    wall: Arc<dyn Clock>,
    begun: Instant,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    trust: Trust,
    /// What was logged last.
    said: Option<Doubt>,
}

impl std::fmt::Debug for WatchedClock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WatchedClock").finish_non_exhaustive()
    }
}

impl Default for WatchedClock {
    /// The machine's clock.
    fn default() -> Self {
        Self::over(Arc::new(SystemClock))
    }
}

impl WatchedClock {
    /// This clock, watched from now on.
    #[must_use]
    pub fn over(wall: Arc<dyn Clock>) -> Self {
        let clock = Self(Arc::new(Watched { wall, begun: Instant::now(), seen: Mutex::default() }));
        clock.doubted(&mut clock.seen());
        clock
    }

    /// What has the clients of the table report the time there.
    #[must_use]
    pub fn watcher(&self) -> Watcher {
        Watcher(self.clone())
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.0.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Both clocks at one instant: a process that is held up between the two would seem to have slept.
    fn reading(&self) -> Reading {
        loop {
            let (before, wall, after) = (self.0.begun.elapsed(), self.0.wall.now(), self.0.begun.elapsed());
            if after.saturating_sub(before) < AT_ONCE {
                return Reading { wall, steady: after };
            }
        }
    }

    /// Why the clock is not trusted now. It is logged when it changes.
    fn doubted(&self, seen: &mut Seen) -> Option<Doubt> {
        let doubt = seen.trust.doubt(self.reading());
        let kind = |doubt: &Option<Doubt>| doubt.as_ref().map(std::mem::discriminant);
        if kind(&doubt) != kind(&seen.said) {
            match &doubt {
                Some(doubt) => tracing::error!(%doubt, "nothing is decided now: {doubt}"),
                None => tracing::warn!("this machine's clock is trusted again"),
            }
        }
        seen.said.clone_from(&doubt);
        doubt
    }
}

#[async_trait]
impl Clock for WatchedClock {
    fn now(&self) -> Timestamp {
        self.0.wall.now()
    }

    async fn sleep_until(&self, at: Timestamp) {
        self.0.wall.sleep_until(at).await;
    }

    fn hear(&self, answer: &Dated<'_>) {
        let Dated { from, host, date, took } = *answer;
        // What is no date says nothing.
        let Some(date) = httpdate::parse_http_date(date).ok().and_then(|date| Timestamp::try_from(date).ok()) else {
            return;
        };
        let mut seen = self.seen();
        let answer = Answer { from, date, took, elsewhere: !is_here(host) };
        if let Some(ahead_ms) = seen.trust.hear(&answer, self.reading()) {
            tracing::warn!(from, ahead_ms, "the clock of {from} differs from this machine's by {} ms", ahead_ms.abs());
        }
        self.doubted(&mut seen);
    }

    fn doubt(&self) -> Option<String> {
        self.doubted(&mut self.seen()).map(|doubt| doubt.to_string())
    }
}

/// Whether a host is this machine, which has the same clock.
fn is_here(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

/// Reports the time of each answer of the table to a [`WatchedClock`].
#[derive(Debug)]
pub struct Watcher(WatchedClock);

/// When a request was sent: each try of it anew, so that an answer to a later try is not taken for a late one.
#[derive(Debug, Clone, Copy)]
struct Sent(Instant);

impl Storable for Sent {
    type Storer = StoreReplace<Self>;
}

impl Intercept for Watcher {
    fn name(&self) -> &'static str {
        "Watcher"
    }

    fn read_before_transmit(
        &self,
        _context: &BeforeTransmitInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        config.interceptor_state().store_put(Sent(Instant::now()));
        Ok(())
    }

    fn read_before_deserialization(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if let (Some(Sent(at)), Some(date)) = (config.load::<Sent>(), context.response().headers().get("date")) {
            self.0.hear(&Dated { from: TABLE, host: TABLE, date, took: at.elapsed() });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::VirtualClock;
    use aws_sdk_dynamodb::config::{Credentials, Region};
    use dutykey_engine::ports::clock::Listener;
    use dutykey_policy::time::{earlier, later};

    fn date(at: Timestamp) -> String {
        httpdate::fmt_http_date(std::time::SystemTime::from(at))
    }

    fn hears(clock: &WatchedClock, from: &str, date: &str) {
        clock.hear(&Dated { from, host: from, date, took: Duration::ZERO });
    }

    #[test]
    fn r25_a_clock_that_differs_by_more_than_three_seconds_is_in_doubt_until_it_agrees() {
        let clock = WatchedClock::default();
        assert_eq!(clock.doubt(), None, "nothing was heard yet");
        hears(&clock, "pd", &date(clock.now()));
        assert_eq!(clock.doubt(), None);
        hears(&clock, "pd", &date(later(clock.now(), Duration::from_secs(6))));
        assert!(clock.doubt().is_some_and(|why| why.contains("behind that of pd")));
        hears(&clock, "pd", &date(earlier(clock.now(), Duration::from_secs(6))));
        assert!(clock.clone().doubt().is_some_and(|why| why.contains("ahead of that of pd")), "clones share it");
        hears(&clock, "pd", "not a date");
        assert!(clock.doubt().is_some(), "what is no date says nothing");
        hears(&clock, "localhost", &date(clock.now()));
        assert!(clock.doubt().is_some(), "this machine's own word proves nothing");
        hears(&clock, "pd", &date(clock.now()));
        assert_eq!(clock.doubt(), None);
    }

    #[test]
    fn r25_an_answer_out_of_a_cache_says_nothing_of_the_time() {
        let clock = WatchedClock::default();
        let pd = Listener::new(Arc::new(clock.clone()), &"pd");
        let old = date(earlier(clock.now(), Duration::from_secs(60)));
        pd.hear("api.example.com", Some(&old), Some("60"), Duration::ZERO);
        pd.hear("api.example.com", None, None, Duration::ZERO);
        assert_eq!(clock.doubt(), None, "it was made before it was asked for");
        pd.hear("api.example.com", Some(&old), Some("0"), Duration::ZERO);
        let why = clock.doubt().expect("it was made when it was asked for");
        assert!(why.contains("pd") && !why.contains("example.com"), "an address may be a secret: {why}");
    }

    /// A clock that runs beside the steady one for as long as nobody sets it.
    struct Set(VirtualClock, Mutex<Duration>);

    #[async_trait]
    impl Clock for Set {
        fn now(&self) -> Timestamp {
            later(self.0.now(), *self.1.lock().unwrap())
        }
        async fn sleep_until(&self, at: Timestamp) {
            self.0.sleep_until(at).await;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn r25_a_sleep_of_the_machine_is_seen_and_confirmed_by_the_next_answer() {
        let start = "2026-03-29T00:00:00Z".parse().unwrap();
        let machine = Arc::new(Set(VirtualClock::starting_at(start), Mutex::default()));
        let clock = WatchedClock::over(machine.clone());
        tokio::time::advance(Duration::from_secs(3_600)).await;
        assert_eq!(clock.doubt(), None, "both clocks went on");
        *machine.1.lock().unwrap() = Duration::from_secs(28_800);
        assert!(clock.doubt().is_some_and(|why| why.contains("moved by 28800000 ms")));
        hears(&clock, "api.example.com", &date(clock.now()));
        assert_eq!(clock.doubt(), None);
        *machine.1.lock().unwrap() = Duration::ZERO;
        assert!(clock.doubt().is_some_and(|why| why.contains("moved by -28800000 ms")), "set back");
        tokio::time::advance(Duration::from_secs(30)).await;
        assert_eq!(clock.doubt(), None, "nobody contradicts");
    }

    /// A table whose first answer is lost and whose second says this date.
    async fn table(date: String) -> aws_sdk_dynamodb::config::Builder {
        use axum::http::StatusCode;
        let calls = Arc::new(std::sync::atomic::AtomicU32::new(0));
        let answer = move || {
            let (first, date) = (calls.fetch_add(1, std::sync::atomic::Ordering::Relaxed) == 0, date.clone());
            async move {
                let status = if first { StatusCode::INTERNAL_SERVER_ERROR } else { StatusCode::OK };
                (status, [("date", date), ("content-type", "application/x-amz-json-1.0".to_owned())], "{}")
            }
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(axum::serve(listener, axum::Router::new().fallback(answer)).into_future());
        aws_sdk_dynamodb::Config::builder()
            .behavior_version(aws_config::BehaviorVersion::v2026_01_12())
            .region(Region::new("eu-central-1"))
            .credentials_provider(Credentials::new("id", "key", None, None, "test"))
            .endpoint_url(url)
    }

    #[tokio::test]
    async fn r25_the_tables_answers_are_heard_each_by_its_own_try() {
        for (ahead, doubted) in [(0, false), (60, true)] {
            let clock = WatchedClock::default();
            let config = table(date(later(clock.now(), Duration::from_secs(ahead)))).await.interceptor(clock.watcher());
            let client = aws_sdk_dynamodb::Client::from_conf(config.build());
            client.list_tables().send().await.unwrap();
            assert_eq!(clock.doubt().is_some_and(|why| why.contains(TABLE)), doubted, "{ahead} s: {:?}", clock.doubt());
        }
    }
}
