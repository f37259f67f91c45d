//! The settings of the installation as a whole.

use std::collections::BTreeMap;

use dutykey_policy::installation::{ApiSettings, BrakeSettings, NotifyChannel, Oidc, SyncSettings, Topic};

use super::super::problem::Problems;
use super::super::raw::{RawApi, RawBrake, RawChannel, RawGroups, RawSync, RawTopic};
use super::super::read::{At, Percent};
use super::systems::secret;
use super::{DAY, Known, MINUTE, base_url, duration, is_domain, is_private, list, not_empty, seconds, unique};

pub(super) fn domains(raw: &At<Vec<At<String>>>, problems: &mut Problems) -> Vec<String> {
    let mut seen = BTreeMap::new();
    let mut domains = Vec::new();
    for at in raw.get().into_iter().flatten() {
        let Some(domain) = at.get().map(|domain| domain.trim().to_lowercase()) else { continue };
        if !is_domain(&domain) {
            at.problem(problems, "is not a mail domain like example.com");
        }
        unique(&At { value: Some(domain.clone()), ..at.clone() }, &mut seen, problems);
        domains.push(domain);
    }
    if raw.get().is_some_and(Vec::is_empty) {
        raw.problem(problems, "names no domain, so no address would ever match anybody");
    }
    domains
}

pub(super) fn directory(raw: Option<&At<String>>, known: &Known, problems: &mut Problems) -> Option<String> {
    let at = raw?;
    let id = at.get()?;
    match (known.source_ids.contains(id), known.app_ids.contains(id)) {
        (false, false) => at.problem(problems, "is neither an app nor a source of this file"),
        (true, true) => at.problem(problems, "is an app and a source; give one of them another ID"),
        (true, false) if known.feed(id) => at.problem(problems, "is a calendar, which cannot say who is active"),
        _ => {}
    }
    Some(id.clone())
}

pub(super) fn api(raw: Option<&At<RawApi>>, problems: &mut Problems) -> ApiSettings {
    let Some(raw) = raw.and_then(At::get) else { return ApiSettings::default() };
    let oidc = raw.oidc.as_ref().and_then(At::get).and_then(|oidc| {
        let claims = oidc.claims.as_ref().and_then(At::get);
        let claim = |field: Option<&Option<At<String>>>, default: &str| {
            field.and_then(Option::as_ref).and_then(At::get).map_or_else(|| default.to_owned(), Clone::clone)
        };
        // An issuer is compared letter by letter with what tokens say (OpenID Connect Discovery 1.0, 4.3).
        base_url(&oidc.issuer, problems)?;
        Some(Oidc {
            issuer: oidc.issuer.get()?.clone(),
            audience: oidc.audience.get()?.clone(),
            subject_claim: claim(claims.map(|c| &c.subject), "sub"),
            email_claim: claim(claims.map(|c| &c.email), "email"),
            groups_claim: claim(claims.map(|c| &c.groups), "groups"),
        })
    });
    let groups = |groups: &Option<At<RawGroups>>| {
        let groups = groups.as_ref().and_then(At::get).and_then(|groups| groups.groups.get());
        groups.into_iter().flatten().filter_map(|group| group.get().cloned()).collect()
    };
    let origins = raw.origins.as_ref().map(|at| origins(at, problems)).unwrap_or_default();
    if let (Some(at), None) = (&raw.origins, &raw.oidc) {
        at.problem(problems, "is of no use without `oidc`: a web page calls with the token of an issuer");
    }
    ApiSettings { oidc, origins, administrators: groups(&raw.administrators), auditors: groups(&raw.auditors) }
}

/// Origins as browsers send them (RFC 6454, 6.2): they are compared letter by letter.
fn origins(raw: &At<Vec<At<String>>>, problems: &mut Problems) -> Vec<String> {
    let mut seen = BTreeMap::new();
    let mut origins = Vec::new();
    for at in raw.get().into_iter().flatten() {
        let Some(text) = at.get() else { continue };
        let url = url::Url::parse(text).ok().filter(is_private);
        if url.is_none_or(|url| url.origin().ascii_serialization() != *text) {
            at.problem(problems, "is not an origin like https://console.example.com: `https`, a host, no path");
        }
        unique(at, &mut seen, problems);
        origins.push(text.clone());
    }
    origins
}

pub(super) fn sync(raw: Option<&At<RawSync>>, problems: &mut Problems) -> SyncSettings {
    let defaults = SyncSettings::default();
    let Some(raw) = raw.and_then(At::get) else { return defaults };
    let every = (seconds(1), DAY);
    SyncSettings {
        every: duration(raw.every.as_ref(), defaults.every, every, problems),
        directory_every: duration(raw.directory_every.as_ref(), defaults.directory_every, every, problems),
        horizon: duration(raw.horizon.as_ref(), defaults.horizon, (MINUTE, 90 * DAY), problems),
    }
}

pub(super) fn brake(raw: Option<&At<RawBrake>>) -> BrakeSettings {
    let defaults = BrakeSettings::default();
    let Some(raw) = raw.and_then(At::get) else { return defaults };
    let share = |field: &Option<At<Percent>>, default| field.as_ref().and_then(At::get).map_or(default, |p| p.0);
    BrakeSettings { rotation: share(&raw.rotation, defaults.rotation), source: share(&raw.source, defaults.source) }
}

pub(super) fn notify(raw: &[At<RawChannel>], problems: &mut Problems) -> Vec<NotifyChannel> {
    let mut seen = BTreeMap::new();
    let mut channels = Vec::new();
    for at in raw {
        let Some(channel) = at.get() else { continue };
        unique(&channel.id, &mut seen, problems);
        let on = match &channel.on {
            None => ALL_TOPICS.to_vec(),
            Some(on) => {
                not_empty(on, problems);
                list(&channel.on).iter().filter_map(At::get).map(topic).collect()
            }
        };
        let url = secret(&channel.url, problems);
        let key = secret(&channel.secret, problems);
        if let (Some(id), Some(url), Some(secret)) = (channel.id.get(), url, key) {
            channels.push(NotifyChannel { id: id.to_string(), url, secret, on });
        }
    }
    channels
}

/// Everything that a channel can be told.
const ALL_TOPICS: [Topic; 8] = [
    Topic::Overdue,
    Topic::Brake,
    Topic::Stale,
    Topic::Unmatched,
    Topic::Gap,
    Topic::BreakGlass,
    Topic::SelfOverride,
    Topic::Stuck,
];

fn topic(raw: &RawTopic) -> Topic {
    match raw {
        RawTopic::Overdue => Topic::Overdue,
        RawTopic::Brake => Topic::Brake,
        RawTopic::Stale => Topic::Stale,
        RawTopic::Unmatched => Topic::Unmatched,
        RawTopic::Gap => Topic::Gap,
        RawTopic::BreakGlass => Topic::BreakGlass,
        RawTopic::SelfOverride => Topic::SelfOverride,
        RawTopic::Stuck => Topic::Stuck,
    }
}
