//! The simulation as a test: short seeds for as long as a build can spare, and what makes it trustworthy: a seed repeats
//! itself, a worker may die anywhere, and what the README says can be typed.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use clap::Parser;
use dutykey_simulation::cli::{self, Cli};
use dutykey_simulation::generate::{Size, plan};
use dutykey_simulation::oracle::Violation;
use dutykey_simulation::plan::{App, Gives, Group, Happening, Human, Plan, Profile, Rotation, Shift, What};
use dutykey_simulation::run::{Options, Outcome, run};

/// Small companies for one day: a development build is slow.
const SMALL: Size = Size { least: 2, most: 6, days: 1 };
const QUIET: Options = Options { skip: true, story: false };

/// Works side by side until there is no more of it.
fn side_by_side(work: impl Fn(u64) -> bool + Sync) -> u64 {
    let (next, done) = (AtomicU64::new(0), AtomicU64::new(0));
    let jobs = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..jobs {
            scope.spawn(|| {
                while work(next.fetch_add(1, Ordering::Relaxed)) {
                    done.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
    });
    done.into_inner()
}

fn kept(what: &str, violations: &[Violation]) {
    let first = violations.first().map(|v| format!("{} at {}: {}", v.promise, v.at, v.what));
    assert_eq!(first, None, "{what} breaks a promise");
}

#[test]
fn every_promise_is_kept_in_as_many_short_seeds_as_fit_in_two_minutes() {
    let begun = Instant::now();
    let done = side_by_side(|number| {
        if begun.elapsed() > Duration::from_secs(120) {
            return false;
        }
        let seed = 1 + number;
        let outcome = run(&plan(seed, SMALL), QUIET).expect("a generated plan makes sense");
        kept(&format!("seed {seed} (replay --seed {seed} --days 1 --least 2 --most 6)"), &outcome.violations);
        true
    });
    println!("{done} short seeds in {} s", begun.elapsed().as_secs());
    assert!(done >= 10, "only {done} seeds fit in two minutes: the simulation has become too slow to prove anything");
}

#[test]
fn a_seed_repeats_itself_exactly() {
    for seed in [7, 8] {
        let traces = [(); 2].map(|()| run(&plan(seed, SMALL), QUIET).expect("the plan makes sense").trace);
        assert_eq!(
            traces[0], traces[1],
            "seed {seed} has two traces: something asks for a time or a chance of its own"
        );
    }
}

/// One person on call for two minutes, for a group and a value.
fn short() -> Plan {
    let shift = Shift { user: Some(0), from: 200, to: Some(320), announced: 0, withdrawn: None };
    let human = Human {
        address: "p000@example.com".to_owned(),
        accounts: vec![("acc000".to_owned(), "p000@example.com".to_owned())],
        active: true,
    };
    let group = Group { id: "g0".to_owned(), members: [].into(), inherited: [].into() };
    Plan {
        seed: 1,
        epoch: plan(1, SMALL).epoch,
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
        }],
        directory: false,
        tells_makers: true,
        happens: Vec::new(),
    }
}

fn changes(outcome: &Outcome) -> BTreeMap<String, usize> {
    let seats = outcome.effects.iter().filter_map(|line| line.split_once(' ')).map(|(_, seat)| seat.to_owned());
    seats.fold(BTreeMap::new(), |mut counts, seat| {
        *counts.entry(seat).or_default() += 1;
        counts
    })
}

/// A development build has time for one request in so many; the whole path takes minutes.
const ONE_IN: u64 = 24;

#[test]
fn p10_a_worker_may_die_at_a_request_of_a_short_path() {
    let quiet = run(&short(), QUIET).expect("the plan makes sense");
    kept("the short path", &quiet.violations);
    assert_eq!(quiet.effects.len(), 4, "a group and a value are given and taken back: {:?}", quiet.effects);
    let done = side_by_side(|number| {
        let number = number * ONE_IN;
        if number >= quiet.points {
            return false;
        }
        let crash = Happening::Crash { at: 0, point: u32::try_from(number).unwrap() };
        let outcome = run(&Plan { happens: vec![crash], ..short() }, QUIET).expect("the plan makes sense");
        kept(&format!("a worker that dies at its request {number} of {}", quiet.points), &outcome.violations);
        let more = changes(&outcome).into_iter().find(|(_, count)| *count > 2);
        assert_eq!(more, None, "P10: a worker that dies at request {number} gives or takes something twice");
        true
    });
    assert!(done > 10, "a short path has more than {done} such requests");
}

#[test]
fn what_the_readme_says_can_be_typed() {
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md");
    let text = std::fs::read_to_string(readme).unwrap();
    assert!(text.lines().count() <= 120, "tests/README.md is for one reading");
    let lines = text.lines().filter_map(|line| line.trim().split_once("-p dutykey-simulation")).map(|(_, rest)| rest);
    let mut replayed = 0;
    for line in lines.filter_map(|line| line.split_once(" -- ")).map(|(_, line)| line) {
        let words = std::iter::once("dutykey-simulation").chain(line.split_whitespace());
        let cli = Cli::try_parse_from(words).unwrap_or_else(|error| panic!("`{line}`: {error}"));
        if line.starts_with("replay") {
            assert!(cli::main(cli).expect("it runs"), "`{line}` keeps every promise");
            replayed += 1;
        }
    }
    assert_eq!(replayed, 1, "tests/README.md shows one replay");
}

#[cfg(feature = "deliberate-bugs")]
#[test]
fn every_deliberate_mistake_is_caught() {
    let size = Size { least: 2, most: 12, days: 2 };
    let caught = dutykey_simulation::bugs::hunt(1..120, size, |caught| println!("{caught:?}")).unwrap();
    let missed: Vec<_> = caught.iter().filter(|caught| caught.by.is_none()).map(|caught| caught.bug).collect();
    assert!(missed.is_empty(), "the simulation does not notice {missed:?}");
}
