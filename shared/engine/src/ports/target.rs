//! Target systems: where access lives.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use dutykey_policy::hold::{Capabilities, Failure, Observation};
use dutykey_policy::id::{AccountId, EntitlementRef, Place};
use dutykey_policy::identity::Doubt;
use dutykey_policy::installation::App;
use dutykey_policy::turn::TurnKey;
use dutykey_policy::wants::{Shape, Slot};
use jiff::Timestamp;
use serde_json::Value;

/// The longest foreign text in an error.
pub const MAX_DETAIL: usize = 500;

/// How a call to a target failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// Too many requests; nothing happened.
    #[error("the target asks to slow down: {detail}")]
    Throttled {
        /// How long it asks to wait.
        after: Option<Duration>,
        /// What it said.
        detail: String,
    },
    /// Refused for now (5xx with a definite answer before anything was done, not connected); nothing happened.
    #[error("the target cannot do it now: {detail}")]
    Transient {
        /// How long it asks to wait.
        after: Option<Duration>,
        /// What it said.
        detail: String,
    },
    /// Something else was going on at the same place; nothing happened.
    #[error("the target was busy with the same place: {0}")]
    Conflict(String),
    /// The request left, or may have, and no usable answer came: it may have happened.
    #[error("the target's answer was lost: {0}")]
    Lost(String),
    /// The account does not exist any more.
    #[error("the account does not exist any more: {0}")]
    AccountGone(String),
    /// It will not work until somebody changes something: credentials, rights, a missing entitlement, a licence.
    #[error("the target refuses: {0}")]
    Permanent(String),
}

impl TargetError {
    /// The parts from which policy decides: how it failed, how long to wait, what was said.
    #[must_use]
    pub fn parts(self) -> (Failure, Option<Duration>, String) {
        match self {
            Self::Throttled { after, detail } => (Failure::Throttled, after, detail),
            Self::Transient { after, detail } => (Failure::Transient, after, detail),
            Self::Conflict(detail) => (Failure::Conflict, None, detail),
            Self::Lost(detail) => (Failure::Lost, None, detail),
            Self::AccountGone(detail) => (Failure::AccountGone, None, detail),
            Self::Permanent(detail) => (Failure::Permanent, None, detail),
        }
    }
}

/// What an app has to give.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entitlement {
    /// The entitlement.
    pub entitlement: EntitlementRef,
    /// A name for people to read.
    pub name: String,
    /// What the app says of it.
    pub description: Option<String>,
    /// Why Dutykey cannot manage it (it belongs to another system); `None` where it can.
    pub unmanageable: Option<String>,
}

/// One page of a catalog.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// What it lists.
    pub entitlements: Vec<Entitlement>,
    /// Where the next page begins; `None` at the end.
    pub next: Option<String>,
}

/// The outcome of looking for an account by address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Resolved {
    /// Exactly one, in use.
    Account(AccountId),
    /// None, several, or one that is not in use. Never a guess.
    Doubt(Doubt),
}

/// What a target answered to a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Accepted {
    /// Done, by the target's own word.
    Done {
        /// The adapter's record of it, for the calls that follow. Never a secret.
        receipt: Option<Value>,
        /// When the target ends it by itself.
        native_end: Option<Timestamp>,
    },
    /// Begun; to be asked for again.
    Pending {
        /// The target's handle of the operation.
        operation: String,
        /// How long to wait before asking.
        after: Duration,
    },
}

/// A grant or a change of value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GrantOrder {
    /// Whose.
    pub account: AccountId,
    /// Where.
    pub place: Place,
    /// What.
    pub shape: Shape,
    /// When the target should end it by itself, where it can.
    pub native_end: Option<Timestamp>,
    /// What read before the attempt showed. Access that it shows as standing must not be changed.
    pub before: Observation,
    /// A name for this attempt that repeats with a repetition, for targets that know idempotency.
    pub token: String,
}

/// A revocation, or the return of a base.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RevokeOrder {
    /// Whose.
    pub account: AccountId,
    /// Where.
    pub place: Place,
    /// What we put there.
    pub shape: Shape,
    /// The value to put back, for a single value.
    pub restore: Option<String>,
    /// The adapter's record of the grant.
    pub receipt: Option<Value>,
    /// A name for this attempt that repeats with a repetition.
    pub token: String,
}

/// A target system, behind one configured app. Calls are safe to repeat: granting what is there and revoking what is not
/// succeed without a change.
#[async_trait]
pub trait Target: Send + Sync {
    /// What it can do for entitlements of this kind.
    fn capabilities(&self, kind: &str) -> Capabilities;

    /// Where an entitlement sits and as what; `None` for a kind that it does not have.
    fn slot(&self, entitlement: &EntitlementRef) -> Option<Slot>;

    /// The rank of a single value in its place; the higher gives more. `None` for a value that it does not know.
    fn rank(&self, place: &Place, value: &str) -> Option<i64>;

    /// The turns that a call needs, always in the same order: of calls with equal keys no more than that run side by side.
    /// A handful at most; none where the target does not mind.
    fn turns(&self, account: &AccountId, place: &Place) -> Vec<TurnKey>;

    /// Proves the credentials with one cheap call and names the tenant by its immutable ID.
    async fn check(&self) -> Result<String, TargetError>;

    /// Finds the account with this address.
    async fn resolve(&self, address: &str) -> Result<Resolved, TargetError>;

    /// Whether an account, by its ID, is in use; `None` where it does not exist.
    async fn is_active(&self, account: &AccountId) -> Result<Option<bool>, TargetError>;

    /// One page of what the app has to give.
    async fn catalog(&self, page: Option<&str>) -> Result<Page, TargetError>;

    /// What is in the place now; direct and inherited apart where the target can tell.
    async fn observe(&self, account: &AccountId, place: &Place) -> Result<Observation, TargetError>;

    /// Puts access in place.
    async fn grant(&self, order: &GrantOrder) -> Result<Accepted, TargetError>;

    /// Asks for a pending operation.
    ///
    /// An operation that has failed is `Conflict`, or `Permanent` where it can only fail again: it is over, and nothing
    /// happened. `Transient`, `Throttled` and `Lost` say that the question failed, and it is asked again.
    async fn poll(&self, operation: &str) -> Result<Accepted, TargetError>;

    /// Moves the target's own end of what the receipt says is ours.
    async fn extend(&self, order: &RevokeOrder, native_end: Timestamp) -> Result<Accepted, TargetError>;

    /// Takes access away.
    async fn revoke(&self, order: &RevokeOrder) -> Result<Accepted, TargetError>;

    /// Ends sessions that outlive the access; `false` where the target cannot.
    async fn end_sessions(&self, _order: &RevokeOrder) -> Result<bool, TargetError> {
        Ok(false)
    }
}

/// The adapters of the configured apps.
#[async_trait]
pub trait Targets: Send + Sync {
    /// The adapter of an app.
    ///
    /// # Errors
    /// Its credentials cannot be read now.
    async fn target(&self, app: &App) -> Result<Arc<dyn Target>, TargetError>;
}
