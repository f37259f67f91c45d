//! A plan that breaks a promise, made as short as it gets: whatever it can do without is left out.

use crate::plan::Plan;
use crate::run::{Options, run};

/// At most so many runs: a short plan is a help and no duty.
const TRIES: usize = 300;

/// The shortest plan found that breaks the same promise.
#[must_use]
pub fn shorten(plan: &Plan, promise: &str) -> Plan {
    let mut best = plan.clone();
    let mut tries = 0;
    loop {
        let before = best.clone();
        for candidate in without(&before) {
            let candidate = candidate(&best);
            if candidate == best || tries >= TRIES {
                continue;
            }
            tries += 1;
            if breaks(&candidate, promise) {
                best = candidate;
            }
        }
        if best == before || tries >= TRIES {
            return best;
        }
    }
}

fn breaks(plan: &Plan, promise: &str) -> bool {
    let outcome = run(plan, Options { skip: true, story: false });
    outcome.is_ok_and(|outcome| outcome.violations.iter().any(|violation| violation.promise == promise))
}

type Change = Box<dyn Fn(&Plan) -> Plan>;

/// One change for each thing that might be left out, the last first, so that the numbers of the others stay.
fn without(plan: &Plan) -> Vec<Change> {
    let mut changes: Vec<Change> = Vec::new();
    let mut add = |change: fn(&mut Plan, usize, usize), a: usize, b: usize| {
        changes.push(Box::new(move |plan| {
            let mut plan = plan.clone();
            change(&mut plan, a, b);
            plan
        }));
    };
    for n in (0..plan.happens.len()).rev() {
        add(|plan, n, _| drop(remove(&mut plan.happens, n)), n, 0);
    }
    for n in (0..plan.links.len()).rev() {
        add(
            |plan, n, _| {
                remove(&mut plan.links, n);
            },
            n,
            0,
        );
    }
    for (r, rotation) in plan.rotations.iter().enumerate() {
        for n in (0..rotation.overrides.len()).rev() {
            add(
                |plan, r, n| {
                    if let Some(rotation) = plan.rotations.get_mut(r) {
                        remove(&mut rotation.overrides, n);
                    }
                },
                r,
                n,
            );
        }
        for n in (0..rotation.shifts.len()).rev() {
            add(
                |plan, r, n| {
                    if let Some(rotation) = plan.rotations.get_mut(r) {
                        remove(&mut rotation.shifts, n);
                    }
                },
                r,
                n,
            );
        }
    }
    for (p, profile) in plan.profiles.iter().enumerate() {
        for n in (0..profile.gives.len()).rev() {
            add(
                |plan, p, n| {
                    if let Some(profile) = plan.profiles.get_mut(p) {
                        remove(&mut profile.gives, n);
                    }
                },
                p,
                n,
            );
        }
        for rotation in &profile.rotations {
            add(
                |plan, p, n| {
                    if let Some(profile) = plan.profiles.get_mut(p) {
                        profile.rotations.remove(&n);
                    }
                },
                p,
                *rotation,
            );
        }
    }
    add(|plan, _, _| plan.clocks_ms = [0; 4], 0, 0);
    add(|plan, _, _| plan.lasts /= 2, 0, 0);
    changes
}

fn remove<T>(list: &mut Vec<T>, n: usize) -> Option<T> {
    (n < list.len()).then(|| list.remove(n))
}
