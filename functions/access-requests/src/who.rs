//! Who holds what: now, at an instant that has passed, or at one to come.

use std::collections::BTreeMap;

use dutykey_engine::ports::ledger::StoreError;
use dutykey_engine::ports::rules::ReadRules as _;
use dutykey_policy::enrollment::{Enrollment, Origin};
use dutykey_policy::explain::period;
use dutykey_policy::hold::{Hold, Outcome, State};
use dutykey_policy::id::{EntitlementRef, PersonId};
use dutykey_policy::profile::{Mode, Profile};
use dutykey_policy::time::{Span, instant_text};
use dutykey_store::{Cursor, MAX_PAGE, Page, Store};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use crate::views::{Context, HoldView, ReasonView, shown};

/// How many people are asked for side by side.
const SIDE_BY_SIDE: usize = 16;

/// Who holds what at an instant, by person, app and entitlement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Who {
    /// The instant.
    #[serde(serialize_with = "instant_text::serialize")]
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// What is held then.
    pub holds: Vec<HoldView>,
    /// Keys of records that this release cannot read: what they say is missing.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unreadable: Vec<String>,
}

/// Who holds what at `at`.
///
/// - Now: every hold that is not over, as it is; what is wanted, ending or stuck is shown with its state.
/// - Before: what a read had shown in place by then and none had shown gone, and what was standing. Beside the open holds
///   it reads everybody's ended ones, one query for each person.
/// - Later: what enrollments plan, where their profiles act. Blocks and leases may still come between. It reads each
///   profile's enrollments.
///
/// # Errors
/// The table cannot be used.
pub async fn who(store: &Store, at: Timestamp, now: Timestamp) -> Result<Who, StoreError> {
    let (mut holds, unreadable) = match at.cmp(&now) {
        std::cmp::Ordering::Greater => planned(store, at).await?,
        std::cmp::Ordering::Equal => {
            let (open, unreadable) = open(store).await?;
            (show(store, &open, now).await?, unreadable)
        }
        std::cmp::Ordering::Less => {
            let (open, mut unreadable) = open(store).await?;
            let (ended, more) = ended(store, at).await?;
            unreadable.extend(more);
            // A hold that ended between the two reads is in both.
            let mut then: BTreeMap<_, Hold> = BTreeMap::new();
            for hold in open.into_iter().chain(ended).filter_map(|hold| held_at(hold, at)) {
                then.insert((hold.person.clone(), hold.key.clone()), hold);
            }
            (show(store, &then.into_values().collect::<Vec<_>>(), at).await?, unreadable)
        }
    };
    holds.sort_by(|a, b| (&a.person.email, &a.person, &a.app, &a.id).cmp(&(&b.person.email, &b.person, &b.app, &b.id)));
    Ok(Who { at, holds, unreadable })
}

async fn show(store: &Store, holds: &[Hold], at: Timestamp) -> Result<Vec<HoldView>, StoreError> {
    let context = Context::of(store, holds, at).await?;
    Ok(holds.iter().map(|hold| context.show(hold)).collect())
}

/// Everything of a list, page by page.
async fn all<T, F>(mut page: impl FnMut(Option<Cursor>) -> F) -> Result<(Vec<T>, Vec<String>), StoreError>
where
    F: Future<Output = Result<Page<T>, StoreError>>,
{
    let (mut items, mut unreadable, mut cursor) = (Vec::new(), Vec::new(), None);
    loop {
        let found = page(cursor).await?;
        items.extend(found.items);
        unreadable.extend(found.unreadable);
        match found.next {
            Some(next) => cursor = Some(next),
            None => return Ok((items, unreadable)),
        }
    }
}

async fn open(store: &Store) -> Result<(Vec<Hold>, Vec<String>), StoreError> {
    all(|cursor| async move { store.list_open_holds(cursor.as_ref(), MAX_PAGE).await }).await
}

