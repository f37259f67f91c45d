//! Trying again at once what has failed.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use dutykey_policy::hold::Hold;

use crate::caller::Anyone;
use crate::query::excerpt;
use crate::{Api, Problem};

/// Has a hold tried again at once, for whoever has it and for administrators.
#[utoipa::path(
    post, path = "/v1/holds/{hold}/retry", tag = "looking",
    params(("hold" = String, Path, description = "The hold, as it names itself", pattern = "^per_[0-7][0-9A-HJKMNP-TV-Z]{25}[.][0-9a-f]{20}$")),
    responses((status = 202, description = "It is tried again now; look at it to see how that went")),
    extensions(("x-callers" = json!("holder"))),
)]
pub(crate) async fn retry(
    State(api): State<Api>,
    Anyone(caller): Anyone,
    Path(name): Path<String>,
) -> Result<StatusCode, Problem> {
    let administers = caller.administers();
    let by = caller.person()?.person;
    let holder = Hold::holder(&name).ok_or_else(|| Problem::NotFound(format!("hold {}", excerpt(&name))))?;
    if holder != by && !administers {
        return Err(Problem::Forbidden("whoever has it, or an administrator"));
    }
    api.again.retry(&name, &by).await?;
    Ok(StatusCode::ACCEPTED)
}
