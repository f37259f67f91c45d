//! The adapter against a server on loopback.

mod faults;
mod identity;
mod lag;
mod reading;
mod requests;
mod writing;

use std::time::Duration;

use dutykey_engine::ports::secrets::Secret;
use dutykey_engine::ports::target::{Accepted, GrantOrder, RevokeOrder, Target, TargetError};
use dutykey_policy::hold::{Held, Observation, Owner};
use dutykey_policy::id::{AccountId, Place};
use dutykey_policy::wants::Shape;
use dutykey_tests::scim::{Dialect, FakeScim, Fault, Reply, Request, TOKEN};

use super::Scim;

/// The group of most tests, with a standing member.
const GROUP: &str = "g-1";
/// The user of most tests.
const ANN: &str = "u-ann";
/// A standing member.
const BOB: &str = "u-bob";

const DIALECTS: [Dialect; 2] = [Dialect::Rfc, Dialect::Aws];

/// A server with Ann and Bob and a group with Bob in it.
async fn server(dialect: Dialect) -> FakeScim {
    let fake = FakeScim::start_as(dialect).await;
    fake.state(|world| {
        world.add_user(ANN, "ann@example.com");
        world.add_user(BOB, "bob@example.com");
        world.add_group(GROUP, "prod-oncall", &[BOB]);
    });
    fake
}

/// The adapter for it, with a deadline that a test can wait out.
fn scim(fake: &FakeScim) -> Scim {
    at(&fake.base_url())
}

fn at(base_url: &str) -> Scim {
    let app = "directory".parse().expect("an app's ID");
    let scim = Scim::new(app, base_url, Secret::new(TOKEN.to_owned())).expect("a loopback URL and a token");
    Scim { deadline: Duration::from_secs(5), ..scim }
}

fn account(id: &str) -> AccountId {
    id.parse().expect("an account's ID")
}

fn place(id: &str) -> Place {
    Place { kind: super::GROUP.to_owned(), id: id.to_owned() }
}

fn to_grant(group: &str, user: &str) -> GrantOrder {
    let before = Observation { held: Held::No, value: None, owner: Owner::Unknown, native_end: None };
    GrantOrder {
        account: account(user),
        place: place(group),
        shape: Shape::Member,
        native_end: None,
        before,
        token: "attempt-1".to_owned(),
    }
}

fn to_revoke(group: &str, user: &str) -> RevokeOrder {
    RevokeOrder {
        account: account(user),
        place: place(group),
        shape: Shape::Member,
        restore: None,
        receipt: None,
        token: "attempt-2".to_owned(),
    }
}

async fn grant(scim: &Scim) -> Result<Accepted, TargetError> {
    scim.grant(&to_grant(GROUP, ANN)).await
}

async fn revoke(scim: &Scim) -> Result<Accepted, TargetError> {
    scim.revoke(&to_revoke(GROUP, ANN)).await
}

async fn held(scim: &Scim, group: &str, user: &str) -> Result<Held, TargetError> {
    Ok(scim.observe(&account(user), &place(group)).await?.held)
}

const DONE: Accepted = Accepted::Done { receipt: None, native_end: None };

fn writes(request: &Request) -> bool {
    request.writes()
}

fn reads(request: &Request) -> bool {
    !request.writes()
}

fn answer(status: u16) -> Fault {
    Fault::Answer(Reply::error(status, "", "because"))
}

/// What an error is, without its words.
fn failure<T: std::fmt::Debug>(result: Result<T, TargetError>) -> &'static str {
    match result {
        Ok(_) => "success",
        Err(TargetError::Throttled { .. }) => "throttled",
        Err(TargetError::Transient { .. }) => "transient",
        Err(TargetError::Conflict(_)) => "conflict",
        Err(TargetError::Lost(_)) => "lost",
        Err(TargetError::AccountGone(_)) => "account gone",
        Err(TargetError::Permanent(_)) => "permanent",
    }
}
