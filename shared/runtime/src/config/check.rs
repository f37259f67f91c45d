//! From what is written to what is meant: references, limits, defaults. Every fault is noted at its line.

mod people;
mod profiles;
mod settings;
mod systems;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use dutykey_policy::id::{AppId, SourceId};
use dutykey_policy::installation::{App, Installation, PlatformSettings, Source};
use dutykey_policy::time::format_duration;

use super::document::{Document, Draft};
use super::node::{Node, Value};
use super::problem::Problems;
use super::raw::{RawDocument, RawProfile};
use super::read::{At, Lasting};

/// What a check may need to know of the rest of the document.
struct Known {
    /// The sources that are sound, by ID.
    sources: BTreeMap<SourceId, Source>,
    /// The apps that are sound, by ID.
    apps: BTreeMap<AppId, App>,
    /// Every ID under `sources`, also of one that is broken: who refers to it is not to blame.
    source_ids: BTreeSet<String>,
    /// Every ID under `apps`.
    app_ids: BTreeSet<String>,
    verified_domains: Vec<String>,
    /// The addresses of people who are linked.
    linked: BTreeSet<String>,
    horizon: Duration,
}

/// The document that was meant. Where problems were noted it is not whole and must not be used.
pub(super) fn document(raw: &RawDocument, root: &Node, base: &Path, problems: &mut Problems) -> Document {
    if let Some(version) = raw.version.get().filter(|version| **version != 1) {
        raw.version.problem(problems, format!("is {version}; this release of Dutykey reads version 1"));
    }
    let sync = settings::sync(raw.sync.as_ref(), problems);
    let sources = systems::sources(list(&raw.sources), &sync, base, problems);
    let apps = systems::apps(list(&raw.apps), problems);
    let raw_links = raw.people.as_ref().and_then(At::get).map_or(&[][..], |people| list(&people.links));
    let known = Known {
        sources: sources.iter().map(|source| (source.id.clone(), source.clone())).collect(),
        apps: apps.iter().map(|app| (app.id.clone(), app.clone())).collect(),
        source_ids: declared(root, "sources"),
        app_ids: declared(root, "apps"),
        verified_domains: settings::domains(&raw.verified_domains, problems),
        linked: people::linked(raw_links),
        horizon: sync.horizon,
    };
    let links = people::links(raw_links, &known, problems);
    let drafts = profiles::profiles(raw.profiles.as_ref(), &known, problems);
    let installation = Installation {
        directory: settings::directory(raw.directory.as_ref(), &known, problems),
        api: settings::api(raw.api.as_ref(), problems),
        brake: settings::brake(raw.brake.as_ref()),
        notify: settings::notify(list(&raw.notify), problems),
        verified_domains: known.verified_domains,
        sources,
        apps,
        links,
        profiles: Vec::new(),
        sync,
    };
    Document::new(installation, drafts)
}

/// The one profile that was meant, beside an installation that is in force. What retires there takes nothing new.
pub(super) fn profile(raw: &At<RawProfile>, installation: &Installation, problems: &mut Problems) -> Option<Draft> {
    let sources: BTreeMap<SourceId, Source> = installation
        .sources
        .iter()
        .filter(|source| !source.retiring)
        .map(|source| (source.id.clone(), source.clone()))
        .collect();
    let apps: BTreeMap<AppId, App> =
        installation.apps.iter().filter(|app| !app.retiring).map(|app| (app.id.clone(), app.clone())).collect();
    let known = Known {
        source_ids: sources.keys().map(ToString::to_string).collect(),
        app_ids: apps.keys().map(ToString::to_string).collect(),
        sources,
        apps,
        verified_domains: installation.verified_domains.clone(),
        linked: installation.links.iter().map(|link| link.person.clone()).collect(),
        horizon: installation.sync.horizon,
    };
    profiles::profile(raw, &known, problems)
}

/// The items of a list that may be absent.
fn list<T>(field: &Option<At<Vec<At<T>>>>) -> &[At<T>] {
    field.as_ref().and_then(At::get).map_or(&[], Vec::as_slice)
}

/// Notes it where a list is there and has nothing in it.
fn not_empty<T>(list: &At<Vec<T>>, problems: &mut Problems) {
    if list.get().is_some_and(Vec::is_empty) {
        list.problem(problems, "is empty; name at least one, or remove the key where it may be absent");
    }
}

