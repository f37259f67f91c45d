//! Proves a configuration against the world: every connection, every name, everybody who will be on call.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use dutykey_engine::ports::target::{Entitlement, Resolved, Target, Targets};
use dutykey_policy::forecast::Shown;
use dutykey_policy::id::{AppId, EntitlementRef, RotationId, SourceId, UserId};
use dutykey_policy::identity::Doubt;
use dutykey_policy::installation::{App, Installation, Source, TargetSettings};
use dutykey_policy::rota::users;
use dutykey_policy::time::{Span, later};
use dutykey_runtime::config::{ConfigError, ConfigProblem, Document};
use dutykey_runtime::notify::faults;
use serde::Serialize;

use super::reads::{Breadth, Reads, people, read};
use super::{World, plain, print_json};
use crate::cli;
use crate::output::table;
use crate::pin::{catalog, id_of};

/// What was found.
#[derive(Debug, Default, Serialize)]
struct Answer {
    ok: bool,
    config: Vec<ConfigProblem>,
    sources: Vec<SourceRow>,
    apps: Vec<AppRow>,
    people: Vec<PersonRow>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    notify: Vec<ChannelRow>,
}

/// A channel of notices. Nothing is sent to it.
#[derive(Debug, Serialize)]
struct ChannelRow {
    id: String,
    ok: bool,
    error: Option<String>,
}

#[derive(Debug, Serialize)]
struct SourceRow {
    id: SourceId,
    ok: bool,
    people: usize,
    rotations: usize,
    error: Option<String>,
}

#[derive(Debug, Serialize)]
struct AppRow {
    id: AppId,
    ok: bool,
    tenant: Option<String>,
    error: Option<String>,
}

/// Somebody on call who would get nothing: on the source itself, or in an app that a profile needs.
#[derive(Debug, Serialize)]
struct PersonRow {
    source: SourceId,
    user: UserId,
    #[serde(skip_serializing_if = "Option::is_none")]
    app: Option<AppId>,
    problem: Doubt,
}

/// An app as it answered.
struct Asked {
    app: App,
    target: Option<Arc<dyn Target>>,
    tenant: Option<String>,
    catalog: Option<Vec<Entitlement>>,
    faults: Vec<String>,
}

/// Validates a configuration, tests every connection, and names people who cannot be matched.
///
/// # Errors
/// The configuration itself is wrong; the answer has been printed.
pub(crate) async fn run(options: &cli::ConfigFile) -> anyhow::Result<bool> {
    let document = match dutykey_runtime::config::load(&options.config) {
        Ok(document) => document,
        Err(ConfigError::Faulty(config)) => {
            return wrong(options, Answer { config, ..Answer::default() });
        }
        Err(error) => return Err(error.into()),
    };
    let world = World::new();
    let mut notify = Vec::new();
    for channel in document.channels() {
        let error = joined(&faults(channel, world.secrets.as_ref()).await);
        notify.push(ChannelRow { id: channel.id.clone(), ok: error.is_none(), error });
    }
    let mut apps = Vec::new();
    for app in document.apps() {
        apps.push(ask(app, world.adapters.targets.as_ref()).await);
    }
    same_tenant(&mut apps);
    let installation = match pinned(document, &apps) {
        Ok(installation) => installation,
        Err(config) => return wrong(options, Answer { config, apps: rows(apps), notify, ..Answer::default() }),
    };
    unknown_entitlements(&installation, &mut apps);
    let now = world.clock.now();
    let horizon = Span { start: now, end: later(now, installation.sync.horizon) };
    let platforms = world.adapters.platforms.as_ref();
    let reads = read(platforms, &installation.sources, &installation.profiles, horizon, Breadth::Named).await;
    let people = in_doubt(&installation, &reads, &mut apps).await;
    let sources: Vec<SourceRow> = installation.sources.iter().filter_map(|source| row(source, &reads)).collect();
    let mut answer = Answer { ok: false, config: Vec::new(), sources, apps: rows(apps), people, notify };
    answer.ok = answer.sources.iter().all(|source| source.ok)
        && answer.apps.iter().all(|app| app.ok)
        && answer.notify.iter().all(|channel| channel.ok)
        && answer.people.is_empty();
    if options.json {
        print_json(&answer)?;
    } else {
        answer.print(&options.config);
    }
    Ok(answer.ok)
}

