//! What happened, for logs, metrics and whoever watches. Nothing is decided by it.

use dutykey_policy::hold::{Hold, State};
use dutykey_policy::id::{AppId, EntitlementRef, PersonId, RotationId};
use dutykey_policy::identity::Doubt;
use dutykey_policy::wants::Reason;

use crate::summary::Summary;

/// Something that happened.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// A call to a target is about to leave.
    Calling(Box<Hold>),
    /// A read has shown a grant in place; how late its call left is in the hold's act.
    Granted(Box<Hold>),
    /// A read has shown that access is gone, or whose it is now.
    Revoked(Box<Hold>),
    /// It was there before us.
    Kept(Box<Hold>),
    /// A hold moved to another state, or a try failed.
    Moved {
        /// Where it was.
        from: Option<State>,
        /// How it is.
        hold: Box<Hold>,
    },
    /// A person's account in an app was pinned, or is in doubt.
    Account {
        /// Whose.
        person: PersonId,
        /// Where.
        app: AppId,
        /// What is wrong; `None` where it was pinned.
        doubt: Option<Doubt>,
    },
    /// What a profile in mode `observe` would give now.
    WouldHold {
        /// To whom.
        person: PersonId,
        /// What.
        entitlement: EntitlementRef,
        /// Why.
        reason: Reason,
    },
    /// So many requests were sent to a platform.
    PlatformAsked(u64),
    /// A complete view was read.
    ViewRead {
        /// Of which rotation.
        rotation: RotationId,
        /// Whether it changed what is known.
        changed: bool,
    },
    /// A platform could not be read. The last good view stands.
    ViewFailed {
        /// Of which rotation.
        rotation: RotationId,
        /// How.
        because: String,
    },
    /// The brake holds a change.
    Braked {
        /// Of which rotation.
        rotation: RotationId,
        /// Why.
        because: String,
    },
    /// A tick has run to its end.
    Ticked {
        /// Whether nothing is begun or ended.
        standstill: bool,
    },
    /// A tick has counted how Dutykey stands.
    Counted(Summary),
    /// A user on call cannot be matched to a person.
    Unmatched {
        /// In which rotation.
        rotation: RotationId,
        /// What is wrong.
        doubt: Doubt,
    },
}

/// Whoever watches.
pub trait Witness: Send + Sync {
    /// It happened.
    fn saw(&self, event: &Event);
}
