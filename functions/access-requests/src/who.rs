//! Who holds what: now, at an instant that has passed, or at one to come.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use dutykey_engine::ports::ledger::{LivePerson, ReadLedger as _, StoreError};
use dutykey_engine::ports::rota::ReadRota as _;
use dutykey_engine::ports::rules::ReadRules as _;
use dutykey_engine::snapshot::views;
use dutykey_policy::enrollment::{Enrollment, Origin};
use dutykey_policy::explain::{period, unless_read};
use dutykey_policy::hold::{Hold, Outcome, State};
use dutykey_policy::id::{EntitlementRef, PersonId, ProfileId, RotationId};
use dutykey_policy::lease::Views;
use dutykey_policy::profile::{Mode, Profile};
use dutykey_policy::time::{Span, instant_text};
use dutykey_store::{Cursor, MAX_PAGE, Page, Store};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use jiff::Timestamp;
use serde::Serialize;

use crate::views::{Context, HoldView, ReasonView, shown};

/// How many people are asked for side by side.
const SIDE_BY_SIDE: usize = 16;

/// Who holds what at an instant, by person, app and entitlement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Who {
    /// The instant.
    #[serde(serialize_with = "instant_text::serialize")]
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
/// - Later: what enrollments plan, where their profiles act. Blocks may still come between, and the end of a lease, which is
///   said where a view is stale. It reads each profile's enrollments, and the head of each rotation that gives one.
///
/// # Errors
/// The table cannot be used.
pub async fn who(store: &Store, at: Timestamp, now: Timestamp) -> Result<Who, StoreError> {
    let (holds, unreadable) = match at.cmp(&now) {
        Ordering::Greater => {
            let profiles = store.all_profiles().await?;
            let (enrollments, unreadable) = enrolled(store, &profiles).await?;
            (planned(store, &enrollments, &profiles, at, now).await?, unreadable)
        }
        Ordering::Equal => {
            let (open, unreadable) = open(store).await?;
            (show(store, &open, now).await?, unreadable)
        }
        Ordering::Less => {
            let (open, mut unreadable) = open(store).await?;
            let (people, more) =
                all(|cursor| async move { store.list_people(cursor.as_ref(), MAX_PAGE).await }).await?;
            unreadable.extend(more);
            let (ended, more) = ended(store, people.into_iter().map(|listed| listed.person.id), at).await?;
            unreadable.extend(more);
            (show(store, &held(open.into_iter().chain(ended), at), at).await?, unreadable)
        }
    };
    Ok(Who { at, holds: sorted(holds), unreadable })
}

/// A page of the same, and where the next one begins: now of so many holds, the one that ends first in each part of the list
/// first; before and later of so many people, with everything that each of them holds.
///
/// # Errors
/// The table cannot be used, or the cursor is not one of this list.
pub(crate) async fn page(
    store: &Store,
    at: Timestamp,
    now: Timestamp,
    cursor: Option<&Cursor>,
    limit: usize,
) -> Result<Page<HoldView>, StoreError> {
    if at == now {
        let Page { items, next, unreadable } = store.list_open_holds(cursor, limit).await?;
        return Ok(Page { items: sorted(show(store, &items, now).await?), next, unreadable });
    }
    let Page { items, next, mut unreadable } = store.list_people(cursor, limit).await?;
    let people: Vec<PersonId> = items.into_iter().map(|listed| listed.person.id).collect();
    let load = |id: PersonId| async move { store.load(&id).await };
    let live: Vec<Option<LivePerson>> =
        stream::iter(people.clone().into_iter().map(load)).buffered(SIDE_BY_SIDE).try_collect().await?;
    let (mut holds, mut enrollments) = (Vec::new(), Vec::new());
    for live in live.into_iter().flatten() {
        holds.extend(live.holds);
        enrollments.extend(live.enrollments);
        unreadable.extend(live.unreadable);
    }
    let holds = if at > now {
        let ids: BTreeSet<ProfileId> = enrollments.iter().map(|it| it.profile.clone()).collect();
        let profiles = store.profiles(&ids.into_iter().collect::<Vec<_>>()).await?;
        planned(store, &enrollments, &profiles, at, now).await?
    } else {
        let (ended, more) = ended(store, people, at).await?;
        unreadable.extend(more);
        show(store, &held(holds.into_iter().chain(ended), at), at).await?
    };
    Ok(Page { items: sorted(holds), next, unreadable })
}

