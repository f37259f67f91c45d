//! Errors as problem documents (RFC 9457).

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use dutykey_engine::again::AgainError;
use dutykey_engine::block::BlockError;
use dutykey_engine::brake::BrakeError;
use dutykey_engine::configuration::ConfigurationError;
use dutykey_engine::emergency::EmergencyError;
use dutykey_engine::erase::EraseError;
use dutykey_engine::ports::ledger::StoreError;
use dutykey_engine::profile::ProfileError;
use dutykey_engine::prolong::LeaseError;
use dutykey_engine::request::RequestError;
use dutykey_engine::write_off::WriteOffError;
use dutykey_policy::edit::EditRefusal;
use dutykey_policy::emergency;
use dutykey_policy::erase;
use dutykey_policy::hold::write_off;
use dutykey_policy::lease;
use dutykey_policy::profile::MAX_PROFILES;
use dutykey_policy::request::Refusal;
use serde::Serialize;
use utoipa::ToSchema;

use crate::caller::{DEVELOPER, KeysError, TokenError};
use crate::query::excerpt;

/// What is wrong with a request or with the answer to it. Each has a `type` of its own that never changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Problem {
    /// A parameter or a header is missing, unknown, there twice, or cannot be read.
    Parameter(String),
    /// The cursor is not one of this list.
    Cursor,
    /// The query is too long.
    QueryTooLong,
    /// The body is no JSON.
    Json,
    /// The body does not say that it is JSON.
    MediaType,
    /// The body is longer than so many bytes.
    TooLarge(usize),
    /// A field of the body is missing, unknown, or cannot be used.
    Field(String),
    /// Nothing is at this address.
    NotFound(String),
    /// This address does not answer to this method.
    MethodNotAllowed,
    /// The request names a host that this is not.
    Host,
    /// No issuer is configured, so nobody can show who they are.
    NoIssuer,
    /// The caller has not shown who they are.
    NoToken,
    /// The token does not count.
    Token(TokenError),
    /// The token counts, but not for this any more.
    OldToken,
    /// The issuer's keys cannot be read.
    Keys(KeysError),
    /// The caller is nobody whom Dutykey knows, or could know.
    UnknownCaller,
    /// The caller is nobody in particular, and only a person may do this.
    Nobody,
    /// Only others may do this.
    Forbidden(&'static str),
    /// A move of a request is not possible now, or not for this person.
    Refused(Refusal),
    /// An emergency is not possible now, or not for this person.
    Emergency(emergency::Refusal),
    /// A lease is not prolonged, or not until then.
    Lease(lease::Refusal),
    /// Somebody is not erased: something comes first.
    NotErased(erase::Refusal),
    /// It was said of what the brake holds before.
    SaidAlready(String),
    /// Nothing of a hold waits to be tried again.
    NothingWaits,
    /// A hold may not be written off, or not yet.
    WriteOff(write_off::Refusal),
    /// There is nothing of a profile to give back.
    NotEnrolled(String),
    /// What would be denied, or who would be erased, was not repeated.
    Unconfirmed(String),
    /// It would give its author more than they have.
    OwnGain(String),
    /// The configuration file brought it, and it is changed there.
    FileOwned(String),
    /// A change that does not say what it changes, or of what is not that any more.
    Precondition(Precondition),
    /// What is confirmed is not what waits, or was judged on something that has changed since.
    PreviewAgain(String),
    /// There are as many profiles as there can be.
    TooManyProfiles,
    /// A configuration cannot come into force beside what is there.
    Unfit(String),
    /// A configuration drops what somebody still holds something of, and does not say that this is meant.
    Retires(String),
    /// The idempotency key was used for something else.
    KeyReused,
    /// What is known of a rotation is too old to decide by.
    StaleRota(String),
    /// The table cannot be used now.
    Unavailable(String),
    /// A record cannot be read.
    Unreadable(String),
}

