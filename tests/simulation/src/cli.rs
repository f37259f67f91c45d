//! The command line of the simulation.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use clap::{Args, Parser, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};

use crate::generate::{self, Size};
use crate::oracle::Violation;
use crate::plan::Plan;
use crate::rows;
use crate::run::{Options, Outcome, run};
use crate::shorten::shorten;

/// Simulates the whole system under virtual time, and checks every promise after every step.
#[derive(Debug, Parser)]
#[command(name = "dutykey-simulation", version, about, max_term_width = 110)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Runs seeds and says what they have shown.
    Simulate(Simulate),
    /// Runs one seed or one plan again, and tells its story.
    Replay(Replay),
    /// Runs seeds with each deliberate mistake until one is caught (feature `deliberate-bugs`).
    Bugs(Sized),
}

/// Which companies.
#[derive(Debug, Clone, Copy, Args)]
pub struct Sized {
    /// How many seeds.
    #[arg(long, default_value_t = 100)]
    pub seeds: u64,
    /// The first seed.
    #[arg(long, default_value_t = 1)]
    pub from: u64,
    /// For how many simulated days each.
    #[arg(long, default_value_t = 2)]
    pub days: u32,
    /// At least so many people.
    #[arg(long, default_value_t = 2)]
    pub least: usize,
    /// At most so many people.
    #[arg(long, default_value_t = 12)]
    pub most: usize,
}

impl Sized {
    fn size(&self) -> Size {
        Size { least: self.least.max(1), most: self.most.max(self.least.max(1)), days: self.days.max(1) }
    }
}

/// Runs seeds.
#[derive(Debug, Clone, Copy, Args)]
pub struct Simulate {
    /// Which.
    #[command(flatten)]
    pub sized: Sized,
    /// How many at a time; as many as there are processors where absent.
    #[arg(long)]
    pub jobs: Option<usize>,
    /// Runs every tick and every read, also those that would find nothing.
    #[arg(long)]
    pub every_tick: bool,
}

/// Runs one again.
#[derive(Debug, Clone, Args)]
pub struct Replay {
    /// The seed.
    #[arg(long, conflicts_with = "plan")]
    pub seed: Option<u64>,
    /// A plan that was written down.
    #[arg(long)]
    pub plan: Option<PathBuf>,
    /// For how many simulated days.
    #[arg(long, default_value_t = 2)]
    pub days: u32,
    /// At least so many people.
    #[arg(long, default_value_t = 2)]
    pub least: usize,
    /// At most so many people.
    #[arg(long, default_value_t = 12)]
    pub most: usize,
}

/// Does what the command line asks for; `false` where a promise was not kept.
///
/// # Errors
/// A plan that makes no sense, or a file that cannot be read or written.
pub fn main(cli: Cli) -> Result<bool> {
    match cli.command {
        Command::Simulate(simulate) => seeds(&simulate),
        Command::Replay(replay) => again(&replay),
        Command::Bugs(sized) => bugs(&sized),
    }
}

/// What all runs have shown together.
#[derive(Debug, Default)]
struct Sum {
    steps: u64,
    records: u64,
    effects: u64,
    faults: BTreeMap<String, u64>,
    runs: BTreeMap<&'static str, u64>,
    rows: BTreeMap<usize, u64>,
    lags: Vec<i64>,
    failed: Vec<(u64, Violation)>,
}

impl Sum {
    fn add(&mut self, plan: &Plan, outcome: Outcome) {
        let rows: BTreeSet<usize> = rows::met(plan, &outcome.counts, outcome.effects.len());
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
        self.lags.extend(outcome.lags);
        self.failed.extend(outcome.violations.into_iter().next().map(|violation| (plan.seed, violation)));
    }
}

fn seeds(simulate: &Simulate) -> Result<bool> {
    let Simulate { sized, jobs, every_tick } = *simulate;
    let (size, options) = (sized.size(), Options { skip: !every_tick, story: false });
    let jobs = jobs.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from));
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} seeds, {per_sec}, {eta} left {msg}")?;
    let bar = ProgressBar::new(sized.seeds).with_style(style);
    let (next, sum) = (AtomicU64::new(0), Mutex::new(Sum::default()));
    let begun = Instant::now();
    let work = || -> Result<()> {
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= sized.seeds {
                return Ok(());
            }
            let plan = generate::plan(sized.from + number, size);
            let outcome = run(&plan, options).with_context(|| format!("seed {}", plan.seed))?;
            let mut sum = sum.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            sum.add(&plan, outcome);
            bar.inc(1);
            if !sum.failed.is_empty() {
                bar.set_message(format!("({} have broken a promise)", sum.failed.len()));
            }
        }
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..jobs.max(1)).map(|_| scope.spawn(work)).collect();
        workers.into_iter().try_for_each(|worker| worker.join().unwrap_or_else(|_| bail!("a run has panicked")))
    })?;
    bar.finish_and_clear();
    let took = begun.elapsed().as_secs_f64();
    let mut sum = sum.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    show(&mut sum, &sized, took);
    sum.failed.sort_by_key(|(seed, _)| *seed);
    for (seed, violation) in sum.failed.iter().take(20) {
        println!("seed {seed} {} at {}: {}", violation.promise, violation.at, violation.what);
    }
    let Some((seed, violation)) = sum.failed.first() else { return Ok(true) };
    let short = shorten(&generate::plan(*seed, size), violation.promise);
    let outcome = run(&short, Options { skip: true, story: true })?;
    let file = PathBuf::from(format!("simulation-seed-{seed}.json"));
    fs::write(&file, serde_json::to_string_pretty(&short)?).with_context(|| file.display().to_string())?;
    println!("\nshortened, with {} happenings and {} shifts:", short.happens.len(), shifts(&short));
    tell(&outcome);
    let Size { least, most, days } = size;
    println!("\nreplay the shortened plan: dutykey-simulation replay --plan {}", file.display());
    println!("replay the seed: dutykey-simulation replay --seed {seed} --days {days} --least {least} --most {most}");
    Ok(false)
}

