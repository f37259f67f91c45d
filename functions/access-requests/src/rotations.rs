//! Prolonging the leases of a rotation whose platform does not answer.

use axum::Json;
use axum::extract::{Path, State};
use dutykey_engine::brake::By;
use dutykey_policy::id::RotationId;
use serde::Deserialize;
use utoipa::ToSchema;

use crate::body::{Body, instant};
use crate::caller::Administrator;
use crate::query::excerpt;
use crate::views::rota::RotationView;
use crate::{Api, Problem};

/// Until when a rotation's last view is to stand.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Prolongation {
    /// Until when: later than it stands now, and at most 24 hours ahead.
    #[schema(format = DateTime)]
    until: String,
    /// Why.
    #[schema(min_length = 1, max_length = 2_000)]
    reason: String,
}

/// Has the last view of a rotation stand for longer, whose platform does not answer; a new view ends that. Whoever would have
/// access for longer by it cannot: another administrator must.
#[utoipa::path(
    post, path = "/v1/rotations/{rotation}/prolong", tag = "rotations", request_body = Prolongation,
    params(("rotation" = String, Path, description = "The rotation, `SOURCE:ID` or `SOURCE:ID@LEVEL`")),
    responses((status = 200, description = "It stands until then; those whose access hangs on it are looked at at once", body = RotationView)),
    extensions(("x-callers" = json!("administrator"))),
)]
pub(crate) async fn prolong(
    State(api): State<Api>,
    Administrator(by): Administrator,
    Path(text): Path<String>,
    Body(asked): Body<Prolongation>,
) -> Result<Json<RotationView>, Problem> {
    let id: RotationId = text.parse().map_err(|_| Problem::NotFound(format!("rotation {}", excerpt(&text))))?;
    let until = instant("until", &asked.until)?;
    let head = api.leases.prolong(&id, until, &asked.reason, &By::Administrator(by)).await?;
    Ok(Json(RotationView::new(&head, Some(asked.reason))))
}
