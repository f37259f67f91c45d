//! Writing off a hold that cannot be ended any more: an administrator's word, in one transaction with its evidence, the text
//! of its reason and the notice of it.

use std::sync::Arc;

use dutykey_policy::block::Block;
use dutykey_policy::evidence::{Sealed, of_write_off};
use dutykey_policy::hold::Hold;
use dutykey_policy::hold::write_off::{Refusal, write_off};
use dutykey_policy::id::{AppId, EntitlementRef, HoldKey, PersonId, Place, ProfileId, RotationId, UserId};
use dutykey_policy::installation::Topic;
use dutykey_policy::look::{Due, decision_time};
use dutykey_policy::profile::Profile;
use dutykey_policy::wants::{Freshness, Rules, Shape, Slot, Want, wants};
use jiff::Timestamp;

use crate::due::{commit, soonest};
use crate::ports::clock::{Chance, Clock, trusted};
use crate::ports::ledger::{LivePerson, Notice, PersonChange, StoreError, Text, WriteLedger};
use crate::ports::queue::Enqueue;
use crate::ports::rota::ReadRota;
use crate::ports::rules::ReadRules;
use crate::request::{LONGEST_TEXT, bounded};
use crate::snapshot::Snapshot;

/// How often a loser of a race reads again.
const RACES: usize = 16;

/// Writes holds off.
#[derive(Clone)]
pub struct WriteOffs {
    /// People's items.
    pub ledger: Arc<dyn WriteLedger>,
    /// Rotations' heads.
    pub rota: Arc<dyn ReadRota>,
    /// Profiles, blocks, the installation.
    pub rules: Arc<dyn ReadRules>,
    /// The queues of both sides.
    pub queues: Arc<dyn Enqueue>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Chance, for what seals the reason.
    pub chance: Arc<dyn Chance>,
}

impl std::fmt::Debug for WriteOffs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WriteOffs").finish_non_exhaustive()
    }
}

/// Why a hold is not written off.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WriteOffError {
    /// There is no such hold, or it is over.
    #[error("there is no hold {0} that is not over")]
    NoHold(String),
    /// The reason is empty or too long.
    #[error("to write a hold off takes a reason of 1 to {LONGEST_TEXT} characters")]
    Reason,
    /// It may not be written off, or not yet.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The table.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The name of the text that says why a hold was written off.
#[must_use]
pub fn reason_name(hold: &Hold) -> String {
    format!("write-off/{}/{}", hold.name(), hold.since.as_millisecond())
}

impl WriteOffs {
    /// Writes off the hold with this name, and answers what it is then. Everybody who hears of overdue access is told.
    ///
    /// # Errors
    /// There is none, it gives no reason, it may not be written off, or the table cannot be used.
    pub async fn write_off(&self, name: &str, by: &PersonId, reason: String) -> Result<Hold, WriteOffError> {
        let unknown = || WriteOffError::NoHold(name.to_owned());
        let person = Hold::holder(name).ok_or_else(unknown)?;
        let reason = bounded(Some(reason), LONGEST_TEXT).ok().flatten().ok_or(WriteOffError::Reason)?;
        let reason = Sealed::new(&reason, self.chance.bytes());
        let mut races = 0;
        loop {
            let live = self.ledger.load(&person).await?.ok_or_else(unknown)?;
            trusted(self.clock.as_ref())?;
            let now = decision_time(self.clock.now(), live.head.last_at);
            let before = live.holds.iter().find(|hold| hold.name() == name).ok_or_else(unknown)?;
            let want = self.want(&live, before, now).await?;
            let after = write_off(before, by, want.as_ref(), now)?;
            match self.commit(&live, (before, &after), by, &reason, now).await {
                Err(StoreError::Changed(_)) if races < RACES => races += 1,
                done => return Ok(done.map(|()| after)?),
            }
        }
    }

    /// What live reasons want in the place of the hold. Nobody here reaches an app: where single values exclude each other
    /// in one place, any of them counts as that place's.
    async fn want(&self, live: &LivePerson, hold: &Hold, now: Timestamp) -> Result<Option<Want>, StoreError> {
        let snapshot = Snapshot::read(self.rules.as_ref(), self.rota.as_ref(), &live.enrollments, now).await?;
        let Some(snapshot) = snapshot else { return Ok(None) };
        let of_place = |key: &HoldKey| {
            let account = (&key.app, &key.account) == (&hold.key.app, &hold.key.account);
            let any = matches!(hold.shape, Shape::Value { .. });
            account && key.place.kind == hold.key.place.kind && (any || key.place.id == hold.key.place.id)
        };
        let places = wants(&live.person, &live.enrollments, &Unreached(&snapshot), now).places;
        Ok(places.into_iter().find(|(key, _)| of_place(key)).map(|(_, want)| want))
    }

    async fn commit(
        &self,
        live: &LivePerson,
        (before, after): (&Hold, &Hold),
        by: &PersonId,
        reason: &Sealed,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        // The next look finds nothing of it and writes when the person is due for the rest.
        let due = Some(Due { at: now, cause: "written off".to_owned() });
        let change = PersonChange {
            next_end: soonest(live.head.next_end.clone(), due),
            holds: vec![after.clone()],
            texts: vec![Text { name: reason_name(after), by: by.clone(), sealed: reason.clone() }],
            evidence: vec![of_write_off(before, after, by, reason)],
            notices: vec![told(after, by, now)],
            ..PersonChange::nothing(live, now)
        };
        commit(self.ledger.as_ref(), self.queues.as_ref(), live, &change).await
    }
}

/// What is decided with where no app is reached: an entitlement counts as what its profile calls it.
struct Unreached<'a>(&'a Snapshot);

impl Rules for Unreached<'_> {
    fn profile(&self, id: &ProfileId) -> Option<&Profile> {
        self.0.profile(id)
    }

    fn version(&self, id: &ProfileId, version: u64) -> Option<&Profile> {
        self.0.version(id, version)
    }

    fn freshness(&self, rotation: &RotationId) -> Option<Freshness> {
        self.0.freshness(rotation)
    }

    fn lock(&self, rotation: &RotationId, user: &UserId, profile: &ProfileId) -> Option<Timestamp> {
        self.0.lock(rotation, user, profile)
    }

    fn blocks(&self) -> &[Block] {
        self.0.blocks()
    }

    fn slot(&self, entitlement: &EntitlementRef) -> Option<Slot> {
        let EntitlementRef { kind, id, .. } = entitlement.clone();
        Some(Slot { place: Place { kind, id }, shape: Shape::Member })
    }

    fn grants(&self, app: &AppId) -> bool {
        self.0.grants(app)
    }
}

/// What those are told who hear of overdue access.
fn told(hold: &Hold, by: &PersonId, now: Timestamp) -> Notice {
    let text = format!(
        "{by} has written off that {} has {}. It is retried no more, and nothing has shown that it is gone: whoever still has \
         it keeps it.",
        hold.person, hold.key
    );
    Notice::new(reason_name(hold), Topic::Overdue, text, now)
}
