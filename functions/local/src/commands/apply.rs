//! Makes a configuration so, once whoever applies it knows who loses what.

use std::io::{IsTerminal as _, Write as _};

use anyhow::Context as _;
use dutykey_engine::ports::rules::WriteRules as _;
use serde::Serialize;

use super::plan::{Plan, make};
use super::{World, print_json, remote};
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
    if let Some(api) = &options.api {
        return remote::apply(&world, options, api).await;
    }
    let there = crate::data::open_if_there(&options.data).await?;
    let plan = make(&world, &options.file.config, there.as_ref()).await?;
    if options.data.table.is_some() && plan.issued && !plan.is_empty() && !options.directly {
        anyhow::bail!(
            "nothing is applied: an issuer of tokens is in force, so its API knows its administrators. Apply it there, with \
             --api ADDRESS: what gives you more waits for another of them. With --directly the table is written with your \
             rights to it, nobody else looks, and the evidence names nobody: for when the issuer is lost"
        );
    }
    if !agreed(&plan, options)? {
        return Ok(false);
    }
    let store = crate::data::open_or_create(&options.data, world.clock.as_ref()).await?;
    store.may_record().await?;
    let applied = store.configure(plan.version, &plan.installation, world.clock.now()).await;
    let applied = applied.context("nothing is applied; look at the plan again")?;
    if options.file.json {
        print_json(&Applied { applied, plan: &plan })?;
    } else if !plan.is_empty() {
        out!("applied: version {applied} is in force");
    }
    Ok(true)
}

/// Shows the plan, and finds out whether it is meant. `false` where whoever was asked said no.
pub(super) fn agreed(plan: &Plan, options: &cli::Apply) -> anyhow::Result<bool> {
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
    match doubt(plan) {
        Some(doubt) if !options.yes && !confirmed(&doubt, "Apply", options.file.json)? => {
            out!("nothing is applied");
            Ok(false)
        }
        _ => Ok(true),
    }
}

/// What somebody must agree to.
fn doubt(plan: &Plan) -> Option<String> {
    if plan.more.losses + plan.more.ends_now > 0 {
        return Some(format!("more than {} people lose access", plan.losers()));
    }
    match (plan.losers(), plan.unforeseen.is_empty()) {
        (0, true) => None,
        (0, false) => Some("not every rota can be read, so nobody knows who loses what".to_owned()),
        (1, _) => Some("1 person loses access".to_owned()),
        (several, _) => Some(format!("{several} people lose access")),
    }
}

/// Asks whoever is at the terminal.
pub(super) fn confirmed(doubt: &str, what: &str, json: bool) -> anyhow::Result<bool> {
    if json || !std::io::stdin().is_terminal() || !std::io::stdout().is_terminal() {
        anyhow::bail!("nothing is applied: {doubt}; say --yes where that is meant");
    }
    print!("{doubt}. {what}? [y/N] ");
    std::io::stdout().flush()?;
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer)?;
    Ok(matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};
    use std::sync::Arc;
    use std::time::Duration;

    use dutykey_engine::ports::rules::ReadRules as _;
    use dutykey_engine::ports::witness::{Event, Witness};
    use dutykey_policy::hold::State;
    use dutykey_runtime::clock::SystemChance;
    use dutykey_store::{MAX_PAGE, Store};
    use tokio::sync::watch;

    use super::*;
    use crate::notices::LogNotices;
    use crate::process::{Parts, Process};

    const FILE: &str = "
version: 1
verified_domains: [example.com]
sources:
  - id: pager
    platform: sandbox
    script:
      users: [{ id: u-ann, email: ann@example.com, name: Ann }]
      rotations: [{ id: primary, name: Primary, shifts: [{ user: u-ann, from: 0s, to: 8h }] }]
apps:
  - id: directory
    target: sandbox
    script: { accounts: [{ id: acc-ann, address: ann@example.com }], groups: [{ id: g-1, name: prod }] }
";
    const PROFILE: &str = "
profiles:
  - id: on-call
    name: On-call
    entitlements: [{ app: directory, kind: group, name: prod }]
    enrollment: { rotations: ['pager:primary'], lead: 0s, grace: 0s, lease: 1h }
    override_lock: 0s
