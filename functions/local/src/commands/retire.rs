//! Sources and apps leave in two steps (R23): what still has something open retires first, and goes with a later apply.

use std::collections::BTreeMap;

use dutykey_engine::ports::ledger::StoreError;
use dutykey_engine::ports::target::Targets;
use dutykey_policy::enrollment::Origin;
use dutykey_policy::hold::Hold;
use dutykey_policy::id::{AppId, SourceId};
use dutykey_policy::installation::{App, Installation, Source, TargetSettings};
use dutykey_store::{MAX_PAGE, Store};

/// How many open holds there are, by app and by the source that gives the reason.
#[derive(Debug, Default)]
pub(crate) struct Open {
    apps: BTreeMap<AppId, usize>,
    sources: BTreeMap<SourceId, usize>,
    /// Whether there are holds that cannot be read: they may be anybody's.
    unreadable: bool,
}

/// Every hold that is not over, and how many there are of each app and source.
///
/// # Errors
/// The table cannot be used.
pub(crate) async fn open_holds(store: &Store) -> Result<(Vec<Hold>, Open), StoreError> {
    let (mut holds, mut unreadable) = (Vec::new(), false);
    let mut cursor = None;
    loop {
        let page = store.list_open_holds(cursor.as_ref(), MAX_PAGE).await?;
        holds.extend(page.items);
        unreadable |= !page.unreadable.is_empty();
        cursor = page.next;
        if cursor.is_none() {
            let open = Open { unreadable, ..Open::of(&holds) };
            return Ok((holds, open));
        }
    }
}

impl Open {
    fn of(holds: &[Hold]) -> Self {
        let mut open = Self::default();
        for hold in holds.iter().filter(|hold| !hold.is_over()) {
            *open.apps.entry(hold.key.app.clone()).or_default() += 1;
            let mut sources: Vec<&SourceId> = hold
                .reasons
                .iter()
                .filter_map(|reason| match &reason.origin {
                    Origin::Coverage(rotation) => Some(&rotation.source),
                    Origin::Request(_) | Origin::BreakGlass(_) => None,
                })
                .collect();
            sources.sort_unstable();
            sources.dedup();
            for source in sources {
                *open.sources.entry(source.clone()).or_default() += 1;
            }
        }
        open
    }
}

/// Adds to the file's installation what it drops and what still has something open, as retiring. Answers what must not
/// be dropped without saying so, a sentence each: what was not retiring yet.
pub(crate) fn keep(stored: Option<&Installation>, next: &mut Installation, open: &Open) -> Vec<String> {
    let mut unsaid = Vec::new();
    let Some(stored) = stored else { return unsaid };
    let mut note = |kind: &str, id: &str, holds: usize| {
        let unread = if open.unreadable { ", and some holds cannot be read" } else { "" };
        unsaid.push(format!("{kind} `{id}` is not in the file, and {holds} holds of it are open{unread}"));
    };
    for source in &stored.sources {
        let holds = open.sources.get(&source.id).copied().unwrap_or_default();
        if (holds == 0 && !open.unreadable) || next.sources.iter().any(|known| known.id == source.id) {
            continue;
        }
        if !source.retiring {
            note("source", source.id.as_str(), holds);
        }
        next.sources.push(Source { retiring: true, ..source.clone() });
    }
    for app in &stored.apps {
        let holds = open.apps.get(&app.id).copied().unwrap_or_default();
        if (holds == 0 && !open.unreadable) || next.apps.iter().any(|known| known.id == app.id) {
            continue;
        }
        if !app.retiring {
            note("app", app.id.as_str(), holds);
        }
        next.apps.push(App { retiring: true, ..app.clone() });
    }
    unsaid
}

/// Apps whose ID would reach another tenant while holds are open: their revocations would go to the wrong one.
pub(crate) async fn moved(
    stored: Option<&Installation>,
    next: &Installation,
    open: &Open,
    targets: &dyn Targets,
) -> Vec<String> {
    let mut found = Vec::new();
    for before in stored.iter().flat_map(|stored| &stored.apps) {
        let after = next.apps.iter().find(|app| app.id == before.id);
        let Some(after) = after.filter(|after| !same_place(&before.settings, &after.settings)) else { continue };
        if !open.apps.contains_key(&before.id) && !open.unreadable {
            continue;
        }
        let (old, new) = (tenant(before, targets).await, tenant(after, targets).await);
        if old.is_none() || old != new {
            let named = |tenant: Option<String>| tenant.unwrap_or_else(|| "one that does not answer".to_owned());
            found.push(format!(
                "app `{}` would reach another tenant ({}) than the one in which its holds are open ({}); give the new one \
                 an ID of its own and retire this one",
                before.id,
                named(new),
                named(old)
            ));
        }
    }
    found
}