/// What is wrong with what a change says of the thing that it changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Precondition {
    /// It does not say.
    Missing,
    /// It is not that, or not any more.
    Failed,
}

/// A problem (RFC 9457).
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Problem)]
pub(crate) struct ProblemView {
    /// What kind of problem it is; never changes.
    #[serde(rename = "type")]
    #[schema(example = "urn:dutykey:problem:not-on-call")]
    kind: String,
    /// The kind in words.
    title: &'static str,
    /// The status of the answer.
    status: u16,
    /// What happened, and what to do.
    detail: String,
}

/// A kind of problem.
struct Kind(StatusCode, &'static str, &'static str);

impl Problem {
    fn kind(&self) -> Kind {
        match self {
            Self::Parameter(_) => Kind(StatusCode::BAD_REQUEST, "invalid-parameter", "A parameter cannot be used"),
            Self::Cursor => Kind(StatusCode::BAD_REQUEST, "invalid-cursor", "The cursor cannot be used"),
            Self::QueryTooLong => Kind(StatusCode::URI_TOO_LONG, "query-too-long", "The query is too long"),
            Self::Json => Kind(StatusCode::BAD_REQUEST, "malformed-body", "The body cannot be read"),
            Self::MediaType => Kind(StatusCode::UNSUPPORTED_MEDIA_TYPE, "wrong-media-type", "The body is not JSON"),
            Self::TooLarge(_) => Kind(StatusCode::PAYLOAD_TOO_LARGE, "body-too-long", "The body is too long"),
            Self::Field(_) => Kind(StatusCode::UNPROCESSABLE_ENTITY, "invalid-field", "A field cannot be used"),
            Self::NotFound(_) => Kind(StatusCode::NOT_FOUND, "not-found", "Nothing is here"),
            Self::MethodNotAllowed => {
                Kind(StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", "The method is not allowed here")
            }
            Self::Host => Kind(StatusCode::MISDIRECTED_REQUEST, "wrong-host", "This server has another name"),
            Self::NoIssuer => Kind(StatusCode::FORBIDDEN, "no-issuer", "Nobody can show who they are"),
            Self::NoToken => Kind(StatusCode::UNAUTHORIZED, "no-token", "Who is calling is not known"),
            Self::Token(_) => Kind(StatusCode::UNAUTHORIZED, "invalid-token", "The token does not count"),
            Self::OldToken => Kind(StatusCode::UNAUTHORIZED, "old-token", "The token is too old for this"),
            Self::Keys(_) => {
                Kind(StatusCode::SERVICE_UNAVAILABLE, "issuer-unavailable", "The issuer's keys cannot be read now")
            }
            Self::UnknownCaller => Kind(StatusCode::FORBIDDEN, "unknown-caller", "The caller is nobody who is known"),
            Self::Nobody => Kind(StatusCode::FORBIDDEN, "nobody", "Only a person may do this"),
            Self::Forbidden(_) => Kind(StatusCode::FORBIDDEN, "forbidden", "Only others may do this"),
            Self::Refused(refusal) => refused(*refusal),
            Self::Emergency(refusal) => refused_in_emergency(*refusal),
            Self::Lease(refusal) => refused_to_prolong(*refusal),
            Self::NotErased(refusal) => not_erased(refusal),
            Self::SaidAlready(_) => Kind(StatusCode::CONFLICT, "said-already", "It was said before"),
            Self::NothingWaits => Kind(StatusCode::CONFLICT, "nothing-waits-again", "Nothing waits to be tried again"),
            Self::WriteOff(refusal) => refused_write_off(*refusal),
            Self::NotEnrolled(_) => Kind(StatusCode::CONFLICT, "not-enrolled", "There is nothing to give back"),
            Self::Unconfirmed(_) => {
                Kind(StatusCode::UNPROCESSABLE_ENTITY, "unconfirmed", "What it is about was not confirmed")
            }
            Self::OwnGain(_) => Kind(StatusCode::FORBIDDEN, "own-gain", "It takes another administrator"),
            Self::FileOwned(_) => Kind(StatusCode::CONFLICT, "file-owned", "The configuration file owns it"),
            Self::Precondition(Precondition::Missing) => {
                Kind(StatusCode::PRECONDITION_REQUIRED, "precondition-required", "What is changed is not said")
            }
            Self::Precondition(Precondition::Failed) => {
                Kind(StatusCode::PRECONDITION_FAILED, "stale-version", "It is not what it was taken for")
            }
            Self::PreviewAgain(_) => Kind(StatusCode::CONFLICT, "preview-again", "Something has changed since"),
            Self::TooManyProfiles => Kind(StatusCode::CONFLICT, "too-many-profiles", "There can be no more profiles"),
            Self::Unfit(_) => Kind(StatusCode::CONFLICT, "unfit-configuration", "The configuration does not fit"),
            Self::Retires(_) => Kind(StatusCode::CONFLICT, "retires", "Something would retire"),
            Self::KeyReused => {
                Kind(StatusCode::UNPROCESSABLE_ENTITY, "idempotency-key-reused", "The idempotency key was used before")
            }
            Self::StaleRota(_) => {
                Kind(StatusCode::SERVICE_UNAVAILABLE, "stale-rota", "The rota is too old to decide by")
            }
            Self::Unavailable(_) => {
                Kind(StatusCode::SERVICE_UNAVAILABLE, "unavailable", "The table cannot be used now")
            }
            Self::Unreadable(_) => {
                Kind(StatusCode::INTERNAL_SERVER_ERROR, "unreadable-record", "A record cannot be read")
            }
        }
    }

    fn detail(self) -> String {
        match self {
            Self::Parameter(what)
            | Self::Field(what)
            | Self::OwnGain(what)
            | Self::NotEnrolled(what)
            | Self::SaidAlready(what)
            | Self::FileOwned(what)
            | Self::PreviewAgain(what)
            | Self::Unfit(what)
            | Self::Retires(what)
            | Self::StaleRota(what)
            | Self::Unavailable(what)
            | Self::Unreadable(what) => what,
            Self::NotFound(what) => format!("there is no {what}"),
            Self::Cursor => "begin again without a cursor".to_owned(),
            Self::QueryTooLong => format!("at most {} characters", crate::query::LONGEST),
            Self::Json => "the body is not JSON".to_owned(),
            Self::MediaType => "send the header `content-type: application/json`".to_owned(),
            Self::TooLarge(most) => format!("at most {most} bytes"),
            Self::MethodNotAllowed => "see the `Allow` header".to_owned(),
            Self::Host => "ask for localhost, 127.0.0.1 or [::1]".to_owned(),
            Self::NoIssuer => {
                "an administrator names the issuer of tokens in the configuration, under `api.oidc`".to_owned()
            }
            Self::NoToken => "send the header `authorization: Bearer` with a token of the issuer".to_owned(),
            Self::Token(error) => format!("{error}; sign in again"),
            Self::OldToken => "it was issued more than an hour ago; sign in again".to_owned(),
            Self::Keys(error) => error.to_string(),
            Self::UnknownCaller => "the token's subject is linked to nobody, and it names no verified address that \
                could be: it lies in none of the company's domains, or belongs to somebody who calls as another subject"
                .to_owned(),
            Self::Nobody => format!("say who you are with the header `{DEVELOPER}: ann@example.com`"),
            Self::Forbidden(who) => format!("this is for {who}"),
            Self::Refused(refusal) => refusal.to_string(),
            Self::Emergency(refusal) => refusal.to_string(),
            Self::Lease(refusal) => refusal.to_string(),
            Self::WriteOff(refusal) => refusal.to_string(),
            Self::NotErased(refusal) => refusal.to_string(),
            Self::NothingWaits => "nothing of it has failed, or it waits for its turn at the app".to_owned(),
            Self::Unconfirmed(what) => format!("write `{what}` into `confirm`: that is what it is about"),
            Self::Precondition(Precondition::Missing) => "send the header `if-match` with the `etag` of what you have \
                read, or `if-none-match: *` for a new one"
                .to_owned(),
            Self::Precondition(Precondition::Failed) => {
                "read it again, and change it as it is now; a new one must not be there yet".to_owned()
            }
            Self::TooManyProfiles => format!("there are {MAX_PROFILES}; delete one first"),
            Self::KeyReused => "something else was asked for under it within 24 hours; use another key".to_owned(),
        }
    }
}

fn refused(refusal: Refusal) -> Kind {
    let (status, name) = match refusal {
        Refusal::NotOffered => (StatusCode::FORBIDDEN, "not-offered"),
        Refusal::NotOnCall => (StatusCode::CONFLICT, "not-on-call"),
        Refusal::Blocked => (StatusCode::FORBIDDEN, "blocked"),
        Refusal::Unjustified => (StatusCode::UNPROCESSABLE_ENTITY, "justification-required"),
        Refusal::Duration => (StatusCode::UNPROCESSABLE_ENTITY, "wrong-duration"),
        Refusal::OwnRequest => (StatusCode::FORBIDDEN, "own-request"),
        Refusal::NotApprover => (StatusCode::FORBIDDEN, "not-approver"),
        Refusal::Repeated => (StatusCode::CONFLICT, "approved-before"),
        Refusal::TooMany => (StatusCode::CONFLICT, "too-many"),
        Refusal::Decided => (StatusCode::CONFLICT, "nothing-waits"),
        Refusal::Waiting => (StatusCode::CONFLICT, "waits-already"),
        Refusal::NotApproved => (StatusCode::CONFLICT, "not-approved"),
        Refusal::NoLonger => (StatusCode::CONFLICT, "no-longer"),
    };
    Kind(status, name, "The request cannot be moved like this")
}

fn refused_in_emergency(refusal: emergency::Refusal) -> Kind {
    let (status, name) = match refusal {
        emergency::Refusal::NotNamed => (StatusCode::FORBIDDEN, "not-named"),
        emergency::Refusal::Observes => (StatusCode::CONFLICT, "only-observes"),
        emergency::Refusal::Blocked => (StatusCode::FORBIDDEN, "blocked"),
        emergency::Refusal::Unjustified => (StatusCode::UNPROCESSABLE_ENTITY, "justification-required"),
        emergency::Refusal::Duration => (StatusCode::UNPROCESSABLE_ENTITY, "wrong-duration"),
        emergency::Refusal::Over => (StatusCode::CONFLICT, "not-approved"),
        emergency::Refusal::OwnReview => (StatusCode::FORBIDDEN, "own-review"),
        emergency::Refusal::Reviewed => (StatusCode::CONFLICT, "reviewed-before"),
    };
    Kind(status, name, "It cannot be done in an emergency")
}

fn refused_to_prolong(refusal: lease::Refusal) -> Kind {
    let (status, name) = match refusal {
        lease::Refusal::NoLease => (StatusCode::CONFLICT, "no-lease"),
        lease::Refusal::Fresh => (StatusCode::CONFLICT, "fresh-view"),
        lease::Refusal::Past | lease::Refusal::TooFar | lease::Refusal::NotLater { .. } => {
            (StatusCode::UNPROCESSABLE_ENTITY, "wrong-end")
        }
    };
    Kind(status, name, "The lease is not prolonged")
}

fn refused_write_off(refusal: write_off::Refusal) -> Kind {
    let (status, name) = match refusal {
        write_off::Refusal::OwnGain => (StatusCode::FORBIDDEN, "own-gain"),
        write_off::Refusal::Wanted => (StatusCode::CONFLICT, "still-wanted"),
        write_off::Refusal::InFlight(_) => (StatusCode::CONFLICT, "call-in-flight"),
        write_off::Refusal::Ending(_) => (StatusCode::CONFLICT, "still-ending"),
    };
    Kind(status, name, "It cannot be written off like this")
}

fn not_erased(refusal: &erase::Refusal) -> Kind {
    let (status, name) = match refusal {
        erase::Refusal::Own => (StatusCode::FORBIDDEN, "own-erasure"),
        erase::Refusal::Unreadable(_) => (StatusCode::CONFLICT, "unreadable-still"),
        erase::Refusal::Holds => (StatusCode::CONFLICT, "holds-still"),
        erase::Refusal::Enrolled(_) => (StatusCode::CONFLICT, "enrolled-still"),
        erase::Refusal::Asks(_) => (StatusCode::CONFLICT, "asks-still"),
        erase::Refusal::Unreviewed(_) => (StatusCode::CONFLICT, "unreviewed-still"),
        erase::Refusal::Blocked(_) => (StatusCode::CONFLICT, "blocked-still"),
        erase::Refusal::OnCall(_) => (StatusCode::CONFLICT, "on-call-still"),
        erase::Refusal::Listed(_) => (StatusCode::CONFLICT, "listed-still"),
        erase::Refusal::Configured => (StatusCode::CONFLICT, "configured-still"),
    };
    Kind(status, name, "The person cannot be erased now")
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Owned(why) => Self::FileOwned(why),
            StoreError::Unreadable { .. } | StoreError::Limit(_) => Self::Unreadable(error.to_string()),
            StoreError::Unavailable(_) | StoreError::Changed(_) | StoreError::Doubt(_) => {
                Self::Unavailable(error.to_string())
            }
        }
    }
}

