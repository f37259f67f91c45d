//! Prolonging the leases of a rotation whose platform does not answer (R8): an administrator says until when its last view
//! stands. One write on its head says so; the read that follows has everybody looked at whose access hangs on it.

use std::sync::Arc;

use dutykey_policy::evidence::{Draft, Sealed};
use dutykey_policy::id::RotationId;
use dutykey_policy::installation::Topic;
use dutykey_policy::lease::{Prolonging, Refusal};
use dutykey_policy::look::Due;
use dutykey_policy::profile::Profile;
use dutykey_policy::time::rfc3339;
use jiff::Timestamp;
use serde_json::json;

use crate::block::LONGEST_REASON;
use crate::brake::By;
use crate::lease;
use crate::ports::clock::{Chance, Clock, trusted};
use crate::ports::ledger::{Notice, ReadLedger, StoreError};
use crate::ports::queue::{Enqueue, Message, Queue};
use crate::ports::rota::{RotationChange, RotationHead, WriteRota};
use crate::ports::rules::ReadRules;
use crate::snapshot::{freshness, resumed_at};

/// How often a change is tried again where a sync was faster.
const RACES: usize = 16;

/// Prolongs leases.
#[derive(Clone)]
pub struct Leases {
    /// Rotations' heads.
    pub rota: Arc<dyn WriteRota>,
    /// People's items: what it gives its author.
    pub ledger: Arc<dyn ReadLedger>,
    /// Profiles, sources, and when Dutykey last ran.
    pub rules: Arc<dyn ReadRules>,
    /// The queue of reads.
    pub queues: Arc<dyn Enqueue>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Chance, for what seals the reason.
    pub chance: Arc<dyn Chance>,
}

impl std::fmt::Debug for Leases {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Leases").finish_non_exhaustive()
    }
}

/// Why the leases were not prolonged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LeaseError {
    /// There is no such rotation.
    #[error("there is no rotation {0}")]
    NoRotation(RotationId),
    /// The reason is empty or too long.
    #[error("a prolonged lease needs a reason of 1 to {LONGEST_REASON} characters")]
    Reason,
    /// It may not be prolonged, or not until then.
    #[error("{0}: {1}")]
    Refused(RotationId, Refusal),
    /// Whoever prolongs it would have access for longer.
    #[error("it would give you access for longer; another administrator must do it")]
    OwnGain,
    /// The table.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Leases {
    /// Has the rotation's last view stand until then. Answers its head.
    ///
    /// # Errors
    /// There is no such rotation, its leases may not be prolonged until then, it would give its author more, or the table
    /// cannot be used.
    pub async fn prolong(
        &self,
        rotation: &RotationId,
        until: Timestamp,
        reason: &str,
        by: &By,
    ) -> Result<RotationHead, LeaseError> {
        if reason.trim().is_empty() || reason.chars().count() > LONGEST_REASON {
            return Err(LeaseError::Reason);
        }
        let why = Sealed::new(reason, self.chance.bytes());
        for _ in 0..RACES {
            let change = self.decided(rotation, until, &why, by).await?;
            match self.rota.change_rotation_because(&change, &why, by.person()).await {
                Ok(head) => {
                    self.announce(rotation).await;
                    return Ok(head);
                }
                Err(StoreError::Changed(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(StoreError::Changed(format!("the rotation {rotation}, which is read over and over; try again")).into())
    }

    /// The change of its head, where it may be made.
    async fn decided(
        &self,
        rotation: &RotationId,
        until: Timestamp,
        why: &Sealed,
        by: &By,
    ) -> Result<RotationChange, LeaseError> {
        let head = self.rota.heads(std::slice::from_ref(rotation)).await?.remove(rotation);
        let head = head.ok_or_else(|| LeaseError::NoRotation(rotation.clone()))?;
        let installation = self.rules.installation().await?.map(|it| it.installation).unwrap_or_default();
        let followed = installation.sources.iter().any(|source| source.id == rotation.source && !source.retiring);
        let enrolls = |profile: &Profile| followed && profile.enrolls(rotation);
        let profiles: Vec<Profile> = installation.profiles.into_iter().filter(enrolls).collect();
        trusted(self.clock.as_ref())?;
        let now = self.clock.now();
        let view = freshness(&head, resumed_at(&self.rules.pulse().await?, now));
        let prolonging = Prolonging { rotation, view, profiles: &profiles, until, now };
        let end = prolonging.judge().map_err(|refusal| LeaseError::Refused(rotation.clone(), refusal))?;
        if let By::Administrator(author) = by
            && self.ledger.load(author).await?.is_some_and(|live| prolonging.gives(&live.enrollments))
        {
            return Err(LeaseError::OwnGain);
        }
        Ok(prolonged(head, &prolonging, end, why, by))
    }

    /// Whoever commits a due time that is near sends its message: the tick only finds what was lost.
    async fn announce(&self, rotation: &RotationId) {
        let read = Message::rota(rotation.source.clone(), Some(rotation.local()), "prolonged");
        if let Err(error) = self.queues.send(Queue::Sync, vec![read]).await {
            tracing::warn!(rotation.id = %rotation, error = %error, "`{rotation}` is read by the next tick: {error}");
        }
    }
}

/// The change that has the view stand until then rather than until `end`. Planned again, everybody is looked at.
fn prolonged(head: RotationHead, asked: &Prolonging<'_>, end: Timestamp, why: &Sealed, by: &By) -> RotationChange {
    let (until, now) = (asked.until, asked.now);
    let (id, expected) = (head.id.clone(), head.generation);
    let evidence = Draft {
        act: "rotation.prolonged".to_owned(),
        actor: by.actor(),
        subject: json!({ "rotation": id }),
        before: json!({ "until": rfc3339(end) }),
        after: json!({ "until": rfc3339(until) }),
        why: json!({ "digest": why.digest() }),
    };
    let text = format!(
        "the last view of {id} stands until {} and not until {}: its lease was prolonged {}. Look at it.",
        rfc3339(until),
        rfc3339(end),
        by.from()
    );
    let notice = Notice::new(format!("stale/{id}/prolonged/{expected}"), Topic::Stale, text, now);
    let head = RotationHead {
        prolonged_until: Some(until),
        prolonged_why: Some(why.digest()),
        planned: String::new(),
        due: Some(Due { at: now, cause: "prolonged".to_owned() }),
        ..head
    };
    // This notice tells how far the new lease has run down already.
    let told_stale = lease::stage(freshness(&head, None), asked.profiles, now) as u8;
    RotationChange {
        expected,
        head: RotationHead { told_stale, ..head },
        at: now,
        known: None,
        evidence: vec![evidence],
        notices: vec![notice],
    }
}
