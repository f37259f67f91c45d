//! Sources and apps: how they are reached.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use dutykey_policy::id::{RotationId, SourceId};
use dutykey_policy::installation::{
    App, CalendarLocation, IdentifyBy, PlatformSettings, Rotations, SecretRef, Source, SyncSettings, TargetSettings,
};
use dutykey_policy::retry::LONGEST;

use super::super::problem::Problems;
use super::super::raw::{
    RawApp, RawCalendar, RawIcalendar, RawIdentifyBy, RawPagerduty, RawRotations, RawSandboxSource, RawSecret,
    RawSource,
};
use super::super::read::{At, Lasting};
use super::{DAY, base_url, duration, is_private, seconds, unique};

/// Where PagerDuty's REST API is, for accounts of its US region (its documentation, "REST API overview").
const PAGERDUTY: &str = "https://api.pagerduty.com";

/// How long a service's reads may lag. An end waits no longer to be proven than for another try.
const PROPAGATION: (Duration, Duration) = (Duration::ZERO, LONGEST);

pub(super) fn sources(raw: &[At<RawSource>], sync: &SyncSettings, base: &Path, problems: &mut Problems) -> Vec<Source> {
    let mut seen = BTreeMap::new();
    let mut sources = Vec::new();
    for source in raw.iter().filter_map(At::get) {
        let (id, every) = match source {
            RawSource::Pagerduty(raw) => (&raw.id, &raw.every),
            RawSource::Icalendar(raw) => (&raw.id, &raw.every),
            RawSource::Sandbox(raw) => (&raw.id, &raw.every),
        };
        unique(id, &mut seen, problems);
        let every = interval(every, sync, problems);
        sources.extend(match source {
            RawSource::Pagerduty(raw) => pagerduty(raw, every, problems),
            RawSource::Icalendar(raw) => icalendar(raw, every, base, problems),
            RawSource::Sandbox(raw) => sandbox(raw, every, problems),
        });
    }
    sources
}

fn interval(every: &Option<At<Lasting>>, sync: &SyncSettings, problems: &mut Problems) -> Duration {
    duration(every.as_ref(), sync.every, (seconds(1), DAY), problems)
}

fn pagerduty(raw: &RawPagerduty, every: Duration, problems: &mut Problems) -> Option<Source> {
    let base_url = match &raw.base_url {
        Some(at) => base_url(at, problems),
        None => Some(PAGERDUTY.to_owned()),
    };
    let token = secret(&raw.token, problems);
    let webhook_secrets = raw.webhook_secret.as_ref().and_then(At::get).map_or(&[][..], |secrets| secrets.as_slice());
    let webhook_secrets = webhook_secrets.iter().filter_map(|at| secret(at, problems)).collect();
    let rotations = rotations(raw.rotations.as_ref(), raw.id.get(), problems);
    let settings = PlatformSettings::Pagerduty { base_url: base_url?, token: token?, webhook_secrets };
    Some(Source { id: raw.id.get()?.clone(), settings, rotations, every, retiring: false })
}

fn icalendar(raw: &RawIcalendar, every: Duration, base: &Path, problems: &mut Problems) -> Option<Source> {
    let location = calendar(&raw.url, base, problems);
    let rotation = match &raw.rotation {
        None => "main".to_owned(),
        Some(at) => {
            let rotation = at.get()?;
            if !matches!(local(rotation), Some(RotationId { level: None, .. })) {
                at.problem(problems, "is not the ID of a rotation: 1 to 256 characters, without `@`");
            }
            rotation.clone()
        }
    };
    let time_zone = raw.time_zone.as_ref().and_then(|at| {
        let zone = at.get()?;
        if jiff::tz::TimeZoneDatabase::bundled().get(zone).is_err() {
            at.problem(problems, "is not an IANA time zone like Europe/Berlin");
        }
        Some(zone.clone())
    });
    let identify_by = match raw.identify_by.as_ref().and_then(At::get) {
        Some(RawIdentifyBy::Summary) => IdentifyBy::Summary,
        Some(RawIdentifyBy::Attendee) | None => IdentifyBy::Attendee,
    };
    let settings = PlatformSettings::Icalendar { location: location?, rotation, identify_by, time_zone };
    Some(Source { id: raw.id.get()?.clone(), settings, rotations: Rotations::All, every, retiring: false })
}

