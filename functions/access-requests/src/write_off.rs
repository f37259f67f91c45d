//! Writing off what cannot be ended any more.

use axum::Json;
use axum::extract::{Path, State};
use serde::Deserialize;
use utoipa::ToSchema;

use crate::body::Body;
use crate::caller::Administrator;
use crate::views::{Context, HoldView};
use crate::{Api, Problem};

/// Why a hold is written off.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewWriteOff {
    /// In words.
    #[schema(min_length = 1, max_length = 2_000)]
    reason: String,
}

/// Writes off a hold that is past its end and cannot be taken back, because what it is access to is gone for good. It is
/// retried no more, and nothing says that it is gone. Nobody writes off what is their own.
#[utoipa::path(
    post, path = "/v1/holds/{hold}/write-off", tag = "looking", request_body = NewWriteOff,
    params(("hold" = String, Path, description = "The hold, as it names itself", pattern = "^per_[0-7][0-9A-HJKMNP-TV-Z]{25}[.][0-9a-f]{20}$")),
    responses((status = 200, description = "It is over, and everybody who hears of overdue access is told", body = HoldView)),
    extensions(("x-callers" = json!("administrator"))),
)]
pub(crate) async fn write_off(
    State(api): State<Api>,
    Administrator(by): Administrator,
    Path(name): Path<String>,
    Body(new): Body<NewWriteOff>,
) -> Result<Json<HoldView>, Problem> {
    let hold = api.write_offs.write_off(&name, &by, new.reason).await?;
    let context = Context::of(&api.store, std::slice::from_ref(&hold), api.clock.now()).await?;
    Ok(Json(context.show(&hold)))
}
