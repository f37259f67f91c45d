//! The difference between what is in force and what a file says: pure, and complete down to the key.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::installation::Installation;

/// The key of where a calendar is, which may be a secret in itself: that it differs is shown, and nothing of it.
const LOCATION: &str = "location";

/// What a change is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// A setting of the installation as a whole.
    Setting,
    /// An account on a platform.
    Source,
    /// A target system.
    App,
    /// Who somebody is.
    Link,
    /// An access profile.
    Profile,
}

/// What happens to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// It is new.
    Added,
    /// It is there before and after, and differs.
    Changed,
    /// It goes.
    Removed,
    /// It stays until what it began has ended (R23).
    Retiring,
}

/// One change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// What happens.
    pub what: What,
    /// To what.
    pub part: Part,
    /// Its ID; of a link the person's address, of a setting its key.
    pub id: String,
    /// What differs: all of it, where it comes or goes.
    pub keys: Vec<Key>,
}

/// A key that differs. A calendar's address may be a secret in itself, so of that only the key is shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Key {
    /// The key, from the top of what it is of.
    pub key: String,
    /// What it was, if it was there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<String>,
    /// What it becomes, if it stays.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
}

/// Everything that differs, by part and ID. Versions are left out: whoever stores a profile numbers it.
///
/// # Errors
/// An installation cannot be written as JSON.
pub fn difference(stored: Option<&Installation>, next: &Installation) -> serde_json::Result<Vec<Change>> {
    let (before, after) = (stored.map(parts).transpose()?.unwrap_or_default(), parts(next)?);
    let all: BTreeSet<&(Part, String)> = before.keys().chain(after.keys()).collect();
    let change = |name: &(Part, String)| {
        let (part, id) = (name.0, name.1.clone());
        let (what, keys) = match (before.get(name), after.get(name)) {
            (Some(before), Some(after)) if before == after => return None,
            (Some(before), Some(after)) => {
                let retires = retiring(after) && !retiring(before);
                (if retires { What::Retiring } else { What::Changed }, keys(part, before, after))
            }
            // Whoever agrees to it must see what comes and what goes.
            (before, after) => {
                let what = if before.is_none() { What::Added } else { What::Removed };
                (what, keys(part, before.unwrap_or(&Value::Null), after.unwrap_or(&Value::Null)))
            }
        };
        Some(Change { what, part, id, keys })
    };
    Ok(all.into_iter().filter_map(change).collect())
}

fn retiring(item: &Value) -> bool {
    item.get("retiring") == Some(&Value::Bool(true))
}

/// An installation as named items.
fn parts(installation: &Installation) -> serde_json::Result<BTreeMap<(Part, String), Value>> {
    let mut all = BTreeMap::new();
    let mut add = |part: Part, id: &str, value: Value| drop(all.insert((part, id.to_owned()), value));
    for source in &installation.sources {
        add(Part::Source, source.id.as_str(), serde_json::to_value(source)?);
    }
    for app in &installation.apps {
        add(Part::App, app.id.as_str(), serde_json::to_value(app)?);
    }
    for link in &installation.links {
        add(Part::Link, &link.person, serde_json::to_value(link)?);
    }
    for profile in &installation.profiles {
        let mut value = serde_json::to_value(profile)?;
        if let Some(fields) = value.as_object_mut() {
            fields.remove("version");
        }
        add(Part::Profile, profile.id.as_str(), value);
    }
    if let Value::Object(settings) = serde_json::to_value(installation)? {
        for (key, value) in settings.iter().filter(|(_, value)| !value.is_null()) {
            if !["sources", "apps", "links", "profiles"].contains(&key.as_str()) {
                add(Part::Setting, key, value.clone());
            }
        }
    }
    Ok(all)
}

fn keys(part: Part, before: &Value, after: &Value) -> Vec<Key> {
    let mut found = Vec::new();
    compare(String::new(), before, after, &mut found);
    if part == Part::Source {
        for key in found.iter_mut().filter(|key| key.key.split('.').any(|name| name == LOCATION)) {
            (key.before, key.after) = (None, None);
        }
        found.dedup();
    }
    found
}