impl From<RequestError> for Problem {
    fn from(error: RequestError) -> Self {
        match error {
            RequestError::Refused(refusal) => Self::Refused(refusal),
            RequestError::NoProfile(profile) => Self::NotFound(format!("profile {profile}")),
            RequestError::NoRequest(request) => Self::NotFound(format!("request {request} that is not over")),
            RequestError::TooLong => Self::Field(error.to_string()),
            RequestError::NameReused => Self::KeyReused,
            RequestError::StaleRota(_) => Self::StaleRota(error.to_string()),
            RequestError::Store(error) => error.into(),
        }
    }
}

impl From<EmergencyError> for Problem {
    fn from(error: EmergencyError) -> Self {
        match error {
            EmergencyError::Refused(refusal) => Self::Emergency(refusal),
            EmergencyError::NoProfile(profile) => Self::NotFound(format!("profile {profile}")),
            EmergencyError::NoEmergency(id) => Self::NotFound(format!("emergency {id} of yours")),
            EmergencyError::TooLong | EmergencyError::NoComment => Self::Field(error.to_string()),
            EmergencyError::Store(error) => error.into(),
        }
    }
}

impl From<EraseError> for Problem {
    fn from(error: EraseError) -> Self {
        match error {
            EraseError::Nobody(person) => Self::NotFound(format!("person {person}")),
            EraseError::Refused(refusal) => Self::NotErased(refusal),
            EraseError::Store(error) => error.into(),
        }
    }
}

