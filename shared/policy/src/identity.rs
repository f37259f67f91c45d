//! Who is who. An address finds a first match; from then on only pinned IDs count.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::id::{AccountId, AppId, PersonId, SourceId, UserId};
use crate::rota::PlatformUser;
use crate::time::later;

/// A person as the table keeps them. The texts are apart from the evidence, so that they can be erased.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Person {
    /// The person.
    pub id: PersonId,
    /// The address of the first match.
    pub email: Option<String>,
    /// A name for people to read.
    pub name: Option<String>,
    /// Whether the directory says that the person is active; `None` where no directory says.
    #[serde(default)]
    pub active: Option<bool>,
    /// When the directory was last asked.
    #[serde(default)]
    pub active_at: Option<Timestamp>,
    /// Since when the directory has shown the person inactive while the brake holds them: they count as active until it
    /// lets them go.
    #[serde(default)]
    pub held_since: Option<Timestamp>,
    /// The user on each source.
    #[serde(default)]
    pub users: BTreeMap<SourceId, UserId>,
    /// The account in each app, or why there is none.
    #[serde(default)]
    pub accounts: BTreeMap<AppId, Account>,
    /// When the person was erased: nobody knows any more who it was, and what they did stays under their ID.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub erased: Option<Timestamp>,
}

impl Person {
    /// A person of whom nothing is known.
    #[must_use]
    pub fn nobody(id: PersonId) -> Self {
        Self {
            id,
            email: None,
            name: None,
            active: None,
            active_at: None,
            held_since: None,
            users: BTreeMap::new(),
            accounts: BTreeMap::new(),
            erased: None,
        }
    }

    /// Whether nothing says who it is. That an app was asked and knew nobody says nothing either.
    #[must_use]
    pub fn is_nobody(&self) -> bool {
        let linked = self.accounts.values().any(|account| matches!(account, Account::Linked(_)));
        self.email.is_none() && self.users.is_empty() && !linked
    }
}

/// A person's account in an app.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Account {
    /// Pinned to the app's immutable ID. Nothing that a later address says moves it.
    Linked(AccountId),
    /// No match, two matches, or not in use: no grant, shown, looked at again at the time given.
    Doubtful {
        /// What is wrong.
        doubt: Doubt,
        /// When it is looked at again.
        again: Timestamp,
    },
}

/// Why an identity is in doubt. Doubt denies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Doubt {
    /// Nobody matches.
    Unmatched,
    /// More than one matches, or the match belongs to somebody else.
    Ambiguous,
    /// The match is not in use.
    Inactive,
}

impl std::fmt::Display for Doubt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Unmatched => "unmatched",
            Self::Ambiguous => "ambiguous",
            Self::Inactive => "inactive",
        })
    }
}

/// An address in the form in which addresses are compared: trimmed and in lower case. Plus tags and dots stay: they are
/// different addresses. `None` where it is not an address in one of the verified domains.
#[must_use]
pub fn verified_address(address: &str, verified_domains: &[String]) -> Option<String> {
    let address = address.trim().to_lowercase();
    let (local, domain) = address.rsplit_once('@')?;
    let known = verified_domains.iter().any(|verified| verified.eq_ignore_ascii_case(domain));
    (!local.is_empty()
        && !local.contains('@')
        && known
        && address.chars().all(|c| !c.is_whitespace() && !c.is_control()))
    .then_some(address)
}

/// How long a user whom a platform lists no more goes on having their address: a list that lacks people must not make an
/// address unique that two have.
const DEPARTED: Duration = Duration::from_secs(24 * 3_600);

/// A user whom a platform lists no more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Departed {
    /// As they were last listed.
    pub user: PlatformUser,
    /// Since when they are not.
    pub since: Timestamp,
}

/// Who has lately departed from a platform's list, now that `listed` is all of it.
#[must_use]
pub fn departed(
    before: &[PlatformUser],
    departed: &[Departed],
    listed: &[PlatformUser],
    now: Timestamp,
) -> Vec<Departed> {
    let listed: BTreeSet<&UserId> = listed.iter().map(|user| &user.id).collect();
    let gone = before.iter().map(|user| Departed { user: user.clone(), since: now });
    let lately = departed.iter().filter(|one| later(one.since, DEPARTED) > now).cloned();
    lately.chain(gone).filter(|one| !listed.contains(&one.user.id)).collect()
}

/// The address by which a platform's user may be matched for the first time, or why there is none: it must be verified,
/// the user active, and nobody else on the platform may have it, among whom are those who have lately departed.
///
/// # Errors
/// The doubt.
pub fn first_match<'a>(
    user: &PlatformUser,
    everybody: impl IntoIterator<Item = &'a PlatformUser>,
    domains: &[String],
) -> Result<String, Doubt> {
    if user.active == Some(false) {
        return Err(Doubt::Inactive);
    }
    let verified = |user: &PlatformUser| user.email.as_deref().and_then(|email| verified_address(email, domains));
    let address = verified(user).ok_or(Doubt::Unmatched)?;
    let everybody = everybody.into_iter();
    let holders = everybody.filter(|other| other.active != Some(false) && verified(other).as_ref() == Some(&address));
    match holders.take(2).count() {
        2 => Err(Doubt::Ambiguous),
        _ => Ok(address),
    }
}
