//! What a change of the whole configuration would mean, for people and for whoever makes it. Nothing is asked of a platform
//! or an app: nobody here holds their secrets.

use std::collections::BTreeSet;

use dutykey_engine::ports::ledger::StoreError;
use dutykey_engine::request::Caller;
use dutykey_policy::configure::Proposal;
use dutykey_policy::difference::{Change, difference};
use dutykey_policy::effect::{Stretch, gained};
use dutykey_policy::gain::{Author, Power, configures, gain};
use dutykey_policy::hold::Hold;
use dutykey_policy::id::{ProfileId, RotationId, SourceId};
use dutykey_policy::installation::Installation;
use dutykey_policy::portable::unportable;
use dutykey_policy::profile::Profile;
use dutykey_policy::retire::{Open, keep, matters, moved};
use dutykey_policy::time::{Span, later};
use dutykey_runtime::config::{self, ConfigProblem};
use dutykey_store::{MAX_PAGE, Store};
use serde_json::Value;

use crate::ahead::{Rota, widened};
use crate::profiles::judged::{AHEAD, Effect, author, configured, endings, until, unusable};
use crate::{Api, Problem};

/// A wanted configuration, and what it would mean.
pub(super) struct Judged {
    /// The version on which it was judged.
    pub(super) on: u64,
    /// What it would be, the profiles that the API made aside; with what retires.
    pub(super) wanted: Installation,
    /// What differs.
    pub(super) changes: Vec<Change>,
    pub(super) effect: Effect,
    /// The rotations of which it gives something and which nobody has read yet, a sentence each.
    pub(super) unforeseen: Vec<String>,
    /// What would retire, a sentence each.
    pub(super) retiring: Vec<String>,
    /// Why it cannot come into force, a sentence each.
    pub(super) refused: Vec<String>,
    /// What it would give its author.
    pub(super) gain: BTreeSet<Power>,
}

/// Judges what an author wants the configuration to be.
pub(super) async fn judge(api: &Api, caller: &Caller, said: Value) -> Result<Judged, Problem> {
    let mut wanted = config::installation(said).map_err(|faults| unusable(&faults))?;
    let configured = configured(&api.store).await?;
    let stored = &configured.installation;
    let strange = |(key, why): (String, &str)| ConfigProblem { line: 1, key, message: why.to_owned() };
    let strange: Vec<ConfigProblem> = unportable(stored, &wanted).into_iter().map(strange).collect();
    if !strange.is_empty() {
        return Err(unusable(&strange));
    }
    let (retiring, mut refused) = leaving(&api.store, stored, &mut wanted).await?;
    let (whole, conflicts) = wanted.beside(Some(stored), &configured.made);
    refused.extend(conflicts);
    let changes = changes(stored, &whole)?;
    let on = configured.version;
    if changes.is_empty() {
        let effect = Effect { gains: Vec::new(), losses: Vec::new(), ends_now: Vec::new() };
        let (unforeseen, gain) = (Vec::new(), BTreeSet::new());
        return Ok(Judged { on, wanted, changes, effect, unforeseen, retiring, refused, gain });
    }
    let foreseen = Foreseen::of(api, stored, &whole).await?;
    let gain = gains(api, caller, stored, &wanted, &whole, &foreseen).await?;
    let unforeseen = foreseen.unforeseen();
    let effect = foreseen.effect(api, stored, &whole).await?;
    Ok(Judged { on, wanted, changes, effect, unforeseen, retiring, refused, gain })
}

/// Judges what waits, once more. `None` where something has changed since, so that it can no longer be confirmed.
pub(super) async fn judge_waiting(api: &Api, proposal: &Proposal) -> Result<Option<Judged>, Problem> {
    let configured = configured(&api.store).await?;
    let stored = &configured.installation;
    if configured.version != proposal.configuration || !fits(&api.store, stored, &proposal.wanted).await? {
        return Ok(None);
    }
    let (whole, refused) = proposal.wanted.beside(Some(stored), &configured.made);
    let foreseen = Foreseen::of(api, stored, &whole).await?;
    Ok(Some(Judged {
        on: configured.version,
        wanted: proposal.wanted.clone(),
        changes: changes(stored, &whole)?,
        unforeseen: foreseen.unforeseen(),
        effect: foreseen.effect(api, stored, &whole).await?,
        retiring: Vec::new(),
        refused,
        gain: proposal.gain.clone(),
    }))
}

/// Whether what waits can still be confirmed: nothing that it drops has had access given in it meanwhile.
pub(super) async fn still_fits(api: &Api, proposal: &Proposal) -> Result<bool, Problem> {
    let configured = configured(&api.store).await?;
    Ok(fits(&api.store, &configured.installation, &proposal.wanted).await?)
}

async fn fits(store: &Store, stored: &Installation, wanted: &Installation) -> Result<bool, StoreError> {
    let mut again = wanted.clone();
    let (_, refused) = leaving(store, stored, &mut again).await?;
    Ok(again == *wanted && refused.is_empty())
}

