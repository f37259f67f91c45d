//! How Dutykey stands.

use axum::Json;
use axum::extract::State;
use axum::http::Uri;
use dutykey_engine::summary::Lag;
use dutykey_policy::time::instant_text;
use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use crate::caller::Anyone;
use crate::query::Parameters;
use crate::{Api, Problem};

/// How Dutykey stood when it was last counted, which happens each minute.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Overview {
    /// When that was.
    #[serde(serialize_with = "instant_text::serialize")]
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    /// How many seconds ago.
    age_s: u64,
    /// OVERDUE: holds past their end that are not proven gone.
    overdue: usize,
    /// For how many seconds the oldest of them has been past its end.
    oldest_overdue_s: u64,
    /// Sources of which some view has not been fresh for a while, of a rotation that a profile or the configuration names.
    stale_sources: usize,
    /// Changes that the brake holds and of which nobody has said a word.
    brakes: usize,
    /// Users on call, now or soon, whom nothing matches, in such a rotation.
    unmatched: u64,
    /// Times within the day ahead when nobody is on call in a rotation that gives a profile.
    gaps: usize,
    /// How late access was begun, of what ended within the last 24 hours; `null` where nothing did.
    grant_lag: Option<LagView>,
    /// How late access was taken back, of what ended within the last 24 hours; `null` where nothing did.
    revoke_lag: Option<LagView>,
}

/// How long after it was due and known the first call of an act left, without the wait for a turn.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Lag)]
struct LagView {
    /// Half of them were no later.
    p50_ms: i64,
    /// 99 of 100 were no later.
    p99_ms: i64,
}

impl From<Lag> for LagView {
    fn from(Lag { p50_ms, p99_ms }: Lag) -> Self {
        Self { p50_ms, p99_ms }
    }
}

/// How Dutykey stands.
#[utoipa::path(
    get, path = "/v1/overview", tag = "looking",
    responses((status = 200, description = "As it was last counted", body = Overview)),
    extensions(("x-callers" = json!("anyone"))),
)]
pub(crate) async fn overview(State(api): State<Api>, _: Anyone, uri: Uri) -> Result<Json<Overview>, Problem> {
    Parameters::of(&uri, &[])?;
    let summary = api.store.last_summary().await?;
    let summary = summary.ok_or_else(|| Problem::NotFound("overview yet: nothing was counted".to_owned()))?;
    let age = api.clock.now().duration_since(summary.at);
    Ok(Json(Overview {
        at: summary.at,
        age_s: u64::try_from(age.as_secs()).unwrap_or_default(),
        overdue: summary.overdue,
        oldest_overdue_s: summary.oldest.as_secs(),
        stale_sources: summary.stale_sources,
        brakes: summary.brakes,
        unmatched: summary.unmatched,
        gaps: summary.gaps,
        grant_lag: summary.grants.map(LagView::from),
        revoke_lag: summary.revocations.map(LagView::from),
    }))
}
