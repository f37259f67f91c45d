//! The difference between what is in force and what a file says: pure, and complete down to the key.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::installation::Installation;

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
    /// What differs, where it was there before and is there after.
    pub keys: Vec<Key>,
}

/// A key that differs. How a system is reached may be a secret in itself, so of sources and apps only the key is shown.
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
    use crate::installation::{CalendarLocation, PlatformSettings};
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
        assert!(added.iter().all(|change| change.what == What::Added && change.keys.is_empty()), "{added:?}");
        let parts: BTreeSet<Part> = added.iter().map(|change| change.part).collect();
        assert_eq!(parts.len(), 5, "{parts:?}");
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