/// Has what is dropped and still has something open retire. Answers what that is, and which apps cannot be what they would
/// be, a sentence each.
async fn leaving(
    store: &Store,
    stored: &Installation,
    wanted: &mut Installation,
) -> Result<(Vec<String>, Vec<String>), StoreError> {
    if !matters(stored, wanted) {
        return Ok((Vec::new(), Vec::new()));
    }
    let (_, open) = open_holds(store).await?;
    let retiring = keep(Some(stored), wanted, &open);
    let elsewhere = |app: &str| {
        format!(
            "app `{app}` would have another address while holds of it are open, and nobody can tell here whether it is \
             another tenant; give the new one an ID of its own and retire this one"
        )
    };
    let refused = moved(Some(stored), wanted, &open).map(|(app, _)| elsewhere(app.id.as_str())).collect();
    Ok((retiring, refused))
}

/// Every hold that is not over, and how many there are of each app and source.
///
/// # Errors
/// The table cannot be used.
pub async fn open_holds(store: &Store) -> Result<(Vec<Hold>, Open), StoreError> {
    let (mut holds, mut unreadable, mut cursor) = (Vec::new(), false, None);
    loop {
        let page = store.list_open_holds(cursor.as_ref(), MAX_PAGE).await?;
        holds.extend(page.items);
        unreadable |= !page.unreadable.is_empty();
        cursor = page.next;
        if cursor.is_none() {
            let open = Open::of(&holds, unreadable);
            return Ok((holds, open));
        }
    }
}

fn changes(stored: &Installation, whole: &Installation) -> Result<Vec<Change>, Problem> {
    difference(Some(stored), whole).map_err(|error| Problem::Unreadable(error.to_string()))
}

/// What people would gain and lose by the rota that is stored, as far as it is known.
struct Foreseen {
    gains: Vec<Stretch>,
    losses: Vec<Stretch>,
    /// Rotations of which something new is given without asking, and which no view has shown.
    unseen: BTreeSet<RotationId>,
}

impl Foreseen {
    async fn of(api: &Api, stored: &Installation, whole: &Installation) -> Result<Self, StoreError> {
        let now = api.clock.now();
        let horizon = stored.sync.horizon.max(whole.sync.horizon).max(AHEAD);
        let known = Span { start: now, end: later(now, horizon) };
        let wide = widened(known, stored.profiles.iter().chain(&whole.profiles));
        let was = Rota::read(&api.store, stored, wide).await?;
        let again = if reads_the_same(stored, whole) { None } else { Some(Rota::read(&api.store, whole, wide).await?) };
        let will = again.as_ref().unwrap_or(&was);
        let (before, after) = (was.forecast(known, &stored.profiles), will.forecast(known, &whole.profiles));
        let enrolling = edited(stored, whole).into_iter().filter_map(|(_, after)| after.enrollment.as_ref());
        let unseen = enrolling.flat_map(|rule| &rule.rotations).filter(|rotation| !will.has_seen(rotation));
        let unseen = unseen.cloned().collect();
        Ok(Self { gains: gained(&before, &after), losses: gained(&after, &before), unseen })
    }

    fn unforeseen(&self) -> Vec<String> {
        self.unseen.iter().map(|rotation| format!("rotation {rotation}: nobody has read it yet")).collect()
    }

    /// Of the next days, with what ends at once.
    async fn effect(self, api: &Api, stored: &Installation, whole: &Installation) -> Result<Effect, StoreError> {
        let shown = later(api.clock.now(), AHEAD);
        let says_the_same =
            |before: &&Profile| whole.profiles.iter().any(|it| it.id == before.id && it.says_the_same(before));
        let touched = stored.profiles.iter().filter(|before| !says_the_same(before));
        let touched: Vec<&ProfileId> = touched.map(|profile| &profile.id).collect();
        let ends_now = endings(&api.store, &touched, &whole.profiles).await?;
        Ok(Effect { gains: until(self.gains, shown), losses: until(self.losses, shown), ends_now })
    }
}

/// The profiles that are new or differ, each as it is and as it would be.
fn edited<'a>(stored: &'a Installation, whole: &'a Installation) -> Vec<(Option<&'a Profile>, &'a Profile)> {
    let before = |after: &Profile| stored.profiles.iter().find(|before| before.id == after.id);
    let versions = whole.profiles.iter().map(|after| (before(after), after));
    versions.filter(|(before, after)| before.is_none_or(|before| !before.says_the_same(after))).collect()
}

/// Whether both show the same people on call in the same rotations.
fn reads_the_same(one: &Installation, other: &Installation) -> bool {
    let sources = |it: &Installation| -> BTreeSet<(SourceId, bool)> {
        it.sources.iter().map(|source| (source.id.clone(), source.retiring)).collect()
    };
    one.links == other.links && one.verified_domains == other.verified_domains && sources(one) == sources(other)
}

/// What the change gives its author: by what they have written, and by each profile that differs. What they would gain is
/// looked for as far as the rota is known, so that nobody grants to themselves by waiting.
async fn gains(
    api: &Api,
    caller: &Caller,
    stored: &Installation,
    wanted: &Installation,
    whole: &Installation,
    foreseen: &Foreseen,
) -> Result<BTreeSet<Power>, StoreError> {
    let mut powers = configures(stored, wanted);
    let edited = edited(stored, whole);
    let named: Vec<&Profile> =
        edited.iter().flat_map(|(before, after)| before.iter().copied().chain([*after])).collect();
    let unseen = foreseen.unseen.clone();
    let author = Author { unseen, ..author(&api.store, whole, caller, &named).await? };
    for (before, after) in edited {
        powers.extend(gain(&author, before, after, &foreseen.gains));
    }
    Ok(powers)
}