";

    struct Nobody;

    impl Witness for Nobody {
        fn saw(&self, _: &Event) {}
    }

    struct Bench(PathBuf);

    impl Drop for Bench {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    impl Bench {
        fn new() -> Self {
            let path = std::env::temp_dir().join(format!("dutykey-apply-{}", std::process::id()));
            std::fs::create_dir_all(&path).expect("a directory for the test");
            Self(path)
        }

        fn options(&self, text: &str, yes: bool, retire: bool) -> cli::Apply {
            let config = self.0.join("dutykey.yaml");
            std::fs::write(&config, text).expect("the directory can be written");
            let data = cli::Data { data: self.0.join("dutykey.db"), table: None };
            let file = cli::ConfigFile { config, json: true };
            cli::Apply { file, data, api: None, directly: false, yes, retire }
        }
    }

    /// Runs every function over the table until Ann holds what she is on call for.
    async fn until_held(store: &Store) {
        let world = World::new();
        let process = Process::new(Parts {
            store: store.clone(),
            platforms: world.adapters.platforms,
            targets: world.adapters.targets,
            notify: Arc::new(LogNotices),
            clock: world.clock,
            chance: Arc::new(SystemChance),
            witness: Arc::new(Nobody),
        });
        let (stop, stopped) = watch::channel(false);
        let running = tokio::spawn(async move { process.run(stopped).await });
        let held = async {
            loop {
                let holds = store.list_open_holds(None, MAX_PAGE).await.expect("a list").items;
                if holds.iter().any(|hold| hold.state == State::Held) {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), held).await.expect("Ann holds it within half a minute");
        let _ = stop.send(true);
        running.await.expect("the process ends");
    }

    #[tokio::test]
    async fn r23_what_somebody_holds_keeps_its_app_and_source_until_it_has_ended() {
        let bench = Bench::new();
        let whole = format!("{FILE}{PROFILE}");
        assert!(run(&bench.options(&whole, false, false)).await.expect("a first file"));
        let options = bench.options(&whole, false, false);
        let store = crate::data::open(&options.data).await.expect("the data file");
        until_held(&store).await;
        let plan = |text: &'static str| {
            bench.options(text, false, false);
            let path = bench.0.join("dutykey.yaml");
            let store = store.clone();
            async move { make(&World::new(), Path::new(&path), Some(&store)).await.expect("a plan") }
        };

        let losing = plan(FILE).await;
        assert_eq!((losing.ends_now.len(), losing.losers()), (1, 1), "Ann loses it at once: {losing:?}");
        assert_eq!(losing.ends_now[0].person.email.as_deref(), Some("ann@example.com"));

        const EMPTY: &str = "version: 1\nverified_domains: [example.com]\n";
        let refused =
            run(&bench.options(EMPTY, true, false)).await.expect_err("two things have open holds").to_string();
        for part in ["app `directory`", "source `pager`", "--retire"] {
            assert!(refused.contains(part), "{part}: {refused}");
        }
        let unasked = run(&bench.options(EMPTY, false, true)).await.expect_err("nobody said --yes").to_string();
        assert!(unasked.contains("1 person loses access"), "{unasked}");

        let elsewhere = whole.replace("script: { accounts", "script: { tenant: other, accounts");
        let moved = run(&bench.options(&elsewhere, true, true)).await.expect_err("another tenant").to_string();
        assert!(moved.contains("another tenant"), "its revocations would go to the wrong one: {moved}");
        let version = store.installation().await.expect("an installation").map(|configured| configured.version);
        assert_eq!(version, Some(1), "nothing was applied so far");

        assert!(run(&bench.options(EMPTY, true, true)).await.expect("said twice"));
        let kept = store.installation().await.expect("an installation").expect("version 2").installation;
        assert!(kept.apps.iter().all(|app| app.retiring) && kept.apps.len() == 1, "{:?}", kept.apps);
        assert!(kept.sources.iter().all(|source| source.retiring) && kept.sources.len() == 1, "{:?}", kept.sources);
        assert!(plan(EMPTY).await.is_empty(), "what retires needs no second word");
    }
}
