//! The catalog: what apps have to give, and which profiles give it.

use std::collections::{BTreeMap, BTreeSet};

use axum::Json;
use axum::extract::State;
use axum::http::Uri;
use dutykey_engine::ports::catalog::{Catalog, ReadCatalogs as _};
use dutykey_engine::ports::rules::ReadRules as _;
use dutykey_policy::catalog::{CatalogEntry, Words};
use dutykey_policy::id::{AppId, EntitlementRef, ProfileId};
use dutykey_policy::profile::Profile;
use dutykey_policy::time::instant_text;
use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use crate::caller::Anyone;
use crate::lists::{listing, next};
use crate::query::{Parameters, excerpt};
use crate::{Api, Problem};

/// The longest text that is sought, in characters.
const LONGEST: usize = 256;

/// A page of the catalog.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Entitlements)]
pub(crate) struct EntitlementsView {
    entitlements: Vec<CatalogEntryView>,
    /// How fresh this is, for each app that was asked for.
    apps: Vec<CatalogView>,
    /// The cursor of the next page, if there is one. Until then a page may hold fewer than asked for.
    next: Option<String>,
    /// Records on this page that this release cannot read.
    unreadable: Vec<String>,
}

/// One grantable thing that an app has.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = CatalogEntry)]
struct CatalogEntryView {
    app: String,
    /// The app's word for what it is.
    kind: String,
    /// The app's ID of it.
    id: String,
    /// A name for people to read.
    name: String,
    /// What the app says of it.
    description: Option<String>,
    /// Whether Dutykey can give and take it.
    manageable: bool,
    /// Why it cannot; nothing where it can.
    why_not: Option<String>,
    /// The profiles that give it.
    profiles: Vec<String>,
}

/// How fresh an app's catalog is.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Catalog)]
struct CatalogView {
    app: String,
    /// When the app was last read as a whole; nothing where it never was.
    #[serde(serialize_with = "instant_text::optional")]
    #[schema(value_type = Option<String>, format = DateTime)]
    refreshed_at: Option<Timestamp>,
    /// Why the catalog is not what the app says now; nothing where it is.
    failure: Option<CatalogFailureView>,
}

/// Why a catalog is not what the app says now. What it lists stays as it was.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = CatalogFailure)]
struct CatalogFailureView {
    #[serde(serialize_with = "instant_text::serialize")]
    #[schema(value_type = String, format = DateTime)]
    since: Timestamp,
    /// What is wrong.
    because: String,
}

impl CatalogView {
    fn new(app: &AppId, catalog: Option<&Catalog>) -> Self {
        let failure = catalog.and_then(|catalog| catalog.failure.clone());
        Self {
            app: app.to_string(),
            refreshed_at: catalog.and_then(|catalog| catalog.refreshed_at),
            failure: failure.map(|failure| CatalogFailureView { since: failure.since, because: failure.because }),
        }
    }
}

impl CatalogEntryView {
    fn new(entry: CatalogEntry, profiles: Vec<String>) -> Self {
        let CatalogEntry { entitlement, name, description, unmanageable, words: _, seen_at: _ } = entry;
        let EntitlementRef { app, kind, id } = entitlement;
        Self {
            app: app.to_string(),
            kind,
            id,
            name,
            description,
            manageable: unmanageable.is_none(),
            why_not: unmanageable,
            profiles,
        }
    }
}

