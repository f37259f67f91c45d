//! Sources and apps leave in two steps (R23): what still has something open retires first, and goes with a later change.

use std::collections::{BTreeMap, BTreeSet};

use crate::enrollment::Origin;
use crate::hold::Hold;
use crate::id::{AppId, SourceId};
use crate::installation::{App, Installation, Source, TargetSettings};

/// How many open holds there are, by app and by the source that gives the reason.
#[derive(Debug, Default)]
pub struct Open {
    apps: BTreeMap<AppId, usize>,
    sources: BTreeMap<SourceId, usize>,
    /// Whether there are holds that cannot be read: they may be anybody's.
    unreadable: bool,
}

impl Open {
    /// Counts the holds that are not over. `unreadable` says that there are others, which cannot be read.
    #[must_use]
    pub fn of(holds: &[Hold], unreadable: bool) -> Self {
        let mut open = Self { unreadable, ..Self::default() };
        for hold in holds.iter().filter(|hold| !hold.is_over()) {
            *open.apps.entry(hold.key.app.clone()).or_default() += 1;
            let sources = hold.reasons.iter().filter_map(|reason| match &reason.origin {
                Origin::Coverage(rotation) => Some(&rotation.source),
                Origin::Request(_) | Origin::BreakGlass(_) => None,
            });
            for source in sources.collect::<BTreeSet<_>>() {
                *open.sources.entry(source.clone()).or_default() += 1;
            }
        }
        open
    }

    /// How many holds keep something of which this many are open; `None` where it may go.
    fn keeping(&self, holds: Option<&usize>) -> Option<usize> {
        let holds = holds.copied().unwrap_or_default();
        (holds > 0 || self.unreadable).then_some(holds)
    }
}

/// Whether it matters what is open: a source or an app leaves, or an app's ID would reach another place.
#[must_use]
pub fn matters(stored: &Installation, next: &Installation) -> bool {
    let stays = |old: &Source| next.sources.iter().any(|new| new.id == old.id);
    let reached = |old: &App| next.apps.iter().any(|new| new.id == old.id && same_place(&old.settings, &new.settings));
    !stored.sources.iter().all(stays) || !stored.apps.iter().all(reached)
}

/// Adds to the file's installation what it drops and what still has something open, as retiring. Answers what must not
/// be dropped without saying so, a sentence each: what was not retiring yet.
pub fn keep(stored: Option<&Installation>, next: &mut Installation, open: &Open) -> Vec<String> {
    let mut unsaid = Vec::new();
    let Some(stored) = stored else { return unsaid };
    let mut note = |kind: &str, id: &str, holds: usize| {
        let unread = if open.unreadable { ", and some holds cannot be read" } else { "" };
        unsaid.push(format!("{kind} `{id}` is not in the file, and {holds} holds of it are open{unread}"));
    };
    for source in &stored.sources {
        let Some(holds) = open.keeping(open.sources.get(&source.id)) else { continue };
        if next.sources.iter().any(|known| known.id == source.id) {
            continue;
        }
        if !source.retiring {
            note("source", source.id.as_str(), holds);
        }
        next.sources.push(Source { retiring: true, ..source.clone() });
    }
    for app in &stored.apps {
        let Some(holds) = open.keeping(open.apps.get(&app.id)) else { continue };
        if next.apps.iter().any(|known| known.id == app.id) {
            continue;
        }
        if !app.retiring {
            note("app", app.id.as_str(), holds);
        }
        next.apps.push(App { retiring: true, ..app.clone() });
    }
    unsaid
}

/// The apps of which something is open and whose ID would reach another place, each as it is and as it would be: their
/// revocations may go to another tenant.
pub fn moved<'a>(
    stored: Option<&'a Installation>,
    next: &'a Installation,
    open: &Open,
) -> impl Iterator<Item = (&'a App, &'a App)> {
    let stored = stored.into_iter().flat_map(|stored| &stored.apps);
    stored.filter(move |before| open.keeping(open.apps.get(&before.id)).is_some()).filter_map(move |before| {
        let after = next.apps.iter().find(|after| after.id == before.id)?;
        (!same_place(&before.settings, &after.settings)).then_some((before, after))
    })
}

