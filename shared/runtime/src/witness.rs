//! What happened, as lines of the log and as metrics.
//!
//! A message can be read alone; the same facts are fields beside it. People and holds are named by Dutykey's own IDs and
//! the apps' IDs of entitlements, never by an address, and foreign text is bounded and escaped. What goes on failing is
//! a warning once, when it begins; each further try is a debug line.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use dutykey_engine::ports::target::MAX_DETAIL;
use dutykey_engine::ports::witness::{Event, Witness};
use dutykey_engine::summary::Summary;
use dutykey_policy::hold::{Act, Hold, State};
use dutykey_policy::id::RotationId;

use crate::metrics::{Counter, Gauge, Lag, Metrics};

/// Logs and counts.
#[derive(Debug)]
pub struct Recorder {
    metrics: Arc<Metrics>,
    /// Rotations whose last read failed.
    failing: Mutex<BTreeSet<RotationId>>,
}

impl Recorder {
    /// Counts into these metrics.
    #[must_use]
    pub fn new(metrics: Arc<Metrics>) -> Self {
        Self { metrics, failing: Mutex::default() }
    }

    fn act(&self, act: Option<Act>, lag: Lag) -> i64 {
        let Some(act) = act else { return 0 };
        self.metrics.lag(lag, act.lag_ms());
        if act.late_news_ms() > 0 {
            self.metrics.lag(Lag::LateNewsMs, act.late_news_ms());
        }
        if act.turn_since.is_some() {
            self.metrics.lag(Lag::TurnWaitMs, act.turn_wait_ms());
        }
        act.lag_ms()
    }

    fn hold(&self, from: Option<State>, hold: &Hold) {
        let (app, kind, place) = (&hold.key.app, bounded(&hold.key.place.kind), bounded(&hold.key.place.id));
        let Some(retry) = &hold.retry else {
            tracing::debug!(person.id = %hold.person, app.id = %app, hold.kind = kind, hold.place = place, hold.from = ?from, hold.state = ?hold.state, "`{kind}/{place}` of `{app}` for `{}` is `{:?}`", hold.person, hold.state);
            return;
        };
        let because = bounded(&retry.because);
        if retry.failures == 0 || retry.turn.is_some() {
            tracing::debug!(person.id = %hold.person, app.id = %app, hold.kind = kind, hold.place = place, hold.state = ?hold.state, retry.at = %retry.at, "`{kind}/{place}` of `{app}` for `{}` waits until {}: {because}", hold.person, retry.at);
            return;
        }
        self.metrics.add(Counter::TargetErrors, 1);
        let began = retry.failures <= 1 || (hold.state == State::Stuck && from != Some(State::Stuck));
        if began {
            tracing::warn!(person.id = %hold.person, app.id = %app, hold.kind = kind, hold.place = place, hold.state = ?hold.state, retry.failures = retry.failures, retry.at = %retry.at, error = because, "`{kind}/{place}` of `{app}` for `{}` failed and is tried again at {}: {because}", hold.person, retry.at);
        } else {
            tracing::debug!(person.id = %hold.person, app.id = %app, hold.kind = kind, hold.place = place, retry.failures = retry.failures, error = because, "`{kind}/{place}` of `{app}` for `{}` failed again: {because}", hold.person);
        }
    }

    fn counted(&self, summary: &Summary) {
        let gauges = [
            (Gauge::OverdueRevocations, summary.overdue as u64),
            (Gauge::OverdueMinutes, summary.oldest.as_secs() / 60),
            (Gauge::StaleSources, summary.stale_sources as u64),
            (Gauge::BrakesWaiting, summary.brakes as u64),
            (Gauge::UnmatchedOnCall, summary.unmatched),
            (Gauge::GapsAhead, summary.gaps as u64),
        ];
        for (gauge, value) in gauges {
            self.metrics.set(gauge, value);
        }
    }

    fn failing(&self, rotation: &RotationId, now: bool) -> bool {
        let mut failing = self.failing.lock().unwrap_or_else(PoisonError::into_inner);
        if now { failing.insert(rotation.clone()) } else { failing.remove(rotation) }
    }
}

