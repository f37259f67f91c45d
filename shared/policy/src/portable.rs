//! What only the machine on which it is said can know: a path on its disk, a variable of its environment, a service on it,
//! a simulation. A deployed function has none of these; a variable of its own may even be its credentials. So nobody brings
//! them over the API; what is in force already may stay.

use crate::installation::{CalendarLocation, Installation, NotifyChannel, PlatformSettings, SecretRef, TargetSettings};

const ENVIRONMENT: &str = "is a variable of the environment, and a deployed function has none of yours; put the secret \
    into Secrets Manager, and write { secret: NAME }";
const HERE: &str = "must begin with https://; a service on your machine is out of reach for a deployed function";
const PATH: &str = "is a path, and a deployed function has no files of yours; give an https or webcal address, or where to \
    find one";
const SIMULATED: &str = "is a simulation, which nobody brings over the API";

/// What the second installation says that only one machine can know, and that is not in force already: the key, and what
/// is wrong with it. No address is repeated: a feed's is a secret.
#[must_use]
pub fn unportable(stored: &Installation, next: &Installation) -> Vec<(String, &'static str)> {
    let mut found = Vec::new();
    for source in &next.sources {
        if stored.sources.iter().any(|known| known.id == source.id && known.settings == source.settings) {
            continue;
        }
        let at = |key: &str| format!("sources.{}.{key}", source.id);
        match &source.settings {
            PlatformSettings::Pagerduty { base_url, token, webhook_secrets } => {
                found.extend(address(at("base_url"), base_url));
                found.extend(secret(at("token"), token));
                found.extend(webhook_secrets.iter().filter_map(|it| secret(at("webhook_secret"), it)));
            }
            PlatformSettings::Icalendar { location, .. } => found.extend(calendar(at("url"), location)),
            PlatformSettings::Sandbox { script: _ } => found.push((at("platform"), SIMULATED)),
        }
    }
    for app in &next.apps {
        if stored.apps.iter().any(|known| known.id == app.id && known.settings == app.settings) {
            continue;
        }
        let at = |key: &str| format!("apps.{}.{key}", app.id);
        match &app.settings {
            TargetSettings::Scim { base_url, token, propagation: _ } => {
                found.extend(address(at("base_url"), base_url));
                found.extend(secret(at("token"), token));
            }
            TargetSettings::Sandbox { script: _ } => found.push((at("target"), SIMULATED)),
        }
    }
    for channel in &next.notify {
        let NotifyChannel { id, url, secret: key, on: _ } = channel;
        if stored.notify.iter().any(|known| known.id == *id && known.url == *url && known.secret == *key) {
            continue;
        }
        found.extend(secret(format!("notify.{id}.url"), url));
        found.extend(secret(format!("notify.{id}.secret"), key));
    }
    let issuer = |it: &Installation| it.api.oidc.as_ref().map(|oidc| oidc.issuer.clone());
    if let Some(wanted) = issuer(next).filter(|wanted| issuer(stored).as_ref() != Some(wanted)) {
        found.extend(address("api.oidc.issuer".to_owned(), &wanted));
    }
    found
}

fn secret(key: String, at: &SecretRef) -> Option<(String, &'static str)> {
    match at {
        SecretRef::Secret(_) => None,
        SecretRef::Env(_) => Some((key, ENVIRONMENT)),
    }
}

fn address(key: String, text: &str) -> Option<(String, &'static str)> {
    let begins = text.get(..8).is_some_and(|scheme| scheme.eq_ignore_ascii_case("https://"));
    (!begins).then_some((key, HERE))
}

