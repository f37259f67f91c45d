//! Who made an override or a custom shift.
//!
//! It is only ever an explanation: where PagerDuty does not tell, the maker is unknown, which the override lock treats
//! like a maker who gains. So no failure here fails the read of the shifts, and makers that are known are remembered.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use dutykey_engine::ports::platform::PlatformError;
use dutykey_policy::id::UserId;
use dutykey_policy::rota::{Cause, End, Shift};
use dutykey_policy::time::{Span, earlier, rfc3339};
use jiff::Timestamp;
use serde::Deserialize;

use super::http::Http;
use super::schedule::{Drawn, Kind, Reference, pieces};

/// How far back the records are read: they may not be asked for more than 31 days at once.
const BACK: Duration = Duration::from_secs(30 * 86_400);
/// Records on a page, and the pages that are read at most. What lies behind stays unknown.
const RECORDS: usize = 100;
const PAGES: usize = 5;
/// How often the maker of a shift is asked for while the records do not tell.
const TRIES: u8 = 3;

/// What was learnt of a shift's maker.
#[derive(Debug, Clone, Default)]
struct Known {
    maker: Option<UserId>,
    tries: u8,
}

/// The makers of the shifts seen so far, by schedule and by the shift as the final schedule shows it: a changed shift is
/// another one.
#[derive(Debug, Default)]
pub(super) struct Makers(Mutex<BTreeMap<String, BTreeMap<Shift, Known>>>);

#[derive(Deserialize)]
struct Overrides {
    overrides: Vec<Override>,
}

#[derive(Deserialize)]
struct Override {
    id: String,
    start: Timestamp,
    end: Timestamp,
    user: Reference,
}

#[derive(Deserialize)]
struct Records {
    records: Vec<Record>,
    next_cursor: Option<String>,
}

#[derive(Deserialize)]
struct Record {
    actors: Option<Vec<Reference>>,
    details: Option<Details>,
}

#[derive(Deserialize)]
struct Details {
    resource: Option<Reference>,
    #[serde(default)]
    references: Option<Vec<Change>>,
}

#[derive(Deserialize)]
struct Change {
    #[serde(default)]
    added: Option<Vec<Reference>>,
}

impl Makers {
    /// Names the makers of the overrides and custom shifts in the window, as far as PagerDuty tells.
    ///
    /// Asks nothing where there are none or all are known; else one request for a layered schedule's overrides (whose
    /// rendered entries have no ID), for each 90 days, and one to five for the audit records.
    pub(super) async fn name(&self, http: &Http, id: &str, window: Span, drawn: &mut Drawn) {
        let mut known = self.take(id, window);
        let made = |shift: &Shift| matches!(shift.cause, Cause::Override | Cause::Custom);
        let open: Vec<Shift> = drawn
            .shifts
            .iter()
            .filter(|shift| made(shift) && shift.user.is_some())
            .filter(|shift| known.get(shift).is_none_or(|k| k.maker.is_none() && k.tries < TRIES))
            .cloned()
            .collect();
        if !open.is_empty() {
            match ask(http, id, window, drawn, &open).await {
                Ok(makers) => {
                    for shift in open {
                        let maker = makers.get(&shift).cloned();
                        let k = known.entry(shift).or_default();
                        *k = Known { maker, tries: k.tries + 1 };
                    }
                }
                // A plan without audit records, or a token that may not read them: another try will not help soon.
                Err(PlatformError::Forbidden { .. }) => {
                    for shift in open {
                        known.entry(shift).or_default().tries = TRIES;
                    }
                }
                Err(e) => tracing::debug!(schedule = id, error = %e, "makers of overrides stay unknown for now"),
            }
        }
        for shift in &mut drawn.shifts {
            shift.maker = known.get(shift).and_then(|k| k.maker.clone());
        }
        if !known.is_empty() {
            self.all().entry(id.to_owned()).or_default().append(&mut known);
        }
    }

    /// What is known of the schedule, without what ended before the window.
    fn take(&self, id: &str, window: Span) -> BTreeMap<Shift, Known> {
        let mut known = self.all().remove(id).unwrap_or_default();
        known.retain(|shift, _| shift.end.or_max() > window.start);
        known
    }

