//! What applying a configuration would change, for the configuration and for people.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use access_requests::open_holds;
use dutykey_engine::ports::ledger::ReadLedger as _;
use dutykey_engine::ports::rules::{Configured, ReadRules as _};
use dutykey_policy::difference::{Change, Key, Part, What, difference};
use dutykey_policy::effect::{Ending, Stretch, ends_now, gained};
use dutykey_policy::forecast::Shown;
use dutykey_policy::hold::Hold;
use dutykey_policy::id::PersonId;
use dutykey_policy::installation::Installation;
use dutykey_policy::profile::Profile;
use dutykey_policy::retire::{Open, keep};
use dutykey_policy::time::{Span, later, rfc3339};
use dutykey_store::Store;
use serde::{Deserialize, Serialize};

use super::reads::{Breadth, faults, foreseen, read, widened};
use super::remote;
use super::retire::elsewhere;
use super::{World, called, plain, print_json};
use crate::cli;
use crate::output::table;

/// How far ahead a plan looks.
const AHEAD: Duration = Duration::from_secs(7 * 86_400);

/// What applying would change.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Plan {
    /// The version that is in force; 0 before the first.
    pub(super) version: u64,
    /// What differs.
    pub(super) changes: Vec<Change>,
    /// Who would have what within the next seven days that they would not have otherwise.
    pub(super) gains: Vec<Stretch>,
    /// Who would not have what they would have otherwise.
    pub(super) losses: Vec<Stretch>,
    /// Who has something now and loses it at once.
    pub(super) ends_now: Vec<Ending>,
    /// Why gains and losses could not be foreseen.
    pub(super) unforeseen: Vec<String>,
    /// What must be said with `--retire`.
    pub(super) retiring: Vec<String>,
    /// What cannot be applied at all.
    pub(super) refused: Vec<String>,
    /// How many more there are than are listed.
    #[serde(default, skip_serializing_if = "More::is_nothing")]
    pub(super) more: More,
    /// Whether an issuer is in force: then administrators can be known, and the API is the way.
    #[serde(skip)]
    pub(super) issued: bool,
    /// What would be applied: the file's part of what would be in force.
    #[serde(skip)]
    pub(super) installation: Installation,
}

/// How many more there are than are listed: an API lists some hundreds.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct More {
    /// Changes.
    pub(super) changes: usize,
    /// Gains.
    pub(super) gains: usize,
    /// Losses.
    pub(super) losses: usize,
    /// What ends at once.
    pub(super) ends_now: usize,
}

impl More {
    fn is_nothing(&self) -> bool {
        *self == Self::default()
    }
}

/// Shows what applying a configuration would change.
///
/// # Errors
/// The configuration or the table cannot be used.
pub(crate) async fn run(options: &cli::Plan) -> anyhow::Result<bool> {
    let world = World::new();
    let plan = match &options.api {
        Some(api) => remote::plan(&world, &options.file.config, api).await?,
        None => {
            let store = crate::data::open_if_there(&options.data).await?;
            make(&world, &options.file.config, store.as_ref()).await?
        }
    };
    if options.file.json {
        print_json(&plan)?
    } else {
        plan.print()
    }
    Ok(plan.unforeseen.is_empty() && plan.refused.is_empty())
}

