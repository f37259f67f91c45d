//! The simulation as a test: short seeds for as long as a build can spare, and what makes it trustworthy: a seed repeats
//! itself, a worker may die anywhere, and what the README says can be typed.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::ensure;
use clap::Parser;
use dutykey_simulation::cli::{self, Cli};
use dutykey_simulation::generate::{Size, plan};
use dutykey_simulation::jobs::side_by_side;
use dutykey_simulation::plan::{Happening, Human, Plan, Shift};
use dutykey_simulation::run::{Options, run};
use dutykey_simulation::short_path;

/// Small companies for one day: a development build is slow.
const SMALL: Size = Size { least: 2, most: 6, days: 1 };
const QUIET: Options = Options { skip: true, story: false };

#[test]
fn every_promise_is_kept_in_as_many_short_seeds_as_fit_in_two_minutes() {
    let begun = Instant::now();
    let done = side_by_side(None, |number| {
        if begun.elapsed() > Duration::from_secs(120) {
            return Ok(false);
        }
        let seed = 1 + number;
        let outcome = run(&plan(seed, SMALL), QUIET)?;
        let broken = outcome.violations.first();
        let broken = broken.map(|broken| format!("{} at {}: {}", broken.promise, broken.at, broken.what));
        ensure!(broken.is_none(), "seed {seed} (replay --seed {seed} --days 1 --least 2 --most 6) breaks {broken:?}");
        Ok(true)
    });
    let done = done.expect("every promise is kept");
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

/// A development build has time for one request in so many; the whole path takes minutes.
const ONE_IN: u64 = 24;

#[test]
fn p10_a_worker_may_die_at_a_request_of_a_short_path() {
    let points = short_path::points().expect("the short path keeps every promise");
    let done = side_by_side(None, |number| {
        let point = number * ONE_IN;
        if point < points {
            short_path::dies(Some(point))?;
        }
        Ok(point < points)
    });
    let done = done.expect("nobody's death breaks a promise");
    assert!(done > 10, "a short path has more than {done} such requests");
}

#[test]
fn p1_a_limit_below_what_one_look_needs_is_no_trap() {
    let mut plan = short_path::plan();
    plan.apps.iter_mut().for_each(|app| app.limit = Some(2));
    let outcome = run(&plan, QUIET).expect("the plan makes sense");
    assert_eq!(outcome.violations, vec![], "reads in step with each other leave no room for the calls behind them");
    assert_eq!(outcome.effects.len(), 4, "given and taken back: {:?}", outcome.effects);
}

#[test]
fn what_is_rare_is_met_and_nothing_is_left_of_whoever_is_erased() {
    let mut plan = short_path::plan();
    let address = "p001@example.com".to_owned();
    plan.people.push(Human { accounts: vec![("acc001".to_owned(), address.clone())], address, active: true });
    let together = Shift { user: Some(1), ..plan.rotations[0].shifts[0].clone() };
    plan.rotations[0].shifts.push(together);
    plan.lasts = 100_000;
    let (departs, forgotten) = (1_000, 1_000 + 86_400 + 7_200);
    plan.happens = vec![
        Happening::LinksAlone { at: 250, person: 0, to: 1 },
        Happening::RolledBack { at: 260 },
        Happening::Erases { at: 270, person: 1 },
        Happening::Departs { at: departs, person: 1 },
        Happening::Erases { at: departs + 600, person: 1 },
        Happening::Erases { at: forgotten, person: 1 },
    ];
    let outcome = run(&plan, QUIET).expect("the plan makes sense");
    assert_eq!(outcome.violations, vec![], "R19, R20, R24");
    let count = |what: &str| outcome.counts.get(what).copied().unwrap_or_default();
    let refused = "an erasure is refused: something comes first";
    let met = [(refused, 2), ("somebody is erased", 1), ("a link waits for another administrator", 1)];
    for (what, times) in met {
        assert_eq!(count(what), times, "{what}: {:?}", outcome.counts);
    }
    assert_eq!(outcome.effects.len(), 8, "given to both, taken from both: {:?}", outcome.effects);
}

#[test]
fn what_once_broke_a_promise_keeps_them_all() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("plans");
    let files = std::fs::read_dir(folder).expect("plans/ is there").map(|file| file.expect("it can be listed").path());
    let files: Vec<_> = files.collect();
    assert!(files.len() >= 13, "plans/ has lost some: {files:?}");
    for file in files {
        let text = std::fs::read_to_string(&file).expect("it can be read");
        let plan: Plan = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let outcome = run(&plan, QUIET).expect("the plan makes sense");
        assert_eq!(outcome.violations, vec![], "replay --plan {} tells its story", file.display());
    }
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
    let caught = dutykey_simulation::bugs::hunt(&dutykey_policy::bug::Bug::ALL, 1..400, size, None, |caught| {
        println!("{caught:?}")
    })
    .unwrap();
    let missed: Vec<_> = caught.iter().filter(|caught| caught.by.is_none()).map(|caught| caught.bug).collect();
    assert!(missed.is_empty(), "the simulation does not notice {missed:?}");
}
