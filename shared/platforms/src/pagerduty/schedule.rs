//! A schedule's shifts. There are two kinds of schedule, each with its own address and shape (PagerDuty, *Schedules API:
//! v2 → v3 upgrade guide*), and a schedule changes from one to the other while it is watched, keeping its ID.

use std::time::Duration;

use dutykey_engine::ports::platform::PlatformError;
use dutykey_policy::id::UserId;
use dutykey_policy::rota::{Cause, End, Shift};
use dutykey_policy::time::{Span, later, millis_between, to_millis};
use jiff::{RoundMode, Timestamp, TimestampRound, Unit};
use reqwest::StatusCode;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::http::{self, Failed, Http};

/// The widest window of one request: 90 days with both ends rounded. PagerDuty does not say today how much it renders; it
/// once said three months.
const WIDEST: Duration = Duration::from_secs(90 * 86_400 - 2);

/// How a schedule is made, which decides where it is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Layers of people, one on call at a time: `/schedules`, v2.
    Layered,
    /// Shifts, several people at once: `/v3/schedules`.
    ShiftBased,
}

impl Kind {
    fn other(self) -> Self {
        match self {
            Self::Layered => Self::ShiftBased,
            Self::ShiftBased => Self::Layered,
        }
    }

    /// The path of the list of all schedules of this kind. Neither list has those of the other.
    pub(super) fn list(self) -> &'static [&'static str] {
        match self {
            Self::Layered => &["schedules"],
            Self::ShiftBased => &["v3", "schedules"],
        }
    }

    /// The path of a schedule, or of something that belongs to it.
    pub(super) fn path<'a>(self, id: &'a str, rest: &[&'a str]) -> Vec<&'a str> {
        [self.list(), &[id], rest].concat()
    }

    /// Whether a `type` names a schedule of this kind; an answer without one may be either.
    fn is(self, name: Option<&str>) -> bool {
        match (self, name) {
            (Self::Layered, Some(name)) => name == "schedule",
            (Self::ShiftBased, Some(name)) => name == "schedule_v3",
            (_, None) => true,
        }
    }
}

/// What was read of a schedule.
#[derive(Debug)]
pub(super) struct Drawn {
    pub(super) kind: Kind,
    /// Sorted, each once, and each touches the window.
    pub(super) shifts: Vec<Shift>,
    /// What PagerDuty's clock said, where it said it.
    pub(super) date: Option<Timestamp>,
}

impl Drawn {
    fn names_somebody(&self) -> bool {
        names_somebody(&self.shifts)
    }
}

fn names_somebody(shifts: &[Shift]) -> bool {
    shifts.iter().any(|shift| shift.user.is_some())
}

/// How a read of one kind went wrong.
enum Miss {
    /// There is no schedule of this ID (404).
    Unknown,
    /// There is one, of the other kind (400, or an answer that says so).
    OtherKind,
    /// There is an answer, and it cannot be used.
    Faulty(PlatformError),
    /// There is no answer, or it says nothing of the kind.
    Failed(PlatformError),
}

impl From<Failed> for Miss {
    fn from(failed: Failed) -> Self {
        match failed.error {
            PlatformError::NotFound(_) => Self::Unknown,
            _ if failed.is(StatusCode::BAD_REQUEST) => Self::OtherKind,
            PlatformError::Faulty(_) => Self::Faulty(failed.error),
            _ => Self::Failed(failed.error),
        }
    }
}