impl Witness for Recorder {
    fn saw(&self, event: &Event) {
        match event {
            Event::Calling(_) => self.metrics.add(Counter::TargetCalls, 1),
            Event::Granted(hold) => {
                let lag = self.act(hold.granted, Lag::GrantLagMs);
                done("granted", hold, lag);
            }
            Event::Revoked(hold) => {
                let lag = self.act(hold.revoked, Lag::RevokeLagMs);
                done("ended", hold, lag);
            }
            Event::Kept(hold) => done("kept", hold, 0),
            Event::Moved { from, hold } => self.hold(*from, hold),
            Event::Account { person, app, doubt: None } => {
                tracing::info!(person.id = %person, app.id = %app, "the account of `{person}` in `{app}` is known");
            }
            Event::Account { person, app, doubt: Some(doubt) } => {
                tracing::warn!(person.id = %person, app.id = %app, doubt = %doubt, "the account of `{person}` in `{app}` is {doubt}: nothing is granted; correct the address or link the account");
            }
            Event::WouldHold { person, entitlement, .. } => {
                let (kind, id) = (bounded(&entitlement.kind), bounded(&entitlement.id));
                tracing::debug!(person.id = %person, app.id = %entitlement.app, hold.kind = kind, hold.place = id, "`{person}` would hold `{kind}/{id}` of `{}`", entitlement.app);
            }
            Event::PlatformAsked(requests) => self.metrics.add(Counter::PlatformCalls, *requests),
            Event::ViewRead { rotation, changed } => {
                let name = bounded(&rotation.to_string());
                if self.failing(rotation, false) {
                    tracing::info!(rotation.id = name, "`{name}` can be read again");
                }
                if *changed {
                    tracing::info!(rotation.id = name, "what is known of `{name}` has changed");
                }
            }
            Event::ViewFailed { rotation, because } => {
                let (name, because) = (bounded(&rotation.to_string()), bounded(because));
                if self.failing(rotation, true) {
                    tracing::warn!(
                        rotation.id = name,
                        error = because,
                        "`{name}` could not be read and its last view stands: {because}"
                    );
                } else {
                    tracing::debug!(rotation.id = name, error = because, "`{name}` could not be read again: {because}");
                }
            }
            Event::Braked { rotation, because } => {
                let (name, because) = (bounded(&rotation.to_string()), bounded(because));
                tracing::warn!(
                    rotation.id = name,
                    brake.because = because,
                    "the brake holds a change of `{name}`: {because}; see `dutykey brake list`"
                );
            }
            Event::Ticked { standstill } => {
                self.metrics.add(Counter::HandoffRuns, 1);
                self.metrics.set(Gauge::StandingStill, u64::from(*standstill));
            }
            Event::Counted(summary) => self.counted(summary),
            Event::Unmatched { rotation, doubt } => {
                let name = bounded(&rotation.to_string());
                tracing::warn!(rotation.id = name, doubt = %doubt, "somebody on call in `{name}` is {doubt}: nothing is granted to them; `dutykey check` names them");
            }
        }
    }
}

fn done(what: &str, hold: &Hold, lag: i64) {
    let (app, kind, place) = (&hold.key.app, bounded(&hold.key.place.kind), bounded(&hold.key.place.id));
    tracing::info!(person.id = %hold.person, app.id = %app, hold.kind = kind, hold.place = place, hold.state = ?hold.state, lag_ms = lag, "{what}: `{kind}/{place}` of `{app}` for `{}`, {lag} ms late", hold.person);
}