/// Makes the plan; writes nothing.
pub(super) async fn make(world: &World, file: &Path, store: Option<&Store>) -> anyhow::Result<Plan> {
    let mut installation = world.installation(file).await?;
    let configured = match store {
        Some(store) => store.installation().await?,
        None => None,
    };
    let (holds, open) = match (store, &configured) {
        (Some(store), Some(_)) => open_holds(store).await?,
        _ => (Vec::new(), Open::default()),
    };
    let issued = configured.as_ref().is_some_and(|it| it.installation.api.oidc.is_some());
    let (version, stored, made) = configured.map_or((0, None, BTreeSet::new()), |configured| {
        let Configured { version, installation, made, .. } = configured;
        (version, Some(installation), made)
    });
    let retiring = keep(stored.as_ref(), &mut installation, &open);
    let targets = world.adapters.targets.as_ref();
    let mut refused = elsewhere(stored.as_ref(), &installation, &open, targets).await;
    let (next, conflicts) = installation.beside(stored.as_ref(), &made);
    refused.extend(conflicts);
    let mut plan = Plan {
        version,
        changes: difference(stored.as_ref(), &next)?,
        gains: Vec::new(),
        losses: Vec::new(),
        ends_now: Vec::new(),
        unforeseen: Vec::new(),
        retiring,
        refused,
        more: More::default(),
        issued,
        installation,
    };
    if plan.is_empty() {
        return Ok(plan);
    }
    plan.foresee(world, stored.as_ref(), &next).await;
    if let Some(store) = store {
        plan.ends_now = endings(store, &holds, &next.profiles).await?;
    }
    Ok(plan)
}

async fn endings(store: &Store, holds: &[Hold], next: &[Profile]) -> anyhow::Result<Vec<Ending>> {
    let mut people: BTreeMap<PersonId, Shown> = BTreeMap::new();
    let mut found = Vec::new();
    for hold in holds.iter().filter(|hold| ends_now(hold, next)) {
        if !people.contains_key(&hold.person) {
            let person = store.load(&hold.person).await?.map(|live| live.person);
            let (email, erased) = person.map_or((None, None), |person| (person.email, person.erased));
            people.insert(hold.person.clone(), Shown { id: Some(hold.person.clone()), email, erased });
        }
        let Some(person) = people.get(&hold.person).cloned() else { continue };
        found.push(Ending::of(hold, person));
    }
    Ok(found)
}

impl Plan {
    /// Compares what people would have under what is in force with what they would have after, by the same reads.
    async fn foresee(&mut self, world: &World, stored: Option<&Installation>, next: &Installation) {
        let now = world.clock.now();
        let window = Span { start: now, end: later(now, AHEAD) };
        let mut sources = next.sources.clone();
        let mut profiles = next.profiles.clone();
        if let Some(stored) = stored {
            let dropped = stored.sources.iter().filter(|old| !next.sources.iter().any(|new| new.id == old.id));
            sources.extend(dropped.cloned());
            profiles.extend(stored.profiles.iter().cloned());
        }
        let (wide, platforms) = (widened(window, &profiles), world.adapters.platforms.as_ref());
        profiles.iter_mut().for_each(|profile| profile.self_service = None);
        let reads = read(platforms, &sources, &profiles, wide, Breadth::Named).await;
        self.unforeseen = faults(&reads);
        let nothing = Installation { profiles: Vec::new(), ..next.clone() };
        let before = foreseen(stored.unwrap_or(&nothing), &reads, window);
        let after = foreseen(next, &reads, window);
        (self.gains, self.losses) = (gained(&before, &after), gained(&after, &before));
    }

    /// How many people lose something, now or within the next seven days.
    pub(super) fn losers(&self) -> usize {
        let ahead = self.losses.iter().map(|stretch| called(&stretch.person));
        ahead.chain(self.ends_now.iter().map(|ending| called(&ending.person))).collect::<BTreeSet<_>>().len()
    }