/// Reads the schedule as `first` and, where that answer names nobody, as the other kind too: the kind is a guess or a
/// memory, and a schedule that has just been upgraded must not lose its people for a second.
pub(super) async fn read(http: &Http, id: &str, window: Span, first: Kind) -> Result<Drawn, PlatformError> {
    let one = match draw(http, id, window, first).await {
        Ok(drawn) if drawn.names_somebody() => return Ok(drawn),
        Err(Miss::Failed(e)) => return Err(e),
        other => other,
    };
    match (one, draw(http, id, window, first.other()).await) {
        (_, Ok(drawn)) if drawn.names_somebody() => Ok(drawn),
        (_, Err(Miss::Failed(e))) | (Err(Miss::Faulty(e)), _) | (_, Err(Miss::Faulty(e))) => Err(e),
        // Nobody, by the kind that it has, and by the other where there is an answer.
        (Ok(drawn), _) | (_, Ok(drawn)) => Ok(drawn),
        (Err(Miss::Unknown), Err(Miss::Unknown)) => Err(PlatformError::NotFound(format!("schedule {id}"))),
        // It exists and was of neither kind: it changed between the two reads.
        _ => draw(http, id, window, first).await.map_err(|miss| match miss {
            Miss::Faulty(e) | Miss::Failed(e) => e,
            Miss::Unknown | Miss::OtherKind => {
                PlatformError::Faulty(format!("schedule {id} is refused as either kind of schedule"))
            }
        }),
    }
}

#[derive(Deserialize)]
struct Answered {
    schedule: Schedule,
}

#[derive(Deserialize)]
struct Schedule {
    r#type: Option<String>,
    final_schedule: Option<Value>,
    overrides_subschedule: Option<Value>,
}

/// A rendered part of a layered schedule.
#[derive(Deserialize)]
struct Layer {
    rendered_schedule_entries: Vec<Entry>,
    rendered_coverage_percentage: Option<f64>,
}

/// Somebody on call, in a layered schedule.
#[derive(Deserialize)]
pub(super) struct Entry {
    pub(super) start: Timestamp,
    /// `null`: it does not end. It must be said.
    #[serde(deserialize_with = "Option::deserialize")]
    pub(super) end: Option<Timestamp>,
    pub(super) user: Reference,
}

/// PagerDuty's way to name something.
#[derive(Debug, Deserialize)]
pub(super) struct Reference {
    pub(super) id: String,
    pub(super) r#type: Option<String>,
}

#[derive(Deserialize)]
struct Final {
    computed_shift_assignments: Vec<Assignment>,
    rendered_coverage_percentage: Option<f64>,
}

