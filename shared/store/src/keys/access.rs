//! Access: the enrollments, requests and emergencies that give it, and the holds that come of them.

use dutykey_policy::emergency::Emergency;
use dutykey_policy::enrollment::{Enrollment, Origin};
use dutykey_policy::hold::Hold;
use dutykey_policy::id::{EmergencyId, HoldKey, PersonId, ProfileId, RequestId};
use jiff::Timestamp;

use super::{EMERGENCIES, HOLDS, Key, LAGS, REQUESTS, REVIEWED, instant, key, part, person, shard};

/// The first part of the sort keys of a person's enrollments.
pub const ENROLLMENTS: &str = "LIVE#ENROLLMENT#";

fn origin(origin: &Origin) -> String {
    match origin {
        Origin::Coverage(rotation) => format!("coverage#{}", part(&rotation.to_string())),
        Origin::Request(id) => format!("request#{}", part(id)),
        Origin::BreakGlass(id) => format!("break_glass#{}", part(id)),
    }
}

/// An enrollment.
#[must_use]
pub fn enrollment(it: &Enrollment) -> Key {
    key(person(&it.person), format!("{ENROLLMENTS}{}#{}", it.profile, origin(&it.origin)))
}

/// An enrollment's place in the list of its profile.
#[must_use]
pub fn enrollment_list(it: &Enrollment) -> (String, String) {
    (enrollments_of(&it.profile), format!("{}#{}", it.person, origin(&it.origin)))
}

/// The list of a profile's enrollments.
#[must_use]
pub fn enrollments_of(profile: &ProfileId) -> String {
    format!("profile#{profile}")
}

/// The first part of the sort keys of a person's holds that are not over.
pub const OPEN_HOLDS: &str = "LIVE#HOLD#";
/// The first part of the sort keys of what says that a person's hold was written off.
pub const WRITTEN_OFF: &str = "LIVE#WRITTEN_OFF#";
/// The first part of the sort keys of a person's holds that are over.
pub const ENDED: &str = "ENDED#";

fn hold_key(it: &HoldKey) -> String {
    format!("{}#{}#{}#{}", it.app, part(it.account.as_str()), part(&it.place.kind), part(&it.place.id))
}

/// A hold that is not over.
#[must_use]
pub fn hold(person_id: &PersonId, it: &HoldKey) -> Key {
    key(person(person_id), format!("{OPEN_HOLDS}{}", hold_key(it)))
}

/// That a hold was written off, for whoever wants its place again.
#[must_use]
pub fn written_off(person_id: &PersonId, it: &HoldKey) -> Key {
    key(person(person_id), format!("{WRITTEN_OFF}{}", hold_key(it)))
}

/// A hold's place in the list of open holds: the one that ends first comes first in its shard.
#[must_use]
pub fn hold_list(it: &Hold) -> (String, String) {
    let name = hold_key(&it.key);
    (shard(HOLDS, &name), format!("{}#{name}", instant(it.due)))
}

/// A hold that is over.
#[must_use]
pub fn ended_hold(it: &Hold) -> Key {
    key(person(&it.person), format!("{ENDED}{}#{}", instant(it.since), hold_key(&it.key)))
}

/// The place of a hold that is over in the list of lags, which says them itself: of the grant and of the revocation, in
/// milliseconds. `None` where nothing was done for it.
#[must_use]
pub fn lag_list(it: &Hold) -> Option<(String, String)> {
    let [granted, revoked] = [it.granted, it.revoked].map(|act| act.map(|act| act.lag_ms().max(0)));
    granted.or(revoked)?;
    let word = |lag: Option<i64>| lag.map_or_else(String::new, |lag| lag.to_string());
    Some((LAGS.to_owned(), format!("{}#{}#{}", instant(it.since), word(granted), word(revoked))))
}

/// The lags that such a place says: of the grant and of the revocation, in milliseconds.
#[must_use]
pub fn lags(place: &str) -> [Option<i64>; 2] {
    let mut words = place.split('#').skip(1);
    [(); 2].map(|()| words.next()?.parse().ok())
}

/// The first part of the sort keys of a person's requests that are not over.
pub const LIVE_REQUESTS: &str = "LIVE#REQUEST#";
/// The first part of the sort keys of a person's requests that are over.
pub const PAST_REQUESTS: &str = "REQUEST#";

/// An access request that is not over.
#[must_use]
pub fn request(person_id: &PersonId, id: &RequestId) -> Key {
    key(person(person_id), format!("{LIVE_REQUESTS}{id}"))
}

/// An access request that is over.
#[must_use]
pub fn past_request(person_id: &PersonId, id: &RequestId) -> Key {
    key(person(person_id), format!("{PAST_REQUESTS}{id}"))
}

/// Whose request it is.
#[must_use]
pub fn request_owner(id: &RequestId) -> Key {
    key(format!("REQUEST#{id}"), "REQUEST")
}

/// The place of a request in the list of those that wait: the one that expires first comes first in its shard.
#[must_use]
pub fn request_list(id: &RequestId, expires: Timestamp) -> (String, String) {
    (shard(REQUESTS, id.as_str()), format!("{}#{id}", instant(expires)))
}

/// A profile that somebody took in an emergency.
#[must_use]
pub fn emergency(id: &EmergencyId) -> Key {
    key(format!("EMERGENCY#{id}"), "EMERGENCY")
}

/// The place of an emergency in the lists.
#[must_use]
pub fn emergency_list(it: &Emergency) -> (String, String) {
    let (list, at) = match &it.review {
        None => (EMERGENCIES, it.access.from),
        Some(review) => (REVIEWED, review.at),
    };
    (shard(list, it.id.as_str()), format!("{}#{}", instant(at), it.id))
}