fn wrong(options: &cli::ConfigFile, answer: Answer) -> anyhow::Result<bool> {
    if options.json {
        print_json(&answer)?;
    } else {
        answer.config.iter().for_each(|problem| out!("{problem}"));
    }
    anyhow::bail!("{} cannot be used; problems found: {}", options.config.display(), answer.config.len())
}

/// Proves the credentials and reads the catalog.
async fn ask(app: &App, targets: &dyn Targets) -> Asked {
    let mut asked = Asked { app: app.clone(), target: None, tenant: None, catalog: None, faults: Vec::new() };
    let answer = async {
        let target = targets.target(app).await?;
        asked.tenant = Some(target.check().await?);
        asked.catalog = Some(catalog(target.as_ref()).await?);
        Ok::<_, dutykey_engine::ports::target::TargetError>(target)
    };
    match answer.await {
        Ok(target) => asked.target = Some(target),
        Err(error) => asked.faults.push(error.to_string()),
    }
    asked
}

/// Two apps that reach the same tenant would fight over the same access (R5).
fn same_tenant(apps: &mut [Asked]) {
    let kind = |app: &App| match app.settings {
        TargetSettings::Scim { .. } => 0,
        TargetSettings::Sandbox { .. } => 1,
    };
    let mut tenants: BTreeMap<(i32, String), Vec<AppId>> = BTreeMap::new();
    for asked in apps.iter() {
        if let Some(tenant) = &asked.tenant {
            tenants.entry((kind(&asked.app), tenant.clone())).or_default().push(asked.app.id.clone());
        }
    }
    for asked in apps {
        let Some(tenant) = &asked.tenant else { continue };
        let all = tenants.get(&(kind(&asked.app), tenant.clone())).map_or(&[][..], Vec::as_slice);
        for other in all.iter().filter(|other| **other != asked.app.id) {
            asked.faults.push(format!("`{other}` reaches the same tenant {tenant}; one app for one tenant"));
        }
    }
}

/// The installation. A name in an app that does not answer stands in for its ID: the app is at fault, not the name.
fn pinned(document: Document, apps: &[Asked]) -> Result<Installation, Vec<ConfigProblem>> {
    document.pin(|named| {
        let asked = apps.iter().find(|asked| asked.app.id == named.app);
        match asked.and_then(|asked| asked.catalog.as_ref()) {
            Some(catalog) => id_of(named, catalog),
            None => Ok(format!("the {} named {}", named.kind, named.name)),
        }
    })
}

/// Entitlements that profiles give by ID and that their app does not have.
fn unknown_entitlements(installation: &Installation, apps: &mut [Asked]) {
    for asked in apps {
        let Some(catalog) = &asked.catalog else { continue };
        let known: BTreeMap<&EntitlementRef, &Option<String>> =
            catalog.iter().map(|entry| (&entry.entitlement, &entry.unmanageable)).collect();
        for profile in &installation.profiles {
            for wanted in profile.entitlements.iter().filter(|wanted| wanted.app == asked.app.id) {
                let EntitlementRef { kind, id, .. } = wanted;
                match known.get(wanted) {
                    Some(None) => {}
                    Some(Some(why)) => asked.faults.push(format!(
                        "profile `{}` gives {kind} {id}, which Dutykey cannot manage: {why}",
                        profile.id
                    )),
                    None => asked.faults.push(format!(
                        "profile `{}` gives {kind} {id}, which the app does not have; correct its id",
                        profile.id
                    )),
                }
            }
        }
    }
}

/// Everybody on call within the horizon who is in doubt on their source, or in an app that a profile of theirs needs.
async fn in_doubt(installation: &Installation, reads: &Reads, apps: &mut [Asked]) -> Vec<PersonRow> {
    let mut found = Vec::new();
    let mut resolved: BTreeMap<(AppId, String), Option<Doubt>> = BTreeMap::new();
    for ((source, user), who) in people(installation, reads) {
        let address = match who {
            Ok(Shown { email: Some(address), .. }) => address,
            Ok(_) => continue,
            Err(problem) => {
                found.push(PersonRow { source, user, app: None, problem });
                continue;
            }
        };
        let needed = needed(installation, reads, &source, &user);
        for asked in apps.iter_mut().filter(|asked| needed.contains(&asked.app.id)) {
            let Some(target) = asked.target.clone() else { continue };
            let key = (asked.app.id.clone(), address.clone());
            if !resolved.contains_key(&key) {
                let said = installation.links.iter().find(|link| link.person.eq_ignore_ascii_case(&address));
                let account = said.and_then(|link| link.apps.get(&asked.app.id));
                let doubt = doubt(target.as_ref(), &address, account.map(String::as_str)).await;
                resolved.insert(
                    key.clone(),
                    doubt.unwrap_or_else(|fault| {
                        // What fails once is not asked once for everybody.
                        asked.faults.push(fault);
                        asked.target = None;
                        None
                    }),
                );
            }
            if let Some(Some(problem)) = resolved.get(&key) {
                let app = Some(asked.app.id.clone());
                found.push(PersonRow { source: source.clone(), user: user.clone(), app, problem: *problem });
            }
        }
    }
    found
}

