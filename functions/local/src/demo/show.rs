//! What the demonstration shows while it runs: a line for each thing that happens, with time, person, what and why.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use dutykey_engine::ports::witness::Event;
use dutykey_policy::enrollment::Origin;
use dutykey_policy::hold::{Hold, Outcome, State};
use dutykey_policy::id::PersonId;
use dutykey_policy::time::millis_between;
use jiff::Timestamp;

/// How a line is to be coloured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tone {
    Good,
    Gone,
    Calm,
    Warning,
}

/// A line of the demonstration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) tone: Tone,
    pub(crate) who: String,
    pub(crate) what: String,
    pub(crate) why: String,
}

/// What the lines name things by.
#[derive(Debug, Clone, Default)]
pub(crate) struct Names {
    pub(crate) people: BTreeMap<PersonId, String>,
    /// Names of entitlements by (app, ID).
    pub(crate) entitlements: BTreeMap<(String, String), String>,
}

impl Names {
    pub(crate) fn person(&self, id: &PersonId) -> String {
        self.people.get(id).cloned().unwrap_or_else(|| id.to_string())
    }

    pub(crate) fn place(&self, hold: &Hold) -> String {
        let key = (hold.key.app.to_string(), hold.key.place.id.clone());
        self.entitlements.get(&key).cloned().unwrap_or(key.1)
    }
}

/// Seconds since the start of the demonstration.
pub(crate) fn offset(epoch: Timestamp, at: Timestamp) -> String {
    let millis = millis_between(epoch, at);
    format!("{}.{:01}s", millis / 1_000, (millis % 1_000).unsigned_abs() / 100)
}

/// Why a hold is held, for people.
pub(crate) fn reasons(hold: &Hold, epoch: Timestamp) -> String {
    let reason = |reason: &dutykey_policy::wants::Reason| {
        let origin = match &reason.origin {
            Origin::Coverage(rotation) => format!("on call in {rotation}"),
            Origin::Request(_) => "asked for and approved".to_owned(),
            Origin::BreakGlass(id) => format!("break-glass {id}"),
        };
        format!("{origin} until {}", offset(epoch, reason.until))
    };
    hold.reasons.iter().map(reason).collect::<Vec<_>>().join("; ")
}

/// The line of an event; `None` for what a newcomer need not see.
pub(crate) fn line(event: &Event, names: &Names, epoch: Timestamp) -> Option<Line> {
    let line = |tone, who: String, what: String, why: String| Some(Line { tone, who, what, why });
    match event {
        Event::Granted(hold) => {
            let lag = hold.granted.map_or(0, |act| act.lag_ms());
            line(
                Tone::Good,
                names.person(&hold.person),
                format!("granted {} (+{lag} ms)", names.place(hold)),
                reasons(hold, epoch),
            )
        }
        Event::Revoked(hold) => {
            let lag = hold.revoked.map_or(0, |act| act.lag_ms());
            let how = match hold.state {
                State::Ended(Outcome::Proven) => "read back: gone",
                State::Ended(Outcome::ChangedByOthers) => "others have changed it; it is theirs now",
                _ => "over",
            };
            line(
                Tone::Gone,
                names.person(&hold.person),
                format!("revoked {} (+{lag} ms)", names.place(hold)),
                how.to_owned(),
            )
        }
        Event::Kept(hold) => {
            let why = format!("{}, and had it before: not touched", reasons(hold, epoch));
            line(Tone::Calm, names.person(&hold.person), format!("keeps {}", names.place(hold)), why)
        }
        Event::Moved { hold, .. } => {
            let retry = hold.retry.as_ref()?;
            let mut what = format!("not yet {}", names.place(hold));
            if hold.is_ending() {
                what = format!("still has {}", names.place(hold));
            }
            let mut why = retry.because.clone();
            let _ = write!(why, "; tried again at {}", offset(epoch, retry.at));
            (retry.failures > 0).then_some(())?;
            line(Tone::Warning, names.person(&hold.person), what, why)
        }
        Event::ViewFailed { rotation, because } => line(
            Tone::Warning,
            rotation.to_string(),
            "cannot be read".to_owned(),
            format!("{because}; its last view stands"),
        ),
        Event::Braked { rotation, because } => {
            line(Tone::Warning, rotation.to_string(), "change held".to_owned(), because.clone())
        }
        Event::Unmatched { rotation, doubt } => {
            line(Tone::Warning, rotation.to_string(), "somebody on call is not known".to_owned(), doubt.to_string())
        }
        Event::ViewRead { rotation, changed: true } => {
            line(Tone::Calm, rotation.to_string(), "new view accepted".to_owned(), String::new())
        }
        Event::Account { doubt: Some(doubt), person, app } => {
            line(Tone::Warning, names.person(person), format!("no account in {app}"), doubt.to_string())
        }
        Event::Calling(_) | Event::Account { .. } | Event::WouldHold { .. } | Event::ViewRead { .. } => None,
        Event::Ticked { .. } | Event::Counted(_) | Event::PlatformAsked(_) => None,
    }
}
