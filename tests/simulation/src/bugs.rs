//! Does the proof bite? Each deliberate mistake must be caught.

use std::ops::Range;

use anyhow::Result;
use dutykey_policy::bug::{Bug, chosen};

use crate::generate::{Size, plan};
use crate::oracle::Violation;
use crate::run::{Options, run};

/// How a mistake was caught.
#[derive(Debug, Clone)]
pub struct Caught {
    /// Which.
    pub bug: Bug,
    /// After how many seeds.
    pub seeds: u64,
    /// By which promise; `None` where no seed has caught it.
    pub by: Option<Violation>,
}

/// Runs the seeds with each mistake until one of them catches it. A seed that breaks a promise without any mistake would
/// prove nothing and is passed over.
///
/// # Errors
/// A plan makes no sense.
pub fn hunt(seeds: Range<u64>, size: Size, mut found: impl FnMut(&Caught)) -> Result<Vec<Caught>> {
    let options = Options { skip: true, story: false };
    let mut all = Vec::new();
    for bug in Bug::ALL {
        let mut caught = Caught { bug, seeds: 0, by: None };
        for seed in seeds.clone() {
            let plan = plan(seed, size);
            caught.seeds += 1;
            chosen::set(Some(bug));
            let outcome = run(&plan, options);
            chosen::set(None);
            if let Some(violation) = outcome?.violations.into_iter().next()
                && run(&plan, options)?.violations.is_empty()
            {
                caught.by = Some(violation);
                break;
            }
        }
        found(&caught);
        all.push(caught);
    }
    Ok(all)
}
