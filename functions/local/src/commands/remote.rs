//! A configuration at a deployed installation: shown, applied and confirmed through its API, as whoever the token says. What
//! gives its author more than they had waits there for another administrator.

use std::path::Path;

use anyhow::Context as _;
use dutykey_runtime::config;
use reqwest::{StatusCode, Url};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::apply::{agreed, confirmed};
use super::plan::Plan;
use super::{World, called, faulty, load, print_json};
use crate::cli;
use crate::remote::Remote;

const CONFIGURATION: &str = "/v1/configuration";

/// What the API shows of a change.
#[derive(Debug, Deserialize)]
struct Preview {
    needs_another: bool,
    #[serde(flatten)]
    plan: Plan,
}

/// What is in force, and what waits.
#[derive(Debug, Deserialize)]
struct Standing {
    version: u64,
    proposal: Option<Proposed>,
}

/// What waits.
#[derive(Debug, Deserialize)]
struct Proposed {
    by: dutykey_policy::forecast::Shown,
    until: String,
    digest: String,
    #[serde(flatten)]
    plan: Plan,
}

/// What became of an apply or a confirmation.
#[derive(Debug, Serialize)]
struct Done<'a> {
    /// The version that is in force now; nothing where it waits.
    #[serde(skip_serializing_if = "Option::is_none")]
    applied: Option<u64>,
    /// What waits for another administrator.
    #[serde(skip_serializing_if = "Option::is_none")]
    waits: Option<Value>,
    #[serde(flatten)]
    plan: &'a Plan,
}

/// The plan, as the installation makes it.
pub(super) async fn plan(world: &World, file: &Path, api: &Url) -> anyhow::Result<Plan> {
    let remote = Remote::new(api)?;
    Ok(preview(&remote, &said(world, file).await?).await?.plan)
}

/// Has the installation make a configuration so. `false` where it is not in force: whoever was asked said no, or it waits.
pub(super) async fn apply(world: &World, options: &cli::Apply, api: &Url) -> anyhow::Result<bool> {
    let remote = Remote::new(api)?;
    let said = said(world, &options.file.config).await?;
    let Preview { needs_another, plan } = preview(&remote, &said).await?;
    if !agreed(&plan, options)? {
        return Ok(false);
    }
    if needs_another && !options.file.json {
        out!("\nit gives you more than you have, so that another administrator must confirm it");
    }
    let query = if options.retire { "?retire=true" } else { "" };
    let put = remote.put(&format!("{CONFIGURATION}{query}"), plan.version, &said).await;
    let (status, answer) = put.context("if that came from the API, nothing is applied; if it is silent or at fault, `dutykey plan` shows whether it was")?;
    if status == StatusCode::ACCEPTED {
        return waits(&answer, &plan, options.file.json, api);
    }
    let version = serde_json::from_value::<Standing>(answer).context("the API's answer")?.version;
    if options.file.json {
        print_json(&Done { applied: Some(version), waits: None, plan: &plan })?;
    } else if !plan.is_empty() {
        out!("applied: version {version} is in force");
    }
    Ok(true)
}

fn waits(answer: &Value, plan: &Plan, json: bool, api: &Url) -> anyhow::Result<bool> {
    let Proposed { until, digest, .. } = Proposed::deserialize(answer).context("the API's answer")?;
    if json {
        let waits = json!({ "digest": digest, "until": until });
        print_json(&Done { applied: None, waits: Some(waits), plan })?;
    } else {
        out!("it waits until {until} for another administrator, who confirms it with\n");
        out!("  dutykey confirm --api {api} --digest {digest}");
    }
    Ok(false)
}

/// Confirms what another administrator has applied, after having shown it. `false` where whoever was asked said no.
///
/// # Errors
/// Nothing of this digest waits, or it may not be confirmed by them.
pub(crate) async fn confirm(options: &cli::Confirm) -> anyhow::Result<bool> {
    let remote = Remote::new(&options.api)?;
    let standing: Standing = serde_json::from_value(remote.get(CONFIGURATION).await?).context("the API's answer")?;
    let waiting = standing.proposal.filter(|proposed| proposed.digest == options.digest);
    let Proposed { by, until, digest, plan } = waiting.context(
        "no change of this digest waits: it was confirmed, it is over, or something has changed since; have it applied again",
    )?;
    if !options.json {
        plan.print();
        out!("\n{} wants it, and it waits until {until}", called(&by));
    }
    if !options.yes && !confirmed("it gives its author more than they had", "Confirm", options.json)? {
        out!("nothing is applied");
        return Ok(false);
    }
    let answer = remote.post(&format!("{CONFIGURATION}/confirm"), &json!({ "digest": digest })).await?;
    let version = serde_json::from_value::<Standing>(answer).context("the API's answer")?.version;
    if options.json {
        print_json(&Done { applied: Some(version), waits: None, plan: &plan })?;
    } else {
        out!("confirmed: version {version} is in force");
    }
    Ok(true)
}

async fn preview(remote: &Remote, said: &Value) -> anyhow::Result<Preview> {
    let answer = remote.post(&format!("{CONFIGURATION}/preview"), said).await?;
    serde_json::from_value(answer).context("the API's answer")
}

/// The file as the API takes it: its names looked up here, for nobody there holds the apps' secrets.
async fn said(world: &World, file: &Path) -> anyhow::Result<Value> {
    let pinned = crate::pin::pin(load(file)?, world.adapters.targets.as_ref()).await;
    let installation = pinned.map_err(|problems| faulty(file, &problems)).context(
        "names of entitlements are looked up in their apps from here, with the secrets that the file names, in the \
         environment or in Secrets Manager; give an `id` where that cannot be",
    )?;
    Ok(config::said(&installation))
}
