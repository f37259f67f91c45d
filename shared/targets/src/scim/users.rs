//! Accounts: found once by an address, known by their ID from then on.

use std::collections::BTreeMap;

use dutykey_engine::ports::target::{Resolved, TargetError};
use dutykey_policy::id::AccountId;
use dutykey_policy::identity::Doubt;

use super::http::{Call, Fault};
use super::wire::{Paged, User, literal};

/// The most pages that are read of one search. Who matches an address is a handful; more means that the server does not
/// look at the filter.
const PAGES: usize = 10;

/// The accounts with an address, and whether they are in use.
type Found = BTreeMap<String, bool>;

impl Call<'_> {
    /// The one active account with this address as its user name or among its e-mail addresses. All ways to look are
    /// taken, so that somebody else's account with the same address is seen; what comes back is compared again here,
    /// since there are servers that ignore filters.
    pub(super) async fn resolve(&self, address: &str) -> Result<Resolved, TargetError> {
        let value = literal(address.trim());
        let mut found = Found::new();
        let by_name = self.search(&format!("userName eq {value}"), address, &mut found).await?;
        let by_email = self.search(&format!("emails.value eq {value}"), address, &mut found).await?
            || self.search(&format!("emails[type eq \"work\"].value eq {value}"), address, &mut found).await?;
        if !by_name && !by_email {
            return Err(TargetError::Permanent(
                "the server refuses every search for an address; link people to their accounts by ID".to_owned(),
            ));
        }
        let mut active = found.iter().filter(|(_, active)| **active).map(|(id, _)| id);
        Ok(match (active.next(), active.next(), found.len()) {
            (Some(id), None, _) => Resolved::Account(account(id)?),
            (Some(_), Some(_), _) => Resolved::Doubt(Doubt::Ambiguous),
            (None, _, 0) => Resolved::Doubt(Doubt::Unmatched),
            (None, ..) => Resolved::Doubt(Doubt::Inactive),
        })
    }

    /// Adds the accounts with this address among those that a filter finds; `false` where the server refuses the filter.
    async fn search(&self, filter: &str, address: &str, found: &mut Found) -> Result<bool, TargetError> {
        let mut from = 1;
        for _ in 0..PAGES {
            let page: Paged<User> = match self.page(from, &[("filter", filter)]).await {
                Ok(page) => page,
                Err(Fault::Refused(refusal)) if refusal.is_unsupported() => return Ok(false),
                Err(fault) => return Err(fault.into()),
            };
            if page.short {
                let detail = "GET Users: the server says that more accounts match than it gives".to_owned();
                return Err(TargetError::Transient { after: None, detail });
            }
            found.extend(page.resources.into_iter().filter(|user| user.has(address)).map(|user| {
                let active = user.is_active();
                (user.id, active)
            }));
            match page.next {
                Some(next) => from = next,
                None => return Ok(true),
            }
        }
        Err(TargetError::Permanent(format!(
            "a search for one address fills more than {PAGES} pages, so the server seems to ignore filters; link people to their accounts by ID"
        )))
    }

    /// Whether the account is in use; `None` where it does not exist.
    pub(super) async fn is_active(&self, account: &AccountId) -> Result<Option<bool>, TargetError> {
        let user = self.by_id::<User>(account.as_str(), &[]).await?;
        Ok(user.map(|user| user.is_active()))
    }
}

fn account(id: &str) -> Result<AccountId, TargetError> {
    AccountId::try_from(id.to_owned())
        .map_err(|error| TargetError::Permanent(format!("the server's ID of the account cannot be used: {error}")))
}
