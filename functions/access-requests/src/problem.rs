//! Errors as problem documents (RFC 9457).

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use dutykey_engine::ports::ledger::StoreError;
use serde_json::json;

/// What is wrong with a request or with the answer to it. Each has a `type` of its own that never changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Problem {
    /// A parameter is missing, unknown, there twice, or cannot be read.
    Parameter(String),
    /// The cursor is not one of this list.
    Cursor,
    /// The query is too long.
    QueryTooLong,
    /// Nothing is at this address.
    NotFound(String),
    /// This address does not answer to this method.
    MethodNotAllowed,
    /// The request names a host that this is not.
    Host,
    /// The table cannot be used now.
    Unavailable(String),
    /// A record cannot be read.
    Unreadable(String),
}

impl Problem {
    fn parts(&self) -> (StatusCode, &'static str, &'static str, String) {
        match self {
            Self::Parameter(what) => {
                (StatusCode::BAD_REQUEST, "invalid-parameter", "A parameter cannot be used", what.clone())
            }
            Self::Cursor => (
                StatusCode::BAD_REQUEST,
                "invalid-cursor",
                "The cursor cannot be used",
                "begin again without a cursor".to_owned(),
            ),
            Self::QueryTooLong => (
                StatusCode::URI_TOO_LONG,
                "query-too-long",
                "The query is too long",
                format!("at most {} characters", crate::query::LONGEST),
            ),
            Self::NotFound(path) => {
                (StatusCode::NOT_FOUND, "not-found", "Nothing is here", format!("there is no {path}"))
            }
            Self::MethodNotAllowed => (
                StatusCode::METHOD_NOT_ALLOWED,
                "method-not-allowed",
                "The method is not allowed here",
                "see the `Allow` header".to_owned(),
            ),
            Self::Host => (
                StatusCode::MISDIRECTED_REQUEST,
                "wrong-host",
                "This server has another name",
                "ask for localhost, 127.0.0.1 or [::1]".to_owned(),
            ),
            Self::Unavailable(why) => {
                (StatusCode::SERVICE_UNAVAILABLE, "unavailable", "The table cannot be used now", why.clone())
            }
            Self::Unreadable(why) => {
                (StatusCode::INTERNAL_SERVER_ERROR, "unreadable-record", "A record cannot be read", why.clone())
            }
        }
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unreadable { .. } | StoreError::Limit(_) => Self::Unreadable(error.to_string()),
            StoreError::Unavailable(_) | StoreError::Changed(_) | StoreError::Doubt(_) => {
                Self::Unavailable(error.to_string())
            }
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let (status, name, title, detail) = self.parts();
        let body = json!({
            "type": format!("urn:dutykey:problem:{name}"), "title": title, "status": status.as_u16(), "detail": detail,
        });
        let mut response = (status, Json(body)).into_response();
        let json = HeaderValue::from_static("application/problem+json");
        response.headers_mut().insert(header::CONTENT_TYPE, json);
        response
    }
}