impl From<BrakeError> for Problem {
    fn from(error: BrakeError) -> Self {
        match error {
            BrakeError::Unknown(digest) => Self::NotFound(format!("change {digest} that the brake holds")),
            BrakeError::Meanwhile(rotation, digest) => {
                Self::NotFound(format!("change {digest} of {rotation} that the brake holds"))
            }
            BrakeError::Several { .. } => Self::Field(error.to_string()),
            BrakeError::SaidAlready(..) => Self::SaidAlready(error.to_string()),
            BrakeError::OwnGain => Self::OwnGain(error.to_string()),
            BrakeError::Store(error) => error.into(),
        }
    }
}

impl From<LeaseError> for Problem {
    fn from(error: LeaseError) -> Self {
        match error {
            LeaseError::NoRotation(id) => Self::NotFound(format!("rotation {}", excerpt(&id.to_string()))),
            LeaseError::Refused(_, refusal) => Self::Lease(refusal),
            LeaseError::Reason => Self::Field(error.to_string()),
            LeaseError::OwnGain => Self::OwnGain(error.to_string()),
            LeaseError::Store(error) => error.into(),
        }
    }
}

impl From<AgainError> for Problem {
    fn from(error: AgainError) -> Self {
        match error {
            AgainError::NoHold(name) => Self::NotFound(format!("hold {} that is not over", excerpt(&name))),
            AgainError::NothingWaits => Self::NothingWaits,
            AgainError::Store(error) => error.into(),
        }
    }
}

