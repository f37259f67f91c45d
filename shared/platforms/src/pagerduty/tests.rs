//! Against a stand-in for PagerDuty on loopback.

mod faults;
mod levels;
mod lists;
mod makers;
mod shifts;

use std::time::Duration;

use dutykey_engine::ports::platform::{Platform, PlatformError};
use dutykey_engine::ports::secrets::Secret;
use dutykey_policy::rota::{Cause, End, Shift};
use dutykey_policy::time::Span;
use dutykey_tests::pagerduty::{FakePagerDuty, Kind, Policy, Schedule, Target, Team, User};
use jiff::Timestamp;

use super::PagerDuty;
use super::http::Limits;

const QUICK: Limits = Limits {
    attempt: Duration::from_secs(20),
    request: Duration::from_secs(30),
    call: Duration::from_secs(60),
    attempts: 3,
    wait: Duration::from_millis(1),
    body: 1024 * 1024,
};

fn client(fake: &FakePagerDuty) -> PagerDuty {
    limited(fake, QUICK)
}

fn limited(fake: &FakePagerDuty, limits: Limits) -> PagerDuty {
    PagerDuty::limited("pd".parse().unwrap(), &fake.base_url(), Secret::new(fake.token()), limits).unwrap()
}

/// An instant of June 2026: `day(3, 9)` is 2026-06-03T09:00:00Z.
fn day(day: i8, hour: i8) -> Timestamp {
    jiff::civil::date(2026, 6, day).at(hour, 0, 0, 0).to_zoned(jiff::tz::TimeZone::UTC).unwrap().timestamp()
}

/// From the 1st to the 15th.
fn window() -> Span {
    Span::new(day(1, 0), day(15, 0)).unwrap()
}

fn shift(user: &str, start: Timestamp, end: Timestamp, cause: Cause) -> Shift {
    Shift { start, end: End::At(end), user: Some(user.parse().unwrap()), cause, native_id: None, maker: None }
}

async fn shifts(pd: &PagerDuty, rotation: &str) -> Result<Vec<Shift>, PlatformError> {
    pd.shifts(&rotation.parse().unwrap(), window()).await
}

/// Ann and Bob in a team; PLAYER in layers and PSHIFT of shifts, with the same two turns; PPOLICY over both.
async fn acme() -> FakePagerDuty {
    let fake = FakePagerDuty::start().await;
    fake.state(|acme| {
        for (id, name) in [("PANN", "Ann"), ("PBOB", "Bob"), ("PEVE", "Eve")] {
            let email = format!("{}@example.com", name.to_lowercase());
            acme.users.push(User { id: id.to_owned(), name: name.to_owned(), email });
        }
        let members = vec![("PANN".to_owned(), "manager".to_owned()), ("PBOB".to_owned(), "responder".to_owned())];
        acme.teams.push(Team { id: "PTEAM".to_owned(), name: "Core".to_owned(), members });
        for (id, kind) in [("PLAYER", Kind::V2), ("PSHIFT", Kind::V3)] {
            let turns = Schedule::new(id, kind).turn("PANN", day(2, 9), day(5, 9)).turn("PBOB", day(5, 9), day(9, 9));
            acme.schedules.push(turns);
        }
        let rules = vec![
            vec![Target::Schedule("PLAYER".to_owned())],
            vec![Target::Schedule("PSHIFT".to_owned()), Target::User("PEVE".to_owned())],
        ];
        acme.policies.push(Policy { id: "PPOLICY".to_owned(), name: "Core".to_owned(), rules });
    });
    fake
}

fn turns() -> Vec<Shift> {
    vec![shift("PANN", day(2, 9), day(5, 9), Cause::Base), shift("PBOB", day(5, 9), day(9, 9), Cause::Base)]
}