fn calendar(key: String, location: &CalendarLocation) -> Option<(String, &'static str)> {
    let text = match location {
        CalendarLocation::Hidden(at) => return secret(key, at),
        CalendarLocation::Plain(text) => text,
    };
    match text.split_once("://") {
        None => Some((key, PATH)),
        Some((scheme, _)) if scheme.eq_ignore_ascii_case("webcal") => None,
        Some(_) => address(key, text),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::installation::{App, Oidc, Source};
    use crate::testing::{id, installation};

    fn keys(stored: &Installation, next: &Installation) -> Vec<String> {
        unportable(stored, next).into_iter().map(|(key, _)| key).collect()
    }

    #[test]
    fn r20_what_only_one_machine_has_is_not_brought_and_what_is_in_force_stays() {
        let stored = installation();
        assert_eq!(keys(&Installation::default(), &stored), Vec::<String>::new(), "all of it is anywhere the same");
        let env = || SecretRef::Env("AWS_SECRET_ACCESS_KEY".to_owned());
        let local = |change: fn(&mut Installation, SecretRef)| {
            let mut next = installation();
            change(&mut next, env());
            assert_eq!(keys(&next, &next), Vec::<String>::new(), "it is in force");
            keys(&stored, &next)
        };
        let calendar = |next: &mut Installation, at: CalendarLocation| {
            if let PlatformSettings::Icalendar { location, .. } = &mut next.sources[0].settings {
                *location = at;
            }
        };
        let of = |text: &str| {
            let mut next = installation();
            calendar(&mut next, CalendarLocation::Plain(text.to_owned()));
            keys(&stored, &next)
        };
        assert_eq!(of("/etc/passwd"), ["sources.rota.url"]);
        assert_eq!(of("http://127.0.0.1:9001/2018-06-01/runtime"), ["sources.rota.url"]);
        assert_eq!(of("webcal://calendar.example.com/a.ics"), Vec::<String>::new());
        let mut hidden = installation();
        calendar(&mut hidden, CalendarLocation::Hidden(env()));
        assert_eq!(keys(&stored, &hidden), ["sources.rota.url"]);
        let app = local(|next, token| {
            let base_url = "http://localhost:8080".to_owned();
            next.apps[0].settings = TargetSettings::Scim { base_url, token, propagation: None };
        });
        assert_eq!(app, ["apps.directory.base_url", "apps.directory.token"]);
        let pager = local(|next, token| {
            let base_url = "https://api.pagerduty.com".to_owned();
            let settings = PlatformSettings::Pagerduty { base_url, token: token.clone(), webhook_secrets: vec![token] };
            let source = next.sources[0].clone();
            next.sources.push(Source { id: id("pd"), settings, ..source });
        });
        assert_eq!(pager, ["sources.pd.token", "sources.pd.webhook_secret"]);
        let simulated = local(|next, _| {
            let settings = PlatformSettings::Sandbox { script: json!({}) };
            let source = next.sources[0].clone();
            next.sources.push(Source { id: id("toy"), settings, ..source });
            let settings = TargetSettings::Sandbox { script: json!({}) };
            next.apps.push(App { id: id("toys"), settings, retiring: false });
        });
        assert_eq!(simulated, ["sources.toy.platform", "apps.toys.target"]);
        let told = local(|next, url| {
            let secret = SecretRef::Secret("dutykey/hook".to_owned());
            next.notify.push(NotifyChannel { id: "ops".to_owned(), url, secret, on: Vec::new() });
        });
        assert_eq!(told, ["notify.ops.url"]);
        let issuer = local(|next, _| {
            next.api.oidc = Some(Oidc {
                issuer: "http://127.0.0.1:9001".to_owned(),
                audience: "dutykey".to_owned(),
                subject_claim: "sub".to_owned(),
                email_claim: "email".to_owned(),
                groups_claim: "groups".to_owned(),
            });
        });
        assert_eq!(issuer, ["api.oidc.issuer"]);
    }

    #[test]
    fn r20_a_channel_that_is_in_force_is_not_turned_to_what_only_one_machine_has() {
        let mut stored = installation();
        let (url, secret) = (SecretRef::Secret("dutykey/url".to_owned()), SecretRef::Secret("dutykey/key".to_owned()));
        stored.notify.push(NotifyChannel { id: "ops".to_owned(), url, secret, on: Vec::new() });
        let mut turned = stored.clone();
        turned.notify[0].url = SecretRef::Env("AWS_SECRET_ACCESS_KEY".to_owned());
        assert_eq!(keys(&stored, &turned), ["notify.ops.url"]);
    }
}