impl From<WriteOffError> for Problem {
    fn from(error: WriteOffError) -> Self {
        match error {
            WriteOffError::NoHold(name) => Self::NotFound(format!("hold {} that is not over", excerpt(&name))),
            WriteOffError::Reason => Self::Field(error.to_string()),
            WriteOffError::Refused(refusal) => Self::WriteOff(refusal),
            WriteOffError::Store(error) => error.into(),
        }
    }
}

impl From<BlockError> for Problem {
    fn from(error: BlockError) -> Self {
        match error {
            BlockError::NoBlock(id) => Self::NotFound(format!("block {} that has not ended", excerpt(&id))),
            BlockError::OwnGain => Self::OwnGain(error.to_string()),
            BlockError::NotEnrolled(_) => Self::NotEnrolled(error.to_string()),
            BlockError::Store(error) => error.into(),
            BlockError::NoAuthor | BlockError::Reason | BlockError::Over(_) | BlockError::Nobody => {
                Self::Field(error.to_string())
            }
        }
    }
}

impl From<ProfileError> for Problem {
    fn from(error: ProfileError) -> Self {
        match error {
            ProfileError::NoProfile(id) => Self::NotFound(format!("profile {id}")),
            ProfileError::NothingWaits(id) => Self::NotFound(format!("change of profile {id} that waits")),
            ProfileError::Refused(refusal) => refusal.into(),
            ProfileError::TooMany => Self::TooManyProfiles,
            ProfileError::OwnGain => Self::OwnGain(error.to_string()),
            ProfileError::Moved => Self::PreviewAgain(error.to_string()),
            ProfileError::Store(error) => error.into(),
        }
    }
}