fn shifts(plan: &Plan) -> usize {
    plan.rotations.iter().map(|rotation| rotation.shifts.len() + rotation.overrides.len()).sum()
}

fn show(sum: &mut Sum, sized: &Sized, took: f64) {
    let years = sized.seeds as f64 * f64::from(sized.days) / 365.25;
    println!(
        "{} seeds of {} days in {took:.0} s: {:.2} seeds per second",
        sized.seeds,
        sized.days,
        sized.seeds as f64 / took
    );
    println!(
        "{years:.2} simulated years, {} steps checked, {} changes in apps, {} records of evidence verified",
        sum.steps, sum.effects, sum.records
    );
    sum.lags.sort_unstable();
    let rank = |percent: usize| {
        sum.lags
            .get((sum.lags.len() * percent / 100).min(sum.lags.len().saturating_sub(1)))
            .copied()
            .unwrap_or_default()
    };
    println!(
        "lag of the {} acts that nothing disturbed: median {} ms, p99 {} ms, worst {} ms",
        sum.lags.len(),
        rank(50),
        rank(99),
        rank(100)
    );
    println!("\nran");
    for (what, count) in &sum.runs {
        println!("  {count:>9}  {what}");
    }
    println!("\nstruck");
    for (what, count) in &sum.faults {
        println!("  {count:>9}  {what}");
    }
    println!("\nrows of failures met, in how many seeds");
    for (number, row) in rows::ROWS.iter().enumerate() {
        println!("  {:>9}  {:>2} {row}", sum.rows.get(&(number + 1)).copied().unwrap_or_default(), number + 1);
    }
    println!("\nviolations: {} seeds", sum.failed.len());
}

fn tell(outcome: &Outcome) {
    for line in outcome.story.iter().filter(|line| line.len() > 26) {
        println!("{line}");
    }
    for violation in outcome.violations.iter().take(10) {
        println!("{} {} WAS NOT KEPT: {}", violation.at, violation.promise, violation.what);
    }
}

fn again(replay: &Replay) -> Result<bool> {
    let plan = match (&replay.plan, replay.seed) {
        (Some(file), _) => {
            let text = fs::read_to_string(file).with_context(|| file.display().to_string())?;
            serde_json::from_str(&text).with_context(|| format!("{} is no plan", file.display()))?
        }
        (None, Some(seed)) => generate::plan(
            seed,
            Size { least: replay.least.max(1), most: replay.most.max(replay.least), days: replay.days },
        ),
        (None, None) => bail!("name a seed with --seed, or a file with --plan"),
    };
    let outcome = run(&plan, Options { skip: true, story: true })?;
    tell(&outcome);
    println!("\nran {:?}", outcome.runs);
    println!("trace {}, {} steps, {} promises not kept", outcome.trace, outcome.steps, outcome.violations.len());
    Ok(outcome.violations.is_empty())
}

#[cfg(not(feature = "deliberate-bugs"))]
fn bugs(_sized: &Sized) -> Result<bool> {
    bail!("this build has no deliberate mistakes; build it with --features deliberate-bugs")
}

#[cfg(feature = "deliberate-bugs")]
fn bugs(sized: &Sized) -> Result<bool> {
    println!("{:<30} {:>6}  caught by", "mistake", "seeds");
    let show = |caught: &crate::bugs::Caught| {
        let by = caught.by.as_ref().map_or_else(|| "NOBODY".to_owned(), |violation| violation.promise.to_owned());
        println!("{:<30} {:>6}  {by}", caught.bug.to_string(), caught.seeds);
    };
    let caught = crate::bugs::hunt(sized.from..sized.from + sized.seeds, sized.size(), show)?;
    Ok(caught.iter().all(|caught| caught.by.is_some()))
}