/// What apps have to give, and which profiles give it.
#[utoipa::path(
    get, path = "/v1/entitlements", tag = "profiles",
    params(
        ("app" = Option<String>, Query, description = "Only those of this app", pattern = "^[a-z0-9-]{1,40}$"),
        ("kind" = Option<String>, Query, description = "Only those of this kind: the app's word for what they are"),
        ("q" = Option<String>, Query, description = "Only those of whose name each of these words begins a word", max_length = 256),
        ("limit" = Option<u16>, Query, description = "At most so many on the page", minimum = 1, maximum = 200),
        ("cursor" = Option<String>, Query, description = "Where the page begins, as the page before says", pattern = "^[0-9a-f]+$"),
    ),
    responses((status = 200, description = "As the apps were last read", body = EntitlementsView)),
    extensions(("x-callers" = json!("anyone"))),
)]
pub(crate) async fn entitlements(
    State(api): State<Api>,
    _: Anyone,
    uri: Uri,
) -> Result<Json<EntitlementsView>, Problem> {
    let parameters = Parameters::of(&uri, &["app", "kind", "q", "limit", "cursor"])?;
    let (sought, kind) = (sought(&parameters)?, parameters.text("kind"));
    let (cursor, limit) = (parameters.cursor()?, parameters.limit()?);
    let apps = apps(&api, &parameters).await?;
    let catalogs = api.store.catalogs(&apps).await?;
    let of_kind = |one: &String| kind.is_none_or(|kind| kind == one);
    let places = apps.iter().flat_map(|app| {
        let kinds = catalogs.get(app).into_iter().flat_map(|catalog| &catalog.kinds);
        kinds.filter(|one| of_kind(one)).map(|kind| (app.clone(), kind.clone()))
    });
    let places: Vec<(AppId, String)> = places.collect();
    let page = api.store.list_entitlements(&places, &sought, cursor.as_ref(), limit).await;
    let page = page.map_err(|error| listing(error, &parameters))?;
    let next = next(&page);
    let listed: BTreeSet<EntitlementRef> = page.items.iter().map(|entry| entry.entitlement.clone()).collect();
    let mut giving = giving(api.store.all_profiles().await?, &listed);
    let view = |entry: CatalogEntry| {
        let profiles = giving.remove(&entry.entitlement).unwrap_or_default();
        CatalogEntryView::new(entry, profiles.iter().map(ToString::to_string).collect())
    };
    Ok(Json(EntitlementsView {
        entitlements: page.items.into_iter().map(view).collect(),
        apps: apps.iter().map(|app| CatalogView::new(app, catalogs.get(app))).collect(),
        next,
        unreadable: page.unreadable,
    }))
}

/// The words that are sought.
fn sought(parameters: &Parameters) -> Result<Words, Problem> {
    let text = parameters.text("q").unwrap_or_default();
    if text.chars().count() > LONGEST {
        return Err(Problem::Parameter(format!("`q` has more than {LONGEST} characters")));
    }
    let words = Words::of(text);
    if words.is_empty() && !text.trim().is_empty() {
        return Err(Problem::Parameter(format!("`q` is `{}`, which has neither a letter nor a digit", excerpt(text))));
    }
    Ok(words)
}

/// The apps that are asked for, of those that are configured and don't retire, in the order of their IDs.
async fn apps(api: &Api, parameters: &Parameters) -> Result<Vec<AppId>, Problem> {
    let settings = api.store.settings().await?;
    let apps = settings.into_iter().flat_map(|settings| settings.apps);
    let mut apps: Vec<AppId> = apps.filter(|app| !app.retiring).map(|app| app.id).collect();
    apps.sort();
    let Some(named) = parameters.text("app") else { return Ok(apps) };
    apps.retain(|app| app.as_str() == named);
    if apps.is_empty() {
        return Err(Problem::Parameter(format!("`app` is `{}`, which is none of the apps", excerpt(named))));
    }
    Ok(apps)
}

/// Which profiles give each of these.
fn giving(profiles: Vec<Profile>, listed: &BTreeSet<EntitlementRef>) -> BTreeMap<EntitlementRef, BTreeSet<ProfileId>> {
    let mut giving: BTreeMap<EntitlementRef, BTreeSet<ProfileId>> = BTreeMap::new();
    for profile in profiles {
        for entitlement in profile.entitlements.into_iter().filter(|one| listed.contains(one)) {
            giving.entry(entitlement).or_default().insert(profile.id.clone());
        }
    }
    giving
}
