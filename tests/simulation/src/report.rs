//! What many runs have shown together, in print.

use std::collections::{BTreeMap, BTreeSet};

use crate::generate::Size;
use crate::oracle::Violation;
use crate::plan::Plan;
use crate::rows;
use crate::run::Outcome;

/// What all runs have shown together.
#[derive(Debug, Default)]
pub struct Report {
    seeds: u64,
    steps: u64,
    records: u64,
    effects: u64,
    faults: BTreeMap<String, u64>,
    runs: BTreeMap<&'static str, u64>,
    rows: BTreeMap<usize, u64>,
    /// Each with the seed in which it was.
    lags: Vec<(i64, u64)>,
    failed: Vec<(u64, Violation)>,
}

impl Report {
    /// Adds a run.
    pub fn add(&mut self, plan: &Plan, outcome: Outcome) {
        let rows: BTreeSet<usize> = rows::met(plan, &outcome.counts, outcome.effects.len());
        self.seeds += 1;
        self.steps += outcome.steps;
        self.records += outcome.records;
        self.effects += outcome.effects.len() as u64;
        for (what, count) in outcome.counts {
            *self.faults.entry(what).or_default() += count;
        }
        for (what, count) in outcome.runs {
            *self.runs.entry(what).or_default() += count;
        }
        for row in rows {
            *self.rows.entry(row).or_default() += 1;
        }
        self.lags.extend(outcome.lags.into_iter().map(|lag| (lag, plan.seed)));
        self.failed.extend(outcome.violations.into_iter().next().map(|violation| (plan.seed, violation)));
    }

    /// The seeds that have broken a promise, in order, each with the first that it broke.
    #[must_use]
    pub fn failed(&mut self) -> &[(u64, Violation)] {
        self.failed.sort_by_key(|(seed, _)| *seed);
        &self.failed
    }

    /// Prints everything.
    pub fn print(&mut self, size: Size, took: f64) {
        let seeds = self.seeds as f64;
        let years = seeds * f64::from(size.days) / 365.25;
        println!("{} seeds of {} days in {took:.0} s: {:.2} seeds per second", self.seeds, size.days, seeds / took);
        println!(
            "{years:.2} simulated years, {} steps checked, {} changes in apps, {} records of evidence verified",
            self.steps, self.effects, self.records
        );
        self.lags.sort_unstable();
        let rank = |percent: usize| {
            let last = self.lags.len().saturating_sub(1);
            self.lags.get((self.lags.len() * percent / 100).min(last)).copied().unwrap_or_default()
        };
        println!(
            "lag of the {} acts that nothing disturbed: median {} ms, p99 {} ms, worst {} ms in seed {}",
            self.lags.len(),
            rank(50).0,
            rank(99).0,
            rank(100).0,
            rank(100).1
        );
        println!("\nran");
        for (what, count) in &self.runs {
            println!("  {count:>9}  {what}");
        }
        println!("\nstruck");
        for (what, count) in &self.faults {
            println!("  {count:>9}  {what}");
        }
        println!("\nrows of failures met, in how many seeds");
        for (number, row) in rows::ROWS.iter().enumerate() {
            println!("  {:>9}  {:>2} {row}", self.rows.get(&(number + 1)).copied().unwrap_or_default(), number + 1);
        }
        println!("\nviolations: {} seeds", self.failed.len());
        for (seed, violation) in self.failed().iter().take(20) {
            println!("seed {seed} {} at {}: {}", violation.promise, violation.at, violation.what);
        }
    }
}

/// Prints what has happened in a run.
pub fn story(outcome: &Outcome) {
    for line in outcome.story.iter().filter(|line| line.len() > 26) {
        println!("{line}");
    }
    for violation in outcome.violations.iter().take(10) {
        println!("{} {} WAS NOT KEPT: {}", violation.at, violation.promise, violation.what);
    }
}