/// The apps in which a user needs an account: those of the profiles of the rotations that they are in.
fn needed(installation: &Installation, reads: &Reads, source: &SourceId, user: &UserId) -> BTreeSet<AppId> {
    let Some(read) = reads.get(source) else { return BTreeSet::new() };
    let theirs = |rotation: &RotationId| read.shifts.get(rotation).is_some_and(|shifts| users(shifts).contains(user));
    let profiles = installation.profiles.iter().filter(|profile| profile.giving().any(theirs));
    profiles.flat_map(|profile| profile.entitlements.iter().map(|entitlement| entitlement.app.clone())).collect()
}

async fn doubt(target: &dyn Target, address: &str, account: Option<&str>) -> Result<Option<Doubt>, String> {
    let unsaid = |error| format!("cannot say who has an account: {error}");
    let Some(account) = account else {
        return match target.resolve(address).await.map_err(unsaid)? {
            Resolved::Account(_) => Ok(None),
            Resolved::Doubt(doubt) => Ok(Some(doubt)),
        };
    };
    let Ok(account) = account.parse() else { return Ok(Some(Doubt::Unmatched)) };
    Ok(match target.is_active(&account).await.map_err(unsaid)? {
        Some(true) => None,
        Some(false) => Some(Doubt::Inactive),
        None => Some(Doubt::Unmatched),
    })
}

fn joined(faults: &[String]) -> Option<String> {
    let mut distinct: Vec<&str> = faults.iter().map(String::as_str).collect();
    distinct.dedup();
    (!distinct.is_empty()).then(|| distinct.join("; "))
}

fn row(source: &Source, reads: &Reads) -> Option<SourceRow> {
    let read = reads.get(&source.id)?;
    let error = joined(&read.faults);
    let (people, rotations) = (read.users.len(), read.rotations);
    Some(SourceRow { id: source.id.clone(), ok: error.is_none(), people, rotations, error })
}

fn rows(apps: Vec<Asked>) -> Vec<AppRow> {
    let row = |asked: Asked| {
        let error = joined(&asked.faults);
        AppRow { id: asked.app.id, ok: error.is_none(), tenant: asked.tenant, error }
    };
    apps.into_iter().map(row).collect()
}

impl Answer {
    fn print(&self, config: &Path) {
        let mut connections = table(&["", "connection", "", "finding"]);
        let verdict = |ok: bool| if ok { "ok" } else { "BAD" };
        for source in &self.sources {
            let sound = format!("{} people, {} rotations", source.people, source.rotations);
            let finding = source.error.as_deref().map_or(sound, plain);
            connections.add_row(["source", source.id.as_str(), verdict(source.ok), &finding]);
        }
        for app in &self.apps {
            let tenant = || plain(app.tenant.as_deref().unwrap_or_default());
            let finding = app.error.as_deref().map_or_else(tenant, plain);
            connections.add_row(["app", app.id.as_str(), verdict(app.ok), &finding]);
        }
        for channel in &self.notify {
            let finding = channel.error.as_deref().map_or_else(|| "its secrets are there".to_owned(), plain);
            connections.add_row(["notify", channel.id.as_str(), verdict(channel.ok), &finding]);
        }
        out!("{connections}");
        if !self.people.is_empty() {
            let mut people = table(&["on call and gets nothing", "on", "because"]);
            for person in &self.people {
                let place = person.app.as_ref().map_or_else(|| person.source.to_string(), ToString::to_string);
                people.add_row([plain(person.user.as_str()), place, person.problem.to_string()]);
            }
            out!("\n{people}\nCorrect their addresses, or link them under `people`.");
        }
        if self.notify.is_empty() {
            out!("\nwarning: no `notify` channel: what goes wrong is told to the log only");
        }
        out!("\n{} is {}", config.display(), if self.ok { "sound" } else { "NOT ready" });
    }
}
