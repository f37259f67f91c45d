//! Access requests: asking, deciding, asking for more time, giving back. Each is one transaction of the requester's items,
//! made on what is read right before it.

mod approving;
mod moving;
mod offers;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use dutykey_policy::evidence::Sealed;
use dutykey_policy::id::{PersonId, ProfileId, RequestId, RotationId};
use dutykey_policy::request::{Refusal, Request, Verdict, Wish};
use dutykey_policy::time::later;
use jiff::Timestamp;

use crate::ids;
use crate::ports::clock::{Chance, Clock};
use crate::ports::ledger::{FindPeople, LivePerson, StoreError, WriteLedger};
use crate::ports::queue::{Enqueue, Message, Queue};
use crate::ports::rota::ReadRota;
use crate::ports::rules::ReadRules;
use moving::{Change, Move, NewAsk};

pub use offers::{Duty, Offer};

/// The longest justification or comment, in characters.
pub const LONGEST_TEXT: usize = 2_000;
/// The longest name of an incident, in characters.
pub const LONGEST_INCIDENT: usize = 200;
/// A view that is older than this is read again before anything is asked for or decided by it.
const FRESH: Duration = Duration::from_secs(120);
/// How long a newer view is waited for.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often it is looked for meanwhile.
const LOOK: Duration = Duration::from_millis(250);
/// How long what was asked for under a name is not asked for again.
const KEY_KEPT: Duration = Duration::from_secs(86_400);
/// Under this name its acts are recorded.
const ACTOR: &str = "access-requests";

/// Asks and decides.
#[derive(Clone)]
pub struct Requests {
    /// People's items.
    pub ledger: Arc<dyn WriteLedger>,
    /// Whose an address, or a request, is.
    pub people: Arc<dyn FindPeople>,
    /// Rotations' heads and shifts.
    pub rota: Arc<dyn ReadRota>,
    /// Profiles and blocks.
    pub rules: Arc<dyn ReadRules>,
    /// The queues: of reads, and of both sides.
    pub queues: Arc<dyn Enqueue>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Chance, for IDs and for what seals texts.
    pub chance: Arc<dyn Chance>,
}

impl std::fmt::Debug for Requests {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Requests").finish_non_exhaustive()
    }
}

/// Whoever asks or decides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// Who.
    pub person: PersonId,
    /// Their groups, as their token says.
    pub groups: BTreeSet<String>,
}

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// For how long.
    pub wanted: Duration,
    /// Why.
    pub justification: Option<String>,
    /// For which incident.
    pub incident: Option<String>,
}

/// A name of the caller's own under which something is asked for once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Once {
    /// The name.
    pub name: String,
    /// A digest of everything that is asked for.
    pub of: String,
}

/// Why nothing was asked or decided.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// It is not possible now, or not for this person.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// There is no such profile.
    #[error("there is no profile {0}")]
    NoProfile(ProfileId),
    /// There is no such request, or it is over.
    #[error("there is no request {0} that is not over")]
    NoRequest(RequestId),
    /// A text is longer than it may be.
    #[error("a justification or a comment has at most {LONGEST_TEXT} characters, an incident {LONGEST_INCIDENT}")]
    TooLong,
    /// The caller has asked for something else under this name.
    #[error("something else was asked for under this name")]
    NameReused,
    /// No newer view of the rotation came in time, and the stored one is too old to decide by.
    #[error(
        "the rota of {0} could not be read again in time, and what is known of it is too old to decide by; try again"
    )]
    StaleRota(RotationId),
    /// The table.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A text, where there is one, in its bounds.
pub(crate) fn bounded(text: Option<String>, longest: usize) -> Result<Option<String>, RequestError> {
    let text = text.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
    match text {
        Some(text) if text.chars().count() > longest => Err(RequestError::TooLong),
        text => Ok(text),
    }
}

/// The name of the text that justifies an ask of a request; they count from 0.
#[must_use]
pub fn justification_name(id: &RequestId, ask: usize) -> String {
    format!("request/{id}/justification/{ask}")
}

/// The name of the text that goes with a decision on a request; they count from 0 over all of its asks.
#[must_use]
pub fn comment_name(id: &RequestId, decision: usize) -> String {
    format!("request/{id}/comment/{decision}")
}

impl Requests {
    /// Asks for a profile by being on call in the rotation, or in the first of the profile's in which the caller is. Under
    /// one name it is asked for once.
    ///
    /// # Errors
    /// It is not offered, or not now; its rota is too old; or the table cannot be used.
    pub async fn ask(
        &self,
        caller: &Caller,
        profile: &ProfileId,
        rotation: Option<&RotationId>,
        order: Order,
        once: Option<&Once>,
    ) -> Result<RequestId, RequestError> {
        // Whoever tries again is told what they have made, whatever has become of the duty or the profile since.
        if let Some(id) = self.made(&caller.person, once, self.clock.now()).await? {
            return Ok(id);
        }
        let rotation = match rotation {
            Some(rotation) => rotation.clone(),
            None => self.duty(&caller.person, profile).await?,
        };
        self.fresh(&rotation).await?;
        let id: RequestId = ids::named("req", self.chance.as_ref(), self.clock.now())?;
        let (wish, text) = self.wish(order)?;
        let ask = Move::Ask(NewAsk { id, profile, rotation: &rotation, wish, once });
        self.moved(&caller.person, text.as_ref(), &ask).await
    }

