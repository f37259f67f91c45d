//! A profile in the words of the configuration file: what [`super::profile`] reads.

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
