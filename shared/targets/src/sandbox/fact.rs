//! What is in one place of one account, how a deed changes it, and what a read shows of it.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use dutykey_policy::hold::{Held, Observation, Owner};
use dutykey_policy::id::{AccountId, Place};
use jiff::Timestamp;

use super::ROLE;

/// Who has what directly.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Truth {
    /// The direct members of each group that has any.
    pub members: BTreeMap<String, BTreeSet<AccountId>>,
    /// The role of each account that has one.
    pub roles: BTreeMap<AccountId, String>,
}

impl Truth {
    pub(super) fn set_member(&mut self, group: &str, account: &AccountId, is: bool) {
        let members = self.members.entry(group.to_owned()).or_default();
        if is {
            members.insert(account.clone());
        } else {
            members.remove(account);
        }
        if members.is_empty() {
            self.members.remove(group);
        }
    }

    pub(super) fn set_role(&mut self, account: &AccountId, value: Option<&String>) {
        match value {
            Some(value) => self.roles.insert(account.clone(), value.clone()),
            None => self.roles.remove(account),
        };
    }

    pub(super) fn forget(&mut self, account: &AccountId) {
        self.roles.remove(account);
        self.members.retain(|_, members| {
            members.remove(account);
            !members.is_empty()
        });
    }

    pub(super) fn set(&mut self, account: &AccountId, place: &Place, fact: &Fact) {
        match place.kind.as_str() {
            ROLE => self.set_role(account, fact.value.as_ref()),
            _ => self.set_member(&place.id, account, fact.direct()),
        }
    }
}

/// Whose doing something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum By {
    /// Ours.
    Dutykey,
    /// Other people's.
    Others,
    /// The target's own, at the end that it was given.
    NativeEnd,
}

/// A change that has taken effect. What was already so is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Effect {
    /// When.
    pub at: Timestamp,
    /// Whose doing.
    pub by: By,
    /// Whose access.
    pub account: AccountId,
    /// Where.
    pub place: Place,
    /// What.
    pub change: Change,
}

/// How access changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// A membership came; on a target that tells owners it may have come beside another's.
    Added,
    /// A membership went.
    Removed,
    /// The role changed.
    Set {
        /// From this.
        from: Option<String>,
        /// To this.
        to: Option<String>,
    },
    /// Only who put it there, or the target's own end, changed.
    Noted,
}

/// What is in one place of one account.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Fact {
    /// Dutykey put it there.
    pub ours: bool,
    /// Others put it there.
    pub theirs: bool,
    /// When the target ends ours by itself.
    pub native_end: Option<Timestamp>,
    /// The role; `None` for a group.
    pub value: Option<String>,
}

/// One change of one place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Deed {
    /// Makes it a member.
    Add { native_end: Option<Timestamp> },
    /// Ends its membership.
    Remove,
    /// Sets the role.
    Set { value: Option<String> },
    /// Puts the role back that was there before us.
    Restore { value: Option<String> },
    /// Moves the target's own end.
    MoveEnd { to: Timestamp },
}

impl Fact {
    fn direct(&self) -> bool {
        self.ours || self.theirs
    }

    /// What there is after the deed. Where the target tells owners, our membership and others' are two things, and ours
    /// ends alone; elsewhere there is one, and whoever ends it ends it.
    pub(super) fn after(&self, by: By, deed: &Deed, tells_owner: bool) -> Self {
        let mut next = self.clone();
        match (deed, by) {
            (Deed::Add { .. }, By::Others) => next.theirs |= tells_owner || !self.direct(),
            (Deed::Add { native_end }, _) => {
                if tells_owner || !self.theirs {
                    next.ours = true;
                    next.native_end = native_end.or(self.native_end);
                }
            }
            (Deed::Remove, By::Dutykey | By::NativeEnd) if tells_owner => {
                next.ours = false;
                next.native_end = None;
            }
            (Deed::Remove, _) => next = Self::default(),
            (Deed::Set { value }, By::Dutykey) if *value == self.value => {}
            (Deed::Set { value } | Deed::Restore { value }, _) => {
                let ours = by == By::Dutykey && matches!(deed, Deed::Set { .. });
                next = Self { ours, theirs: !ours && value.is_some(), native_end: None, value: value.clone() };
            }
            (Deed::MoveEnd { to }, _) if self.ours => next.native_end = Some(*to),
            (Deed::MoveEnd { .. }, _) => {}
        }
        next
    }

    /// How access changes where the next fact takes the place of this one.
    pub(super) fn change_to(&self, next: &Self) -> Change {
        let count = |fact: &Self| u8::from(fact.ours) + u8::from(fact.theirs);
        if self.value != next.value {
            return Change::Set { from: self.value.clone(), to: next.value.clone() };
        }
        match count(next).cmp(&count(self)) {
            Ordering::Less => Change::Removed,
            Ordering::Equal => Change::Noted,
            Ordering::Greater => Change::Added,
        }
    }

    /// What a read shows of it.
    pub(super) fn observation(&self, inherited: bool, tells_owner: bool) -> Observation {
        let held = match (self.direct(), inherited) {
            (false, false) => Held::No,
            (true, false) => Held::Direct,
            (false, true) => Held::Inherited,
            (true, true) => Held::DirectAndInherited,
        };
        let owner = match (tells_owner, self.ours, self.theirs) {
            (true, true, _) => Owner::Us,
            (true, false, true) => Owner::Other,
            _ => Owner::Unknown,
        };
        Observation { held, value: self.value.clone(), owner, native_end: self.native_end }
    }
}
