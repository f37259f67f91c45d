//! The forecast of what is stored: nothing is asked of a platform.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use dutykey_engine::ports::ledger::{FindPeople as _, StoreError};
use dutykey_engine::ports::rota::{ReadRota as _, RotationHead};
use dutykey_engine::ports::rules::ReadRules as _;
use dutykey_engine::snapshot::views;
use dutykey_policy::forecast::{self, Forecast, Gap, Input, Shown};
use dutykey_policy::id::{PersonId, RotationId, SourceId, UserId};
use dutykey_policy::identity::Doubt;
use dutykey_policy::installation::Installation;
use dutykey_policy::lease::Views;
use dutykey_policy::profile::Profile;
use dutykey_policy::rota::KnownShift;
use dutykey_policy::time::{Span, earlier, later};
use dutykey_store::{Cursor, Page, Store};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use jiff::Timestamp;

/// The longest window of a forecast: the longest horizon.
pub const MAX_WINDOW: Duration = Duration::from_secs(90 * 86_400);

/// How many rotations are read side by side.
const SIDE_BY_SIDE: usize = 16;

type Users = BTreeMap<(SourceId, UserId), Result<Shown, Doubt>>;

/// Who will hold what over the window, by the shifts that stand, the links that were made and the profiles in force: of one
/// page of rotations, with where the next page begins, and what of the page this release cannot read. What somebody holds
/// through rotations of several pages stands on each, with the reasons of that page.
///
/// It reads one query of shifts for each rotation, and two small items for each person on call. A gap is one only as far as
/// the last view of its rotation reached.
///
/// # Errors
/// The table cannot be used, or the cursor is not one of this list.
pub(crate) async fn page(
    store: &Store,
    window: Span,
    now: Timestamp,
    cursor: Option<&Cursor>,
    limit: usize,
) -> Result<(Forecast, Option<Cursor>, Vec<String>), StoreError> {
    let installation = store.installation().await?.map(|configured| configured.installation).unwrap_or_default();
    let Page { items, next, unreadable } = store.list_rotations(cursor, limit).await?;
    let views = views(&items, &store.pulse().await?, now);
    let rota = Rota::of(store, &installation, items, widened(window, &installation.profiles)).await?;
    let rota = Rota { views, ..rota };
    Ok((rota.forecast(window, &installation.profiles), next, unreadable))
}

/// What is stored of rotations over a window, and who their people are.
pub(crate) struct Rota {
    shifts: BTreeMap<RotationId, Vec<KnownShift>>,
    users: Users,
    /// What the last view of each rotation has seen.
    reach: BTreeMap<RotationId, Option<Span>>,
    /// How fresh that is; whoever compares two forecasts takes it as just read.
    views: Views,
}

impl Rota {
    /// Of every rotation of every source that is not retiring.
    pub(crate) async fn read(store: &Store, installation: &Installation, wide: Span) -> Result<Self, StoreError> {
        let mut heads = Vec::new();
        for source in installation.sources.iter().filter(|source| !source.retiring) {
            heads.extend(store.rotations(&source.id).await?);
        }
        Self::of(store, installation, heads, wide).await
    }

    /// Of those of these rotations whose source is not retiring, and is there.
    async fn of(
        store: &Store,
        installation: &Installation,
        heads: Vec<RotationHead>,
        wide: Span,
    ) -> Result<Self, StoreError> {
        let sources = installation.sources.iter().filter(|source| !source.retiring);
        let mut by_source: BTreeMap<&SourceId, Vec<RotationHead>> =
            sources.map(|source| (&source.id, Vec::new())).collect();
        for head in heads {
            if let Some(heads) = by_source.get_mut(&head.id.source) {
                heads.push(head);
            }
        }
        let (shifts, users, reach) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        let mut rota = Self { shifts, users, reach, views: Views::default() };
        for (source, heads) in by_source {
            let of = |head: RotationHead| async move {
                let known = store.known(&head.id, wide).await?;
                Ok::<_, StoreError>((head, known))
            };
            let read: Vec<(RotationHead, Vec<KnownShift>)> =
                stream::iter(heads.into_iter().map(of)).buffer_unordered(SIDE_BY_SIDE).try_collect().await?;
            let everybody: BTreeSet<UserId> =
                read.iter().flat_map(|(_, known)| known).filter_map(|known| known.shift.user.clone()).collect();
            rota.users.extend(identified(store, installation, source, everybody).await?);
            for (head, known) in read {
                rota.reach.insert(head.id.clone(), head.window);
                rota.shifts.insert(head.id, known);
            }
        }
        Ok(rota)
    }

