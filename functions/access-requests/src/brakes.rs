//! What the brake holds: listed, released, discarded.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::Uri;
use dutykey_engine::brake::{By, Said, Word};
use dutykey_engine::ports::rota::{HeldChange, RotationHead};
use dutykey_policy::roll;
use dutykey_policy::rota::Shift;
use dutykey_policy::time::instant_text;
use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use crate::caller::{Administrator, Anyone};
use crate::query::{Parameters, excerpt};
use crate::{Api, Problem};

/// All that the brake holds.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Brakes)]
pub(crate) struct BrakesView {
    /// Changes of rotations, the longest held first.
    rotations: Vec<BrakeView>,
    /// People whom the directory shows inactive.
    people: Vec<HeldPeople>,
}

/// A change of a rotation that the brake holds.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Brake)]
struct BrakeView {
    rotation: String,
    /// Names exactly this change; rotations that mirror each other share it.
    digest: String,
    /// Since when.
    #[serde(serialize_with = "instant_text::serialize")]
    #[schema(value_type = String, format = DateTime)]
    since: Timestamp,
    /// Why.
    why: String,
    /// What was said of it, while the next read of the rotation has not taken it up.
    said: Option<SaidView>,
    /// Shifts that would be gone.
    removed: Vec<HeldShift>,
    /// Shifts that would be new.
    added: Vec<HeldShift>,
}

/// A shift that waits.
#[derive(Debug, Serialize, ToSchema)]
struct HeldShift {
    /// The source's user; nothing for a declared gap.
    user: Option<String>,
    #[serde(serialize_with = "instant_text::serialize")]
    #[schema(value_type = String, format = DateTime)]
    start: Timestamp,
    /// Until when; nothing while no end is known.
    #[serde(serialize_with = "instant_text::optional")]
    #[schema(value_type = Option<String>, format = DateTime)]
    end: Option<Timestamp>,
}

/// People whom the directory shows inactive and the brake holds.
#[derive(Debug, Serialize, ToSchema)]
struct HeldPeople {
    directory: String,
    /// Names exactly these people.
    digest: String,
    /// What was said of them; nothing while they wait.
    said: Option<SaidView>,
    /// By ID, in the order in which they were found.
    people: Vec<String>,
}

/// What was said of something that the brake holds.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum SaidView {
    /// It may pass.
    Released,
    /// It is no truth.
    Discarded,
}

/// What was released or discarded.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Spoken {
    digest: String,
    /// The rotations whose change it is.
    rotations: Vec<String>,
    /// How many people it names.
    people: usize,
}

/// All that the brake holds.
#[utoipa::path(
    get, path = "/v1/brakes", tag = "brakes",
    responses((status = 200, description = "As it is", body = BrakesView)),
    extensions(("x-callers" = json!("anyone"))),
)]
pub(crate) async fn list(State(api): State<Api>, _: Anyone, uri: Uri) -> Result<Json<BrakesView>, Problem> {
    Parameters::of(&uri, &[])?;
    let holding = api.brakes.holding().await?;
    let people = holding.people.as_ref().map(|(directory, roll)| {
        let groups = [
            (roll::Word::Waiting, None),
            (roll::Word::Discarded, Some(SaidView::Discarded)),
            (roll::Word::Released, Some(SaidView::Released)),
        ];
        let group = |(word, said)| {
            let (digest, people) = roll.group(word)?;
            let people = people.iter().map(|held| held.person.to_string()).collect();
            Some(HeldPeople { directory: directory.clone(), digest, said, people })
        };
        groups.into_iter().filter_map(group).collect()
    });
    let rotations = holding.rotations.iter().map(brake).collect();
    Ok(Json(BrakesView { rotations, people: people.unwrap_or_default() }))
}

fn brake((head, held): &(RotationHead, HeldChange)) -> BrakeView {
    let shift = |shift: &Shift| HeldShift {
        user: shift.user.as_ref().map(ToString::to_string),
        start: shift.start,
        end: shift.end.at(),
    };
    BrakeView {
        rotation: head.id.to_string(),
        digest: held.digest.clone(),
        since: held.since,
        why: held.why.clone(),
        said: match held.word() {
            roll::Word::Released => Some(SaidView::Released),
            roll::Word::Discarded => Some(SaidView::Discarded),
            roll::Word::Waiting => None,
        },
        removed: held.change.removed.iter().map(shift).collect(),
        added: held.change.added.iter().map(shift).collect(),
    }
}

/// Lets what the digest names pass. Whoever would be on call by it cannot: another administrator must.
#[utoipa::path(
    post, path = "/v1/brakes/{digest}/release", tag = "brakes",
    params(("digest" = String, Path, description = "What exactly", pattern = "^[0-9a-f]{64}$")),
    responses((status = 200, description = "It passes with the next read that shows it", body = Spoken)),
    extensions(("x-callers" = json!("administrator"))),
)]
pub(crate) async fn release(
    State(api): State<Api>,
    Administrator(by): Administrator,
    Path(digest): Path<String>,
) -> Result<Json<Spoken>, Problem> {
    say(&api, &digest, Word::Release, By::Administrator(by)).await
}

/// Takes what the digest names for no truth. Whoever would stay on call by it cannot: another administrator must.
#[utoipa::path(
    post, path = "/v1/brakes/{digest}/discard", tag = "brakes",
    params(("digest" = String, Path, description = "What exactly", pattern = "^[0-9a-f]{64}$")),
    responses((status = 200, description = "What was believed before stays", body = Spoken)),
    extensions(("x-callers" = json!("administrator"))),
)]
pub(crate) async fn discard(
    State(api): State<Api>,
    Administrator(by): Administrator,
    Path(digest): Path<String>,
) -> Result<Json<Spoken>, Problem> {
    say(&api, &digest, Word::Discard, By::Administrator(by)).await
}

async fn say(api: &Api, digest: &str, word: Word, by: By) -> Result<Json<Spoken>, Problem> {
    let whole = digest.len() == 64 && digest.bytes().all(|byte| byte.is_ascii_hexdigit());
    if !whole {
        return Err(Problem::NotFound(format!("change {}; a digest has 64 characters", excerpt(digest))));
    }
    Ok(Json(match api.brakes.say(digest, word, &by).await? {
        Said::Rotations { digest, rotations } => {
            Spoken { digest, rotations: rotations.iter().map(ToString::to_string).collect(), people: 0 }
        }
        Said::People { digest, count } => Spoken { digest, rotations: Vec::new(), people: count },
    }))
}