    /// Asks for more time for what was approved.
    ///
    /// # Errors
    /// It gives no access, or cannot be longer; its rota is too old; or the table cannot be used.
    pub async fn longer(&self, caller: &Caller, id: &RequestId, order: Order) -> Result<(), RequestError> {
        let owned = self.people.requester(id).await?.filter(|owner| *owner == caller.person);
        let owner = owned.ok_or_else(|| RequestError::NoRequest(id.clone()))?;
        let before = self.stored(&owner, id).await?;
        self.fresh(&before.rotation).await?;
        let (wish, text) = self.wish(order)?;
        self.moved(&owner, text.as_ref(), &Move::Change(id, Change::Longer(wish))).await.map(drop)
    }

    /// Decides what waits.
    ///
    /// # Errors
    /// Nothing waits, or it is not the caller's to decide; the rota is too old; or the table cannot be used.
    pub async fn decide(
        &self,
        caller: &Caller,
        id: &RequestId,
        verdict: Verdict,
        comment: Option<String>,
    ) -> Result<(), RequestError> {
        let owner = self.people.requester(id).await?.ok_or_else(|| RequestError::NoRequest(id.clone()))?;
        let before = self.stored(&owner, id).await?;
        self.fresh(&before.rotation).await?;
        let text = self.sealed(bounded(comment, LONGEST_TEXT)?);
        let decide = Change::Decide { caller, verdict, comment: text.as_ref().map(Sealed::digest) };
        self.moved(&owner, text.as_ref(), &Move::Change(id, decide)).await.map(drop)
    }

    /// Takes back what waits, or gives back what was approved.
    ///
    /// # Errors
    /// It is not the caller's, or is over; or the table cannot be used.
    pub async fn cancel(&self, caller: &Caller, id: &RequestId) -> Result<(), RequestError> {
        self.moved(&caller.person, None, &Move::Change(id, Change::Cancel)).await.map(drop)
    }

    /// What the person has asked for under this name before, where that is not too long ago.
    async fn made(
        &self,
        person: &PersonId,
        once: Option<&Once>,
        now: Timestamp,
    ) -> Result<Option<RequestId>, RequestError> {
        let Some(once) = once else { return Ok(None) };
        let made = self.ledger.made(person, &once.name).await?.filter(|made| later(made.at, KEY_KEPT) > now);
        match made {
            Some(made) if made.of != once.of => Err(RequestError::NameReused),
            made => Ok(made.map(|made| made.request)),
        }
    }

    /// Sees to it that what is known of the rotation is no older than it may be: where it is, a read is asked for and its
    /// outcome waited for.
    async fn fresh(&self, rotation: &RotationId) -> Result<(), RequestError> {
        let patience = later(self.clock.now(), PATIENCE);
        let mut asked = false;
        loop {
            let now = self.clock.now();
            let head = self.rota.heads(std::slice::from_ref(rotation)).await?.remove(rotation);
            let fresh_at = head.and_then(|head| head.fresh_at);
            if fresh_at.is_some_and(|at| later(at, FRESH) > now) {
                return Ok(());
            }
            if now >= patience {
                return Err(RequestError::StaleRota(rotation.clone()));
            }
            if !asked {
                let read = Message::rota(rotation.source.clone(), Some(rotation.local()), "request");
                if let Err(error) = self.queues.send(Queue::Sync, vec![read]).await {
                    tracing::warn!(rotation.id = %rotation, error = %error, "a read of `{rotation}` could not be asked for: {error}");
                }
                asked = true;
            }
            self.clock.sleep_until(later(now, LOOK).min(patience)).await;
        }
    }

    fn wish(&self, order: Order) -> Result<(Wish, Option<Sealed>), RequestError> {
        let Order { wanted, justification, incident } = order;
        let incident = bounded(incident, LONGEST_INCIDENT)?;
        let text = self.sealed(bounded(justification, LONGEST_TEXT)?);
        Ok((Wish { wanted, justification: text.as_ref().map(Sealed::digest), incident }, text))
    }

    fn sealed(&self, text: Option<String>) -> Option<Sealed> {
        text.map(|text| Sealed::new(&text, self.chance.bytes()))
    }

    async fn stored(&self, owner: &PersonId, id: &RequestId) -> Result<Request, RequestError> {
        let live = self.ledger.load(owner).await?;
        let live = live.ok_or_else(|| RequestError::NoRequest(id.clone()))?;
        of(&live, id)
    }
}

fn of(live: &LivePerson, id: &RequestId) -> Result<Request, RequestError> {
    let found = live.requests.iter().find(|request| request.id == *id).cloned();
    found.ok_or_else(|| RequestError::NoRequest(id.clone()))
}
