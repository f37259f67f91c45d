//! A profile and a whole installation in the words of the configuration file: what [`super::profile`] and
//! [`super::installation`] read.

use dutykey_policy::installation::{
    ApiSettings, App, BrakeSettings, CalendarLocation, Installation, Link, NotifyChannel, Oidc, PlatformSettings,
    Rotations, Source, SyncSettings, TargetSettings,
};
use dutykey_policy::profile::{Approvers, Automatic, BreakGlass, Mode, Profile, SelfOverride, SelfService, Step};
use dutykey_policy::time::format_duration;
use serde_json::{Map, Value, json};

/// The profile as the configuration file would say it, without its ID.
#[must_use]
pub fn words(profile: &Profile) -> Value {
    let Profile {
        id: _,
        version: _,
        name,
        entitlements,
        mode,
        enrollment,
        self_service,
        self_override,
        override_lock,
        break_glass,
    } = profile;
    let mut said = Map::from_iter([
        ("name".to_owned(), json!(name)),
        ("entitlements".to_owned(), json!(entitlements)),
        ("mode".to_owned(), json!(mode_word(*mode))),
        ("override_lock".to_owned(), json!(format_duration(*override_lock))),
    ]);
    // The other one is the default, and cannot be said beside a lock of 0.
    said.extend((*self_override == SelfOverride::Flag).then(|| ("self_override".to_owned(), json!("flag"))));
    said.extend(enrollment.as_ref().map(|rule| ("enrollment".to_owned(), automatic(rule))));
    said.extend(self_service.as_ref().map(|rule| ("self_service".to_owned(), service(rule))));
    said.extend(break_glass.as_ref().map(|rule| ("break_glass".to_owned(), emergency(rule))));
    Value::Object(said)
}

fn mode_word(mode: Mode) -> &'static str {
    match mode {
        Mode::Enforce => "enforce",
        Mode::Observe => "observe",
    }
}

fn automatic(rule: &Automatic) -> Value {
    let Automatic { rotations, lead, grace, lease } = rule;
    let [lead, grace, lease] = [lead, grace, lease].map(|it| format_duration(*it));
    json!({ "rotations": rotations, "lead": lead, "grace": grace, "lease": lease })
}

fn service(rule: &SelfService) -> Value {
    let SelfService { rotations, max_duration, justification_required, expires, steps } = rule;
    let [max_duration, expires] = [max_duration, expires].map(|it| format_duration(*it));
    let justification = if *justification_required { "required" } else { "optional" };
    let policy = if steps.is_empty() { json!("auto_approve") } else { steps.iter().map(step).collect() };
    json!({
        "rotations": rotations, "max_duration": max_duration, "justification": justification, "expires": expires,
        "policy": policy,
    })
}

fn step(step: &Step) -> Value {
    let Step { approvers, any } = step;
    json!({ "approvers": match approvers {
        Approvers::OnCall(rotation) => json!({ "on_call": rotation, "any": any }),
        Approvers::People(people) => json!({ "people": people, "any": any }),
        Approvers::Groups(groups) => json!({ "groups": groups, "any": any }),
    } })
}

fn emergency(rule: &BreakGlass) -> Value {
    let BreakGlass { people, groups, max_duration } = rule;
    let mut said = Map::from_iter([("max_duration".to_owned(), json!(format_duration(*max_duration)))]);
    let named = [("people", people), ("groups", groups)].into_iter().filter(|(_, named)| !named.is_empty());
    said.extend(named.map(|(key, named)| (key.to_owned(), json!(named))));
    Value::Object(said)
}

