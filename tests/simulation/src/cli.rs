//! The command line of the simulation.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use clap::{Args, Parser, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};

use crate::generate::{self, Size};
use crate::jobs::each;
use crate::plan::Plan;
use crate::report::{Report, story};
use crate::run::{Options, run};
use crate::short_path;
use crate::shorten::shorten;

const QUIETLY: Options = Options { skip: true, story: false };

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
    Bugs(Bugs),
    /// Lets a worker die at each request of a short path in turn.
    Crashes,
    /// Runs seeds with every tick and read, and again without those that would find nothing: nothing may differ.
    BothWays(Seeds),
}

/// How large companies are, and for how long they are watched.
#[derive(Debug, Clone, Copy, Args)]
pub struct Companies {
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

impl Companies {
    fn size(self) -> Size {
        Size { least: self.least.max(1), most: self.most.max(self.least.max(1)), days: self.days.max(1) }
    }
}

/// Which seeds.
#[derive(Debug, Clone, Copy, Args)]
pub struct Seeds {
    /// How many seeds.
    #[arg(long, default_value_t = 100)]
    pub seeds: u64,
    /// The first seed.
    #[arg(long, default_value_t = 1)]
    pub from: u64,
    /// Of which companies.
    #[command(flatten)]
    pub companies: Companies,
    /// How many at a time; as many as there are processors where absent.
    #[arg(long)]
    pub jobs: Option<usize>,
}

/// Runs seeds.
#[derive(Debug, Clone, Copy, Args)]
pub struct Simulate {
    /// Which.
    #[command(flatten)]
    pub seeds: Seeds,
    /// Runs every tick and every read, also those that would find nothing.
    #[arg(long)]
    pub every_tick: bool,
}

/// Hunts mistakes.
#[derive(Debug, Clone, Args)]
pub struct Bugs {
    /// With which seeds.
    #[command(flatten)]
    pub seeds: Seeds,
    /// Only the mistakes whose names have this in them.
    #[arg(long, default_value = "")]
    pub only: String,
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
    /// Of which companies.
    #[command(flatten)]
    pub companies: Companies,
}

/// Does what the command line asks for; `false` where a promise was not kept.
///
/// # Errors
/// A plan that makes no sense, or a file that cannot be read or written.
pub fn main(cli: Cli) -> Result<bool> {
    match cli.command {
        Command::Simulate(simulate) => simulated(&simulate),
        Command::Replay(replay) => again(&replay),
        Command::Bugs(hunted) => bugs(&hunted),
        Command::Crashes => crashes(),
        Command::BothWays(seeds) => both_ways(&seeds),
    }
}

fn bar(length: u64, what: &str) -> Result<ProgressBar> {
    let template = format!("{{bar:40}} {{pos}}/{{len}} {what}, {{per_sec}}, {{eta}} left {{msg}}");
    Ok(ProgressBar::new(length).with_style(ProgressStyle::with_template(&template)?))
}

fn simulated(simulate: &Simulate) -> Result<bool> {
    let Seeds { seeds, from, companies, jobs } = simulate.seeds;
    let (size, options) = (companies.size(), Options { skip: !simulate.every_tick, story: false });
    let (bar, report, begun) = (bar(seeds, "seeds")?, Mutex::new(Report::default()), Instant::now());
    each(jobs, seeds, |number| {
        let plan = generate::plan(from + number, size);
        let outcome = run(&plan, options).with_context(|| format!("seed {}", plan.seed))?;
        if let Some(broken) = outcome.violations.first() {
            bar.suspend(|| eprintln!("seed {}: {} {}", plan.seed, broken.promise, broken.what));
        }
        let mut report = report.lock().unwrap_or_else(PoisonError::into_inner);
        report.add(&plan, outcome);
        bar.inc(1);
        let failed = report.failed().len();
        if failed > 0 {
            bar.set_message(format!("({failed} have broken a promise)"));
        }
        Ok(())
    })?;
    bar.finish_and_clear();
    let mut report = report.into_inner().unwrap_or_else(PoisonError::into_inner);
    report.print(size, begun.elapsed().as_secs_f64());
    let Some((seed, violation)) = report.failed().first() else { return Ok(true) };
    let short = shorten(&generate::plan(*seed, size), violation.promise);
    let outcome = run(&short, Options { skip: true, story: true })?;
    let file = PathBuf::from(format!("simulation-seed-{seed}.json"));
    fs::write(&file, serde_json::to_string_pretty(&short)?).with_context(|| file.display().to_string())?;
    println!("\nshortened, with {} happenings and {} shifts:", short.happens.len(), shifts(&short));
    story(&outcome);
    let Size { least, most, days } = size;
    println!("\nreplay the shortened plan: dutykey-simulation replay --plan {}", file.display());
    println!("replay the seed: dutykey-simulation replay --seed {seed} --days {days} --least {least} --most {most}");
    Ok(false)
}

fn shifts(plan: &Plan) -> usize {
    plan.rotations.iter().map(|rotation| rotation.shifts.len() + rotation.overrides.len()).sum()
}

fn again(replay: &Replay) -> Result<bool> {
    let plan = match (&replay.plan, replay.seed) {
        (Some(file), _) => {
            let text = fs::read_to_string(file).with_context(|| file.display().to_string())?;
            serde_json::from_str(&text).with_context(|| format!("{} is no plan", file.display()))?
        }
        (None, Some(seed)) => generate::plan(seed, replay.companies.size()),
        (None, None) => bail!("name a seed with --seed, or a file with --plan"),
    };
    let outcome = run(&plan, Options { skip: true, story: true })?;
    story(&outcome);
    println!("\nran {:?}", outcome.runs);
    println!("trace {}, {} steps, {} promises not kept", outcome.trace, outcome.steps, outcome.violations.len());
    Ok(outcome.violations.is_empty())
}

/// Checks so many things side by side and gathers what is wrong, in any order.
fn checked(
    jobs: Option<usize>,
    (length, what): (u64, &str),
    check: impl Fn(u64) -> Result<Vec<String>> + Sync,
) -> Result<Vec<String>> {
    let (bar, wrong) = (bar(length, what)?, Mutex::new(Vec::new()));
    each(jobs, length, |number| {
        let found = check(number)?;
        wrong.lock().unwrap_or_else(PoisonError::into_inner).extend(found);
        bar.inc(1);
        Ok(())
    })?;
    bar.finish_and_clear();
    Ok(wrong.into_inner().unwrap_or_else(PoisonError::into_inner))
}

fn crashes() -> Result<bool> {
    let points = short_path::points()?;
    let failed = checked(None, (points, "deaths"), |point| {
        Ok(short_path::dies(Some(point)).err().map(|error| format!("{error:#}")).into_iter().collect())
    })?;
    println!("a worker died before and after each request of a short path: {points} deaths, {} failures", failed.len());
    failed.iter().for_each(|line| println!("{line}"));
    Ok(failed.is_empty())
}

fn both_ways(seeds: &Seeds) -> Result<bool> {
    let Seeds { seeds, from, companies, jobs } = *seeds;
    let differ = checked(jobs, (seeds, "seeds"), |number| {
        let plan = generate::plan(from + number, companies.size());
        let (few, every) = (run(&plan, QUIETLY)?, run(&plan, Options { skip: false, story: false })?);
        let broken = [("few ticks", &few), ("every tick", &every)].into_iter().filter_map(|(way, outcome)| {
            let broken = outcome.violations.first()?;
            Some(format!("seed {} with {way}: {} {}", plan.seed, broken.promise, broken.what))
        });
        let (few, every) = (few.changes(), every.changes());
        let places: BTreeSet<&str> = few.keys().chain(every.keys()).copied().collect();
        let other = places.into_iter().filter(|place| few.get(place) != every.get(place));
        let other = other.map(|place| {
            format!("seed {}: {place} changes {:?} times, or {:?}", plan.seed, few.get(place), every.get(place))
        });
        Ok(broken.chain(other).collect())
    })?;
    println!("{seeds} seeds with every tick and with few: {} differences", differ.len());
    differ.iter().for_each(|line| println!("{line}"));
    Ok(differ.is_empty())
}

#[cfg(not(feature = "deliberate-bugs"))]
fn bugs(_: &Bugs) -> Result<bool> {
    bail!("this build has no deliberate mistakes; build it with --features deliberate-bugs")
}

#[cfg(feature = "deliberate-bugs")]
fn bugs(Bugs { seeds, only }: &Bugs) -> Result<bool> {
    println!("{:<30} {:>6}  caught by", "mistake", "seeds");
    let show = |caught: &crate::bugs::Caught| {
        let by = caught.by.as_ref().map_or_else(|| "NOBODY".to_owned(), |violation| violation.promise.to_owned());
        println!("{:<30} {:>6}  {by}", caught.bug.to_string(), caught.seeds);
    };
    let hunted: Vec<_> =
        dutykey_policy::bug::Bug::ALL.into_iter().filter(|bug| bug.to_string().contains(only)).collect();
    let range = seeds.from..seeds.from + seeds.seeds;
    let caught = crate::bugs::hunt(&hunted, range, seeds.companies.size(), seeds.jobs, show)?;
    Ok(caught.iter().all(|caught| caught.by.is_some()))
}
