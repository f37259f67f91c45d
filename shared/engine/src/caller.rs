//! Who calls (R21).

use dutykey_policy::id::PersonId;
use jiff::Timestamp;

use crate::ids;
use crate::ports::callers::{CallerLink, Callers, Subject};
use crate::ports::clock::Chance;
use crate::ports::ledger::StoreError;

/// The person whom the subject is linked to. At first sight it is linked by their verified address, in lower case, where
/// they have one; afterwards addresses are not looked at. `None` where they are nobody.
///
/// # Errors
/// The table cannot be used.
pub async fn person(
    callers: &dyn Callers,
    chance: &dyn Chance,
    subject: Subject,
    address: Option<String>,
    now: Timestamp,
) -> Result<Option<PersonId>, StoreError> {
    if let Some(person) = callers.caller(&subject).await? {
        return Ok(Some(person));
    }
    let Some(address) = address else { return Ok(None) };
    let fresh = ids::named("per", chance, now)?;
    let linked = callers.link_caller(&CallerLink { subject, address, fresh, at: now }).await?;
    Ok(linked.ok())
}