    /// Whether a view has ever shown the rotation.
    pub(crate) fn has_seen(&self, rotation: &RotationId) -> bool {
        self.reach.get(rotation).is_some_and(Option::is_some)
    }

    /// Who will hold what under these profiles, over a window within the one that was read.
    pub(crate) fn forecast(&self, window: Span, profiles: &[Profile]) -> Forecast {
        let Self { shifts, users, reach, views } = self;
        let mut forecast = forecast::forecast(&Input { window, shifts, views, users, profiles });
        forecast.gaps = forecast.gaps.into_iter().filter_map(|gap| seen(gap, reach)).collect();
        forecast
    }
}

/// The window with what lead and grace may bring into it.
pub(crate) fn widened<'a>(window: Span, profiles: impl IntoIterator<Item = &'a Profile> + Clone) -> Span {
    let rules = || profiles.clone().into_iter().filter_map(|profile| profile.enrollment.as_ref());
    let lead = rules().map(|rule| rule.lead).max().unwrap_or_default();
    let grace = rules().map(|rule| rule.grace).max().unwrap_or_default();
    Span { start: earlier(window.start, grace), end: later(window.end, lead) }
}

/// What of a gap the rotation's last view has seen.
fn seen(gap: Gap, reach: &BTreeMap<RotationId, Option<Span>>) -> Option<Gap> {
    let end = reach.get(&gap.rotation).copied().flatten()?.end.min(gap.end);
    (gap.start < end).then_some(Gap { end, ..gap })
}

/// Who the users of a source are: those who are linked, and whom the next sync would link.
async fn identified(
    store: &Store,
    installation: &Installation,
    source: &SourceId,
    everybody: BTreeSet<UserId>,
) -> Result<Users, StoreError> {
    let everybody: Vec<UserId> = everybody.into_iter().collect();
    let linked = store.people(source, &everybody).await?;
    let ids: BTreeSet<PersonId> = linked.values().cloned().collect();
    let people = store.who(&ids.into_iter().collect::<Vec<_>>()).await?;
    let mut users = BTreeMap::new();
    let mut directory = None;
    for user in everybody {
        let who = match linked.get(&user) {
            Some(id) => Ok(crate::views::shown(id, people.get(id))),
            None => {
                let directory = match &directory {
                    Some(read) => read,
                    None => directory.insert(store.directory(source).await?),
                };
                match directory.first_address(installation, source, &user) {
                    Ok(address) => would_be(store, source, &user, address).await?,
                    Err(doubt) => Err(doubt),
                }
            }
        };
        users.insert((source.clone(), user), who);
    }
    Ok(users)
}

/// The person whom the address would match; doubt where they have another user on the source.
async fn would_be(
    store: &Store,
    source: &SourceId,
    user: &UserId,
    address: String,
) -> Result<Result<Shown, Doubt>, StoreError> {
    let Some(id) = store.find_person(&address).await? else {
        return Ok(Ok(Shown { id: None, email: Some(address), erased: None }));
    };
    let people = store.who(std::slice::from_ref(&id)).await?;
    let taken = people.get(&id).and_then(|person| person.users.get(source)).is_some_and(|other| other != user);
    Ok(if taken { Err(Doubt::Ambiguous) } else { Ok(Shown { id: Some(id), email: Some(address), erased: None }) })
}
