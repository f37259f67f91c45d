//! What a shift has led to: what was granted and why, what was taken back, and what a read has shown of that.

use std::time::Duration;

use axum::Json;
use axum::extract::{Path, State};
use dutykey_engine::ports::ledger::ReadLedger as _;
use dutykey_engine::ports::rota::ReadRota as _;
use dutykey_engine::write_off::reason_name;
use dutykey_policy::enrollment::Origin;
use dutykey_policy::hold::{Act, Hold, Outcome, State as HoldState};
use dutykey_policy::id::{PersonId, RotationId};
use dutykey_policy::rota::{KnownShift, Shift};
use dutykey_policy::time::{Span, instant_text, later};
use dutykey_store::MAX_PAGE;
use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use crate::caller::Anyone;
use crate::query::excerpt;
use crate::shifts::ShiftView;
use crate::views::{Context, HoldView, shown};
use crate::{Api, Problem};

/// Holds that ended so long after the shift may still be of it: access outlives a duty by its grace, and by trouble.
const AFTER: Duration = Duration::from_secs(30 * 86_400);

/// What a shift has led to.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ShiftReport)]
pub(crate) struct ReportView {
    shift: ShiftView,
    /// Whether the platform shows it no more.
    withdrawn: bool,
    /// What it has given, was to give, or gives.
    holds: Vec<ReportedView>,
}

/// A hold of the shift.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Reported)]
struct ReportedView {
    hold: HoldView,
    /// The grant; nothing where none was made.
    granted: Option<ActView>,
    /// The revocation; nothing where none was made yet.
    revoked: Option<ActView>,
    /// How it ended; nothing while it has not.
    outcome: Option<OutcomeView>,
    /// Why an administrator has written it off; nothing where nobody has, or where that was erased.
    written_off_because: Option<String>,
}

/// An act.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Act)]
struct ActView {
    /// When it was due.
    #[serde(serialize_with = "instant_text::serialize")]
    #[schema(value_type = String, format = DateTime)]
    due: Timestamp,
    /// When Dutykey learnt of that.
    #[serde(serialize_with = "instant_text::serialize")]
    #[schema(value_type = String, format = DateTime)]
    known: Timestamp,
    /// When the first call left.
    #[serde(serialize_with = "instant_text::serialize")]
    #[schema(value_type = String, format = DateTime)]
    started: Timestamp,
    /// When a read has shown it done.
    #[serde(serialize_with = "instant_text::optional")]
    #[schema(value_type = Option<String>, format = DateTime)]
    read_back: Option<Timestamp>,
    /// How late the first call was, in milliseconds.
    lag_ms: i64,
}

/// How a hold ended.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = Outcome)]
enum OutcomeView {
    /// A read has shown that it is gone.
    Proven,
    /// Nothing was ever put there.
    NeverGranted,
    /// It was standing access and stays.
    StandingKept,
    /// Others have changed it since.
    ChangedByOthers,
    /// The account is gone, and the access with it.
    AccountGone,
    /// An administrator has written it off: nothing has shown that it is gone.
    WrittenOff,
}

impl From<Act> for ActView {
    fn from(act: Act) -> Self {
        Self { due: act.due, known: act.known, started: act.started, read_back: act.done, lag_ms: act.lag_ms() }
    }
}

fn outcome(state: HoldState) -> Option<OutcomeView> {
    let HoldState::Ended(outcome) = state else { return None };
    Some(match outcome {
        Outcome::Proven => OutcomeView::Proven,
        Outcome::NeverGranted => OutcomeView::NeverGranted,
        Outcome::StandingKept => OutcomeView::StandingKept,
        Outcome::ChangedByOthers => OutcomeView::ChangedByOthers,
        Outcome::AccountGone => OutcomeView::AccountGone,
        Outcome::WrittenOff => OutcomeView::WrittenOff,
    })
}

/// What a shift has led to.
#[utoipa::path(
    get, path = "/v1/shifts/{shift}/report", tag = "looking",
    params(("shift" = String, Path, description = "The shift, as `/v1/rotations/{rotation}/shifts` names it")),
    responses((status = 200, description = "As it is now", body = ReportView)),
    extensions(("x-callers" = json!("anyone"))),
)]
pub(crate) async fn report(
    State(api): State<Api>,
    _: Anyone,
    Path(text): Path<String>,
) -> Result<Json<ReportView>, Problem> {
    let none = || Problem::NotFound(format!("shift {}", excerpt(&text)));
    let (rotation, start) = Shift::named(&text).ok_or_else(none)?;
    let instant = Span::new(start, later(start, Duration::from_millis(1))).ok_or_else(none)?;
    let known = api.store.known(&rotation, instant).await?;
    let known = known.into_iter().find(|known| known.shift.name(&rotation) == text).ok_or_else(none)?;
    let users: Vec<_> = known.shift.user.iter().cloned().collect();
    let person = api.store.people(&rotation.source, &users).await?.into_values().next();
    let (mut shown_as, mut holds) = (None, Vec::new());
    if let Some(person) = &person {
        let people = api.store.who(std::slice::from_ref(person)).await?;
        shown_as = Some(shown(person, people.get(person)).into());
        holds = led_to(&api, person, &rotation, &known).await?;
    }
    let context = Context::of(&api.store, &holds, api.clock.now()).await?;
    let written_off = holds.iter().filter(|hold| hold.state == HoldState::Ended(Outcome::WrittenOff));
    let names: Vec<_> = written_off.map(|hold| (hold.person.clone(), reason_name(hold))).collect();
    let texts = api.store.texts(&names).await?;
    let reported = |hold: &Hold| ReportedView {
        hold: context.show(hold),
        granted: hold.granted.map(ActView::from),
        revoked: hold.revoked.map(ActView::from),
        outcome: outcome(hold.state),
        written_off_because: texts.get(&reason_name(hold)).cloned(),
    };
    let (withdrawn, holds) = (!known.stands(), holds.iter().map(reported).collect());
    Ok(Json(ReportView { shift: ShiftView::new(&rotation, &known, shown_as), withdrawn, holds }))
}

/// The person's holds, over or not, that coverage of the rotation speaks for at some time of the shift.
async fn led_to(api: &Api, person: &PersonId, rotation: &RotationId, known: &KnownShift) -> Result<Vec<Hold>, Problem> {
    let (start, end) = (known.shift.start, known.shift.end.or_max());
    let mut holds = api.store.load(person).await?.map(|live| live.holds).unwrap_or_default();
    // What ended before the shift began was of another one.
    let within = Span::new(start, later(end, AFTER)).unwrap_or(Span { start, end });
    let mut cursor = None;
    loop {
        let page = api.store.list_ended_holds(person, within, cursor.as_ref(), MAX_PAGE).await?;
        holds.extend(page.items);
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    let of_the_shift = |hold: &Hold| {
        let mut reasons = hold.reasons.iter();
        reasons.any(|reason| {
            let covers = matches!(&reason.origin, Origin::Coverage(of) if of == rotation);
            covers && reason.from < end && start < reason.until
        })
    };
    holds.retain(of_the_shift);
    holds.sort_by(|one, other| one.key.cmp(&other.key));
    Ok(holds)
}