/// Whether both reach the same place; neither a new token nor how it is read changes that.
fn same_place(before: &TargetSettings, after: &TargetSettings) -> bool {
    match (before, after) {
        (TargetSettings::Scim { base_url: before, .. }, TargetSettings::Scim { base_url: after, .. }) => {
            before == after
        }
        _ => before == after,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::installation::SecretRef;
    use crate::testing::{held, id, installation};

    fn ids(next: &Installation) -> Vec<(String, bool)> {
        let sources = next.sources.iter().map(|source| (source.id.to_string(), source.retiring));
        sources.chain(next.apps.iter().map(|app| (app.id.to_string(), app.retiring))).collect()
    }

    /// The company with one more source and one more app, of which nothing is open.
    fn stored() -> Installation {
        let mut stored = installation();
        let (source, app) = (stored.sources[0].clone(), stored.apps[0].clone());
        stored.sources.push(Source { id: id("spare"), ..source });
        stored.apps.push(App { id: id("cloud"), ..app });
        stored
    }

    #[test]
    fn r23_what_has_open_holds_retires_and_what_has_none_goes() {
        let (stored, open) = (stored(), Open::of(&[held()], false));
        let empty = Installation { sources: vec![], apps: vec![], profiles: vec![], ..stored.clone() };
        let mut next = empty.clone();
        assert!(matters(&stored, &next));
        let unsaid = keep(Some(&stored), &mut next, &open);
        assert_eq!(ids(&next), [("rota".to_owned(), true), ("directory".to_owned(), true)]);
        assert_eq!(unsaid.len(), 2, "each must be said: {unsaid:?}");
        // What retires already needs no second word, and goes once nothing is open.
        let mut again = empty.clone();
        assert_eq!(keep(Some(&next), &mut again, &open), Vec::<String>::new());
        assert_eq!(ids(&again), ids(&next));
        let mut over = empty.clone();
        assert_eq!(keep(Some(&next), &mut over, &Open::of(&[], false)), Vec::<String>::new());
        assert_eq!(ids(&over), []);
        let mut unknown = empty;
        keep(Some(&stored), &mut unknown, &Open::of(&[], true));
        assert_eq!(ids(&unknown).len(), 4, "what cannot be read may be anybody's");
    }

    #[test]
    fn r23_an_id_with_open_holds_never_reaches_another_place() {
        let (stored, open) = (stored(), Open::of(&[held()], false));
        let with = |number: usize, url: &str, token: &str| {
            let mut next = stored.clone();
            let token = SecretRef::Secret(token.to_owned());
            next.apps[number].settings = TargetSettings::Scim { base_url: url.to_owned(), token, propagation: None };
            next
        };
        let moves = |next: &Installation| -> Vec<String> {
            moved(Some(&stored), next, &open).map(|(app, _)| app.id.to_string()).collect()
        };
        let elsewhere = with(0, "https://other.example.com", "dutykey/scim");
        assert_eq!((matters(&stored, &elsewhere), moves(&elsewhere)), (true, vec!["directory".to_owned()]));
        let renewed = with(0, "https://scim.example.com/v2", "dutykey/new");
        assert_eq!((matters(&stored, &renewed), moves(&renewed)), (false, vec![]), "it is the same place");
        assert_eq!(
            moves(&with(1, "https://other.example.com", "dutykey/scim")),
            Vec::<String>::new(),
            "nothing is open"
        );
    }

    #[test]
    fn r23_another_id_at_the_same_place_is_another_app_or_source() {
        let renamed = |change: fn(&mut Installation)| {
            let mut next = installation();
            change(&mut next);
            matters(&installation(), &next)
        };
        assert!(renamed(|next| next.apps[0].id = id("okta")), "its holds could not be revoked");
        assert!(renamed(|next| next.sources[0].id = id("pd")), "its reasons would never end");
        assert!(!renamed(|next| next.apps[0].retiring = true), "it is there still");
    }

    #[test]
    fn r23_a_simulated_app_is_where_its_script_is() {
        let script = |speed: u8| TargetSettings::Sandbox { script: serde_json::json!({ "speed": speed }) };
        let with = |settings: TargetSettings| {
            let mut company = installation();
            company.apps[0].settings = settings;
            company
        };
        let moves = |next: TargetSettings| {
            let (stored, next) = (with(script(1)), with(next));
            moved(Some(&stored), &next, &Open::of(&[held()], false)).count()
        };
        let real = installation().apps.remove(0).settings;
        assert_eq!((moves(script(1)), moves(script(2)), moves(real)), (0, 1, 1));
    }
}
