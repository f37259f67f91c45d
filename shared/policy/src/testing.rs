//! What tests of several modules share: short ways to write instants, IDs and shifts.

use std::time::Duration;

use jiff::Timestamp;

use crate::enrollment::Origin;
use crate::hold::{Hold, State};
use crate::id::{EntitlementRef, HoldKey, PersonId, Place, UserId};
use crate::installation::{
    App, CalendarLocation, IdentifyBy, Installation, Link, PlatformSettings, Rotations, SecretRef, Source,
    TargetSettings,
};
use crate::profile::{Automatic, Mode, Profile, SelfOverride};
use crate::rota::{End, KnownShift, Shift};
use crate::wants::{Reason, Shape, Want};

/// Minutes after a fixed Monday, 2026-03-02T00:00Z.
pub(crate) fn minute(n: i64) -> Timestamp {
    second(n * 60)
}

/// Seconds after the same instant.
pub(crate) fn second(n: i64) -> Timestamp {
    Timestamp::from_second(1_772_409_600 + n).unwrap()
}

/// Any of the ID types.
pub(crate) fn id<T: std::str::FromStr>(text: &str) -> T
where
    T::Err: std::fmt::Debug,
{
    text.parse().unwrap()
}

/// The person with this number.
pub(crate) fn person(n: u128) -> PersonId {
    id(&format!("per_{}", ulid::Ulid::from(n)))
}

/// A shift of a user over minutes.
pub(crate) fn shift(user: &str, from: i64, to: i64) -> Shift {
    Shift {
        start: minute(from),
        end: End::At(minute(to)),
        user: Some(id::<UserId>(user)),
        cause: crate::rota::Cause::Unknown,
        native_id: None,
        maker: None,
    }
}

/// A shift that was seen at a minute and still stands.
pub(crate) fn known(shift: Shift, seen: i64) -> KnownShift {
    KnownShift { shift, seen: minute(seen), gone: None, reached: None }
}

/// So many random cases, without a file of those that failed.
pub(crate) fn cases(n: u32) -> proptest::test_runner::Config {
    proptest::test_runner::Config { failure_persistence: None, ..proptest::test_runner::Config::with_cases(n) }
}

/// A company with a calendar, an app, a link, and a profile of whoever is on call.
pub(crate) fn installation() -> Installation {
    let feed = "https://calendar.example.com/private-1f0c/basic.ics".to_owned();
    let settings = PlatformSettings::Icalendar {
        location: CalendarLocation::Plain(feed),
        rotation: "primary".to_owned(),
        identify_by: IdentifyBy::Attendee,
        time_zone: None,
    };
    let every = Duration::from_secs(300);
    let source = Source { id: id("rota"), settings, rotations: Rotations::All, every, retiring: false };
    let token = SecretRef::Secret("dutykey/scim".to_owned());
    let base_url = "https://scim.example.com/v2".to_owned();
    let settings = TargetSettings::Scim { base_url, token, propagation: None };
    let sources = [(id("rota"), "Ann".to_owned())].into();
    Installation {
        verified_domains: vec!["example.com".to_owned()],
        sources: vec![source],
        apps: vec![App { id: id("directory"), settings, retiring: false }],
        links: vec![Link { person: "ann@example.com".to_owned(), sources, apps: Default::default() }],
        profiles: vec![automatic()],
        ..Installation::default()
    }
}

/// Whoever is on call in `rota:primary` has the group `g-1` of `directory`.
pub(crate) fn automatic() -> Profile {
    let rule = Automatic {
        rotations: [id("rota:primary")].into(),
        lead: Duration::from_secs(60),
        grace: Duration::from_secs(600),
        lease: Duration::from_secs(4 * 3_600),
    };
    Profile {
        id: id("on-call"),
        version: 0,
        name: "On-call".to_owned(),
        entitlements: vec![EntitlementRef { app: id("directory"), kind: "group".to_owned(), id: "g-1".to_owned() }],
        mode: Mode::Enforce,
        enrollment: Some(rule),
        self_service: None,
        self_override: SelfOverride::Hold,
        override_lock: Duration::from_secs(600),
        break_glass: None,
    }
}

/// What that profile gives to somebody who is on call.
pub(crate) fn held() -> Hold {
    let now = minute(0);
    let reason = Reason {
        profile: id("on-call"),
        version: 1,
        origin: Origin::Coverage(id("rota:primary")),
        from: now,
        until: Timestamp::MAX,
        rolling: false,
        from_known: now,
        until_known: now,
    };
    let place = Place { kind: "group".to_owned(), id: "g-1".to_owned() };
    let key = HoldKey { app: id("directory"), account: id("acc-ann"), place };
    let want = Want { shape: Shape::Member, reasons: vec![reason], frozen: false };
    Hold { state: State::Held, reasons: want.reasons.clone(), ..Hold::wanted(key, person(1), &want, now) }
}
