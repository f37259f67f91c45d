//! Access requests: asking, deciding, asking for more time, giving back. Each is one transaction of the requester's items,
//! made on what is read right before it.

mod approving;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use dutykey_policy::block::{Block, Reach};
use dutykey_policy::enrollment::{Cover, Origin};
use dutykey_policy::evidence::Sealed;
use dutykey_policy::id::{PersonId, ProfileId, RequestId, RotationId};
use dutykey_policy::look::{Due, decision_time};
use dutykey_policy::profile::{Approvers, Profile};
use dutykey_policy::request::{Decision, Known, Refusal, Request, Verdict, Wish, of_request};
use dutykey_policy::time::later;
use jiff::Timestamp;

use crate::due::{announce, soonest};
use crate::ids;
use crate::ports::clock::{Chance, Clock, trusted};
use crate::ports::ledger::{Committed, FindPeople, LivePerson, PersonChange, StoreError, WriteLedger};
use crate::ports::queue::{Enqueue, Message, Queue};
use crate::ports::rota::ReadRota;
use crate::ports::rules::ReadRules;
use crate::settle::covers;

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
/// How often a loser of a race reads again.
const RACES: usize = 16;
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
fn bounded(text: Option<String>, longest: usize) -> Result<Option<String>, RequestError> {
    let text = text.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
    match text {
        Some(text) if text.chars().count() > longest => Err(RequestError::TooLong),
        text => Ok(text),
    }
}

/// A text that goes with a change: its digest, and what is stored beside the evidence.
#[derive(Debug, Clone, Default)]
struct Text {
    digest: Option<String>,
    stored: Vec<(String, Sealed)>,
}

/// What a move is made on.
struct Ground {
    profile: Option<Profile>,
    covers: Vec<Cover>,
    blocked: bool,
    now: Timestamp,
}

impl Ground {
    fn known<'a>(&'a self, may: &'a dyn Fn(&Approvers, &PersonId, &BTreeSet<String>) -> bool) -> Known<'a> {
        let Self { profile, covers, blocked, now } = self;
        Known { profile: profile.as_ref(), covers, blocked: *blocked, may, now: *now }
    }
}

impl Requests {
    /// Asks for a profile by being on call in the rotation.
    ///
    /// # Errors
    /// It is not offered, or not now; its rota is too old; or the table cannot be used.
    pub async fn ask(
        &self,
        caller: &Caller,
        profile: &ProfileId,
        rotation: &RotationId,
        order: Order,
    ) -> Result<Request, RequestError> {
        self.fresh(rotation).await?;
        let id = self.fresh_id()?;
        let (wish, text) = self.wish(&id, 0, order)?;
        self.moved(&caller.person, &text, async |live, now| {
            let ground = self.ground(live, profile, rotation, now).await?;
            if ground.profile.is_none() {
                return Err(RequestError::NoProfile(profile.clone()));
            }
            let (person, profile, rotation) = (caller.person.clone(), profile.clone(), rotation.clone());
            let asked = Request::asked(id.clone(), person, profile, rotation, wish.clone(), &ground.known(&nobody))?;
            Ok((None, asked))
        })
        .await
    }

    /// Asks for more time for what was approved.
    ///
    /// # Errors
    /// It gives no access, or cannot be longer; its rota is too old; or the table cannot be used.
    pub async fn longer(&self, caller: &Caller, id: &RequestId, order: Order) -> Result<Request, RequestError> {
        let owned = self.owned(id).await?.filter(|owner| *owner == caller.person);
        let owner = owned.ok_or_else(|| RequestError::NoRequest(id.clone()))?;
        let before = self.stored(&owner, id).await?;
        self.fresh(&before.rotation).await?;
        let (wish, text) = self.wish(id, before.asks().count(), order)?;
        self.moved(&owner, &text, async |live, now| {
            let before = of(live, id)?;
            let ground = self.ground(live, &before.profile, &before.rotation, now).await?;
            let next = before.longer(wish.clone(), &ground.known(&nobody))?;
            Ok((Some(before), next))
        })
        .await
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
    ) -> Result<Request, RequestError> {
        let owner = self.owned(id).await?.ok_or_else(|| RequestError::NoRequest(id.clone()))?;
        let before = self.stored(&owner, id).await?;
        self.fresh(&before.rotation).await?;
        let decided = before.asks().map(|ask| ask.decisions.len()).sum::<usize>();
        let text = self.sealed(&format!("request/{id}/comment/{decided}"), bounded(comment, LONGEST_TEXT)?);
        self.moved(&owner, &text, async |live, now| {
            let before = of(live, id)?;
            let ground = self.ground(live, &before.profile, &before.rotation, now).await?;
            let approving = self.approving(ground.profile.as_ref(), &before, caller, now).await?;
            let may =
                |approvers: &Approvers, by: &PersonId, groups: &BTreeSet<String>| approving.may(approvers, by, groups);
            let groups = approving.named(&caller.groups);
            let (by, comment) = (caller.person.clone(), text.digest.clone());
            let next = before.decided(Decision { by, groups, at: now, verdict, comment }, &ground.known(&may))?;
            Ok((Some(before), next))
        })
        .await
    }

    /// Takes back what waits, or gives back what was approved.
    ///
    /// # Errors
    /// It is not the caller's, or is over; or the table cannot be used.
    pub async fn cancel(&self, caller: &Caller, id: &RequestId) -> Result<Request, RequestError> {
        self.moved(&caller.person, &Text::default(), async |live, now| {
            let before = of(live, id)?;
            let ground = self.ground(live, &before.profile, &before.rotation, now).await?;
            let next = before.cancelled(&ground.known(&nobody))?;
            Ok((Some(before), next))
        })
        .await
    }

