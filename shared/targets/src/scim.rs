//! Groups of a SCIM 2.0 service (RFC 7643, RFC 7644) as a target: the entitlement is membership of a group.
//!
//! Members are added and removed one at a time by PATCH, which a server applies as a whole, so writers need no turns.
//! SCIM knows no end of a membership and doesn't tell who made it: the ledger does. Nothing is tried again in here.
//!
//! - `http` is one request: deadline, bounds, and what each way to fail means;
//! - `wire` has the documents, lists and pages;
//! - `users` finds accounts, `groups` reads and changes memberships.

mod groups;
mod http;
#[cfg(test)]
mod tests;
mod users;
mod wire;

use std::time::Duration;

use async_trait::async_trait;
use dutykey_engine::ports::clock::Listener;
use dutykey_engine::ports::secrets::Secret;
use dutykey_engine::ports::target::{Accepted, GrantOrder, Page, Resolved, RevokeOrder, Target, TargetError};
use dutykey_policy::hold::{Capabilities, Observation};
use dutykey_policy::id::{AccountId, AppId, EntitlementRef, Place};
use dutykey_policy::turn::TurnKey;
use dutykey_policy::wants::{Shape, Slot};
use jiff::Timestamp;
use serde::Deserialize;
use url::Position;

use self::http::{Call, Fault, Http};
use self::wire::Group;

/// The only kind of entitlement.
pub const GROUP: &str = "group";

/// The time for one call to the target, with all the requests that it takes.
pub const DEADLINE: Duration = Duration::from_secs(10);

/// How long after a change a read may still show the state before it, where nothing else is known of the service. RFC 7644
/// promises no read after a write, and a service may answer from several copies of its data. Were a read believed that lags
/// behind a grant of ours, what it later shows would count as standing, and would never be taken back.
pub const PROPAGATION: Duration = Duration::from_secs(10);

/// Why a SCIM app cannot be set up.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScimError {
    /// Not a URL.
    #[error("base_url is not a URL: {0}")]
    NotAUrl(String),
    /// The token would travel in plain text.
    #[error("base_url must be https; plain http is for this machine (localhost, 127.0.0.0/8, ::1) only")]
    Insecure,
    /// A user, a password, a query or a fragment in it.
    #[error("base_url must have nothing but host and path; the token has its own key")]
    MoreThanPath,
    /// No token, or one that no header can carry.
    #[error(
        "the token is empty or has characters that a header cannot carry; a line break at its end is a common cause"
    )]
    Token,
    /// TLS could not be set up.
    #[error("the HTTPS client cannot be set up: {0}")]
    Client(String),
}

/// The groups of one SCIM service.
pub struct Scim {
    app: AppId,
    http: Http,
    deadline: Duration,
    propagation: Duration,
}

impl std::fmt::Debug for Scim {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Scim").field("app", &self.app).field("base", &self.http.base().as_str()).finish_non_exhaustive()
    }
}

impl Scim {
    /// A service by its base URL, below which `/Users` and `/Groups` are, and a bearer token.
    ///
    /// # Errors
    /// What is wrong with the URL or the token; never the token itself.
    pub fn new(app: AppId, base_url: &str, token: Secret) -> Result<Self, ScimError> {
        let http = Http::new(base_url, token)?;
        Ok(Self { app, http, deadline: DEADLINE, propagation: PROPAGATION })
    }

    /// The same for a service whose reads may show the state before a change for so long.
    #[must_use]
    pub fn with_propagation(self, propagation: Duration) -> Self {
        Self { propagation, ..self }
    }

    /// The same, whose answers say to the listener what time it is there.
    #[must_use]
    pub fn heard_by(self, listener: Listener) -> Self {
        Self { http: self.http.heard_by(listener), ..self }
    }

    fn call(&self) -> Call<'_> {
        self.http.call(self.deadline)
    }

    /// The service by host, port where it is not the usual one, and path: SCIM has no ID of a tenant, and those that
    /// serve several tell them apart by one of these.
    fn tenant(&self) -> String {
        self.http.base()[Position::BeforeHost..Position::AfterPath].trim_end_matches('/').to_owned()
    }
}