/// Everybody's holds that ended at the instant or after it.
async fn ended(store: &Store, at: Timestamp) -> Result<(Vec<Hold>, Vec<String>), StoreError> {
    let since = Span { start: at, end: Timestamp::MAX };
    let (people, mut unreadable) =
        all(|cursor| async move { store.list_people(cursor.as_ref(), MAX_PAGE).await }).await?;
    let of = |id: PersonId| async move {
        let id = &id;
        all(|cursor| async move { store.list_ended_holds(id, since, cursor.as_ref(), MAX_PAGE).await }).await
    };
    let each: Vec<_> = stream::iter(people.into_iter().map(|listed| of(listed.person.id)))
        .buffer_unordered(SIDE_BY_SIDE)
        .try_collect()
        .await?;
    let mut holds = Vec::new();
    for (theirs, more) in each {
        holds.extend(theirs);
        unreadable.extend(more);
    }
    Ok((holds, unreadable))
}

/// The hold as it was at the instant, where it was in place then.
fn held_at(hold: Hold, at: Timestamp) -> Option<Hold> {
    let standing = matches!(hold.state, State::Kept | State::Ended(Outcome::StandingKept));
    let (state, from) = match hold.granted.and_then(|act| act.done) {
        Some(done) => (State::Held, done),
        None if hold.state == State::Kept => (State::Kept, hold.since),
        // It was kept for as long as it had reasons.
        None if standing => (State::Kept, hold.reasons.iter().map(|reason| reason.from).min()?),
        None => return None,
    };
    let gone = hold.is_over().then(|| hold.revoked.and_then(|act| act.done).unwrap_or(hold.since));
    (from <= at && gone.is_none_or(|gone| at < gone)).then_some(Hold { state, since: from, retry: None, ..hold })
}

/// What enrollments plan for the instant.
async fn planned(store: &Store, at: Timestamp) -> Result<(Vec<HoldView>, Vec<String>), StoreError> {
    let mut planned: BTreeMap<(PersonId, EntitlementRef), Vec<(ReasonView, &Profile)>> = BTreeMap::new();
    let profiles = store.all_profiles().await?;
    let mut unreadable = Vec::new();
    for profile in profiles.iter().filter(|profile| profile.mode == Mode::Enforce) {
        let id = &profile.id;
        let listed = all(|cursor| async move { store.list_enrollments(id, cursor.as_ref(), MAX_PAGE).await }).await?;
        unreadable.extend(listed.1);
        for (enrollment, reason) in listed.0.iter().filter_map(|it| Some((it, reason(it, profile, at)?))) {
            for entitlement in &profile.entitlements {
                let key = (enrollment.person.clone(), entitlement.clone());
                planned.entry(key).or_default().push((reason.clone(), profile));
            }
        }
    }
    let mut ids: Vec<PersonId> = planned.keys().map(|(person, _)| person.clone()).collect();
    ids.dedup();
    let people = store.who(&ids).await?;
    let view = |((person, what), mut reasons): ((PersonId, EntitlementRef), Vec<(ReasonView, &Profile)>)| {
        reasons.sort_by(|a, b| a.0.cmp(&b.0));
        let (first, profile) = reasons.first()?;
        let open = reasons.iter().any(|(reason, _)| reason.end.is_none());
        Some(HoldView {
            person: shown(&person, people.get(&person)),
            profile: Some(profile.id.clone()),
            app: what.app,
            kind: what.kind,
            id: what.id,
            state: "forecast",
            since: first.start,
            until: reasons.iter().filter_map(|(reason, _)| reason.end).max().filter(|_| !open),
            why: reasons.iter().map(|(reason, profile)| sentence(reason, profile)).collect::<Vec<_>>().join("; and "),
            reasons: reasons.into_iter().map(|(reason, _)| reason).collect(),
            hold: None,
            overdue_s: None,
            again: None,
        })
    };
    Ok((planned.into_iter().filter_map(view).collect(), unreadable))
}

fn reason(enrollment: &Enrollment, profile: &Profile, at: Timestamp) -> Option<ReasonView> {
    if let Origin::Coverage(rotation) = &enrollment.origin
        && !profile.enrolls(rotation)
    {
        return None;
    }
    let period = enrollment.periods.iter().find(|period| period.contains(at))?;
    Some(ReasonView::new(&enrollment.origin, period.from, period.until.at()))
}

fn sentence(reason: &ReasonView, profile: &Profile) -> String {
    let what = match reason.kind {
        "coverage" => format!("on call in {}", reason.reference),
        kind => format!("{} {}", kind.replace('_', "-"), reason.reference),
    };
    format!("{what} under profile {} version {}, {}", profile.id, profile.version, period(reason.start, reason.end))
}
