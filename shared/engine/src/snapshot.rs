//! What is read beside a person's own items, as one value that the pure rules can ask.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use dutykey_policy::block::Block;
use dutykey_policy::bug::Bug;
use dutykey_policy::enrollment::{Enrollment, Origin};
use dutykey_policy::id::{AppId, EntitlementRef, ProfileId, RotationId, UserId};
use dutykey_policy::installation::{App, Installation};
use dutykey_policy::lease::Views;
use dutykey_policy::profile::Profile;
use dutykey_policy::roll::Roll;
use dutykey_policy::time::{later, millis_between};
use dutykey_policy::wants::{Freshness, Rules, Slot};
use futures_util::future::try_join4;
use jiff::Timestamp;

use crate::lease;
use crate::ports::ledger::StoreError;
use crate::ports::rota::{ReadRota, RotationHead};
use crate::ports::rules::{Pulse, ReadRules, Standstill};
use crate::ports::target::Target;

/// Without a tick for so long Dutykey has paused: no lease ends before the platform has been asked again.
pub const PAUSE_MS: i64 = 180_000;

/// Everything that a look at one person is decided with, beside their own items.
pub struct Snapshot {
    /// The installation.
    pub installation: Installation,
    /// That nothing is begun or ended.
    pub standstill: Option<Standstill>,
    profiles: BTreeMap<ProfileId, Profile>,
    /// Versions beyond which some enrollments never grow.
    bounds: Vec<Profile>,
    heads: BTreeMap<RotationId, RotationHead>,
    blocks: Vec<Block>,
    roll: Option<Roll>,
    resumed_at: Option<Timestamp>,
    targets: BTreeMap<AppId, Arc<dyn Target>>,
    absent: BTreeSet<AppId>,
}

impl std::fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Snapshot").field("profiles", &self.profiles.keys()).finish_non_exhaustive()
    }
}

/// When Dutykey last resumed, by what the pulse says and by how long ago the last tick was.
#[must_use]
pub fn resumed_at(pulse: &Pulse, now: Timestamp) -> Option<Timestamp> {
    match pulse.ticked_at {
        Some(ticked) if millis_between(ticked, now) > PAUSE_MS => Some(now),
        _ => pulse.resumed_at,
    }
}

impl Snapshot {
    /// Reads what these enrollments need. Without an installation there is nothing to decide with.
    ///
    /// # Errors
    /// Those of the table. Nothing is decided on a part of the truth.
    pub async fn read(
        rules: &dyn ReadRules,
        rota: &dyn ReadRota,
        enrollments: &[Enrollment],
        now: Timestamp,
    ) -> Result<Option<Self>, StoreError> {
        let rotations: BTreeSet<RotationId> = enrollments
            .iter()
            .filter_map(|e| match &e.origin {
                Origin::Coverage(rotation) => Some(rotation.clone()),
                Origin::Request(_) | Origin::BreakGlass(_) => None,
            })
            .collect();
        let rotations: Vec<RotationId> = rotations.into_iter().collect();
        // Everything that hangs on nothing but the enrollments is read at once.
        let read = try_join4(rules.installation(), rules.pulse(), rules.blocks(), rota.heads(&rotations));
        let (configured, pulse, blocks, heads) = read.await?;
        let Some(configured) = configured else { return Ok(None) };
        let installation = configured.installation;
        // From the installation, so that both are of one version: it may change between two reads.
        let enrolls = |profile: &&Profile| enrollments.iter().any(|enrollment| enrollment.profile == profile.id);
        let profiles: Vec<Profile> = installation.profiles.iter().filter(enrolls).cloned().collect();
        let bounds = versions(enrollments, &profiles);
        Ok(Some(Self {
            installation,
            profiles: profiles.into_iter().map(|profile| (profile.id.clone(), profile)).collect(),
            bounds: if bounds.is_empty() { Vec::new() } else { rules.versions(&bounds).await? },
            heads,
            blocks,
            roll: None,
            resumed_at: resumed_at(&pulse, now),
            standstill: pulse.standstill,
            targets: BTreeMap::new(),
            absent: BTreeSet::new(),
        }))
    }

