//! What a change of a profile would mean, for people and for whoever makes it. Nothing is asked of a platform.

use std::collections::BTreeSet;
use std::time::Duration;

use dutykey_engine::ports::ledger::{FindPeople as _, ReadLedger as _, StoreError};
use dutykey_engine::ports::rota::ReadRota as _;
use dutykey_engine::ports::rules::{Configured, ReadRules as _};
use dutykey_engine::request::Caller;
use dutykey_policy::effect::{Ending, Stretch, ends_now, gained};
use dutykey_policy::gain::{Author, Power, gain};
use dutykey_policy::id::{PersonId, ProfileId, SourceId};
use dutykey_policy::identity::verified_address;
use dutykey_policy::installation::Installation;
use dutykey_policy::profile::Profile;
use dutykey_policy::time::{Span, later};
use dutykey_runtime::config::{self, ConfigProblem};
use dutykey_store::{MAX_PAGE, Store};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use jiff::Timestamp;
use serde_json::Value;

use crate::ahead::{Rota, widened};
use crate::query::excerpt;
use crate::views::shown;
use crate::{Api, Problem};

/// How far ahead gains and losses are shown.
pub(crate) const AHEAD: Duration = Duration::from_secs(7 * 86_400);
/// How many items are read side by side.
const SIDE_BY_SIDE: usize = 16;
/// At most so many faults of a profile are named: one problem document is short.
const MAX_FAULTS: usize = 3;
/// At most so many characters of them.
const LONGEST_FAULTS: usize = 400;

/// A wanted profile, and what it would mean.
pub(super) struct Judged {
    pub(super) wanted: Profile,
    /// The version of the configuration on which it was judged.
    pub(super) on: u64,
    pub(super) effect: Effect,
    /// What it would give its author.
    pub(super) gain: BTreeSet<Power>,
}

/// What a change would mean for people.
pub(crate) struct Effect {
    /// Who would have what within the next days that they would not have otherwise.
    pub(crate) gains: Vec<Stretch>,
    /// Who would not have what they would have otherwise.
    pub(crate) losses: Vec<Stretch>,
    /// Who has something now and would lose it at once.
    pub(crate) ends_now: Vec<Ending>,
}

/// Judges what an author wants a profile to be.
///
/// Gains and losses are shown for the next days; what its author would gain is looked for as far as the rota is known, so
/// that nobody grants to themselves by waiting.
pub(super) async fn judge(api: &Api, caller: &Caller, id: &ProfileId, said: Value) -> Result<Judged, Problem> {
    let store = &api.store;
    let Configured { version: on, installation, .. } = configured(store).await?;
    let wanted = config::profile(said, id, &installation).map_err(|faults| unusable(&faults))?;
    let before = installation.profiles.iter().find(|profile| profile.id == *id);
    let others = installation.profiles.iter().filter(|profile| profile.id != *id);
    let next: Vec<Profile> = others.chain([&wanted]).cloned().collect();

    let now = api.clock.now();
    let known = Span { start: now, end: later(now, installation.sync.horizon.max(AHEAD)) };
    let rota = Rota::read(store, &installation, widened(known, installation.profiles.iter().chain([&wanted]))).await?;
    let (was, will) = (rota.forecast(known, &installation.profiles), rota.forecast(known, &next));
    let gains = gained(&was, &will);
    let enrolling = wanted.enrollment.iter().flat_map(|rule| &rule.rotations);
    let unseen = enrolling.filter(|rotation| !rota.has_seen(rotation)).cloned().collect();
    let versions: Vec<&Profile> = before.into_iter().chain([&wanted]).collect();
    let author = Author { unseen, ..author(store, &installation, caller, &versions).await? };
    let gain = gain(&author, before, &wanted, &gains);
    let shown = later(now, AHEAD);
    let losses = until(gained(&will, &was), shown);
    let effect = Effect { gains: until(gains, shown), losses, ends_now: endings(store, &[id], &next).await? };
    Ok(Judged { wanted, on, effect, gain })
}

/// Judges what the deletion of a profile would mean. It gives nobody more.
pub(super) async fn judge_deletion(api: &Api, id: &ProfileId) -> Result<Effect, Problem> {
    let store = &api.store;
    let installation = configured(store).await?.installation;
    let (gone, next): (Vec<Profile>, Vec<Profile>) =
        installation.profiles.iter().cloned().partition(|profile| profile.id == *id);
    if gone.is_empty() {
        return Err(Problem::NotFound(format!("profile {id}")));
    }
    let now = api.clock.now();
    let ahead = Span { start: now, end: later(now, AHEAD) };
    let rota = Rota::read(store, &installation, widened(ahead, &installation.profiles)).await?;
    let losses = gained(&rota.forecast(ahead, &next), &rota.forecast(ahead, &installation.profiles));
    Ok(Effect { gains: Vec::new(), losses, ends_now: endings(store, &[id], &next).await? })
}

