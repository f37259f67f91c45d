//! A small company: one app, one profile that gives one of its groups, and people with an account in it.

use std::time::Duration;

use dutykey_engine::ports::ledger::{LivePerson, Notice, PersonChange, ReadLedger, WriteLedger};
use dutykey_engine::ports::rota::{UserLink, WriteRota};
use dutykey_policy::enrollment::{Enrollment, Origin, Period};
use dutykey_policy::hold::{Hold, State};
use dutykey_policy::id::{EntitlementRef, HoldKey, PersonId, Place};
use dutykey_policy::identity::Account;
use dutykey_policy::installation::{App, Installation, SecretRef, TargetSettings};
use dutykey_policy::look::Due;
use dutykey_policy::profile::{Mode, Profile, SelfOverride};
use dutykey_policy::rota::End;
use dutykey_policy::time::earlier;
use dutykey_policy::wants::{Reason, Shape, Want};
use dutykey_store::Store;
use jiff::Timestamp;

/// The app.
pub const APP: &str = "directory";
/// The group that the profile gives.
pub const GROUP: &str = "g-prod";
/// The profile.
pub const PROFILE: &str = "on-call";

/// So long ago everything here began.
const SINCE: Duration = Duration::from_secs(3_600);

/// Whether somebody has what was approved already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Nothing was granted yet.
    NotYet,
    /// Dutykey has granted it, and nobody has taken it back.
    Held,
}

/// A company whose app is this SCIM server. Its profile enrolls nobody by itself.
///
/// # Panics
/// Never: its IDs are good ones.
#[must_use]
#[expect(clippy::unwrap_used, reason = "the IDs are constants")]
pub fn installation(base_url: String, token: SecretRef) -> Installation {
    let profile = Profile {
        id: PROFILE.parse().unwrap(),
        version: 1,
        name: "On-call".to_owned(),
        entitlements: vec![EntitlementRef {
            app: APP.parse().unwrap(),
            kind: "group".to_owned(),
            id: GROUP.to_owned(),
        }],
        mode: Mode::Enforce,
        enrollment: None,
        self_service: None,
        self_override: SelfOverride::Hold,
        override_lock: Duration::ZERO,
        break_glass: None,
    };
    // The stand-in's reads never lag.
    let settings = TargetSettings::Scim { base_url, token, propagation: Some(Duration::ZERO) };
    Installation {
        verified_domains: vec!["example.com".to_owned()],
        apps: vec![App { id: APP.parse().unwrap(), settings, retiring: false }],
        profiles: vec![profile],
        ..Installation::default()
    }
}

/// Makes a person whose address is `NAME@example.com`, with no more than a user on a platform.
///
/// # Panics
/// Where the table does not take them, or they are there.
#[expect(clippy::unwrap_used, reason = "a test without its people cannot go on")]
pub async fn person(store: &Store, name: &str, at: Timestamp) -> LivePerson {
    let digits: String = name.bytes().map(|byte| format!("{byte:03}")).collect();
    let link = UserLink {
        source: "pd".parse().unwrap(),
        user: format!("P{}", name.to_uppercase()).parse().unwrap(),
        address: format!("{name}@example.com"),
        name: None,
        fresh: format!("per_01JD{digits:0>22}").parse().unwrap(),
        said: false,
        at,
    };
    let id = store.link_user(&link).await.unwrap().unwrap();
    store.load(&id).await.unwrap().unwrap()
}

/// Makes a person with the account `u-NAME` and one approved request for the profile, from an hour ago until then.
///
/// # Panics
/// Where the table does not take them, or they are there.
#[expect(clippy::unwrap_used, reason = "a test without its people cannot go on")]
pub async fn approved(store: &Store, name: &str, until: Timestamp, access: Access, at: Timestamp) -> PersonId {
    let live = person(store, name, at).await;
    let mut identity = live.person.clone();
    let account = format!("u-{name}").parse().unwrap();
    identity.accounts.insert(APP.parse().unwrap(), Account::Linked(account));
    let from = earlier(at, SINCE);
    let enrollment = Enrollment {
        person: identity.id.clone(),
        profile: PROFILE.parse().unwrap(),
        origin: Origin::Request("req_1".to_owned()),
        periods: vec![Period { from, until: End::At(until), from_known: from, until_known: from, duty: None }],
        version: None,
    };
    let holds = match access {
        Access::NotYet => Vec::new(),
        Access::Held => vec![held(name, &enrollment, from, until)],
    };
    let change = PersonChange {
        identity: Some(identity.clone()),
        enrollments: vec![enrollment],
        holds,
        ..PersonChange::nothing(&live, at)
    };
    store.commit(&change).await.unwrap();
    identity.id
}

#[expect(clippy::unwrap_used, reason = "the IDs are good ones")]
fn held(name: &str, enrollment: &Enrollment, from: Timestamp, until: Timestamp) -> Hold {
    let place = Place { kind: "group".to_owned(), id: GROUP.to_owned() };
    let key = HoldKey { app: APP.parse().unwrap(), account: format!("u-{name}").parse().unwrap(), place };
    let reason = Reason {
        profile: enrollment.profile.clone(),
        version: 1,
        origin: enrollment.origin.clone(),
        from,
        until,
        rolling: false,
        from_known: from,
        until_known: from,
    };
    let want = Want { shape: Shape::Member, reasons: vec![reason], frozen: false };
    Hold { state: State::Held, touched: true, ..Hold::wanted(key, enrollment.person.clone(), &want, from) }
}

/// What a person must be looked at for.
#[derive(Debug, Clone, Default)]
pub struct Dues {
    /// When something begins.
    pub start: Option<Timestamp>,
    /// When something ends.
    pub end: Option<Timestamp>,
    /// What has to be told.
    pub notices: Vec<Notice>,
}

/// Makes something due for the person.
///
/// # Panics
/// Where the table does not take it.
#[expect(clippy::unwrap_used, reason = "a test without what is due cannot go on")]
pub async fn due(store: &Store, person: &PersonId, dues: Dues, at: Timestamp) {
    let live = store.load(person).await.unwrap().unwrap();
    let due = |at: Timestamp| Due { at, cause: "test".to_owned() };
    let change = PersonChange {
        next_start: dues.start.map(due),
        next_end: dues.end.map(due),
        notices: dues.notices,
        ..PersonChange::nothing(&live, at)
    };
    store.commit(&change).await.unwrap();
}
