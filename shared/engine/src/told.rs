//! Whom a worker has told of: access that is past its end, and what needs a person.

use dutykey_policy::hold::Hold;
use dutykey_policy::hold::write_off::shows;
use dutykey_policy::installation::Topic;
use dutykey_policy::look::{must_tell, tell_unreached};
use dutykey_policy::time::{millis_between, rfc3339};
use jiff::Timestamp;

use crate::ports::ledger::Notice;

/// Whether the app of a hold can be reached at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reach {
    /// It has an adapter.
    There,
    /// Its credentials cannot be had now.
    Missing,
}

/// Whether somebody must be told of the hold now.
pub(crate) fn is_due(hold: &Hold, reach: Reach, now: Timestamp) -> bool {
    match reach {
        Reach::There => must_tell(hold, now),
        Reach::Missing => tell_unreached(hold).is_some_and(|at| at <= now),
    }
}

/// A notice about the hold, where somebody must be told and was not.
pub(crate) fn notice(hold: &mut Hold, reach: Reach, now: Timestamp) -> Option<Notice> {
    if !is_due(hold, reach, now) {
        return None;
    }
    hold.told = true;
    let because = match (reach, &hold.retry) {
        (Reach::Missing, _) => "the credentials of its app cannot be had",
        (Reach::There, Some(retry)) => retry.because.as_str(),
        (Reach::There, None) => "",
    };
    let (topic, text) = match hold.overdue(now) {
        Some(age) if hold.is_ending() || reach == Reach::Missing => {
            let age = millis_between(hold.due, now).max(i64::try_from(age.as_millis()).unwrap_or(i64::MAX)) / 1_000;
            (
                Topic::Overdue,
                format!(
                    "{} still has {} {age} s after its end: {because}. It is being retried.",
                    hold.person, hold.key
                ),
            )
        }
        _ => (
            Topic::Stuck,
            format!("{} at {} needs a person: {because}. It is tried again hourly.", hold.person, hold.key),
        ),
    };
    let id = format!("{}/{}/{}", hold.person, hold.key, hold.since.as_millisecond());
    Some(Notice::new(id, topic, text, now))
}

/// A notice that a hold has found in its place what was written off there, where it has. Each write-off makes one.
pub(crate) fn found_again(gone: &Hold, hold: &Hold, now: Timestamp) -> Option<Notice> {
    let text = format!(
        "{} still has {}, or has it again: it was written off at {}. It counts as standing access and is not taken back; \
         remove it in the app by hand where it must go.",
        hold.person,
        hold.key,
        rfc3339(gone.since)
    );
    let id = format!("found/{}/{}", gone.name(), gone.since.as_millisecond());
    shows(gone, hold).then_some(Notice::new(id, Topic::Stuck, text, now))
}
