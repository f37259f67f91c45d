//! Makes a configuration so, once whoever applies it knows who loses what.

use std::io::{IsTerminal as _, Write as _};

use anyhow::Context as _;
use dutykey_engine::ports::rules::WriteRules as _;
use serde::Serialize;

use super::plan::{Plan, make};
use super::{World, print_json};
use crate::cli;

/// What was done.
#[derive(Debug, Serialize)]
struct Applied<'a> {
    /// The version that is in force now.
    applied: u64,
    #[serde(flatten)]
    plan: &'a Plan,
}

/// Makes a configuration so. `false` where whoever was asked said no.
///
/// # Errors
/// The configuration or the table cannot be used, or something must be said first: `--retire`, `--yes`.
pub(crate) async fn run(options: &cli::Apply) -> anyhow::Result<bool> {
    let world = World::new();
    let there = crate::data::open_if_there(&options.data).await?;
    let plan = make(&world, &options.file.config, there.as_ref()).await?;
    if !options.file.json {
        plan.print();
    }
    if !plan.refused.is_empty() {
        anyhow::bail!("nothing is applied: {}", plan.refused.join("; "));
    }
    if !plan.retiring.is_empty() && !options.retire {
        anyhow::bail!(
            "nothing is applied: {}. With --retire it takes no new access, ends what it gave, and goes with a later apply",
            plan.retiring.join("; ")
        );
    }
    if let Some(doubt) = doubt(&plan)
        && !options.yes
        && !confirmed(&doubt, options.file.json)?
    {
        println!("nothing is applied");
        return Ok(false);
    }
    let store = crate::data::open_or_create(&options.data, world.clock.as_ref()).await?;
    let applied = store.configure(plan.version, &plan.installation, world.clock.now()).await;
    let applied = applied.context("nothing is applied; look at the plan again")?;
    if options.file.json {
        print_json(&Applied { applied, plan: &plan })?;
    } else if !plan.is_empty() {
        println!("applied: version {applied} is in force");
    }
    Ok(true)
}

/// What somebody must agree to.
fn doubt(plan: &Plan) -> Option<String> {
    match (plan.losers(), plan.unforeseen.is_empty()) {
        (0, true) => None,
        (0, false) => Some("not every rota can be read, so nobody knows who loses what".to_owned()),
        (1, _) => Some("1 person loses access".to_owned()),
        (several, _) => Some(format!("{several} people lose access")),
    }
}

fn confirmed(doubt: &str, json: bool) -> anyhow::Result<bool> {
    if json || !std::io::stdin().is_terminal() || !std::io::stdout().is_terminal() {
        anyhow::bail!("nothing is applied: {doubt}; say --yes where that is meant");
    }
    print!("{doubt}. Apply? [y/N] ");
    std::io::stdout().flush()?;
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer)?;
    Ok(matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
}