    fn all(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, BTreeMap<Shift, Known>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The makers that PagerDuty tells.
async fn ask(
    http: &Http,
    id: &str,
    window: Span,
    drawn: &Drawn,
    open: &[Shift],
) -> Result<BTreeMap<Shift, UserId>, PlatformError> {
    let mut changes: BTreeMap<&Shift, BTreeSet<String>> = BTreeMap::new();
    match drawn.kind {
        Kind::ShiftBased => {
            changes.extend(open.iter().filter_map(|shift| Some((shift, BTreeSet::from([shift.native_id.clone()?])))));
        }
        Kind::Layered => {
            let overrides = overrides(http, id, window).await?;
            changes.extend(open.iter().map(|shift| (shift, explained(shift, &overrides))));
        }
    }
    changes.retain(|_, ids| !ids.is_empty());
    if changes.is_empty() {
        return Ok(BTreeMap::new());
    }
    let wanted = changes.values().flatten().map(String::as_str).collect();
    let makers = audit(http, id, drawn, &wanted).await?;
    let maker = |ids: &BTreeSet<String>| {
        let mut found = ids.iter().map(|id| makers.get(id).cloned().flatten());
        let first = found.next()??;
        found.all(|other| other.as_ref() == Some(&first)).then_some(first)
    };
    Ok(changes.into_iter().filter_map(|(shift, ids)| Some((shift.clone(), maker(&ids)?))).collect())
}

async fn overrides(http: &Http, id: &str, window: Span) -> Result<Vec<Override>, PlatformError> {
    let mut all = Vec::new();
    for (since, until) in pieces(window) {
        let query = [("since", &*since), ("until", &*until), ("overflow", "true")];
        all.extend(http.get::<Overrides>(&["schedules", id, "overrides"], &query).await?.body.overrides);
    }
    Ok(all)
}

/// The overrides that a layered schedule's shift comes from: none, where one of them is not the whole reason for it.
fn explained(shift: &Shift, overrides: &[Override]) -> BTreeSet<String> {
    let touching = || {
        overrides.iter().filter(|o| {
            shift.user.as_ref().is_some_and(|user| user.as_str() == o.user.id)
                && o.start < shift.end.or_max()
                && shift.start < o.end
        })
    };
    let whole = touching().all(|o| o.start <= shift.start && shift.end <= End::At(o.end));
    if whole { touching().map(|o| o.id.clone()).collect() } else { BTreeSet::new() }
}

/// Who changed each of these, by the audit records: somebody where all records of it name one and the same user.
/// PagerDuty does not document what its records of overrides look like; one is taken to be of an override that its
/// details name, as the resource or as an added reference.
async fn audit(
    http: &Http,
    id: &str,
    drawn: &Drawn,
    wanted: &BTreeSet<&str>,
) -> Result<BTreeMap<String, Option<UserId>>, PlatformError> {
    let path = drawn.kind.path(id, &["audit", "records"]);
    let since = drawn.date.map(|date| rfc3339(earlier(date, BACK)));
    let limit = RECORDS.to_string();
    let mut makers: BTreeMap<String, Option<UserId>> = BTreeMap::new();
    let mut cursor: Option<String> = None;
    for _ in 0..PAGES {
        let mut query = vec![("limit", limit.as_str())];
        query.extend(since.as_deref().map(|since| ("since", since)));
        query.extend(cursor.as_deref().map(|cursor| ("cursor", cursor)));
        let page = http.get::<Records>(&path, &query).await?.body;
        for record in &page.records {
            let actor = record.actor();
            for id in record.touched().filter(|id| wanted.contains(id)) {
                let maker = makers.entry(id.to_owned()).or_insert_with(|| actor.clone());
                if *maker != actor {
                    *maker = None;
                }
            }
        }
        cursor = page.next_cursor;
        if cursor.is_none() {
            return Ok(makers);
        }
    }
    // An older record may name somebody else.
    Ok(BTreeMap::new())
}

impl Record {
    /// The one user who acted; nobody where a key of the account or several acted.
    fn actor(&self) -> Option<UserId> {
        match self.actors.as_deref() {
            Some([one]) if one.r#type.as_deref() == Some("user_reference") => one.id.parse().ok(),
            _ => None,
        }
    }

    fn touched(&self) -> impl Iterator<Item = &str> {
        let details = self.details.iter();
        let resources = details.clone().filter_map(|d| d.resource.as_ref());
        let added =
            details.flat_map(|d| d.references.iter().flatten()).flat_map(|change| change.added.iter().flatten());
        resources.chain(added).map(|reference| reference.id.as_str())
    }
}
