//! Bodies: JSON, bounded, and with no field that nobody knows.

use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::extract::{DefaultBodyLimit, FromRequest, Request};
use dutykey_policy::time::to_millis;
use jiff::Timestamp;
use serde::de::DeserializeOwned;

use crate::Problem;
use crate::query::excerpt;

/// The longest body where nothing else is said, in bytes.
pub(crate) const LONGEST: usize = 64 * 1_024;

/// What a request brings, in at most `MOST` bytes.
pub(crate) struct Body<T, const MOST: usize = LONGEST>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned, const MOST: usize> FromRequest<S> for Body<T, MOST> {
    type Rejection = Problem;

    async fn from_request(mut request: Request, state: &S) -> Result<Self, Problem> {
        DefaultBodyLimit::max(MOST).apply(&mut request);
        match Json::from_request(request, state).await {
            Ok(Json(body)) => Ok(Self(body)),
            Err(JsonRejection::JsonDataError(error)) => Err(Problem::Field(error.body_text())),
            Err(JsonRejection::MissingJsonContentType(_)) => Err(Problem::MediaType),
            Err(error) if error.status() == axum::http::StatusCode::PAYLOAD_TOO_LARGE => Err(Problem::TooLarge(MOST)),
            Err(_) => Err(Problem::Json),
        }
    }
}

/// A field as an instant.
pub(crate) fn instant(name: &str, text: &str) -> Result<Timestamp, Problem> {
    let at: Result<Timestamp, _> = text.parse();
    at.map(to_millis).map_err(|_| Problem::Field(format!("`{name}` is `{}`, not an instant", excerpt(text))))
}
