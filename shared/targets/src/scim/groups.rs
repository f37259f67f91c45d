//! Groups: what there is, who is in it, and the change of one member.

use dutykey_engine::ports::target::{Accepted, Entitlement, MAX_DETAIL, Page, TargetError};
use dutykey_policy::hold::{Held, Observation, Owner};
use dutykey_policy::id::{AccountId, AppId, EntitlementRef};

use super::GROUP;
use super::http::{Call, Fault, Refusal};
use super::wire::{Change, Group, Next, Paged, literal};

/// The most groups that a catalog lists. It also bounds a server whose list has no end.
const MAX_GROUPS: u64 = 100_000;

const DONE: Accepted = Accepted::Done { receipt: None, native_end: None };

/// What can be read of an account's direct membership.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Membership {
    /// The group lists it.
    Listed,
    /// The group lists nobody, but a filter tells that it is one: as AWS IAM Identity Center does.
    Hidden,
    /// It is not a member; or the group is gone, and the direct access with it.
    No,
}

impl Call<'_> {
    /// One page of the groups. It begins at the number of its first group, from 1; behind a space follows the server's
    /// cursor, where it has one.
    pub(super) async fn catalog(&self, app: &AppId, page: Option<&str>) -> Result<Page, TargetError> {
        let (from, cursor) = match page.map(|page| page.split_once(' ').map_or((page, None), |(n, c)| (n, Some(c)))) {
            None => (Ok(1), Some("")),
            Some((from, cursor)) => (from.parse::<u64>(), cursor),
        };
        let from = from.ok().filter(|from| (1..=MAX_GROUPS).contains(from)).ok_or_else(|| {
            TargetError::Permanent(format!("no such page of the catalog; it lists at most {MAX_GROUPS} groups"))
        })?;
        let names = [("excludedAttributes", "members")];
        let page: Paged<Group, Next> = match cursor {
            Some(cursor) => self.page_at(cursor, &names).await?,
            None => {
                let Paged { resources, next, short } = self.page(from, &names).await?;
                Paged { resources, next: next.map(Next::Index), short }
            }
        };
        // A page by cursor may be empty though more follow; it counts, or there might be no end.
        let then = from + (page.resources.len() as u64).max(1);
        let next = page.next.map(|next| match next {
            Next::Index(index) => index.to_string(),
            Next::Cursor(cursor) => format!("{then} {cursor}"),
        });
        Ok(Page { entitlements: page.resources.into_iter().map(|group| entitlement(app, group)).collect(), next })
    }

    /// Whether the account is a direct member. A group that does not exist any more has none: a revocation is proven by
    /// that, and a grant into it is refused by the server.
    pub(super) async fn observe(&self, group: &str, account: &AccountId) -> Result<Observation, TargetError> {
        let held = match self.membership(group, account).await? {
            Membership::Listed | Membership::Hidden => Held::Direct,
            Membership::No => Held::No,
        };
        Ok(Observation { held, value: None, owner: Owner::Unknown, native_end: None })
    }

    async fn membership(&self, group: &str, account: &AccountId) -> Result<Membership, TargetError> {
        let Some(found) = self.by_id::<Group>(group, &[("attributes", "members")]).await? else {
            return Ok(Membership::No);
        };
        let members = found.members.unwrap_or_default();
        if members.iter().any(|member| member.is_user(account.as_str())) {
            return Ok(Membership::Listed);
        }
        // A list with somebody in it is a list. An empty one, or none, is either an empty group (RFC 7643 §2.5) or a
        // server that doesn't tell. A filter may; it is believed only if it also says that the group is not a member of
        // itself, since there are servers that ignore filters, or all but the first part of one.
        let hidden = members.is_empty()
            && self.filter_finds(group, account.as_str()).await?
            && !self.filter_finds(group, group).await?;
        Ok(if hidden { Membership::Hidden } else { Membership::No })
    }

    /// Whether the server finds the group by its ID and a member. A filter that it refuses finds nothing; nor does one
    /// that it answers with 404, which is AWS's word for a member that does not exist.
    async fn filter_finds(&self, group: &str, member: &str) -> Result<bool, TargetError> {
        let filter = format!("id eq {} and members eq {}", literal(group), literal(member));
        match self.list::<Group>(&[("filter", &filter)]).await {
            Ok(list) => Ok(list.into_resources().iter().any(|found| found.id == group)),
            Err(Fault::Refused(refusal)) if refusal.is_unsupported() || refusal.status.as_u16() == 404 => Ok(false),
            Err(fault) => Err(fault.into()),
        }
    }

    /// Adds the account. Where it is a member already, nothing changes (RFC 7644 §3.5.2.1).
    pub(super) async fn grant(&self, group: &str, account: &AccountId) -> Result<Accepted, TargetError> {
        let refusal = match self.change(Change::Add, group, account).await {
            Ok(()) => return Ok(DONE),
            Err(Fault::Refused(refusal)) => refusal,
            Err(fault) => return Err(fault.into()),
        };
        match (refusal.status.as_u16(), refusal.scim_type.as_str()) {
            // Of one member only its own being there already can be a duplicate; the read-back tells.
            (409, "uniqueness") => Ok(DONE),
            (400 | 404, _) => Err(self.missing(refusal, group, account).await),
            _ => Err(refusal.into()),
        }
    }

    /// Removes the account. Where it is no member, nothing changes and it is done; the read-back proves it.
    ///
    /// AWS IAM Identity Center refuses the standard's `members[value eq "…"]` and takes a list of values beside the path
    /// `members`. To a server that keeps to the standard that path means everybody (RFC 7644 §3.5.2.2). So the second
    /// form is sent only to a server that refused the first, and of which reads made just before show AWS's other mark:
    /// it lists no members while a filter finds this one.
    pub(super) async fn revoke(&self, group: &str, account: &AccountId) -> Result<Accepted, TargetError> {
        let refusal = match self.change(Change::Remove, group, account).await {
            Ok(()) => return Ok(DONE),
            Err(Fault::Refused(refusal)) => refusal,
            Err(fault) => return Err(fault.into()),
        };
        match refusal.status.as_u16() {
            404 => self.gone(account).await,
            400 => match self.membership(group, account).await? {
                Membership::No => Ok(DONE),
                Membership::Hidden => match self.change(Change::RemoveListed, group, account).await {
                    Ok(()) => Ok(DONE),
                    Err(Fault::Refused(refusal)) if refusal.status.as_u16() == 404 => self.gone(account).await,
                    Err(fault) => Err(fault.into()),
                },
                Membership::Listed => Err(TargetError::Permanent(format!(
                    "{refusal}; the only other form of a removal could take everybody out of the group, so it is not sent: take the member out by hand and make the server take `members[value eq …]`"
                ))),
            },
            _ => Err(refusal.into()),
        }
    }

    async fn change(&self, change: Change, group: &str, account: &AccountId) -> Result<(), Fault> {
        self.patch(&["Groups", group], &change.of(account.as_str())).await
    }

    /// The group or the member is gone, and the direct access with it. Only a missing user is told apart: their account
    /// ends more than this.
    async fn gone(&self, account: &AccountId) -> Result<Accepted, TargetError> {
        match self.is_active(account).await {
            Ok(None) => Err(account_gone(account)),
            _ => Ok(DONE),
        }
    }

    /// Why the server refused to add: servers answer 400 or 404 alike for a user and for a group that they don't know.
    /// What cannot be found out leaves the refusal as it is.
    async fn missing(&self, refusal: Refusal, group: &str, account: &AccountId) -> TargetError {
        if let Ok(None) = self.is_active(account).await {
            return account_gone(account);
        }
        if let Ok(None) = self.by_id::<Group>(group, &[("excludedAttributes", "members")]).await {
            return TargetError::Permanent(format!(
                "{refusal}; the group {group} does not exist any more: take it out of the profile or choose another"
            ));
        }
        refusal.into()
    }
}

fn account_gone(account: &AccountId) -> TargetError {
    TargetError::AccountGone(format!("the server has no user {account}"))
}

fn entitlement(app: &AppId, group: Group) -> Entitlement {
    let name = group.display_name.unwrap_or_else(|| group.id.clone()).chars().take(MAX_DETAIL).collect();
    let entitlement = EntitlementRef { app: app.clone(), kind: GROUP.to_owned(), id: group.id };
    Entitlement { entitlement, name, description: None, unmanageable: None }
}