pub(crate) async fn configured(store: &Store) -> Result<Configured, Problem> {
    let none = || Problem::Unavailable("no configuration was applied yet".to_owned());
    store.installation().await?.ok_or_else(none)
}

pub(crate) fn unusable(faults: &[ConfigProblem]) -> Problem {
    let said = |fault: &ConfigProblem| {
        let ConfigProblem { key, message, .. } = fault;
        if key.is_empty() { message.clone() } else { format!("{}: {message}", excerpt(key)) }
    };
    let listed: Vec<String> = faults.iter().take(MAX_FAULTS).map(said).collect();
    let listed: String = listed.join("; ").chars().take(LONGEST_FAULTS).collect();
    let more = faults.len().saturating_sub(MAX_FAULTS);
    let more = if more > 0 { format!("; and {more} more") } else { String::new() };
    Problem::Field(format!("{listed}{more}"))
}

/// The stretches up to an instant.
pub(crate) fn until(stretches: Vec<Stretch>, end: Timestamp) -> Vec<Stretch> {
    let inside = stretches.into_iter().filter(|stretch| stretch.start < end);
    inside.map(|stretch| Stretch { end: stretch.end.min(end), ..stretch }).collect()
}

/// Who in these profiles loses something at once.
pub(crate) async fn endings(store: &Store, of: &[&ProfileId], next: &[Profile]) -> Result<Vec<Ending>, StoreError> {
    let mut people = BTreeSet::new();
    for id in of {
        let mut cursor = None;
        loop {
            let page = store.list_enrollments(id, cursor.as_ref(), MAX_PAGE).await?;
            people.extend(page.items.into_iter().map(|enrollment| enrollment.person));
            cursor = page.next;
            if cursor.is_none() {
                break;
            }
        }
    }
    let loaded = people.into_iter().map(|person| async move { store.load(&person).await });
    let mut endings: Vec<Ending> = stream::iter(loaded)
        .buffered(SIDE_BY_SIDE)
        .try_fold(Vec::new(), |mut found, live| async move {
            if let Some(live) = live {
                let ending = live.holds.iter().filter(|hold| ends_now(hold, next));
                found.extend(ending.map(|hold| Ending::of(hold, shown(&hold.person, Some(&live.person)))));
            }
            Ok(found)
        })
        .await?;
    endings.sort_by(|a, b| (&a.person, &a.app, &a.kind, &a.id).cmp(&(&b.person, &b.app, &b.kind, &b.id)));
    Ok(endings)
}

/// By what these profiles, as they are or are to be, could mean their author.
pub(crate) async fn author(
    store: &Store,
    installation: &Installation,
    caller: &Caller,
    profiles: &[&Profile],
) -> Result<Author, StoreError> {
    let profiles = || profiles.iter().copied();
    let person = store.who(std::slice::from_ref(&caller.person)).await?.remove(&caller.person);
    let mut addresses: BTreeSet<String> = person.iter().filter_map(|person| person.email.clone()).collect();
    let named: BTreeSet<&String> = profiles().flat_map(Profile::addresses).collect();
    let theirs = |address: String| async move {
        let owner: Option<PersonId> = store.find_person(&address).await?;
        Ok::<_, StoreError>((owner.as_ref() == Some(&caller.person)).then_some(address))
    };
    let found: Vec<Option<String>> =
        stream::iter(named.into_iter().cloned().map(theirs)).buffer_unordered(SIDE_BY_SIDE).try_collect().await?;
    addresses.extend(found.into_iter().flatten());

    let mut sources: BTreeSet<SourceId> = person.iter().flat_map(|person| person.users.keys().cloned()).collect();
    let named: BTreeSet<&SourceId> = profiles().flat_map(Profile::rotations).map(|rotation| &rotation.source).collect();
    for source in named {
        // Whoever was never on call there is not linked yet, and would be once somebody puts them on call.
        if !sources.contains(source) && could_be(store, installation, source, &addresses).await? {
            sources.insert(source.clone());
        }
    }
    Ok(Author {
        person: caller.person.clone(),
        addresses,
        groups: caller.groups.clone(),
        sources,
        unseen: BTreeSet::new(),
    })
}

/// Whether a user of the source has one of these addresses, or would be given it by a link.
async fn could_be(
    store: &Store,
    installation: &Installation,
    source: &SourceId,
    addresses: &BTreeSet<String>,
) -> Result<bool, StoreError> {
    let linked = |link: &dutykey_policy::installation::Link| {
        link.sources.contains_key(source) && addresses.contains(&link.person)
    };
    if installation.links.iter().any(linked) {
        return Ok(true);
    }
    let directory = store.directory(source).await?;
    let domains = &installation.verified_domains;
    let address = |email: &String| verified_address(email, domains);
    let mut emails = directory.users.iter().filter_map(|user| user.email.as_ref()).filter_map(address);
    Ok(emails.any(|email| addresses.contains(&email)))
}
