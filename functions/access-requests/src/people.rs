//! People: who they are, what they hold, and why.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::Uri;
use dutykey_engine::ports::ledger::{LivePerson, ReadLedger as _};
use dutykey_policy::enrollment::Enrollment;
use dutykey_policy::id::PersonId;
use dutykey_policy::identity::Account;
use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use crate::caller::Anyone;
use crate::lists::{listing, next};
use crate::query::{Parameters, excerpt};
use crate::requests::{RequestView, views};
use crate::views::{Context, HoldView, PersonView, ReasonView, shown};
use crate::{Api, Problem};

/// A page of people.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = People)]
pub(crate) struct PeopleView {
    people: Vec<KnownView>,
    /// The cursor of the next page, if there is one.
    next: Option<String>,
    /// Records on this page that this release cannot read.
    unreadable: Vec<String>,
}

/// Somebody whom Dutykey knows.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = KnownPerson)]
struct KnownView {
    person: PersonView,
    /// A name for people to read; nothing where they were erased.
    name: Option<String>,
    /// Whether the directory shows them active; nothing where no directory says.
    active: Option<bool>,
}

/// Somebody, with what they hold and why.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PersonInFull)]
pub(crate) struct FullView {
    person: PersonView,
    /// A name for people to read; nothing where they were erased.
    name: Option<String>,
    /// Whether the directory shows them active; nothing where no directory says.
    active: Option<bool>,
    /// Who they are on each source, by the platform's own ID.
    users: BTreeMap<String, String>,
    /// Who they are in each app.
    accounts: Vec<AccountView>,
    /// The profiles that they are in now or will be, and why.
    enrollments: Vec<EnrollmentView>,
    /// What they hold, and what is being given or taken.
    holds: Vec<HoldView>,
    /// Their requests that are not over.
    requests: Vec<RequestView>,
}

/// Somebody's account in an app.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Account)]
struct AccountView {
    app: String,
    /// The app's own ID of it; nothing where it is in doubt which it is.
    account: Option<String>,
    /// The doubt: `unmatched`, `ambiguous` or `inactive`. Then nothing is granted.
    doubt: Option<String>,
}

/// A profile that somebody is in.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Enrollment)]
pub(crate) struct EnrollmentView {
    person: PersonView,
    /// The profile.
    profile: String,
    /// Why, and when.
    reasons: Vec<ReasonView>,
}

impl EnrollmentView {
    /// An enrollment that is not over.
    pub(crate) fn of(enrollment: &Enrollment, person: PersonView, now: Timestamp) -> Option<Self> {
        let ahead = enrollment.periods.iter().filter(|period| period.until.or_max() > now);
        let reason = |from, until| ReasonView::new(&enrollment.origin, from, until);
        let reasons: Vec<_> = ahead.map(|period| reason(period.from, period.until.at())).collect();
        (!reasons.is_empty()).then(|| Self { person, profile: enrollment.profile.to_string(), reasons })
    }

    /// Those of a person.
    pub(crate) fn all(live: &LivePerson, now: Timestamp) -> Vec<Self> {
        let person = PersonView::from(shown(&live.person.id, Some(&live.person)));
        live.enrollments.iter().filter_map(|enrollment| Self::of(enrollment, person.clone(), now)).collect()
    }
}

/// Everybody whom Dutykey knows.
#[utoipa::path(
    get, path = "/v1/people", tag = "people",
    params(
        ("limit" = Option<u16>, Query, description = "At most so many on the page", minimum = 1, maximum = 200),
        ("cursor" = Option<String>, Query, description = "Where the page begins, as the page before says", pattern = "^[0-9a-f]+$"),
    ),
    responses((status = 200, description = "In no particular order", body = PeopleView)),
    extensions(("x-callers" = json!("anyone"))),
)]
pub(crate) async fn people(State(api): State<Api>, _: Anyone, uri: Uri) -> Result<Json<PeopleView>, Problem> {
    let parameters = Parameters::of(&uri, &["limit", "cursor"])?;
    let page = api.store.list_people(parameters.cursor()?.as_ref(), parameters.limit()?).await;
    let page = page.map_err(|error| listing(error, &parameters))?;
    let next = next(&page);
    let known = |listed: dutykey_store::Listed| KnownView {
        person: shown(&listed.person.id, Some(&listed.person)).into(),
        name: listed.person.name,
        active: listed.person.active,
    };
    Ok(Json(PeopleView { people: page.items.into_iter().map(known).collect(), next, unreadable: page.unreadable }))
}

/// Somebody, with what they hold and why.
#[utoipa::path(
    get, path = "/v1/people/{person}", tag = "people",
    params(("person" = String, Path, description = "The person", pattern = "^per_[0-7][0-9A-HJKMNP-TV-Z]{25}$")),
    responses((status = 200, description = "As they are now", body = FullView)),
    extensions(("x-callers" = json!("anyone"))),
)]
pub(crate) async fn person(
    State(api): State<Api>,
    _: Anyone,
    Path(text): Path<String>,
) -> Result<Json<FullView>, Problem> {
    let nobody = || Problem::NotFound(format!("person {}", excerpt(&text)));
    let id: PersonId = text.parse().map_err(|_| nobody())?;
    let live = api.store.load(&id).await?.ok_or_else(nobody)?;
    let context = Context::of(&api.store, &live.holds, api.clock.now()).await?;
    let account = |(app, account): (_, &Account)| match account {
        Account::Linked(id) => AccountView { app, account: Some(id.to_string()), doubt: None },
        Account::Doubtful { doubt, .. } => AccountView { app, account: None, doubt: Some(doubt.to_string()) },
    };
    let accounts = live.person.accounts.iter().map(|(app, of)| account((app.to_string(), of))).collect();
    let users = live.person.users.iter().map(|(source, user)| (source.to_string(), user.to_string())).collect();
    Ok(Json(FullView {
        person: shown(&id, Some(&live.person)).into(),
        name: live.person.name.clone(),
        active: live.person.active,
        users,
        accounts,
        enrollments: EnrollmentView::all(&live, api.clock.now()),
        holds: live.holds.iter().map(|hold| context.show(hold)).collect(),
        requests: views(&api, &live.requests).await?,
    }))
}