fn bounded(text: &str) -> String {
    text.chars().take(MAX_DETAIL).flat_map(char::escape_debug).collect()
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use dutykey_policy::hold::{Retry, Side};
    use dutykey_policy::id::{HoldKey, Place};
    use dutykey_policy::wants::{Shape, Want};
    use jiff::Timestamp;

    use super::*;

    #[derive(Clone, Default)]
    struct Buffer(Arc<Mutex<Vec<u8>>>);

    impl Write for Buffer {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().expect("the buffer").extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    /// The lines that these events leave at this level, and the metrics.
    fn seen(events: &[Event]) -> (Vec<String>, String) {
        let (buffer, metrics) = (Buffer::default(), Arc::new(Metrics::new()));
        let (writer, recorder) = (buffer.clone(), Recorder::new(metrics.clone()));
        let lines = tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).finish();
        tracing::subscriber::with_default(lines, || events.iter().for_each(|event| recorder.saw(event)));
        let text = String::from_utf8(buffer.0.lock().expect("the buffer").clone()).expect("UTF-8");
        (text.lines().map(str::to_owned).collect(), metrics.prometheus("test"))
    }

    fn at(text: &str) -> Timestamp {
        text.parse().expect("an instant")
    }

    fn hold() -> Hold {
        let key = HoldKey {
            app: "directory".parse().expect("an app"),
            account: "ann@example.com".parse().expect("an account"),
            place: Place { kind: "group".to_owned(), id: "prod".to_owned() },
        };
        let want = Want { shape: Shape::Member, reasons: Vec::new(), frozen: false };
        let person = "per_01JD0000000000000000000000".parse().expect("a person");
        Hold::wanted(key, person, &want, at("2026-11-23T08:00:00Z"))
    }

    #[test]
    fn p12_the_lag_of_a_grant_is_measured_and_its_line_can_be_read_alone() {
        let due = at("2026-11-23T08:00:00Z");
        let act = Act { due, known: due, started: at("2026-11-23T08:00:00.120Z"), turn_since: None, done: Some(due) };
        let held = Hold { state: State::Held, granted: Some(act), ..hold() };
        let (lines, metrics) = seen(&[Event::Calling(Box::new(hold())), Event::Granted(Box::new(held))]);
        let [line] = lines.as_slice() else { panic!("one line: {lines:?}") };
        let words = "granted: `group/prod` of `directory` for `per_01JD0000000000000000000000`, 120 ms late";
        assert!(line.contains(words) && line.contains("lag_ms=120"), "{line}");
        assert!(!line.contains("ann@example.com"), "no address in the log: {line}");
        assert!(metrics.contains("GrantLagMs_sum{Environment=\"test\"} 120"), "{metrics}");
        assert!(metrics.contains("TargetCalls{Environment=\"test\"} 1"), "{metrics}");
    }

    #[test]
    fn what_goes_on_failing_is_a_warning_once_and_foreign_text_is_bounded() {
        let because = "no\u{1b}[31m".repeat(1_000);
        let failing = |failures| {
            let retry = Retry {
                at: at("2026-11-23T08:01:00Z"),
                side: Side::Starts,
                failures,
                because: because.clone(),
                turn: None,
            };
            let hold = Hold { state: State::Granting, retry: Some(retry), ..hold() };
            Event::Moved { from: Some(State::Granting), hold: Box::new(hold) }
        };
        let rotation: RotationId = "pd:P1".parse().expect("a rotation");
        let unread = Event::ViewFailed { rotation: rotation.clone(), because: because.clone() };
        let again = Event::ViewRead { rotation, changed: false };
        let (lines, metrics) =
            seen(&[failing(1), failing(2), failing(3), unread.clone(), unread.clone(), again, unread]);
        let warnings = lines.iter().filter(|line| line.contains("WARN")).count();
        assert_eq!(
            warnings, 3,
            "the hold's first failure, and the view's before and after it could be read: {lines:#?}"
        );
        assert!(lines.iter().all(|line| line.len() < 10_000 && !line.contains('\u{1b}')), "{lines:?}");
        assert!(metrics.contains("TargetErrors{Environment=\"test\"} 3"), "{metrics}");

        let (lines, metrics) = seen(&[failing(0), Event::PlatformAsked(7), Event::PlatformAsked(1)]);
        assert_eq!(lines, Vec::<String>::new(), "to wait is no failure");
        assert!(metrics.contains("TargetErrors{Environment=\"test\"} 0"), "{metrics}");
        assert!(metrics.contains("PlatformCalls{Environment=\"test\"} 8"), "each request counts: {metrics}");
    }
}