fn sandbox(raw: &RawSandboxSource, every: Duration, problems: &mut Problems) -> Option<Source> {
    let rotations = rotations(raw.rotations.as_ref(), raw.id.get(), problems);
    let settings = PlatformSettings::Sandbox { script: raw.script.get()?.clone() };
    Some(Source { id: raw.id.get()?.clone(), settings, rotations, every, retiring: false })
}

/// A feed's address is a secret in itself: no message repeats it.
fn calendar(at: &At<RawCalendar>, base: &Path, problems: &mut Problems) -> Option<CalendarLocation> {
    let text = match at.get()? {
        RawCalendar::Hidden(raw) => return place(raw, problems).map(CalendarLocation::Hidden),
        RawCalendar::Plain(text) => text,
    };
    let Some((scheme, rest)) = text.split_once("://") else {
        let path: PathBuf = base.join(text).components().collect();
        return Some(CalendarLocation::Plain(path.to_string_lossy().into_owned()));
    };
    // `webcal` is `https` under another name.
    let https = if scheme.eq_ignore_ascii_case("webcal") { format!("https://{rest}") } else { text.clone() };
    if !url::Url::parse(&https).is_ok_and(|url| is_private(&url)) {
        at.problem(problems, "must be a path, or an https or webcal address");
    }
    Some(CalendarLocation::Plain(text.clone()))
}

/// A rotation of a source, by the part of its ID that follows the source.
fn local(text: &str) -> Option<RotationId> {
    format!("source:{text}").parse().ok()
}

fn rotations(raw: Option<&At<RawRotations>>, source: Option<&SourceId>, problems: &mut Problems) -> Rotations {
    let Some(at) = raw else { return Rotations::All };
    let Some(RawRotations::Listed(listed)) = at.get() else { return Rotations::All };
    if listed.is_empty() {
        at.problem(problems, "is empty, so nothing would be read; name at least one, or write `all`");
    }
    let mut seen = BTreeMap::new();
    for at in listed {
        unique(at, &mut seen, problems);
        let Some(text) = at.get() else { continue };
        if source.is_some_and(|source| text.strip_prefix(source.as_str()).is_some_and(|rest| rest.starts_with(':'))) {
            at.problem(problems, "must be the ID alone here, without the source before it");
        } else if local(text).is_none() {
            at.problem(problems, "is not the ID of a rotation: ID, or ID@LEVEL with a level from 1");
        }
    }
    Rotations::Listed(listed.iter().filter_map(|at| at.get().cloned()).collect())
}

pub(super) fn apps(raw: &[At<RawApp>], problems: &mut Problems) -> Vec<App> {
    let mut seen = BTreeMap::new();
    let mut apps = Vec::new();
    for app in raw.iter().filter_map(At::get) {
        let (id, settings) = match app {
            RawApp::Scim(raw) => {
                let base_url = base_url(&raw.base_url, problems);
                let token = secret(&raw.token, problems);
                let lags = raw.propagation.as_ref();
                let propagation = lags.map(|at| duration(Some(at), Duration::ZERO, PROPAGATION, problems));
                let settings = |(base_url, token)| TargetSettings::Scim { base_url, token, propagation };
                (&raw.id, base_url.zip(token).map(settings))
            }
            RawApp::Sandbox(raw) => {
                (&raw.id, raw.script.get().map(|script| TargetSettings::Sandbox { script: script.clone() }))
            }
        };
        unique(id, &mut seen, problems);
        apps.extend(id.get().zip(settings).map(|(id, settings)| App { id: id.clone(), settings, retiring: false }));
    }
    apps
}

/// Where a secret is. What does not look like a name may be the secret itself, so no message repeats it.
pub(super) fn secret(at: &At<RawSecret>, problems: &mut Problems) -> Option<SecretRef> {
    place(at.get()?, problems)
}

fn place(raw: &RawSecret, problems: &mut Problems) -> Option<SecretRef> {
    match raw {
        RawSecret::Secret(name) => {
            let text = name.get()?;
            // Secrets Manager, "CreateSecret": up to 512 letters, digits and /_+=.@-; an ARN has colons too.
            if text.len() > 2_048 || !text.bytes().all(|b| b.is_ascii_alphanumeric() || b"/_+=.@-:".contains(&b)) {
                name.problem(problems, "is not the name or ARN of a secret in Secrets Manager");
            }
            Some(SecretRef::Secret(text.clone()))
        }
        RawSecret::Env(name) => {
            let text = name.get()?;
            let starts_well = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
            if !starts_well || !text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
                name.problem(problems, "is not the name of an environment variable: letters, digits and _");
            }
            Some(SecretRef::Env(text.clone()))
        }
    }
}
