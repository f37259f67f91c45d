//! The difference between what is in force and what a file says: pure, and complete down to the key.

use std::collections::{BTreeMap, BTreeSet};

use dutykey_policy::installation::Installation;
use serde::Serialize;
use serde_json::{Map, Value};

/// What a change is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Part {
    Setting,
    Source,
    App,
    Link,
    Profile,
}

/// What happens to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum What {
    Added,
    Changed,
    Removed,
    /// It stays until what it began has ended (R23).
    Retiring,
}

/// One change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Change {
    pub(crate) what: What,
    pub(crate) part: Part,
    pub(crate) id: String,
    /// What differs, where it was there before and is there after.
    pub(crate) keys: Vec<Key>,
}

/// A key that differs. How a system is reached may be a secret in itself, so of sources and apps only the key is shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Key {
    pub(crate) key: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) before: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) after: Option<String>,
}

/// Everything that differs, by part and ID. Versions are left out: whoever stores a profile numbers it.
pub(crate) fn difference(stored: Option<&Installation>, next: &Installation) -> serde_json::Result<Vec<Change>> {
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
            (None, _) => (What::Added, Vec::new()),
            (Some(_), None) => (What::Removed, Vec::new()),
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
    if matches!(part, Part::Source | Part::App) {
        let bare = |key: Key| Key { before: None, after: None, ..key };
        found = found.into_iter().map(bare).collect();
        found.dedup();
    }
    found
}

fn compare(key: String, before: &Value, after: &Value, found: &mut Vec<Key>) {
    if before == after {
        return;
    }
    match (before, after) {
        (Value::Object(before), Value::Object(after)) => {
            for name in names(before, after) {
                let inner = if key.is_empty() { name.clone() } else { format!("{key}.{name}") };
                let (before, after) = (before.get(name), after.get(name));
                compare(inner, before.unwrap_or(&Value::Null), after.unwrap_or(&Value::Null), found);
            }
        }
        (Value::Array(before), Value::Array(after)) => {
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

    const FILE: &str = "
version: 1
verified_domains: [example.com]
sources:
  - { id: rota, platform: icalendar, url: 'https://calendar.example.com/private-1f0c/basic.ics', rotation: primary }
apps:
  - { id: directory, target: scim, base_url: 'https://scim.example.com/v2', token: { env: TOKEN } }
people:
  links: [{ person: ann@example.com, sources: { rota: Ann } }]
profiles:
  - id: on-call
    name: On-call
    entitlements: [{ app: directory, kind: group, id: g-1 }]
    enrollment: { rotations: ['rota:primary'], lead: 1m, grace: 10m, lease: 4h }
";

    fn read(text: &str) -> Installation {
        let document = dutykey_runtime::config::parse(text.as_bytes(), std::path::Path::new("/"));
        let document = document.unwrap_or_else(|problems| panic!("{problems:?}\n{text}"));
        document.pin(|_| Err("no names here".to_owned())).unwrap_or_else(|problems| panic!("{problems:?}"))
    }

    fn changes(after: &str) -> Vec<Change> {
        difference(Some(&read(FILE)), &read(after)).expect("an installation is JSON")
    }

    #[test]
    fn the_same_file_changes_nothing_whatever_the_version() {
        let mut stored = read(FILE);
        for profile in &mut stored.profiles {
            profile.version = 7;
        }
        assert_eq!(difference(Some(&stored), &read(FILE)).expect("JSON"), vec![]);
    }

    #[test]
    fn a_first_file_adds_every_part() {
        let added = difference(None, &read(FILE)).expect("JSON");
        assert!(added.iter().all(|change| change.what == What::Added && change.keys.is_empty()), "{added:?}");
        let parts: BTreeSet<Part> = added.iter().map(|change| change.part).collect();
        assert_eq!(parts.len(), 5, "{parts:?}");
    }

    #[test]
    fn a_change_names_its_keys_with_what_was_and_what_is() {
        let found = changes(&FILE.replace("grace: 10m", "grace: 5m").replace("id: g-1", "id: g-2"));
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
        let found = changes(&FILE.replace("private-1f0c", "private-2e9d"));
        let shown = serde_json::to_string(&found).expect("JSON");
        assert!(shown.contains("settings.location") || shown.contains("location"), "{shown}");
        assert!(!shown.contains("private-"), "{shown}");
    }

    #[test]
    fn what_leaves_is_removed_or_retires() {
        let mut next = read(FILE);
        next.links.clear();
        next.sources[0].retiring = true;
        let found = difference(Some(&read(FILE)), &next).expect("JSON");
        let whats: Vec<_> = found.iter().map(|change| (change.part, change.what)).collect();
        assert_eq!(whats, [(Part::Source, What::Retiring), (Part::Link, What::Removed)]);
    }
}