/// The installation as the configuration file would say it, with each entitlement by its ID. What retires is no part of a
/// file, and is left out.
#[must_use]
pub fn said(installation: &Installation) -> Value {
    let Installation { verified_domains, directory, api, sources, apps, links, profiles, sync, brake, notify } =
        installation;
    let SyncSettings { every, directory_every, horizon } = sync;
    let [every, directory_every, horizon] = [every, directory_every, horizon].map(|it| format_duration(*it));
    let BrakeSettings { rotation, source } = brake;
    let profile = |profile: &Profile| with_id(profile.id.as_str(), words(profile));
    let mut said = Map::from_iter([
        ("version".to_owned(), json!(1)),
        ("verified_domains".to_owned(), json!(verified_domains)),
        ("api".to_owned(), callers(api)),
        ("sync".to_owned(), json!({ "every": every, "directory_every": directory_every, "horizon": horizon })),
        ("brake".to_owned(), json!({ "rotation": format!("{rotation}%"), "source": format!("{source}%") })),
        ("notify".to_owned(), notify.iter().map(channel).collect()),
        ("sources".to_owned(), sources.iter().filter(|it| !it.retiring).map(platform).collect()),
        ("apps".to_owned(), apps.iter().filter(|it| !it.retiring).map(app).collect()),
        ("people".to_owned(), json!({ "links": links.iter().map(link).collect::<Value>() })),
        ("profiles".to_owned(), profiles.iter().map(profile).collect()),
    ]);
    said.extend(directory.as_ref().map(|id| ("directory".to_owned(), json!(id))));
    Value::Object(said)
}

fn with_id(id: &str, mut said: Value) -> Value {
    if let Value::Object(fields) = &mut said {
        fields.insert("id".to_owned(), json!(id));
    }
    said
}

fn callers(api: &ApiSettings) -> Value {
    let ApiSettings { oidc, origins, administrators, auditors } = api;
    let mut said = Map::from_iter([
        ("administrators".to_owned(), json!({ "groups": administrators })),
        ("auditors".to_owned(), json!({ "groups": auditors })),
    ]);
    said.extend(oidc.as_ref().map(|oidc| ("oidc".to_owned(), issuer(oidc))));
    // Without an issuer they are of no use, and cannot be said.
    said.extend((!origins.is_empty()).then(|| ("origins".to_owned(), json!(origins))));
    Value::Object(said)
}

fn issuer(oidc: &Oidc) -> Value {
    let Oidc { issuer, audience, subject_claim, email_claim, groups_claim } = oidc;
    let claims = json!({ "subject": subject_claim, "email": email_claim, "groups": groups_claim });
    json!({ "issuer": issuer, "audience": audience, "claims": claims })
}

fn channel(channel: &NotifyChannel) -> Value {
    let NotifyChannel { id, url, secret, on } = channel;
    json!({ "id": id, "url": url, "secret": secret, "on": on })
}

fn platform(source: &Source) -> Value {
    let Source { id, settings, rotations, every, retiring: _ } = source;
    let rotations = match rotations {
        Rotations::All => json!("all"),
        Rotations::Listed(listed) => json!(listed),
    };
    let mut said = match settings {
        PlatformSettings::Pagerduty { base_url, token, webhook_secrets } => {
            let mut said =
                json!({ "platform": "pagerduty", "base_url": base_url, "token": token, "rotations": rotations });
            if let (Value::Object(fields), false) = (&mut said, webhook_secrets.is_empty()) {
                fields.insert("webhook_secret".to_owned(), json!(webhook_secrets));
            }
            said
        }
        PlatformSettings::Icalendar { location, rotation, identify_by, time_zone } => {
            let url = match location {
                CalendarLocation::Plain(text) => json!(text),
                CalendarLocation::Hidden(at) => json!(at),
            };
            let mut said =
                json!({ "platform": "icalendar", "url": url, "rotation": rotation, "identify_by": identify_by });
            if let (Value::Object(fields), Some(zone)) = (&mut said, time_zone) {
                fields.insert("time_zone".to_owned(), json!(zone));
            }
            said
        }
        PlatformSettings::Sandbox { script } => {
            json!({ "platform": "sandbox", "script": script, "rotations": rotations })
        }
    };
    if let Value::Object(fields) = &mut said {
        fields.insert("every".to_owned(), json!(format_duration(*every)));
    }
    with_id(id.as_str(), said)
}

fn app(app: &App) -> Value {
    let App { id, settings, retiring: _ } = app;
    with_id(
        id.as_str(),
        match settings {
            TargetSettings::Scim { base_url, token, propagation } => {
                let mut said = json!({ "target": "scim", "base_url": base_url, "token": token });
                if let (Value::Object(fields), Some(propagation)) = (&mut said, propagation) {
                    fields.insert("propagation".to_owned(), json!(format_duration(*propagation)));
                }
                said
            }
            TargetSettings::Sandbox { script } => json!({ "target": "sandbox", "script": script }),
        },
    )
}

fn link(link: &Link) -> Value {
    let Link { person, sources, apps } = link;
    json!({ "person": person, "sources": sources, "apps": apps })
}