impl From<ConfigurationError> for Problem {
    fn from(error: ConfigurationError) -> Self {
        match error {
            ConfigurationError::NothingWaits => Self::NotFound("change of the configuration that waits".to_owned()),
            ConfigurationError::Refused(refusal) => refusal.into(),
            ConfigurationError::OwnGain => Self::OwnGain(error.to_string()),
            ConfigurationError::Moved => Self::PreviewAgain(error.to_string()),
            ConfigurationError::Store(error) => error.into(),
        }
    }
}

impl From<EditRefusal> for Problem {
    fn from(refusal: EditRefusal) -> Self {
        match refusal {
            EditRefusal::FileOwned => Self::FileOwned(refusal.to_string()),
            EditRefusal::Unsaid => Self::Precondition(Precondition::Missing),
            EditRefusal::Stale => Self::Precondition(Precondition::Failed),
        }
    }
}

impl From<TokenError> for Problem {
    fn from(error: TokenError) -> Self {
        Self::Token(error)
    }
}

impl From<KeysError> for Problem {
    fn from(error: KeysError) -> Self {
        Self::Keys(error)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let Kind(status, name, title) = self.kind();
        let body = ProblemView {
            kind: format!("urn:dutykey:problem:{name}"),
            title,
            status: status.as_u16(),
            detail: self.detail(),
        };
        let mut response = (status, Json(body)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}