    /// Makes a move of a person's request, again where somebody else was faster.
    async fn moved(
        &self,
        person: &PersonId,
        text: &Text,
        next: impl AsyncFn(&LivePerson, Timestamp) -> Result<(Option<Request>, Request), RequestError>,
    ) -> Result<Request, RequestError> {
        let mut races = 0;
        loop {
            let live = self.ledger.load(person).await?;
            let live = live.ok_or_else(|| StoreError::Changed(format!("the person {person}")))?;
            trusted(self.clock.as_ref())?;
            let now = decision_time(self.clock.now(), live.head.last_at);
            let (before, after) = next(&live, now).await?;
            match self.commit(&live, before.as_ref(), &after, text, now).await {
                Err(StoreError::Changed(_)) if races < RACES => races += 1,
                done => return Ok(done.map(|()| after)?),
            }
        }
    }

    async fn commit(
        &self,
        live: &LivePerson,
        before: Option<&Request>,
        after: &Request,
        text: &Text,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let gives = before.and_then(Request::access) != after.access();
        let due = |at: Timestamp| Some(Due { at, cause: "request".to_owned() });
        let next_end = after.access().filter(|_| gives).and_then(|access| due(access.until.max(now)));
        let next_start = if gives { due(now) } else { after.due().and_then(due) };
        let change = PersonChange {
            next_start: soonest(live.head.next_start.clone(), next_start),
            next_end: soonest(live.head.next_end.clone(), next_end),
            enrollments: gives.then(|| after.enrollment()).into_iter().collect(),
            requests: vec![after.clone()],
            texts: text.stored.clone(),
            evidence: of_request(before, after, ACTOR),
            ..PersonChange::nothing(live, now)
        };
        match self.ledger.commit(&change).await? {
            Committed::Done(head) => {
                announce(self.queues.as_ref(), &live.person.id, &live.head, &head, now, None).await;
                Ok(())
            }
            Committed::Claimed(_) => Err(StoreError::Changed(format!("the person {}", live.person.id))),
        }
    }

    async fn ground(
        &self,
        live: &LivePerson,
        profile: &ProfileId,
        rotation: &RotationId,
        now: Timestamp,
    ) -> Result<Ground, StoreError> {
        let profile = self.rules.profiles(std::slice::from_ref(profile)).await?.into_iter().next();
        let covers = match &profile {
            Some(profile) => covers(self.rota.as_ref(), live, rotation, profile, now).await?,
            None => Vec::new(),
        };
        let blocks = self.rules.blocks().await?;
        let inactive = live.person.active == Some(false);
        let blocked =
            inactive || profile.as_ref().is_some_and(|profile| denied(&blocks, &live.person.id, profile, now));
        Ok(Ground { profile, covers, blocked, now })
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

    fn fresh_id(&self) -> Result<RequestId, RequestError> {
        let id = format!("req_{}", ids::fresh(self.chance.as_ref(), self.clock.now()));
        id.parse().map_err(|error| StoreError::Limit(format!("{error}")).into())
    }

    fn wish(&self, id: &RequestId, asks: usize, order: Order) -> Result<(Wish, Text), RequestError> {
        let Order { wanted, justification, incident } = order;
        let incident = bounded(incident, LONGEST_INCIDENT)?;
        let text = self.sealed(&format!("request/{id}/justification/{asks}"), bounded(justification, LONGEST_TEXT)?);
        Ok((Wish { wanted, justification: text.digest.clone(), incident }, text))
    }

    fn sealed(&self, name: &str, text: Option<String>) -> Text {
        let Some(text) = text else { return Text::default() };
        let sealed = Sealed::new(&text, self.chance.bytes());
        Text { digest: Some(sealed.digest()), stored: vec![(name.to_owned(), sealed)] }
    }

    async fn owned(&self, id: &RequestId) -> Result<Option<PersonId>, StoreError> {
        self.people.requester(id).await
    }

    async fn stored(&self, owner: &PersonId, id: &RequestId) -> Result<Request, RequestError> {
        let live = self.ledger.load(owner).await?;
        let live = live.ok_or_else(|| RequestError::NoRequest(id.clone()))?;
        of(&live, id)
    }
}

/// Nobody decides when something is asked for or given back.
fn nobody(_: &Approvers, _: &PersonId, _: &BTreeSet<String>) -> bool {
    false
}

fn of(live: &LivePerson, id: &RequestId) -> Result<Request, RequestError> {
    let found = live.requests.iter().find(|request| request.id == *id).cloned();
    found.ok_or_else(|| RequestError::NoRequest(id.clone()))
}

/// Whether blocks deny the person all that the profile gives, or keep it from being begun.
fn denied(blocks: &[Block], person: &PersonId, profile: &Profile, now: Timestamp) -> bool {
    let asked = Origin::Request(String::new());
    let stops = |block: &&Block| block.live(now) && (block.reach == Reach::Revoke || block.reach.freezes(&asked));
    let stopping: Vec<&Block> = blocks.iter().filter(stops).collect();
    let mut gives = profile.entitlements.iter();
    !profile.entitlements.is_empty()
        && gives.all(|one| stopping.iter().any(|block| block.denies(person, &profile.id, &one.app)))
}
