//! Why somebody has a profile, why not, or what is missing.

use std::collections::BTreeMap;
use std::sync::Arc;

use access_requests::explaining;
use anyhow::Context as _;
use dutykey_engine::ports::ledger::{FindPeople as _, ReadLedger as _};
use dutykey_engine::ports::rota::{ReadRota as _, RotationHead};
use dutykey_engine::ports::rules::ReadRules as _;
use dutykey_engine::ports::target::Target;
use dutykey_engine::snapshot::{freshness, resumed_at, versions};
use dutykey_policy::block::Block;
use dutykey_policy::enrollment::{Enrollment, Origin};
use dutykey_policy::explain::explain;
use dutykey_policy::hold::Hold;
use dutykey_policy::id::{AppId, EntitlementRef, PersonId, Place, ProfileId, RotationId, UserId};
use dutykey_policy::installation::App;
use dutykey_policy::profile::Profile;
use dutykey_policy::wants::{Freshness, Reason, Rules, Shape, Slot, wants};
use dutykey_store::Store;
use jiff::Timestamp;

use crate::cli;
use crate::commands::World;

/// Prints the explanation.
///
/// # Errors
/// There is no such person, the profile's ID cannot be one, or the table cannot be read.
pub(crate) async fn run(options: &cli::Explain) -> anyhow::Result<bool> {
    let profile: ProfileId = options.profile.parse()?;
    let store = crate::data::open(&options.data).await?;
    let person = find(&store, &options.person).await?;
    let live = store.load(&person).await?.with_context(|| format!("there is no person {person}"))?;
    let world = World::new();
    let now = world.clock.now();
    let facts = Facts::read(&store, &world, &live.enrollments, now).await?;
    let reasons: Vec<Reason> = wants(&live.person, &live.enrollments, &facts, now)
        .places
        .into_values()
        .flat_map(|want| want.reasons)
        .chain(live.holds.iter().flat_map(|hold| hold.reasons.iter().cloned()))
        .collect();
    let shifts = explaining(&store, &reasons).await?;
    let shift = |reason: &Reason| shifts.of(&live.person, reason);
    let holds: Vec<Hold> = live.holds.iter().chain(&live.written_off).cloned().collect();
    let explanation = explain(&live.person, &live.enrollments, &holds, &profile, &facts, shift, now);
    if options.json {
        println!("{}", serde_json::to_string_pretty(&explanation)?);
        return Ok(true);
    }
    for line in explanation.to_string().lines() {
        println!("{}", crate::output::plain(line));
    }
    Ok(true)
}

/// The person with this ID or address.
async fn find(store: &Store, text: &str) -> anyhow::Result<PersonId> {
    if let Ok(id) = text.parse() {
        return Ok(id);
    }
    let found = store.find_person(&text.trim().to_lowercase()).await?;
    found.with_context(|| {
        format!("nobody is known as `{}`; people become known when a rota first shows them", crate::output::plain(text))
    })
}

/// What is decided with, beside a person's own items.
struct Facts {
    profiles: BTreeMap<ProfileId, Profile>,
    bounds: Vec<Profile>,
    heads: BTreeMap<RotationId, RotationHead>,
    blocks: Vec<Block>,
    resumed_at: Option<Timestamp>,
    apps: BTreeMap<AppId, (App, Option<Arc<dyn Target>>)>,
}

impl Facts {
    async fn read(store: &Store, world: &World, enrollments: &[Enrollment], now: Timestamp) -> anyhow::Result<Self> {
        let configured = store.installation().await?.context("no configuration has been applied to this table yet")?;
        let installation = configured.installation;
        let rotations: Vec<RotationId> = enrollments
            .iter()
            .filter_map(|enrollment| match &enrollment.origin {
                Origin::Coverage(rotation) => Some(rotation.clone()),
                Origin::Request(_) | Origin::BreakGlass(_) => None,
            })
            .collect();
        let mut apps = BTreeMap::new();
        for app in installation.apps {
            let target = world.adapters.targets.target(&app).await.ok();
            apps.insert(app.id.clone(), (app, target));
        }
        let bounds = store.versions(&versions(enrollments, &installation.profiles)).await?;
        Ok(Self {
            bounds,
            profiles: installation.profiles.into_iter().map(|profile| (profile.id.clone(), profile)).collect(),
            heads: store.heads(&rotations).await?,
            blocks: store.blocks().await?,
            resumed_at: resumed_at(&store.pulse().await?, now),
            apps,
        })
    }
}

impl Rules for Facts {
    fn profile(&self, id: &ProfileId) -> Option<&Profile> {
        self.profiles.get(id)
    }

    fn version(&self, id: &ProfileId, version: u64) -> Option<&Profile> {
        self.bounds.iter().find(|profile| profile.id == *id && profile.version == version)
    }

    fn freshness(&self, rotation: &RotationId) -> Option<Freshness> {
        self.heads.get(rotation).and_then(|head| freshness(head, self.resumed_at))
    }

    fn lock(&self, rotation: &RotationId, user: &UserId, profile: &ProfileId) -> Option<Timestamp> {
        self.heads.get(rotation).and_then(|head| head.lock(user, profile))
    }

    fn blocks(&self) -> &[Block] {
        &self.blocks
    }

    /// Explaining needs no credentials of an app: without an adapter an entitlement counts as a member of a set.
    fn slot(&self, entitlement: &EntitlementRef) -> Option<Slot> {
        let (_, target) = self.apps.get(&entitlement.app)?;
        match target {
            Some(target) => target.slot(entitlement),
            None => Some(Slot {
                place: Place { kind: entitlement.kind.clone(), id: entitlement.id.clone() },
                shape: Shape::Member,
            }),
        }
    }

    fn grants(&self, app: &AppId) -> bool {
        self.apps.get(app).is_some_and(|(app, _)| !app.retiring)
    }
}
