//! Erasing a person: whatever says who they are goes, and their texts with it; what they did stays, under an ID that nobody
//! can put a name to any more.
//!
//! Nobody is erased whose access is not over, or whom the next read would meet again by the same address: then a new person
//! would be there at once, with the same name and without what was denied to the first. Each refusal says what comes first.

#[cfg(test)]
mod tests;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::block::Block;
use crate::enrollment::Enrollment;
use crate::evidence::Draft;
use crate::hold::Hold;
use crate::id::{EmergencyId, PersonId, ProfileId, RequestId, RotationId, SourceId};
use crate::identity::{Person, verified_address};
use crate::installation::Installation;
use crate::profile::Profile;
use crate::request::Request;
use crate::rota::{PlatformUser, Shift};

/// The act of the record that says a person is erased.
pub const ERASED: &str = "person.erased";

/// Why somebody is not erased, and what to do first.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Nobody erases themselves.
    #[error("nobody erases themselves; another administrator must do it")]
    Own,
    /// Something of theirs cannot be read.
    #[error("the record {0} of theirs cannot be read by this release; bring the newer one that wrote it into service")]
    Unreadable(String),
    /// They hold something, or it is being given or taken.
    #[error("they hold something, or it is being given or taken; wait until that is over")]
    Holds,
    /// They are in a profile, now or later.
    #[error("they are in {0}, now or later; take them off its rota, or wait until that is over")]
    Enrolled(ProfileId),
    /// A request of theirs is not over.
    #[error("their request {0} is not over; deny it, or wait for its end")]
    Asks(RequestId),
    /// What they took in an emergency waits for its review.
    #[error("what they took in the emergency {0} waits for its review; review it")]
    Unreviewed(EmergencyId),
    /// A block denies them something, and would not deny it to whoever is met next by their address.
    #[error("the block {0} denies them something, and would be lost; lift it, or wait for its end")]
    Blocked(String),
    /// They are on call in a rotation, now or later.
    #[error(
        "they are on call in {0}, now or later, or may be by what the brake holds; take them off that rota, and wait for a read"
    )]
    OnCall(RotationId),
    /// A source lists them.
    #[error("the source {0} lists them, or did so within a day; remove them there, and wait until it is read")]
    Listed(SourceId),
    /// The configuration names their address.
    #[error("the configuration names their address in a link, or a profile does; take it out there")]
    Configured,
}

/// What is known of somebody who is to be erased.
#[derive(Debug, Clone, Copy)]
pub struct Known<'a> {
    /// Who.
    pub person: &'a Person,
    /// Keys of live items of theirs that cannot be read.
    pub unreadable: &'a [String],
    /// Their enrollments.
    pub enrollments: &'a [Enrollment],
    /// Their holds that are not over.
    pub holds: &'a [Hold],
    /// Their requests that are not over.
    pub requests: &'a [Request],
    /// What they took in an emergency and nobody has reviewed.
    pub unreviewed: Option<&'a EmergencyId>,
    /// Every block.
    pub blocks: &'a [Block],
    /// What is configured, profiles included.
    pub installation: &'a Installation,
    /// The shifts that stand, or that the brake holds, of rotations of the sources that know them.
    pub shifts: &'a [(RotationId, Vec<Shift>)],
    /// Whoever has an address on each source.
    pub users: &'a [(SourceId, Vec<PlatformUser>)],
    /// The instant.
    pub now: Timestamp,
}

/// Whether the person may be erased by somebody.
///
/// # Errors
/// Why not.
pub fn may_be_erased(known: &Known<'_>, by: &PersonId) -> Result<(), Refusal> {
    let person = known.person;
    if person.id == *by {
        return Err(Refusal::Own);
    }
    if let Some(key) = known.unreadable.first() {
        return Err(Refusal::Unreadable(key.clone()));
    }
    if !known.holds.is_empty() {
        return Err(Refusal::Holds);
    }
    let ahead = |it: &&Enrollment| it.periods.iter().any(|period| period.until.or_max() > known.now);
    if let Some(enrollment) = known.enrollments.iter().find(ahead) {
        return Err(Refusal::Enrolled(enrollment.profile.clone()));
    }
    if let Some(request) = known.requests.first() {
        return Err(Refusal::Asks(request.id.clone()));
    }
    if let Some(emergency) = known.unreviewed {
        return Err(Refusal::Unreviewed(emergency.clone()));
    }
    let denies = |it: &&Block| it.denied.person() == Some(&person.id) && it.until.is_none_or(|until| known.now < until);
    if let Some(block) = known.blocks.iter().find(denies) {
        return Err(Refusal::Blocked(block.id.clone()));
    }
    met_again(known)
}

/// Whether the next read would meet them, or their name and address would come back with it.
fn met_again(known: &Known<'_>) -> Result<(), Refusal> {
    let Known { person, installation, now, .. } = *known;
    let on_call = |(rotation, shifts): &&(RotationId, Vec<Shift>)| {
        let user = person.users.get(&rotation.source);
        shifts.iter().any(|shift| user.is_some() && shift.user.as_ref() == user && shift.end.or_max() > now)
    };
    if let Some((rotation, _)) = known.shifts.iter().find(on_call) {
        return Err(Refusal::OnCall(rotation.clone()));
    }
    let theirs = |source: &SourceId, user: &PlatformUser| {
        let address = user.email.as_deref().and_then(|email| verified_address(email, &installation.verified_domains));
        person.users.get(source) == Some(&user.id) || (address.is_some() && address == person.email)
    };
    let lists = |(source, users): &&(SourceId, Vec<PlatformUser>)| users.iter().any(|user| theirs(source, user));
    if let Some((source, _)) = known.users.iter().find(lists) {
        return Err(Refusal::Listed(source.clone()));
    }
    let linked = installation.links.iter().map(|link| &link.person);
    let mut named = linked.chain(installation.profiles.iter().flat_map(Profile::addresses));
    if named.any(|address| Some(address.trim().to_lowercase()) == person.email) {
        return Err(Refusal::Configured);
    }
    Ok(())
}

/// The evidence that a person is erased, the last of so many texts with whatever said who they are. Nothing of it is in the
/// record.
#[must_use]
pub fn erased(person: &PersonId, by: &PersonId, texts: usize) -> Draft {
    draft(ERASED, person, by, texts)
}

/// The evidence that so many texts of a person are erased, where there are more than go at once.
#[must_use]
pub fn erasing(person: &PersonId, by: &PersonId, texts: usize) -> Draft {
    draft("person.erasing", person, by, texts)
}

fn draft(act: &str, person: &PersonId, by: &PersonId, texts: usize) -> Draft {
    Draft {
        act: act.to_owned(),
        actor: by.to_string(),
        subject: json!({ "person": person }),
        before: Value::Null,
        after: json!({ "texts": texts }),
        why: Value::Null,
    }
}