/// Whether both reach the same place; a new token changes nothing about that.
fn same_place(before: &TargetSettings, after: &TargetSettings) -> bool {
    match (before, after) {
        (TargetSettings::Scim { base_url: before, .. }, TargetSettings::Scim { base_url: after, .. }) => {
            before == after
        }
        _ => before == after,
    }
}

async fn tenant(app: &App, targets: &dyn Targets) -> Option<String> {
    targets.target(app).await.ok()?.check().await.ok()
}

#[cfg(test)]
mod tests {
    use dutykey_policy::effect::ends_now;
    use dutykey_policy::hold::State;
    use dutykey_policy::id::{HoldKey, Place};
    use dutykey_policy::wants::{Reason, Shape, Want};
    use jiff::Timestamp;

    use super::*;

    const FILE: &str = "
version: 1
verified_domains: [example.com]
sources: [{ id: pager, platform: sandbox, script: {} }, { id: spare, platform: sandbox, script: {} }]
apps: [{ id: directory, target: sandbox, script: {} }, { id: cloud, target: sandbox, script: {} }]
profiles:
  - id: on-call
    name: On-call
    entitlements: [{ app: directory, kind: group, id: g-1 }]
    enrollment: { rotations: ['pager:primary', 'spare:primary'], lead: 1m, grace: 10m, lease: 4h }
";

    fn installation() -> Installation {
        let document = dutykey_runtime::config::parse(FILE.as_bytes(), std::path::Path::new("/"));
        let document = document.unwrap_or_else(|problems| panic!("{problems:?}"));
        document.pin(|_| Err("no names here".to_owned())).unwrap_or_else(|problems| panic!("{problems:?}"))
    }

    /// A hold of Ann on `directory`, because she is on call in `pager:primary`.
    fn hold() -> Hold {
        let now = Timestamp::UNIX_EPOCH;
        let reason = Reason {
            profile: "on-call".parse().expect("a profile"),
            version: 1,
            origin: Origin::Coverage("pager:primary".parse().expect("a rotation")),
            from: now,
            until: Timestamp::MAX,
            rolling: false,
            from_known: now,
            until_known: now,
        };
        let key = HoldKey {
            app: "directory".parse().expect("an app"),
            account: "acc-ann".parse().expect("an account"),
            place: Place { kind: "group".to_owned(), id: "g-1".to_owned() },
        };
        let want = Want { shape: Shape::Member, reasons: vec![reason], frozen: false };
        let person = "per_01ARZ3NDEKTSV4RRFFQ69G5FAV".parse().expect("a person");
        Hold { state: State::Held, reasons: want.reasons.clone(), ..Hold::wanted(key, person, &want, now) }
    }

    fn ids(next: &Installation) -> Vec<(String, bool)> {
        let sources = next.sources.iter().map(|source| (source.id.to_string(), source.retiring));
        sources.chain(next.apps.iter().map(|app| (app.id.to_string(), app.retiring))).collect()
    }

    #[test]
    fn r23_what_has_open_holds_retires_and_what_has_none_goes() {
        let stored = installation();
        let empty = Installation { sources: vec![], apps: vec![], profiles: vec![], ..stored.clone() };
        let mut next = empty.clone();
        let unsaid = keep(Some(&stored), &mut next, &Open::of(&[hold()]));
        assert_eq!(ids(&next), [("pager".to_owned(), true), ("directory".to_owned(), true)]);
        assert_eq!(unsaid.len(), 2, "each must be said: {unsaid:?}");
        // What retires already needs no second word, and goes once nothing is open.
        let mut again = empty.clone();
        assert_eq!(keep(Some(&next), &mut again, &Open::of(&[hold()])), Vec::<String>::new());
        assert_eq!(ids(&again), ids(&next));
        let mut over = empty;
        assert_eq!(keep(Some(&next), &mut over, &Open::of(&[])), Vec::<String>::new());
        assert_eq!(ids(&over), []);
    }

    #[test]
    fn a_hold_ends_at_once_where_no_reason_of_it_survives() {
        let next = installation();
        assert!(!ends_now(&hold(), &next.profiles), "nothing has changed");
        let changed = |change: fn(&mut Installation)| {
            let mut next = installation();
            change(&mut next);
            ends_now(&hold(), &next.profiles)
        };
        assert!(changed(|next| next.profiles.clear()), "the profile is gone");
        assert!(changed(|next| next.profiles[0].entitlements[0].id = "g-2".to_owned()), "it gives something else");
        assert!(changed(|next| next.profiles[0].enrollment = None), "nobody is enrolled");
        assert!(changed(|next| next.profiles[0].mode = dutykey_policy::profile::Mode::Observe), "it only observes");
        assert!(!changed(|next| next.profiles[0].name = "Other".to_owned()), "a name gives nothing");
    }
}