fn compare(key: String, before: &Value, after: &Value, found: &mut Vec<Key>) {
    if before == after {
        return;
    }
    let nothing = Map::new();
    let fields = |value: &Value| matches!(value, Value::Object(_) | Value::Null);
    match (before, after) {
        _ if fields(before) && fields(after) => {
            let before = before.as_object().unwrap_or(&nothing);
            let after = after.as_object().unwrap_or(&nothing);
            for name in names(before, after) {
                let inner = if key.is_empty() { name.clone() } else { format!("{key}.{name}") };
                let (before, after) = (before.get(name), after.get(name));
                compare(inner, before.unwrap_or(&Value::Null), after.unwrap_or(&Value::Null), found);
            }
        }
        (Value::Array(_) | Value::Null, Value::Array(_) | Value::Null) => {
            let (before, after) = (list(before), list(after));
            if before.is_empty() && after.is_empty() {
                return;
            }
            let counted = found.len();
            let gone = before.iter().filter(|item| !after.contains(item));
            found.extend(gone.map(|item| Key { key: key.clone(), before: text(item), after: None }));
            let new = after.iter().filter(|item| !before.contains(item));
            found.extend(new.map(|item| Key { key: key.clone(), before: None, after: text(item) }));
            if found.len() == counted {
                found.push(Key { key, before: Some("in another order".to_owned()), after: None });
            }
        }
        _ => found.push(Key { key, before: text(before), after: text(after) }),
    }
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn names<'a>(before: &'a Map<String, Value>, after: &'a Map<String, Value>) -> BTreeSet<&'a String> {
    before.keys().chain(after.keys()).collect()
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::installation::{CalendarLocation, Link, PlatformSettings, SecretRef, TargetSettings};
    use crate::testing::installation;

    fn changes(change: impl FnOnce(&mut Installation)) -> Vec<Change> {
        let mut after = installation();
        change(&mut after);
        difference(Some(&installation()), &after).expect("an installation is JSON")
    }

    #[test]
    fn the_same_file_changes_nothing_whatever_the_version() {
        let mut stored = installation();
        for profile in &mut stored.profiles {
            profile.version = 7;
        }
        assert_eq!(difference(Some(&stored), &installation()).expect("JSON"), vec![]);
    }

    #[test]
    fn a_first_file_adds_every_part() {
        let added = difference(None, &installation()).expect("JSON");
        assert!(added.iter().all(|change| change.what == What::Added), "{added:?}");
        let parts: BTreeSet<Part> = added.iter().map(|change| change.part).collect();
        assert_eq!(parts.len(), 5, "{parts:?}");
    }

    #[test]
    fn r20_whoever_agrees_sees_to_whom_a_link_leads_and_where_an_app_is() {
        let link = changes(|next| {
            let (cloud, account) = (next.apps[0].id.clone(), "acc-dan".to_owned());
            let apps = BTreeMap::from([(cloud, account)]);
            next.links = vec![Link { person: "cat@example.com".to_owned(), sources: BTreeMap::new(), apps }];
        });
        let shown = serde_json::to_string(&link).expect("JSON");
        assert!(link.iter().any(|change| change.what == What::Added) && shown.contains("acc-dan"), "{shown}");
        let app = changes(|next| {
            let token = SecretRef::Secret("dutykey/other".to_owned());
            let base_url = "https://elsewhere.example.com".to_owned();
            next.apps[0].settings = TargetSettings::Scim { base_url, token, propagation: None };
        });
        let shown = serde_json::to_string(&app).expect("JSON");
        assert!(shown.contains("https://elsewhere.example.com") && shown.contains("dutykey/other"), "{shown}");
    }

    #[test]
    fn a_change_names_its_keys_with_what_was_and_what_is() {
        let found = changes(|next| {
            next.profiles[0].enrollment.as_mut().expect("it enrolls").grace = std::time::Duration::from_secs(300);
            next.profiles[0].entitlements[0].id = "g-2".to_owned();
        });
        let [Change { what: What::Changed, part: Part::Profile, id, keys }] = found.as_slice() else {
            panic!("{found:?}")
        };
        assert_eq!(id, "on-call");
        let key = |key: &str| keys.iter().filter(|known| known.key == key).collect::<Vec<_>>();
        assert_eq!(
            (key("enrollment.grace")[0].before.as_deref(), key("enrollment.grace")[0].after.as_deref()),
            (Some("10m"), Some("5m"))
        );
        assert_eq!(key("entitlements").len(), 2, "one goes and one comes: {keys:?}");
    }

    #[test]
    fn a_feeds_address_is_never_shown() {
        let found = changes(|next| {
            let text = "https://calendar.example.com/private-2e9d/basic.ics".to_owned();
            let PlatformSettings::Icalendar { location, .. } = &mut next.sources[0].settings else {
                panic!("a calendar")
            };
            *location = CalendarLocation::Plain(text);
        });
        let shown = serde_json::to_string(&found).expect("JSON");
        assert!(shown.contains("location"), "{shown}");
        assert!(!shown.contains("private-"), "{shown}");
        let added = serde_json::to_string(&difference(None, &installation()).expect("JSON")).expect("JSON");
        assert!(added.contains("location") && !added.contains("basic.ics"), "nor of a new one: {added}");
    }

    #[test]
    fn r20_all_else_of_a_source_is_shown_and_so_is_every_item_of_a_list() {
        let key = |key: &str, before: Option<&str>, after: Option<&str>| {
            let (before, after) = (before.map(str::to_owned), after.map(str::to_owned));
            Key { key: key.to_owned(), before, after }
        };
        let source = changes(|next| {
            next.sources[0].every *= 2;
            if let PlatformSettings::Icalendar { location, .. } = &mut next.sources[0].settings {
                *location = CalendarLocation::Plain("elsewhere.ics".to_owned());
            }
        });
        let expected = [key("every", Some("5m"), Some("10m")), key("settings.location.plain", None, None)];
        assert_eq!(source[0].keys, expected);
        let emptied = changes(|next| next.verified_domains.clear());
        assert_eq!(emptied[0].keys, [key("", Some("example.com"), None)]);
        let made = difference(None, &installation()).expect("JSON");
        let domains = made.iter().find(|change| change.id == "verified_domains").expect("it is a setting");
        assert_eq!(domains.keys, [key("", None, Some("example.com"))]);
    }

    #[test]
    fn what_leaves_is_removed_or_retires() {
        let found = changes(|next| {
            next.links.clear();
            next.sources[0].retiring = true;
        });
        let whats: Vec<_> = found.iter().map(|change| (change.part, change.what)).collect();
        assert_eq!(whats, [(Part::Source, What::Retiring), (Part::Link, What::Removed)]);
    }
}
