//! Erasing people, for administrators.

use std::sync::Arc;

use dutykey_policy::erase::{Known, Refusal, may_be_erased};
use dutykey_policy::id::{PersonId, RotationId, SourceId};
use dutykey_policy::look::decision_time;
use dutykey_policy::rota::{KnownShift, PlatformUser, Shift};
use dutykey_policy::time::Span;
use futures_util::future::try_join_all;
use jiff::Timestamp;

use crate::ports::clock::{Clock, trusted};
use crate::ports::emergencies::ReadEmergencies;
use crate::ports::erasures::{ErasePeople, Erased};
use crate::ports::ledger::{LivePerson, ReadLedger, StoreError};
use crate::ports::rota::ReadRota;
use crate::ports::rules::ReadRules;

/// How often a loser of a race reads again.
const RACES: usize = 16;
/// So many rotations are asked at once.
const AT_ONCE: usize = 32;

/// Erases people.
#[derive(Clone)]
pub struct Erasures {
    /// People's items.
    pub ledger: Arc<dyn ReadLedger>,
    /// Where they are erased.
    pub people: Arc<dyn ErasePeople>,
    /// Emergencies.
    pub emergencies: Arc<dyn ReadEmergencies>,
    /// Who is on call, and whom sources list.
    pub rota: Arc<dyn ReadRota>,
    /// What is configured, and blocks.
    pub rules: Arc<dyn ReadRules>,
    /// Time.
    pub clock: Arc<dyn Clock>,
}

impl std::fmt::Debug for Erasures {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Erasures").finish_non_exhaustive()
    }
}

/// Why somebody is not erased.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EraseError {
    /// There is no such person.
    #[error("there is no person {0}")]
    Nobody(PersonId),
    /// Something comes first.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The table.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Erasures {
    /// Erases a person: nothing that says who they are is left, and none of their texts. Whoever was interrupted asks again,
    /// and it goes on where it was; of somebody who is erased already nothing is asked.
    ///
    /// # Errors
    /// There is no such person, something comes first, or the table cannot be used.
    pub async fn erase(&self, id: &PersonId, by: &PersonId) -> Result<(), EraseError> {
        let mut races = 0;
        loop {
            let live = self.ledger.load(id).await?.ok_or_else(|| EraseError::Nobody(id.clone()))?;
            trusted(self.clock.as_ref())?;
            let now = decision_time(self.clock.now(), live.head.last_at);
            if live.person.erased.is_none() {
                self.judge(&live, by, now).await?;
            }
            match self.people.erase(&live, by, now).await {
                Ok(Erased::Whole) => return Ok(()),
                Ok(Erased::InPart) => {}
                Err(StoreError::Changed(_)) if races < RACES => races += 1,
                Err(error) => return Err(error.into()),
            }
        }
    }

    async fn judge(&self, live: &LivePerson, by: &PersonId, now: Timestamp) -> Result<(), EraseError> {
        let installation = self.rules.installation().await?.map(|it| it.installation).unwrap_or_default();
        let blocks = self.rules.blocks().await?;
        let unreviewed = self.emergencies.unreviewed(&live.person.id).await?;
        let (mut shifts, mut users) = (Vec::new(), Vec::new());
        for source in &installation.sources {
            let listed: Vec<PlatformUser> = self.rota.directory(&source.id).await?.holders().cloned().collect();
            users.push((source.id.clone(), listed));
            if live.person.users.contains_key(&source.id) {
                shifts.extend(self.ahead(&source.id, now).await?);
            }
        }
        let known = Known {
            person: &live.person,
            unreadable: &live.unreadable,
            enrollments: &live.enrollments,
            holds: &live.holds,
            requests: &live.requests,
            unreviewed: unreviewed.as_ref(),
            blocks: &blocks,
            installation: &installation,
            shifts: &shifts,
            users: &users,
            now,
        };
        Ok(may_be_erased(&known, by)?)
    }

    /// The shifts of a source that stand now or later, and those that the brake holds, by rotation.
    async fn ahead(&self, source: &SourceId, now: Timestamp) -> Result<Vec<(RotationId, Vec<Shift>)>, StoreError> {
        let within = Span { start: now, end: Timestamp::MAX };
        let heads = self.rota.rotations(source).await?;
        let mut ahead = Vec::with_capacity(heads.len());
        for some in heads.chunks(AT_ONCE) {
            let known = try_join_all(some.iter().map(|head| self.rota.known(&head.id, within))).await?;
            for (head, known) in some.iter().zip(known) {
                let standing = known.into_iter().filter(KnownShift::stands).map(|known| known.shift);
                let held = head.held.iter().flat_map(|held| held.change.removed.iter().chain(&held.change.added));
                ahead.push((head.id.clone(), standing.chain(held.cloned()).collect()));
            }
        }
        Ok(ahead)
    }
}