/// By person, app and entitlement.
fn sorted(mut holds: Vec<HoldView>) -> Vec<HoldView> {
    holds.sort_by(|a, b| (&a.person.email, &a.person, &a.app, &a.id).cmp(&(&b.person.email, &b.person, &b.app, &b.id)));
    holds
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

/// Holds of these people that ended at the instant or after it.
async fn ended(
    store: &Store,
    people: impl IntoIterator<Item = PersonId>,
    at: Timestamp,
) -> Result<(Vec<Hold>, Vec<String>), StoreError> {
    let since = Span { start: at, end: Timestamp::MAX };
    let of = |id: PersonId| async move {
        let id = &id;
        all(|cursor| async move { store.list_ended_holds(id, since, cursor.as_ref(), MAX_PAGE).await }).await
    };
    let each: Vec<_> = stream::iter(people.into_iter().map(of)).buffer_unordered(SIDE_BY_SIDE).try_collect().await?;
    let (mut holds, mut unreadable) = (Vec::new(), Vec::new());
    for (theirs, more) in each {
        holds.extend(theirs);
        unreadable.extend(more);
    }
    Ok((holds, unreadable))
}

/// What of these holds was in place at the instant. One that ended between two reads may come twice.
fn held(holds: impl Iterator<Item = Hold>, at: Timestamp) -> Vec<Hold> {
    let mut then: BTreeMap<_, Hold> = BTreeMap::new();
    for hold in holds.filter_map(|hold| held_at(hold, at)) {
        then.insert((hold.person.clone(), hold.key.clone()), hold);
    }
    then.into_values().collect()
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

/// Everybody's enrollments in profiles that act.
async fn enrolled(store: &Store, profiles: &[Profile]) -> Result<(Vec<Enrollment>, Vec<String>), StoreError> {
    let (mut enrollments, mut unreadable) = (Vec::new(), Vec::new());
    for Profile { id, .. } in profiles.iter().filter(|profile| profile.mode == Mode::Enforce) {
        let listed = all(|cursor| async move { store.list_enrollments(id, cursor.as_ref(), MAX_PAGE).await }).await?;
        enrollments.extend(listed.0);
        unreadable.extend(listed.1);
    }
    Ok((enrollments, unreadable))
}

/// What enrollments plan for the instant, where their profiles act, by what is known now.
async fn planned(
    store: &Store,
    enrollments: &[Enrollment],
    profiles: &[Profile],
    at: Timestamp,
    now: Timestamp,
) -> Result<Vec<HoldView>, StoreError> {
    let rotation = |enrollment: &Enrollment| match &enrollment.origin {
        Origin::Coverage(rotation) => Some(rotation.clone()),
        Origin::Request(_) | Origin::BreakGlass(_) => None,
    };
    let rotations: BTreeSet<RotationId> = enrollments.iter().filter_map(rotation).collect();
    let heads = store.heads(&rotations.into_iter().collect::<Vec<_>>()).await?;
    let views = views(heads.values(), &store.pulse().await?, now);
    let acting = profiles.iter().filter(|profile| profile.mode == Mode::Enforce);
    let acting: BTreeMap<&ProfileId, &Profile> = acting.map(|profile| (&profile.id, profile)).collect();
    let mut planned: BTreeMap<(PersonId, EntitlementRef), Vec<(ReasonView, &Profile)>> = BTreeMap::new();
    for enrollment in enrollments {
        let Some(&profile) = acting.get(&enrollment.profile) else { continue };
        let Some(reason) = reason(enrollment, profile, at, &views) else { continue };
        for entitlement in &profile.entitlements {
            let key = (enrollment.person.clone(), entitlement.clone());
            planned.entry(key).or_default().push((reason.clone(), profile));
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
    Ok(planned.into_iter().filter_map(view).collect())
}

fn reason(enrollment: &Enrollment, profile: &Profile, at: Timestamp, views: &Views) -> Option<ReasonView> {
    let lease_end = match &enrollment.origin {
        Origin::Coverage(rotation) => {
            let rule = profile.enrollment.as_ref().filter(|_| profile.enrolls(rotation))?;
            views.lease_end(rotation, rule.lease)
        }
        Origin::Request(_) | Origin::BreakGlass(_) => None,
    };
    let period = enrollment.periods.iter().find(|period| period.contains(at))?;
    let lease_end = lease_end.filter(|end| *end < period.until.or_max());
    Some(ReasonView { lease_end, ..ReasonView::new(&enrollment.origin, period.from, period.until.at()) })
}

fn sentence(reason: &ReasonView, profile: &Profile) -> String {
    let what = match reason.kind {
        "coverage" => format!("on call in {}", reason.reference),
        kind => format!("{} {}", kind.replace('_', "-"), reason.reference),
    };
    let (when, lease) = (period(reason.start, reason.end), unless_read(reason.lease_end));
    format!("{what} under profile {} version {}, {when}{lease}", profile.id, profile.version)
}