/// The IDs that a list declares, whether or not the rest of its items is sound.
fn declared(root: &Node, list: &str) -> BTreeSet<String> {
    let Some(Value::List(items)) = root.get(list).map(|node| &node.value) else { return BTreeSet::new() };
    let id = |item: &Node| match item.get("id").map(|id| &id.value) {
        Some(Value::Text(id)) => Some(id.clone()),
        _ => None,
    };
    items.iter().filter_map(id).collect()
}

/// Notes it where the value is already in the set.
fn unique<T: Ord + Clone + std::fmt::Display>(at: &At<T>, seen: &mut BTreeMap<T, u64>, problems: &mut Problems) {
    let Some(value) = at.get() else { return };
    if let Some(line) = seen.get(value) {
        at.problem(problems, format!("`{value}` is already in line {line}; each may be there once"));
    } else {
        seen.insert(value.clone(), at.line);
    }
}

/// A duration with its default and its bounds, both inside.
fn duration(
    at: Option<&At<Lasting>>,
    default: Duration,
    (least, most): (Duration, Duration),
    problems: &mut Problems,
) -> Duration {
    let Some((at, value)) = at.and_then(|at| Some((at, at.get()?.0))) else { return default };
    if value < least || value > most {
        let (value, least, most) = (format_duration(value), format_duration(least), format_duration(most));
        at.problem(problems, format!("{value} cannot be; it must be from {least} to {most}"));
    }
    value
}

/// Seconds, as a duration.
const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

const MINUTE: Duration = seconds(60);
const HOUR: Duration = seconds(3_600);
const DAY: Duration = seconds(86_400);

/// An address in the form in which addresses are compared, whatever its domain.
fn address(at: &At<String>, problems: &mut Problems) -> Option<String> {
    let address = at.get()?.trim().to_lowercase();
    let shaped = address.rsplit_once('@').is_some_and(|(local, domain)| !local.is_empty() && is_domain(domain));
    if !shaped || address.chars().any(char::is_whitespace) {
        at.problem(problems, "is not a mail address");
        return None;
    }
    Some(address)
}

/// Whether the text is a domain name in lower case: labels of letters, digits and hyphens (RFC 1035, 2.3.1).
fn is_domain(text: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    };
    text.len() <= 253 && text.split('.').all(label)
}

/// An address that a person must have whom Dutykey itself shall recognise: verified, or linked.
fn known_address(at: &At<String>, known: &Known, problems: &mut Problems) -> Option<String> {
    let address = address(at, problems)?;
    let domain = address.rsplit_once('@').map_or("", |(_, domain)| domain);
    if !known.verified_domains.iter().any(|verified| verified == domain) && !known.linked.contains(&address) {
        at.problem(problems, "lies outside verified_domains and is not in people.links, so it never matches anybody");
    }
    Some(address)
}

/// The base of an HTTP service without a slash at the end: `https`, or `http` on this machine itself.
fn base_url(at: &At<String>, problems: &mut Problems) -> Option<String> {
    let text = at.get()?;
    let wrong = match url::Url::parse(text) {
        Err(_) => "is not an address like https://api.example.com",
        Ok(url) if !is_private(&url) => "must begin with https://; only a service on this machine may go without",
        Ok(url) if !url.username().is_empty() || url.password().is_some() => {
            "must not have a user or a password in it; name a token instead"
        }
        Ok(url) if url.query().is_some() || url.fragment().is_some() => "must not have a `?` or a `#` in it",
        Ok(_) => return Some(text.trim_end_matches('/').to_owned()),
    };
    at.problem(problems, wrong);
    None
}

/// Whether nobody on the way can read what is sent: `https`, or plain `http` to this machine.
fn is_private(url: &url::Url) -> bool {
    match (url.scheme(), url.host()) {
        ("https", Some(_)) => true,
        ("http", Some(url::Host::Domain(name))) => name == "localhost",
        ("http", Some(url::Host::Ipv4(ip))) => ip.is_loopback(),
        ("http", Some(url::Host::Ipv6(ip))) => ip.is_loopback(),
        _ => false,
    }
}

impl Known {
    /// The interval in which the source is read.
    fn every(&self, source: &SourceId) -> Option<Duration> {
        self.sources.get(source).map(|source| source.every)
    }

    /// Whether the source is a feed that has one rotation and no accounts.
    fn feed(&self, source: &str) -> bool {
        let feed = |found: &Source| matches!(found.settings, PlatformSettings::Icalendar { .. });
        self.sources.values().any(|found| found.id.as_str() == source && feed(found))
    }
}
