//! What happens in a run, in the design's words.

use dutykey_engine::ports::target::{Accepted, TargetError};
use dutykey_engine::ports::witness::Event;
use dutykey_policy::hold::Call;
use dutykey_policy::id::{AccountId, AppId, Place, RotationId};
use dutykey_policy::rota::Shift;
use dutykey_policy::time::rfc3339;

/// An event that Dutykey reports.
#[must_use]
pub fn event(event: &Event) -> String {
    match event {
        Event::Calling(hold) => format!("{} is about to be called", hold.key),
        Event::Granted(hold) => format!("{} is granted, proven by a read", hold.key),
        Event::Revoked(hold) => format!("{} has ended: {:?}", hold.key, hold.state),
        Event::Kept(hold) => format!("{} was there before us", hold.key),
        Event::Moved { from, hold } => {
            let because = hold.retry.as_ref().map_or("", |retry| retry.because.as_str());
            format!("{} goes from {from:?} to {:?}, due {} {because}", hold.key, hold.state, rfc3339(hold.due))
        }
        Event::Account { person, app, doubt } => match doubt {
            Some(doubt) => format!("{person} in {app} is in doubt: {doubt}"),
            None => format!("{person} in {app} is pinned"),
        },
        Event::WouldHold { person, .. } => format!("{person} would hold something"),
        Event::PlatformAsked(_) | Event::Ticked { .. } | Event::Counted(_) => String::new(),
        Event::ViewRead { rotation, changed } => {
            format!("{rotation} is read{}", if *changed { ": it has changed" } else { "" })
        }
        Event::ViewFailed { rotation, because } => format!("{rotation} could not be read: {because}"),
        Event::Braked { rotation, because } => format!("the brake holds a change of {rotation}: {because}"),
        Event::Unmatched { rotation, doubt } => format!("somebody on call in {rotation} is not matched: {doubt}"),
    }
}

/// What a platform has answered.
#[must_use]
pub fn answer(rotation: &RotationId, shifts: &[Shift]) -> String {
    let shift = |shift: &Shift| {
        let user = shift.user.as_ref().map_or("nobody", |user| user.as_str());
        let end = shift.end.at().map_or_else(|| "open".to_owned(), rfc3339);
        format!("{user} {}..{end}", rfc3339(shift.start))
    };
    let shifts: Vec<String> = shifts.iter().map(shift).collect();
    format!("{rotation} shows {}", if shifts.is_empty() { "nobody".to_owned() } else { shifts.join(", ") })
}

/// A call and its answer.
#[must_use]
pub fn call(
    what: Call,
    app: &AppId,
    account: &AccountId,
    place: &Place,
    answer: &Result<Accepted, TargetError>,
) -> String {
    let outcome = match answer {
        Ok(Accepted::Done { .. }) => "done".to_owned(),
        Ok(Accepted::Pending { .. }) => "accepted".to_owned(),
        Err(error) => error.to_string(),
    };
    format!("{what:?} {}/{} to {account} in {app}: {outcome}", place.kind, place.id)
}
