//! Erasing people.

use axum::Json;
use axum::extract::{Path, State};
use dutykey_policy::id::PersonId;
use serde::Deserialize;
use utoipa::ToSchema;

use crate::body::Body;
use crate::caller::Administrator;
use crate::query::excerpt;
use crate::views::{PersonView, shown};
use crate::{Api, Problem};

/// That somebody is erased.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Erasure {
    /// The person's ID once more: so that nobody erases by a slip. It cannot be undone.
    confirm: String,
}

/// Erases a person: their name and address, who they are on each source and in each app, and their texts. What they did stays
/// under their ID. Nobody is erased whose access is not over, or whom the next read would meet again. What was interrupted is
/// asked for again.
#[utoipa::path(
    post, path = "/v1/people/{person}/erase", tag = "people", request_body = Erasure,
    params(("person" = String, Path, description = "The person", pattern = "^per_[0-7][0-9A-HJKMNP-TV-Z]{25}$")),
    responses((status = 200, description = "They are erased", body = PersonView)),
    extensions(("x-callers" = json!("administrator"))),
)]
pub(crate) async fn erase(
    State(api): State<Api>,
    Administrator(author): Administrator,
    Path(text): Path<String>,
    Body(erasure): Body<Erasure>,
) -> Result<Json<PersonView>, Problem> {
    let id: PersonId = text.parse().map_err(|_| Problem::NotFound(format!("person {}", excerpt(&text))))?;
    if erasure.confirm != id.as_str() {
        return Err(Problem::Unconfirmed(id.to_string()));
    }
    api.erasures.erase(&id, &author).await?;
    let people = api.store.who(std::slice::from_ref(&id)).await?;
    Ok(Json(shown(&id, people.get(&id)).into()))
}
