//! Who is calling (R21): an issuer's subject, linked once to a person, in the groups that their token says; on loopback,
//! where no issuer is configured, whoever a developer says they are.

mod keys;
mod token;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use dutykey_engine::caller::person;
use dutykey_engine::ports::callers::{Callers, Subject};
use dutykey_engine::ports::clock::{Chance, Clock};
use dutykey_engine::ports::rules::ReadRules;
use dutykey_policy::id::PersonId;
use dutykey_policy::identity::verified_address;
use dutykey_policy::installation::{Installation, Oidc};
use dutykey_policy::time::later;
use jiff::Timestamp;

use crate::{Api, Problem};

pub use keys::{KeysError, PublishedKeys, ReadKeys};
pub use token::TokenError;

use token::{Claims, Token};

/// A token younger than this may approve, release, block and confirm.
const YOUNG: Duration = Duration::from_secs(3_600);
/// By this header a developer says who they are. No web page can send it: a browser asks first, and nobody answers.
pub const DEVELOPER: &str = "dutykey-developer";
/// By this one in which groups they are, with commas between.
pub const DEVELOPER_GROUPS: &str = "dutykey-developer-groups";
/// The issuer of those who say so themselves.
const SAID: &str = "dutykey-developer";

/// Whether a caller's own word counts where no issuer is configured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unconfigured {
    /// It counts: nobody but this machine's users can call.
    Believed,
    /// Nobody may call.
    Refused,
}

/// Finds out who is calling.
pub(crate) struct Identify {
    /// The installation: its issuer, its groups, its domains.
    pub(crate) rules: Arc<dyn ReadRules>,
    /// Who subjects are.
    pub(crate) callers: Arc<dyn Callers>,
    /// The issuer's keys.
    pub(crate) keys: Arc<dyn ReadKeys>,
    /// Time.
    pub(crate) clock: Arc<dyn Clock>,
    /// Chance, for the IDs of people whom nobody has met.
    pub(crate) chance: Arc<dyn Chance>,
    /// What counts without an issuer.
    pub(crate) unconfigured: Unconfigured,
}

impl std::fmt::Debug for Identify {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Identify").field("unconfigured", &self.unconfigured).finish_non_exhaustive()
    }
}

/// Whoever calls, and as what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Caller {
    /// Who; nobody in particular only on loopback, where this machine's users may read.
    person: Option<PersonId>,
    groups: BTreeSet<String>,
    administrator: bool,
    auditor: bool,
    /// When their token was issued.
    issued_at: Option<Timestamp>,
}

impl Identify {
    pub(crate) async fn caller(&self, headers: &HeaderMap) -> Result<Caller, Problem> {
        let installation = self.rules.settings().await?.unwrap_or_default();
        let now = self.clock.now();
        let (subject, address, groups, issued_at) = match (&installation.api.oidc, self.unconfigured) {
            (Some(oidc), _) => {
                let Claims { subject, address, groups, issued_at } = self.claims(headers, oidc, now).await?;
                (Subject { issuer: oidc.issuer.clone(), id: subject }, address, groups, issued_at)
            }
            (None, Unconfigured::Refused) => return Err(Problem::NoIssuer),
            (None, Unconfigured::Believed) => {
                let Some(address) = only(headers, DEVELOPER)? else {
                    let (administrator, auditor) = (false, true);
                    return Ok(Caller {
                        person: None,
                        groups: BTreeSet::new(),
                        administrator,
                        auditor,
                        issued_at: None,
                    });
                };
                let groups = only(headers, DEVELOPER_GROUPS)?.unwrap_or_default();
                let groups = groups.split(',').map(|group| group.trim().to_owned());
                let subject = Subject { issuer: SAID.to_owned(), id: address.to_lowercase() };
                let groups = groups.filter(|group| !group.is_empty()).collect();
                (subject, Some(address.to_owned()), groups, Some(now))
            }
        };
        let person = self.person(subject, address.as_deref(), &installation, now).await?;
        let among = |named: &[String]| named.iter().any(|group| groups.contains(group));
        let (administrator, auditor) = (among(&installation.api.administrators), among(&installation.api.auditors));
        Ok(Caller { person: Some(person), groups, administrator, auditor, issued_at })
    }