/// What a server says of itself (RFC 7643 §5).
#[derive(Deserialize)]
struct ServiceProviderConfig {
    patch: Option<Supported>,
}

#[derive(Deserialize)]
struct Supported {
    supported: Option<bool>,
}

#[async_trait]
impl Target for Scim {
    fn capabilities(&self, _kind: &str) -> Capabilities {
        Capabilities {
            native_end: false,
            tells_owner: false,
            asynchronous: None,
            propagation: self.propagation,
            deadline: self.deadline,
            // SCIM says nothing of sessions.
            session_tail: None,
        }
    }

    fn slot(&self, entitlement: &EntitlementRef) -> Option<Slot> {
        let place = Place { kind: entitlement.kind.clone(), id: entitlement.id.clone() };
        (entitlement.kind == GROUP).then_some(Slot { place, shape: Shape::Member })
    }

    fn rank(&self, _place: &Place, _value: &str) -> Option<i64> {
        None
    }

    fn turns(&self, _account: &AccountId, _place: &Place) -> Vec<TurnKey> {
        Vec::new()
    }

    async fn check(&self) -> Result<String, TargetError> {
        let call = self.call();
        // Not every server has this document, and it may be open to everybody; the list of groups proves the token.
        match call.get::<ServiceProviderConfig>(&["ServiceProviderConfig"], &[]).await {
            Ok(ServiceProviderConfig { patch: Some(Supported { supported: Some(false) }) }) => {
                return Err(TargetError::Permanent(
                    "the server says that it does not support PATCH, without which a member cannot be changed alone"
                        .to_owned(),
                ));
            }
            Ok(_) => {}
            Err(Fault::Refused(refusal)) if matches!(refusal.status.as_u16(), 404 | 501) => {}
            Err(fault) => return Err(fault.into()),
        }
        call.list::<Group>(&[("startIndex", "1"), ("count", "1"), ("excludedAttributes", "members")]).await?;
        Ok(self.tenant())
    }

    async fn resolve(&self, address: &str) -> Result<Resolved, TargetError> {
        self.call().resolve(address).await
    }

    async fn is_active(&self, account: &AccountId) -> Result<Option<bool>, TargetError> {
        self.call().is_active(account).await
    }

    async fn catalog(&self, page: Option<&str>) -> Result<Page, TargetError> {
        self.call().catalog(&self.app, page).await
    }

    async fn observe(&self, account: &AccountId, place: &Place) -> Result<Observation, TargetError> {
        self.call().observe(group(place)?, account).await
    }

    async fn grant(&self, order: &GrantOrder) -> Result<Accepted, TargetError> {
        self.call().grant(member(&order.place, &order.shape)?, &order.account).await
    }

    async fn poll(&self, _operation: &str) -> Result<Accepted, TargetError> {
        Err(TargetError::Permanent("SCIM has no pending operations; this is a fault in the caller".to_owned()))
    }

    async fn extend(&self, _order: &RevokeOrder, _native_end: Timestamp) -> Result<Accepted, TargetError> {
        Err(TargetError::Permanent("SCIM knows no end of a membership; this is a fault in the caller".to_owned()))
    }

    async fn revoke(&self, order: &RevokeOrder) -> Result<Accepted, TargetError> {
        self.call().revoke(member(&order.place, &order.shape)?, &order.account).await
    }
}

fn group(place: &Place) -> Result<&str, TargetError> {
    match place.kind.as_str() {
        GROUP => Ok(&place.id),
        _ => Err(TargetError::Permanent("SCIM has groups only; correct the entitlement's kind".to_owned())),
    }
}

fn member<'a>(place: &'a Place, shape: &Shape) -> Result<&'a str, TargetError> {
    match shape {
        Shape::Member => group(place),
        Shape::Value { .. } => Err(TargetError::Permanent("a SCIM group has members, not values".to_owned())),
    }
}