#[derive(Deserialize)]
struct Assignment {
    start_time: Timestamp,
    end_time: Timestamp,
    member: Member,
    source: Option<Source>,
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Member {
    UserMember { user_id: String },
    EmptyMember {},
}

#[derive(Deserialize)]
struct Source {
    r#type: String,
    shift_id: Option<String>,
    override_id: Option<String>,
}

/// The schedule's shifts by its final schedule, which has restrictions, layers and overrides applied.
async fn draw(http: &Http, id: &str, window: Span, kind: Kind) -> Result<Drawn, Miss> {
    let path = kind.path(id, &[]);
    let faulty = |why: &str| Miss::Faulty(PlatformError::Faulty(format!("GET /{}: {why}", path.join("/"))));
    let (mut shifts, mut date) = (Vec::new(), None);
    for (since, until) in pieces(window) {
        // Without `overflow` PagerDuty cuts shifts at the window's edges, and their ends would move with each read.
        let query = [("since", &*since), ("until", &*until), ("overflow", "true"), ("include[]", "final_schedule")];
        let answer = http.get::<Answered>(&path, &query).await?;
        let schedule = answer.body.schedule;
        if !kind.is(schedule.r#type.as_deref()) {
            return Err(Miss::OtherKind);
        }
        let Some(rendered) = schedule.final_schedule else { return Err(faulty("the final schedule is missing")) };
        let (part, coverage) = match kind {
            Kind::Layered => {
                let overrides = schedule.overrides_subschedule.and_then(|layer| serde_json::from_value(layer).ok());
                understood(http, rendered).and_then(|layer| layered(layer, overrides))
            }
            Kind::ShiftBased => understood(http, rendered).and_then(shift_based),
        }
        .map_err(|why| faulty(&why))?;
        // PagerDuty leaves the coverage out where it has rendered nothing, which else looks like an empty rota.
        match coverage {
            _ if names_somebody(&part) => {}
            Some(share) if share <= 0.0 => {}
            Some(share) => return Err(faulty(&format!("{share} % of the window is covered, and by nobody"))),
            None => return Err(faulty("the final schedule names nobody and does not state its coverage")),
        }
        shifts.extend(part);
        date = answer.date.or(date);
    }
    shifts.retain(|shift| shift.touches(&window));
    shifts.sort();
    shifts.dedup();
    Ok(Drawn { kind, shifts, date })
}

fn understood<T: DeserializeOwned>(http: &Http, value: Value) -> Result<T, String> {
    serde_json::from_value(value).map_err(|e| format!("the final schedule: {}", http.clean(&e.to_string())))
}

/// Shifts, and the share of the window that they cover in percent; or what cannot be understood.
type Part = Result<(Vec<Shift>, Option<f64>), String>;

/// A layered schedule's entries do not say why they are there; those that an override of the same user touches are taken
/// for overrides, as the same answer renders these on a layer of their own.
fn layered(layer: Layer, overrides: Option<Layer>) -> Part {
    let mut shifts = Vec::new();
    for entry in layer.rendered_schedule_entries {
        let cause = match &overrides {
            Some(layer) if layer.rendered_schedule_entries.iter().any(|o| o.overlaps(&entry)) => Cause::Override,
            Some(_) => Cause::Base,
            None => Cause::Unknown,
        };
        shifts.extend(shift(entry.start, entry.end, Some(entry.user.id), cause, None)?);
    }
    Ok((shifts, layer.rendered_coverage_percentage))
}

impl Entry {
    /// Whether both are of one user and share an instant.
    fn overlaps(&self, other: &Self) -> bool {
        let before = |a: &Self, b: &Self| a.end.is_none_or(|end| b.start < end);
        self.user.id == other.user.id && before(self, other) && before(other, self)
    }
}

fn shift_based(schedule: Final) -> Part {
    let mut shifts = Vec::new();
    for assignment in schedule.computed_shift_assignments {
        let user = match assignment.member {
            Member::UserMember { user_id } => Some(user_id),
            Member::EmptyMember {} => None,
        };
        let source = assignment.source.as_ref();
        let cause = match source.map(|source| source.r#type.as_str()) {
            Some("schedule_rotation") => Cause::Base,
            Some("custom_shift") => Cause::Custom,
            Some("schedule_rotation_override" | "custom_shift_override") => Cause::Override,
            _ => Cause::Unknown,
        };
        let native = source.and_then(|source| source.override_id.as_deref().or(source.shift_id.as_deref()));
        let native = native.and_then(|id| http::id(id).ok()).map(str::to_owned);
        shifts.extend(shift(assignment.start_time, Some(assignment.end_time), user, cause, native)?);
    }
    Ok((shifts, schedule.rendered_coverage_percentage))
}

/// One shift; none where it would hold no instant.
fn shift(
    start: Timestamp,
    end: Option<Timestamp>,
    user: Option<String>,
    cause: Cause,
    native_id: Option<String>,
) -> Result<Option<Shift>, String> {
    let user = user.map(UserId::try_from).transpose().map_err(|e| e.to_string())?;
    let (start, end) = (to_millis(start), end.map(to_millis));
    if end.is_some_and(|end| end < start) {
        return Err("an entry ends before it starts".to_owned());
    }
    let end = end.map_or(End::Open, End::At);
    Ok((end != End::At(start)).then_some(Shift { start, end, user, cause, native_id, maker: None }))
}

/// The window in pieces of equal length that PagerDuty renders, each rounded outwards to whole seconds: asked for a few
/// microseconds it answers with nothing (its issue `api-schema#479`).
pub(super) fn pieces(window: Span) -> Vec<(String, String)> {
    let length = millis_between(window.start, window.end).unsigned_abs();
    let widest = u64::try_from(WIDEST.as_millis()).unwrap_or(u64::MAX);
    let count = length.div_ceil(widest).max(1);
    let edge = |n: u64| later(window.start, Duration::from_millis(length / count * n));
    (0..count)
        .map(|n| {
            let end = if n + 1 == count { window.end } else { edge(n + 1) };
            (whole_second(edge(n), RoundMode::Floor), whole_second(end, RoundMode::Ceil))
        })
        .collect()
}

fn whole_second(at: Timestamp, mode: RoundMode) -> String {
    let round = TimestampRound::new().smallest(Unit::Second).mode(mode);
    at.round(round).unwrap_or(at).to_string()
}
