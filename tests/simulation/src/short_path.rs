//! The shortest path that has everything in it: one person on call for two minutes, for a group and a value. It is short
//! enough for a worker to die at each of its requests in turn.

use std::num::NonZeroU8;

use anyhow::{Result, ensure};

use crate::plan::{App, Gives, Group, Happening, Human, Plan, Profile, Rotation, Shift, What};
use crate::run::{Options, Outcome, run};

/// The plan.
#[must_use]
pub fn plan() -> Plan {
    let shift = Shift { user: Some(0), from: 200, to: Some(320), announced: 0, withdrawn: None };
    let human = Human {
        address: "p000@example.com".to_owned(),
        accounts: vec![("acc000".to_owned(), "p000@example.com".to_owned())],
        active: true,
    };
    let group = Group { id: "g0".to_owned(), members: [].into(), inherited: [].into() };
    Plan {
        seed: 1,
        epoch: jiff::Timestamp::constant(1_792_843_200, 0),
        lasts: 400,
        rest: 1_500,
        tick_second: 0,
        clocks_ms: [0; 4],
        people: vec![human],
        rotations: vec![Rotation {
            source: "pd".to_owned(),
            id: "r0".to_owned(),
            shifts: vec![shift],
            overrides: Vec::new(),
        }],
        apps: vec![App {
            id: "app0".to_owned(),
            groups: vec![group],
            roles: vec!["viewer".to_owned(), "admin".to_owned()],
            values: vec![(0, 0)],
            latency_ms: 40,
            asynchronous: None,
            propagation: 0,
            native_end: false,
            tells_owner: false,
            serialize: None,
            turns: NonZeroU8::MIN,
            limit: None,
        }],
        profiles: vec![Profile {
            id: "on-call".to_owned(),
            gives: vec![Gives { app: 0, what: What::Group(0) }, Gives { app: 0, what: What::Role(1) }],
            rotations: [0].into(),
            lead: 0,
            grace: 0,
            lease: 14_400,
            lock: 0,
            enrolls: true,
            offer: Default::default(),
        }],
        directory: false,
        tells_makers: true,
        happens: Vec::new(),
        links: Vec::new(),
    }
}

/// How many requests the workers of the path make when nobody dies, each counted before and after.
///
/// # Errors
/// The path does not give and take back what it should.
pub fn points() -> Result<u64> {
    let quiet = dies(None)?;
    ensure!(quiet.changes().values().eq([2, 2].iter()), "a group and a value are given and taken back: {quiet:?}");
    Ok(quiet.points)
}

/// The path with a worker that dies at that request. Nothing may happen more than twice in one place: given, and taken.
///
/// # Errors
/// A promise is broken, or something was given or taken twice.
pub fn dies(at: Option<u64>) -> Result<Outcome> {
    let crash = at.map(|at| Happening::Crash { at: 0, point: u32::try_from(at).unwrap_or(u32::MAX) });
    let plan = Plan { happens: crash.into_iter().collect(), ..plan() };
    let outcome = run(&plan, Options { skip: true, story: false })?;
    if let Some(broken) = outcome.violations.first() {
        anyhow::bail!("with a death at {at:?}: {} at {}: {}", broken.promise, broken.at, broken.what);
    }
    let changes = outcome.changes();
    let twice = changes.iter().find(|(_, count)| **count != 2);
    ensure!(twice.is_none(), "P10: with a death at {at:?}, {twice:?} changes happened in one place");
    Ok(outcome)
}
