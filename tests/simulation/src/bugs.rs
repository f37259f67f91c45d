//! Does the proof bite? Each deliberate mistake must be caught.

use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use anyhow::Result;
use dutykey_policy::bug::{Bug, chosen};

use crate::generate::{Size, plan};
use crate::jobs::side_by_side;
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
/// prove nothing and is passed over. The mistakes are told as they are done with, and answered in their order.
///
/// # Errors
/// A plan makes no sense.
pub fn hunt(
    bugs: &[Bug],
    seeds: Range<u64>,
    size: Size,
    jobs: Option<usize>,
    found: impl Fn(&Caught) + Sync,
) -> Result<Vec<Caught>> {
    let all = Mutex::new(Vec::new());
    side_by_side(jobs, |number| {
        let Some(bug) = usize::try_from(number).ok().and_then(|number| bugs.get(number).copied()) else {
            return Ok(false);
        };
        let caught = hunted(bug, seeds.clone(), size)?;
        found(&caught);
        all.lock().unwrap_or_else(PoisonError::into_inner).push(caught);
        Ok(true)
    })?;
    let mut all = all.into_inner().unwrap_or_else(PoisonError::into_inner);
    all.sort_by_key(|caught| caught.bug);
    Ok(all)
}

fn hunted(bug: Bug, seeds: Range<u64>, size: Size) -> Result<Caught> {
    let options = Options { skip: true, story: false };
    let mut caught = Caught { bug, seeds: 0, by: None };
    for seed in seeds {
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
    Ok(caught)
}
