//! Holds as the API and the commands show them.

pub(crate) mod rota;

use std::collections::{BTreeMap, BTreeSet};

use dutykey_engine::ports::ledger::StoreError;
use dutykey_policy::enrollment::Origin;
use dutykey_policy::explain::why;
use dutykey_policy::forecast::Shown;
use dutykey_policy::hold::{Hold, State};
use dutykey_policy::id::{AppId, PersonId, ProfileId};
use dutykey_policy::identity::Person;
use dutykey_policy::time::instant_text;
use dutykey_policy::wants::{Reason, Shape};
use dutykey_store::Store;
use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use crate::explained::{Shifts, explaining};

/// A person as answers show them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Person)]
pub struct PersonView {
    /// Dutykey's own ID.
    pub id: Option<String>,
    /// The address; nothing where they were erased, or never had one.
    pub email: Option<String>,
    /// When they were erased, and their texts with them; left out where they were not.
    #[serde(serialize_with = "instant_text::optional", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub erased: Option<Timestamp>,
}

impl From<Shown> for PersonView {
    fn from(shown: Shown) -> Self {
        let Shown { id, email, erased } = shown;
        Self { id: id.map(|id| id.to_string()), email, erased }
    }
}

/// A hold. Instants are RFC 3339 in UTC with milliseconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Hold)]
pub struct HoldView {
    /// Whose.
    #[schema(value_type = PersonView)]
    pub person: Shown,
    /// The profile whose reason began first.
    #[schema(value_type = Option<String>)]
    pub profile: Option<ProfileId>,
    /// Where.
    #[schema(value_type = String)]
    pub app: AppId,
    /// The app's word for what it is.
    pub kind: String,
    /// The app's ID of it; of a single value, the value.
    pub id: String,
    /// Where it is in its life: `wanted`, `granting`, `held`, `ending`, `ended`, `kept` or `stuck`; `forecast` for what
    /// is only planned.
    pub state: &'static str,
    /// Since when it is in that state.
    #[serde(serialize_with = "instant_text::serialize")]
    #[schema(value_type = String, format = DateTime)]
    pub since: Timestamp,
    /// When it ends; `None` while no end is known.
    #[serde(serialize_with = "instant_text::optional")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub until: Option<Timestamp>,
    /// Every reason.
    pub reasons: Vec<ReasonView>,
    /// The reasons in a sentence.
    pub why: String,
    /// Names it in addresses; nothing for what is only planned.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hold: Option<String>,
    /// OVERDUE: for how many seconds it has been past its end without being proven gone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub overdue_s: Option<u64>,
    /// What has failed, and when it is tried again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub again: Option<AgainView>,
}

/// What has failed, and when it is tried again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Again)]
pub struct AgainView {
    /// When.
    #[serde(serialize_with = "instant_text::serialize")]
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// How often in a row it has failed.
    pub failures: u32,
    /// What happened.
    pub because: String,
}

/// Why somebody holds something.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, ToSchema)]
#[schema(as = Reason)]
pub struct ReasonView {
    /// `coverage`, `request` or `break_glass`.
    pub kind: &'static str,
    /// The rotation, or the request's ID.
    #[serde(rename = "ref")]
    pub reference: String,
    /// When it begins, lead inside.
    #[serde(serialize_with = "instant_text::serialize")]
    #[schema(value_type = String, format = DateTime)]
    pub start: Timestamp,
    /// When it ends, grace inside; `None` while no end is known.
    #[serde(serialize_with = "instant_text::optional")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub end: Option<Timestamp>,
    /// Beyond when what is only planned does not last unless the rota is read again: the end of the lease of a view that is
    /// stale; left out where nothing is.
    #[serde(serialize_with = "instant_text::optional", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub lease_end: Option<Timestamp>,
}

impl ReasonView {
    /// A reason by what brought it about.
    pub(crate) fn new(origin: &Origin, start: Timestamp, end: Option<Timestamp>) -> Self {
        let (kind, reference) = match origin {
            Origin::Coverage(rotation) => ("coverage", rotation.to_string()),
            Origin::Request(id) => ("request", id.clone()),
            Origin::BreakGlass(id) => ("break_glass", id.clone()),
        };
        Self { kind, reference, start, end, lease_end: None }
    }

    fn of(reason: &Reason) -> Self {
        Self::new(&reason.origin, reason.from, (!reason.rolling).then_some(reason.until))
    }
}

/// What holds are shown with.
pub(crate) struct Context {
    people: BTreeMap<PersonId, Person>,
    shifts: Shifts,
    now: Timestamp,
}

impl Context {
    /// Reads who these holds' people are and the shifts that explain them: two small items for each person, and one
    /// query for each rotation.
    pub(crate) async fn of(store: &Store, holds: &[Hold], now: Timestamp) -> Result<Self, StoreError> {
        let people: BTreeSet<PersonId> = holds.iter().map(|hold| hold.person.clone()).collect();
        let people = store.who(&people.into_iter().collect::<Vec<_>>()).await?;
        let shifts = explaining(store, holds.iter().flat_map(|hold| &hold.reasons)).await?;
        Ok(Self { people, shifts, now })
    }

    /// The view of one of these holds.
    pub(crate) fn show(&self, hold: &Hold) -> HoldView {
        let person = self.people.get(&hold.person);
        let first = hold.reasons.iter().min_by_key(|reason| reason.from);
        let open = hold.reasons.iter().any(|reason| reason.rolling && reason.until >= hold.due);
        let id = match &hold.shape {
            Shape::Member => &hold.key.place.id,
            Shape::Value { value, .. } => value,
        };
        HoldView {
            person: shown(&hold.person, person),
            profile: first.map(|reason| reason.profile.clone()),
            app: hold.key.app.clone(),
            kind: hold.key.place.kind.clone(),
            id: id.clone(),
            state: state(hold.state),
            since: hold.since,
            until: (!open || hold.is_ending()).then_some(hold.due),
            reasons: hold.reasons.iter().map(ReasonView::of).collect(),
            why: why(hold, |reason| person.and_then(|person| self.shifts.of(person, reason))),
            hold: Some(hold.name()),
            overdue_s: hold.overdue(self.now).map(|age| age.as_secs()),
            again: hold.retry.as_ref().map(|retry| AgainView {
                at: retry.at,
                failures: retry.failures,
                because: retry.because.clone(),
            }),
        }
    }
}

/// A person as reports show them.
pub(crate) fn shown(id: &PersonId, person: Option<&Person>) -> Shown {
    let email = person.and_then(|person| person.email.clone());
    Shown { id: Some(id.clone()), email, erased: person.and_then(|person| person.erased) }
}

fn state(state: State) -> &'static str {
    match state {
        State::Wanted => "wanted",
        State::Granting => "granting",
        State::Held => "held",
        State::Ending => "ending",
        State::Ended(_) => "ended",
        State::Kept => "kept",
        State::Stuck => "stuck",
    }
}