    /// The apps that the profiles name.
    #[must_use]
    pub fn apps(&self) -> BTreeSet<AppId> {
        self.profiles.values().flat_map(|p| &p.entitlements).map(|entitlement| entitlement.app.clone()).collect()
    }

    /// Makes an app's adapter known.
    pub fn provide(&mut self, app: AppId, target: Arc<dyn Target>) {
        self.targets.insert(app, target);
    }

    /// Makes it known that an app's adapter cannot be had now.
    pub fn miss(&mut self, app: AppId) {
        self.absent.insert(app);
    }

    /// Whether an app's adapter cannot be had now: nothing of it is decided.
    #[must_use]
    pub fn misses(&self, app: &AppId) -> bool {
        self.absent.contains(app)
    }

    /// An app's adapter, where it could be had.
    #[must_use]
    pub fn target(&self, app: &AppId) -> Option<&Arc<dyn Target>> {
        self.targets.get(app)
    }

    /// Makes the roll of the directory known: it is only read for somebody whom the brake holds.
    pub fn know_roll(&mut self, roll: Roll) {
        self.roll = Some(roll);
    }

    /// The roll of the directory, where it was read.
    #[must_use]
    pub fn roll(&self) -> Option<&Roll> {
        self.roll.as_ref()
    }

    /// The shortest lease of the profiles.
    #[must_use]
    pub fn lease(&self) -> Duration {
        lease::shortest(self.profiles.values())
    }

    /// The head of a rotation.
    #[must_use]
    pub fn head(&self, rotation: &RotationId) -> Option<&RotationHead> {
        self.heads.get(rotation)
    }
}

/// How fresh a rotation's view is; `None` where none was ever read.
#[must_use]
pub fn freshness(head: &RotationHead, resumed_at: Option<Timestamp>) -> Option<Freshness> {
    head.fresh_at.map(|fresh_at| Freshness {
        fresh_at,
        failed_at: head.failed_at,
        resumed_at: resumed_at.filter(|resumed| *resumed > fresh_at),
        prolonged_until: head.prolonged_until,
    })
}

/// How fresh the views of these rotations are.
#[must_use]
pub fn views<'a>(heads: impl IntoIterator<Item = &'a RotationHead>, pulse: &Pulse, now: Timestamp) -> Views {
    let resumed = resumed_at(pulse, now);
    let fresh = heads.into_iter().filter_map(|head| Some((head.id.clone(), freshness(head, resumed)?)));
    Views { fresh: fresh.collect(), now }
}

/// The versions beyond which enrollments never grow, where these are not the ones in force.
#[must_use]
pub fn versions(enrollments: &[Enrollment], current: &[Profile]) -> BTreeSet<(ProfileId, u64)> {
    let bound = enrollments.iter().filter_map(|enrollment| Some((enrollment.profile.clone(), enrollment.version?)));
    let in_force =
        |(id, version): &(ProfileId, u64)| current.iter().any(|known| known.id == *id && known.version == *version);
    bound.filter(|one| !in_force(one)).collect()
}

impl Rules for Snapshot {
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

    fn slot(&self, entitlement: &EntitlementRef) -> Option<Slot> {
        self.targets.get(&entitlement.app).and_then(|target| target.slot(entitlement))
    }

    fn grants(&self, app: &AppId) -> bool {
        let retires = |known: &App| known.retiring && !Bug::RetirementIgnored.is_chosen();
        !self.misses(app) && self.installation.apps.iter().any(|known| known.id == *app && !retires(known))
    }
}

/// How far ahead whoever commits a due time sends its message; the tick looks as far.
pub const AHEAD: std::time::Duration = std::time::Duration::from_secs(150);

/// Whether a due time is near enough for its message to be sent now.
#[must_use]
pub fn is_near(at: Timestamp, now: Timestamp) -> bool {
    at <= later(now, AHEAD)
}
