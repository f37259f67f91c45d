//! Links: who a person is on platforms and in apps.

use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;

use dutykey_policy::id::{AccountId, AppId, SourceId, UserId};
use dutykey_policy::installation::Link;

use super::super::problem::{Problems, bounded};
use super::super::raw::RawLink;
use super::super::read::{At, Pairs};
use super::{Known, address, unique};

/// The addresses of people who are linked.
pub(super) fn linked(raw: &[At<RawLink>]) -> BTreeSet<String> {
    let person = |link: &At<RawLink>| Some(link.get()?.person.get()?.trim().to_lowercase());
    raw.iter().filter_map(person).collect()
}

pub(super) fn links(raw: &[At<RawLink>], known: &Known, problems: &mut Problems) -> Vec<Link> {
    let mut people = BTreeMap::new();
    let mut users = BTreeMap::new();
    let mut accounts = BTreeMap::new();
    let mut links = Vec::new();
    for at in raw {
        let Some(link) = at.get() else { continue };
        let person = address(&link.person, problems);
        unique(&At { value: person.clone(), ..link.person.clone() }, &mut people, problems);
        let sources = pairs::<SourceId, UserId>(&link.sources, "source", &known.source_ids, &mut users, problems);
        let apps = pairs::<AppId, AccountId>(&link.apps, "app", &known.app_ids, &mut accounts, problems);
        if link.sources.is_none() && link.apps.is_none() {
            at.problem(problems, "links the person to nothing; name a user of a source or an account in an app");
        }
        links.extend(person.map(|person| Link { person, sources, apps }));
    }
    links
}

/// Reads which user on which source, or which account in which app. One of them belongs to at most one person.
fn pairs<Id: FromStr + Ord, Native: FromStr>(
    raw: &Option<At<Pairs>>,
    kind: &str,
    ids: &BTreeSet<String>,
    taken: &mut BTreeMap<(String, String), u64>,
    problems: &mut Problems,
) -> BTreeMap<Id, String> {
    let mut read = BTreeMap::new();
    for (id, at) in raw.as_ref().and_then(At::get).map_or(&[][..], |pairs| &pairs.0) {
        let Some(native) = at.get() else { continue };
        if !ids.contains(id) {
            at.problem(problems, format!("`{}` is none of the {kind}s of this file", bounded(id)));
        }
        if native.parse::<Native>().is_err() {
            at.problem(problems, "is not an ID: 1 to 256 characters");
        }
        let key = (id.clone(), native.clone());
        if let Some(line) = taken.get(&key) {
            at.problem(problems, format!("belongs to the person in line {line} already, and can belong to one only"));
        }
        taken.entry(key).or_insert(at.line);
        if let Ok(id) = id.parse() {
            read.insert(id, native.clone());
        }
    }
    read
}