    /// Whether everything is as the file says.
    pub(super) fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// Shows it on a terminal.
    pub(super) fn print(&self) {
        self.refused.iter().for_each(|why| out!("REFUSED: {}", plain(why)));
        if self.is_empty() {
            out!("no changes");
            return;
        }
        for change in &self.changes {
            print_change(change);
        }
        for why in &self.retiring {
            out!("! {}; it retires, and apply wants --retire", plain(why));
        }
        if !self.ends_now.is_empty() {
            let mut now = table(&["loses at once", "what", "from profiles"]);
            for ending in &self.ends_now {
                let profiles: Vec<&str> = ending.profiles.iter().map(|profile| profile.as_str()).collect();
                let what = plain(&format!("{}/{}/{}", ending.app, ending.kind, ending.id));
                now.add_row([called(&ending.person), what, profiles.join(", ")]);
            }
            out!("\n{now}");
        }
        for (heading, stretches) in [("gains", &self.gains), ("loses", &self.losses)] {
            if stretches.is_empty() {
                continue;
            }
            let mut rows = table(&[heading, "what", "from", "until"]);
            for Stretch { person, app, kind, id, start, end } in stretches {
                let what = plain(&format!("{app}/{kind}/{id}"));
                rows.add_row([called(person), what, rfc3339(*start), rfc3339(*end)]);
            }
            out!("\nwithin the next 7 days, in UTC:\n{rows}");
        }
        if !self.unforeseen.is_empty() {
            out!("\nnot everything can be foreseen, because not every rota can be read:");
            self.unforeseen.iter().for_each(|fault| out!("  {}", plain(fault)));
        }
        let More { changes, gains, losses, ends_now } = self.more;
        if !self.more.is_nothing() {
            out!(
                "\nmore than is listed: {changes} changes, {gains} gains, {losses} losses, {ends_now} that end at once"
            );
        }
        let gainers: BTreeSet<String> = self.gains.iter().map(|stretch| called(&stretch.person)).collect();
        let changed = self.changes.len() + changes;
        out!("\n{changed} changes; {} people gain access, {} lose some", gainers.len(), self.losers());
    }
}

fn print_change(Change { what, part, id, keys }: &Change) {
    let sign = match what {
        What::Added => '+',
        What::Changed => '~',
        What::Removed => '-',
        What::Retiring => '!',
    };
    let part = match part {
        Part::Setting => "setting",
        Part::Source => "source",
        Part::App => "app",
        Part::Link => "link",
        Part::Profile => "profile",
    };
    out!("{sign} {part} {}", plain(id));
    for Key { key, before, after } in keys {
        let (key, value) = (plain(key), |value: &Option<String>| value.as_deref().map(plain));
        match (value(before), value(after)) {
            (Some(before), Some(after)) => out!("    {key}: {before} -> {after}"),
            (Some(before), None) => out!("    {key}: - {before}"),
            (None, Some(after)) => out!("    {key}: + {after}"),
            (None, None) => out!("    {key}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(profile: &str) -> Installation {
        let text = format!(
            "version: 1\nverified_domains: [example.com]\nsources: [{{ id: pager, platform: sandbox, script: {{}} }}]\n\
             apps: [{{ id: directory, target: sandbox, script: {{}} }}]\nprofiles:\n  - id: {profile}\n    name: Any\n    \
             entitlements: [{{ app: directory, kind: group, id: g-1 }}]\n    enrollment: {{ rotations: ['pager:primary'] }}\n"
        );
        let document = dutykey_runtime::config::parse(text.as_bytes(), Path::new("/"));
        let document = document.unwrap_or_else(|problems| panic!("{problems:?}"));
        document.pin(|_| Err("no names here".to_owned())).unwrap_or_else(|problems| panic!("{problems:?}"))
    }

    #[test]
    fn r23_what_the_api_made_is_not_gone_and_the_file_cannot_take_its_id() {
        let (own, other) = (file("own"), file("made"));
        let stored = Installation { profiles: [own.profiles.clone(), other.profiles.clone()].concat(), ..own.clone() };
        let made = BTreeSet::from([other.profiles[0].id.clone()]);
        let (next, refused) = own.beside(Some(&stored), &made);
        assert_eq!(difference(Some(&stored), &next).expect("JSON"), [], "the file says nothing of it");
        assert_eq!(refused, Vec::<String>::new());
        let (taken, refused) = other.beside(Some(&stored), &made);
        assert_eq!((taken.profiles.len(), refused.len()), (1, 1), "{refused:?}");
        assert!(refused[0].contains("`made` was made over the API"), "{refused:?}");
        let bare = Installation { apps: Vec::new(), ..own };
        let (_, refused) = bare.beside(Some(&stored), &made);
        assert!(refused[0].contains("needs the app `directory`"), "{refused:?}");
    }
}