    async fn claims(&self, headers: &HeaderMap, oidc: &Oidc, now: Timestamp) -> Result<Claims, Problem> {
        let text = only(headers, header::AUTHORIZATION.as_str())?.ok_or(Problem::NoToken)?;
        let (scheme, text) = text.split_once(' ').ok_or(Problem::NoToken)?;
        if !scheme.eq_ignore_ascii_case("bearer") {
            return Err(Problem::NoToken);
        }
        let token = Token::read(text.trim())?;
        let known = self.keys.keys(&oidc.issuer, false).await?;
        if let Some(key) = token.key(&known) {
            return Ok(token.verified(key, oidc, now)?);
        }
        let newer = self.keys.keys(&oidc.issuer, true).await?;
        let key = token.key(&newer).ok_or(TokenError::Key)?;
        Ok(token.verified(key, oidc, now)?)
    }

    /// The person whom the subject is linked to, at first sight by their verified address.
    async fn person(
        &self,
        subject: Subject,
        address: Option<&str>,
        installation: &Installation,
        now: Timestamp,
    ) -> Result<PersonId, Problem> {
        let address = address.and_then(|address| verified_address(address, &installation.verified_domains));
        let known = person(self.callers.as_ref(), self.chance.as_ref(), subject, address, now).await?;
        known.ok_or(Problem::UnknownCaller)
    }
}

/// The one value of a header, if it is there.
pub(crate) fn only<'h>(headers: &'h HeaderMap, name: &str) -> Result<Option<&'h str>, Problem> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => {
            value.to_str().map(Some).map_err(|_| Problem::Parameter(format!("the header `{name}` is not plain text")))
        }
        (Some(_), Some(_)) => Err(Problem::Parameter(format!("the header `{name}` is there twice"))),
    }
}

/// Anybody who is known; on loopback whoever may use this machine.
pub(crate) struct Anyone(pub(crate) Caller);

/// A person.
pub(crate) struct Somebody(pub(crate) dutykey_engine::request::Caller);

/// A person who has lately shown who they are.
pub(crate) struct Decider(pub(crate) dutykey_engine::request::Caller);

/// An auditor or an administrator.
pub(crate) struct Auditor;

/// An auditor or an administrator who has lately shown who they are.
pub(crate) struct Reviewer(pub(crate) PersonId);

/// An administrator who has lately shown who they are.
pub(crate) struct Administrator(pub(crate) PersonId);

/// The same, with their groups: what a change gives its author may follow from these.
pub(crate) struct Author(pub(crate) dutykey_engine::request::Caller);

impl Caller {
    /// Whether they administer, and who they are.
    pub(crate) fn administers(&self) -> bool {
        self.administrator
    }

    /// Whether they may look at what concerns others alone.
    pub(crate) fn audits(&self) -> bool {
        self.auditor || self.administrator
    }

    /// Whoever has lately shown who they are.
    fn decider(self, now: Timestamp) -> Result<dutykey_engine::request::Caller, Problem> {
        let young = self.issued_at.is_some_and(|at| later(at, YOUNG) > now);
        let somebody = self.person()?;
        if young { Ok(somebody) } else { Err(Problem::OldToken) }
    }

    pub(crate) fn person(self) -> Result<dutykey_engine::request::Caller, Problem> {
        let Self { person, groups, .. } = self;
        Ok(dutykey_engine::request::Caller { person: person.ok_or(Problem::Nobody)?, groups })
    }
}

impl FromRequestParts<Api> for Anyone {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Problem> {
        api.identify.caller(&parts.headers).await.map(Self)
    }
}

impl FromRequestParts<Api> for Somebody {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Problem> {
        let Anyone(caller) = Anyone::from_request_parts(parts, api).await?;
        caller.person().map(Self)
    }
}

impl FromRequestParts<Api> for Decider {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Problem> {
        let Anyone(caller) = Anyone::from_request_parts(parts, api).await?;
        caller.decider(api.clock.now()).map(Self)
    }
}

impl FromRequestParts<Api> for Auditor {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Problem> {
        let Anyone(caller) = Anyone::from_request_parts(parts, api).await?;
        if caller.audits() { Ok(Self) } else { Err(Problem::Forbidden("an auditor or an administrator")) }
    }
}

impl FromRequestParts<Api> for Reviewer {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Problem> {
        let Anyone(caller) = Anyone::from_request_parts(parts, api).await?;
        if !caller.audits() {
            return Err(Problem::Forbidden("an auditor or an administrator"));
        }
        caller.decider(api.clock.now()).map(|caller| Self(caller.person))
    }
}

impl FromRequestParts<Api> for Author {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Problem> {
        let Anyone(caller) = Anyone::from_request_parts(parts, api).await?;
        if !caller.administrator {
            return Err(Problem::Forbidden("an administrator"));
        }
        caller.decider(api.clock.now()).map(Self)
    }
}

impl FromRequestParts<Api> for Administrator {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Problem> {
        let Author(caller) = Author::from_request_parts(parts, api).await?;
        Ok(Self(caller.person))
    }
}
