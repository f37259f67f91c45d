//! Blocks: what administrators deny, at once and until it is lifted.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{StatusCode, Uri};
use dutykey_engine::block::Denial;
use dutykey_engine::ports::rules::ReadRules as _;
use dutykey_policy::block::{Block, Denied, Reach};
use dutykey_policy::time::instant_text;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::body::{Body, instant};
use crate::caller::{Administrator, Anyone};
use crate::query::{Parameters, excerpt};
use crate::{Api, Problem};

/// A denial.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewBlock {
    /// What is denied.
    denies: Subject,
    /// Which one; nothing where everything is denied.
    id: Option<String>,
    /// How far it reaches.
    reach: ReachView,
    /// When it ends by itself; where it is left out, when somebody lifts it.
    #[schema(format = DateTime)]
    until: Option<String>,
    /// Why.
    #[schema(min_length = 1, max_length = 2_000)]
    reason: String,
    /// The ID once more, or `everything`: so that nobody denies by a slip.
    confirm: String,
}

/// What can be denied.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Subject {
    /// Everything to everybody.
    Everything,
    /// Everything to one person.
    Person,
    /// One profile to everybody.
    Profile,
    /// Everything in one app.
    App,
    /// One profile to one person.
    Enrollment,
}

/// How far a block reaches.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ReachView {
    /// Ends what is held at once, without grace.
    Revoke,
    /// Stops new grants only, but for break-glass; ends come as they would.
    Freeze,
    /// Stops new grants only, break-glass included; ends come as they would.
    FreezeAll,
}

/// A block.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Block)]
pub(crate) struct BlockView {
    id: String,
    /// What is denied.
    denies: Subject,
    /// The person, where it concerns one.
    person: Option<String>,
    /// The profile, where it concerns one.
    profile: Option<String>,
    /// The app, where it concerns one.
    app: Option<String>,
    reach: ReachView,
    /// Who placed it.
    author: String,
    /// Why; nothing where it was erased.
    reason: Option<String>,
    #[serde(serialize_with = "instant_text::serialize")]
    #[schema(value_type = String, format = DateTime)]
    from: Timestamp,
    /// When it ends by itself.
    #[serde(serialize_with = "instant_text::optional")]
    #[schema(value_type = Option<String>, format = DateTime)]
    until: Option<Timestamp>,
}

/// Every block that has not ended.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Blocks)]
pub(crate) struct BlocksView {
    blocks: Vec<BlockView>,
}

impl BlockView {
    pub(crate) fn new(block: Block, reason: Option<String>) -> Self {
        let Block { id, denied, reach, author, from, until } = block;
        let (denies, person, profile, app) = match denied {
            Denied::Everything => (Subject::Everything, None, None, None),
            Denied::Person(person) => (Subject::Person, Some(person.to_string()), None, None),
            Denied::Profile(profile) => (Subject::Profile, None, Some(profile.to_string()), None),
            Denied::App(app) => (Subject::App, None, None, Some(app.to_string())),
            Denied::Enrollment(person, profile) => {
                (Subject::Enrollment, Some(person.to_string()), Some(profile.to_string()), None)
            }
        };
        let reach = match reach {
            Reach::Revoke => ReachView::Revoke,
            Reach::Freeze => ReachView::Freeze,
            Reach::FreezeAll => ReachView::FreezeAll,
        };
        Self { id, denies, person, profile, app, reach, author, reason, from, until }
    }
}

/// Every block that has not ended.
#[utoipa::path(
    get, path = "/v1/blocks", tag = "blocks",
    responses((status = 200, description = "In the order in which they were placed", body = BlocksView)),
    extensions(("x-callers" = json!("anyone"))),
)]
pub(crate) async fn list(State(api): State<Api>, _: Anyone, uri: Uri) -> Result<Json<BlocksView>, Problem> {
    Parameters::of(&uri, &[])?;
    let now = api.clock.now();
    let mut blocks = Vec::new();
    for block in api.store.blocks().await? {
        if block.until.is_none_or(|until| now < until) {
            let reason = api.store.block_reason(&block).await?;
            blocks.push(BlockView::new(block, reason));
        }
    }
    Ok(Json(BlocksView { blocks }))
}

/// Denies from now on.
#[utoipa::path(
    post, path = "/v1/blocks", tag = "blocks", request_body = NewBlock,
    responses((status = 201, description = "It is in force; those whom it concerns are looked at at once", body = BlockView)),
    extensions(("x-callers" = json!("administrator"))),
)]
pub(crate) async fn place(
    State(api): State<Api>,
    Administrator(author): Administrator,
    Body(new): Body<NewBlock>,
) -> Result<(StatusCode, Json<BlockView>), Problem> {
    let denied = denied(&new)?;
    let expected = new.id.as_deref().unwrap_or("everything");
    if new.confirm != expected {
        return Err(Problem::Unconfirmed(excerpt(expected)));
    }
    let until = new.until.as_deref().map(|text| instant("until", text));
    let reach = match new.reach {
        ReachView::Revoke => Reach::Revoke,
        ReachView::Freeze => Reach::Freeze,
        ReachView::FreezeAll => Reach::FreezeAll,
    };
    let (author, reason, until) = (author.to_string(), new.reason, until.transpose()?);
    let block = api.blocks.place(Denial { denied, reach, author, reason: reason.clone(), until }).await?;
    Ok((StatusCode::CREATED, Json(BlockView::new(block, Some(reason)))))
}

/// Lifts a block. Whoever would have access by it cannot: another administrator must.
#[utoipa::path(
    delete, path = "/v1/blocks/{block}", tag = "blocks",
    params(("block" = String, Path, description = "The block", pattern = "^[0-7][0-9A-HJKMNP-TV-Z]{25}$")),
    responses((status = 204, description = "It is lifted; those whom it concerned are looked at at once")),
    extensions(("x-callers" = json!("administrator"))),
)]
pub(crate) async fn lift(
    State(api): State<Api>,
    Administrator(author): Administrator,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    api.blocks.lift_as(&id, &author, &api.store, &api.store).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn denied(new: &NewBlock) -> Result<Denied, Problem> {
    let text = new.id.as_deref();
    let id = || text.ok_or_else(|| Problem::Field("`id` says which one is denied".to_owned()));
    let wrong = |error: dutykey_policy::id::IdError| Problem::Field(error.to_string());
    match new.denies {
        Subject::Everything if text.is_some() => Err(Problem::Field("`id` has no place beside everything".to_owned())),
        Subject::Everything => Ok(Denied::Everything),
        Subject::Person => id()?.parse().map(Denied::Person).map_err(wrong),
        Subject::Profile => id()?.parse().map(Denied::Profile).map_err(wrong),
        Subject::App => id()?.parse().map(Denied::App).map_err(wrong),
        Subject::Enrollment => Err(Problem::Field("an enrollment is given back by whoever has it".to_owned())),
    }
}
