//! Reads that lag behind changes, and what a hold becomes by them.

use std::sync::Arc;

use async_trait::async_trait;
use dutykey_engine::ports::clock::Clock;
use dutykey_engine::ports::secrets::{ReadSecret, SecretError};
use dutykey_engine::ports::target::Targets;
use dutykey_policy::enrollment::Origin;
use dutykey_policy::hold::step::{Answer, Facts, Purpose, Verdict, after_answer, after_read, after_read_back};
use dutykey_policy::hold::{Hold, Outcome, State};
use dutykey_policy::id::HoldKey;
use dutykey_policy::installation::{App, SecretRef, TargetSettings};
use dutykey_policy::time::{earlier, later};
use dutykey_policy::wants::{Reason, Want};
use jiff::Timestamp;

use super::super::PROPAGATION;
use super::*;
use crate::adapters::Adapters;
use crate::sandbox::SandboxWorld;

const NOW: Timestamp = Timestamp::constant(1_780_000_000, 0);

/// Ann's duty, from an hour before until an hour after.
fn wanted() -> Want {
    let (from, until) = (earlier(NOW, Duration::from_secs(3_600)), later(NOW, Duration::from_secs(3_600)));
    let reason = Reason {
        profile: "on-call".parse().expect("a profile's ID"),
        version: 1,
        origin: Origin::Request("req_1".to_owned()),
        from,
        until,
        rolling: false,
        from_known: from,
        until_known: from,
    };
    Want { shape: Shape::Member, reasons: vec![reason], frozen: false }
}

/// What the group shows of Ann, at a replica that knows of her or not.
async fn seen(fake: &FakeScim, scim: &Scim, is_member: bool) -> Observation {
    fake.state(|world| if is_member { world.join(GROUP, ANN) } else { world.leave(GROUP, ANN) });
    scim.observe(&account(ANN), &place(GROUP)).await.expect("an answer")
}

fn written(verdict: Verdict) -> Hold {
    match verdict {
        Verdict::Write(hold) => *hold,
        Verdict::Call(_, order) => panic!("nothing is to be called: {order:?}"),
    }
}

fn called(verdict: Verdict) -> Hold {
    match verdict {
        Verdict::Call(hold, _) => *hold,
        Verdict::Write(hold) => panic!("something is to be called: {hold:?}"),
    }
}

fn unranked(_: &str) -> Option<i64> {
    None
}

#[tokio::test]
async fn p1_p3_a_read_that_lags_behind_our_grant_does_not_make_it_standing() {
    let fake = server(Dialect::Rfc).await;
    let scim = scim(&fake);
    let caps = scim.capabilities("group");
    assert_eq!(caps.propagation, PROPAGATION, "unless the configuration says otherwise");
    let facts = |now| Facts { now, asked: now, caps: &caps, rank: &unranked, ended: (now, now) };
    let key = HoldKey { app: "directory".parse().expect("an app"), account: account(ANN), place: place(GROUP) };
    let person = "per_01JDZX3QK8T5W9Y2N4R6M7P0VB".parse().expect("a person's ID");
    let want = wanted();
    let hold = Hold::wanted(key, person, &want, NOW);
    let before = seen(&fake, &scim, false).await;
    let hold = called(after_read(&hold, Some(&want), &before, Purpose::Start, &facts(NOW)));
    assert_eq!(grant(&scim).await, Ok(DONE));

    let done = Answer::Done { receipt: None, native_end: None };
    let hold = after_answer(&hold, done.clone(), NOW);
    let hold = after_read_back(&hold, &seen(&fake, &scim, false).await, &facts(NOW));
    assert!(hold.touched, "it may be there, whatever a read shows so soon: {hold:?}");
    let second = later(NOW, Duration::from_secs(1));
    let shown = seen(&fake, &scim, true).await;
    let held = written(after_read(&hold, Some(&want), &shown, Purpose::Start, &facts(second)));
    assert_eq!((held.state, held.touched), (State::Held, true), "what shows a second later is ours: {held:?}");

    let ending = called(after_read(&held, None, &shown, Purpose::End, &facts(second)));
    assert_eq!(revoke(&scim).await, Ok(DONE), "P1: what is ours is taken back");
    let ending = after_answer(&ending, done, second);
    let gone = seen(&fake, &scim, false).await;
    let waits = after_read_back(&ending, &gone, &facts(second));
    assert_eq!((waits.state, waits.touched), (State::Ending, true), "P5: one read so soon proves nothing: {waits:?}");
    let believed = waits.retry.as_ref().expect("another read").at;
    assert!(believed >= later(second, PROPAGATION), "{believed}");
    let over = written(after_read(&waits, None, &gone, Purpose::End, &facts(believed)));
    assert_eq!(over.state, State::Ended(Outcome::Proven));
}

/// A clock that stands, and the only secret.
struct Still;

#[async_trait]
impl Clock for Still {
    fn now(&self) -> Timestamp {
        NOW
    }
    async fn sleep_until(&self, _at: Timestamp) {}
}

#[async_trait]
impl ReadSecret for Still {
    async fn read(&self, _at: &SecretRef) -> Result<Secret, SecretError> {
        Ok(Secret::new(TOKEN.to_owned()))
    }
}

#[tokio::test]
async fn p3_reads_of_an_app_lag_as_long_as_its_configuration_says() {
    let (sandbox, keep) = (SandboxWorld::new(NOW, Arc::new(Still)), Duration::from_secs(300));
    let adapters = Adapters::new(Arc::new(Still), Arc::new(Still), sandbox, keep);
    for (said, expected) in [(None, PROPAGATION), (Some(Duration::ZERO), Duration::ZERO), (Some(keep), keep)] {
        let token = SecretRef::Env("SCIM_TOKEN".to_owned());
        let base_url = "https://scim.example.com/v2".to_owned();
        let settings = TargetSettings::Scim { base_url, token, propagation: said };
        let app = App { id: "directory".parse().expect("an app's ID"), settings, retiring: false };
        let target = adapters.target(&app).await.expect("an adapter");
        assert_eq!(target.capabilities("group").propagation, expected, "{said:?}");
    }
}
