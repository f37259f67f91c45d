//! What people and things are called, by their numbers.

use dutykey_policy::id::{EmergencyId, EntitlementRef, IdError, PersonId, ProfileId, RequestId, RotationId, UserId};
use dutykey_policy::rota::PlatformUser;

use super::TEAM;

pub(super) const SOURCE: &str = "pd";
pub(super) const APP: &str = "directory";

/// A person's address.
#[must_use]
pub fn address(number: u32) -> String {
    format!("person.number.{number}@example.com")
}

/// A person.
///
/// # Errors
/// None: it is an ID.
pub fn person_id(number: u32) -> Result<PersonId, IdError> {
    format!("per_01JD{number:022}").parse()
}

/// A rotation.
///
/// # Errors
/// None: it is an ID.
pub fn rotation_id(number: u32) -> Result<RotationId, IdError> {
    format!("{SOURCE}:R{number:06}").parse()
}

/// The profile that the people on call of a rotation's team have.
///
/// # Errors
/// None: it is an ID.
pub fn given_to(rotation: u32) -> Result<ProfileId, IdError> {
    given_id(rotation / TEAM)
}

/// The profile that the people on call of a rotation's team may ask for.
///
/// # Errors
/// None: it is an ID.
pub fn offered_to(rotation: u32) -> Result<ProfileId, IdError> {
    offered_id(rotation / TEAM)
}

/// The request of the person on call in a rotation that waits to be decided.
///
/// # Errors
/// None: it is an ID.
pub fn waiting_id(rotation: u32) -> Result<RequestId, IdError> {
    format!("req_01JD{:022}", 2 * rotation).parse()
}

/// What the person on call in a rotation has taken in an emergency.
///
/// # Errors
/// None: it is an ID.
pub fn emergency_id(rotation: u32) -> Result<EmergencyId, IdError> {
    format!("emg_01JD{rotation:022}").parse()
}

pub(super) fn past_id(rotation: u32) -> Result<RequestId, IdError> {
    format!("req_01JD{:022}", 2 * rotation + 1).parse()
}

pub(super) fn given_id(team: u32) -> Result<ProfileId, IdError> {
    format!("team-{team}").parse()
}

pub(super) fn offered_id(team: u32) -> Result<ProfileId, IdError> {
    format!("team-{team}-trouble").parse()
}

pub(super) fn user(number: u32) -> Result<UserId, IdError> {
    format!("P{number:06}").parse()
}

pub(super) fn account(number: u32) -> String {
    format!("2819c223-7f76-453a-919d-{number:012}")
}

pub(super) fn entitlement(team: u32, group: u32) -> Result<EntitlementRef, IdError> {
    let id = format!("e9e30dba-f08f-4109-8486-{team:06}{group:06}");
    Ok(EntitlementRef { app: APP.parse()?, kind: "group".to_owned(), id })
}

pub(super) fn platform_user(number: u32) -> Result<PlatformUser, IdError> {
    let name = Some(format!("Person Number {number}"));
    Ok(PlatformUser { id: user(number)?, email: Some(address(number)), name, active: None })
}
