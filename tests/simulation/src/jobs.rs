//! Runs side by side: one thread a run, as many as there are processors.

use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Result, bail};

/// Does the work with one number after the other until it says that there is no more of it; answers how often there was.
///
/// # Errors
/// The first that the work met.
pub fn side_by_side(jobs: Option<usize>, work: impl Fn(u64) -> Result<bool> + Sync) -> Result<u64> {
    let jobs = jobs.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from));
    let (next, done) = (AtomicU64::new(0), AtomicU64::new(0));
    let one = || -> Result<()> {
        while work(next.fetch_add(1, Ordering::Relaxed))? {
            done.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..jobs.max(1)).map(|_| scope.spawn(one)).collect();
        workers.into_iter().try_for_each(|worker| worker.join().unwrap_or_else(|_| bail!("a run has panicked")))
    })?;
    Ok(done.into_inner())
}

/// Does the work with each number below `count`.
///
/// # Errors
/// The first that the work met.
pub fn each(jobs: Option<usize>, count: u64, work: impl Fn(u64) -> Result<()> + Sync) -> Result<()> {
    side_by_side(jobs, |number| if number < count { work(number).map(|()| true) } else { Ok(false) }).map(drop)
}
