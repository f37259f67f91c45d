//! Break-glass: taking a profile in an emergency, giving it back, and reviewing it. Each is one transaction of the taker's
//! items. No rota is read: an emergency is when that may not work.

use std::collections::BTreeSet;
use std::sync::Arc;

use dutykey_policy::emergency::{Emergency, Known, Refusal, Review};
use dutykey_policy::enrollment::Origin;
use dutykey_policy::evidence::Sealed;
use dutykey_policy::id::{EmergencyId, PersonId, ProfileId};
use dutykey_policy::installation::Topic;
use dutykey_policy::look::{Due, decision_time};
use dutykey_policy::profile::{BreakGlass, Mode, Profile};
use dutykey_policy::request::Wish;
use dutykey_policy::time::rfc3339;
use jiff::Timestamp;

use crate::block::denied;
use crate::due::{commit, soonest};
use crate::ids;
use crate::ports::clock::{Chance, Clock, trusted};
use crate::ports::emergencies::ReadEmergencies;
use crate::ports::ledger::{FindPeople, LivePerson, Notice, PersonChange, StoreError, Text, WriteLedger};
use crate::ports::queue::Enqueue;
use crate::ports::rules::ReadRules;
use crate::request::{Caller, LONGEST_INCIDENT, LONGEST_TEXT, Order, bounded};

/// How often a loser of a race reads again.
const RACES: usize = 16;
/// Under this name its acts are recorded.
const ACTOR: &str = "access-requests";

/// Takes, gives back and reviews.
#[derive(Clone)]
pub struct Emergencies {
    /// People's items.
    pub ledger: Arc<dyn WriteLedger>,
    /// Whose an address is.
    pub people: Arc<dyn FindPeople>,
    /// Emergencies.
    pub emergencies: Arc<dyn ReadEmergencies>,
    /// Profiles and blocks.
    pub rules: Arc<dyn ReadRules>,
    /// The queues of both sides.
    pub queues: Arc<dyn Enqueue>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Chance, for IDs and for what seals texts.
    pub chance: Arc<dyn Chance>,
}

impl std::fmt::Debug for Emergencies {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Emergencies").finish_non_exhaustive()
    }
}

/// Why nothing was taken, given back or reviewed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EmergencyError {
    /// It is not possible now, or not for this person.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// There is no such profile.
    #[error("there is no profile {0}")]
    NoProfile(ProfileId),
    /// There is no such emergency, or it is somebody else's to give back.
    #[error("there is no emergency {0} of this person")]
    NoEmergency(EmergencyId),
    /// A text is longer than it may be.
    #[error("a justification or a comment has at most {LONGEST_TEXT} characters, an incident {LONGEST_INCIDENT}")]
    TooLong,
    /// A review says nothing.
    #[error("a review says what was found, in 1 to {LONGEST_TEXT} characters")]
    NoComment,
    /// The table.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The name of the text that justifies an emergency.
#[must_use]
pub fn justification_name(id: &EmergencyId) -> String {
    format!("emergency/{id}/justification")
}

/// The name of the text of an emergency's review.
#[must_use]
pub fn review_name(id: &EmergencyId) -> String {
    format!("emergency/{id}/review")
}

/// What somebody wants to do.
enum Move<'a> {
    Take { id: EmergencyId, caller: &'a Caller, profile: &'a ProfileId, wish: Wish },
    GiveBack(&'a EmergencyId),
    Review { id: &'a EmergencyId, by: &'a PersonId, comment: String },
}

/// An emergency before and after a move.
struct Moved {
    before: Option<Emergency>,
    after: Emergency,
}

impl Emergencies {
    /// Takes a profile at once. Everybody is told.
    ///
    /// # Errors
    /// The profile does not name the caller or only observes, a block denies it, or the table cannot be used.
    pub async fn take(
        &self,
        caller: &Caller,
        profile: &ProfileId,
        order: Order,
    ) -> Result<EmergencyId, EmergencyError> {
        let Order { wanted, justification, incident } = order;
        let bounds = |text, longest| bounded(text, longest).map_err(|_| EmergencyError::TooLong);
        let incident = bounds(incident, LONGEST_INCIDENT)?;
        let text = bounds(justification, LONGEST_TEXT)?.map(|text| Sealed::new(&text, self.chance.bytes()));
        let wish = Wish { wanted, justification: text.as_ref().map(Sealed::digest), incident };
        let id: EmergencyId = ids::named("emg", self.chance.as_ref(), self.clock.now())?;
        let by = caller.person.clone();
        let text = text.map(|sealed| Text { name: justification_name(&id), by, sealed });
        let take = Move::Take { id: id.clone(), caller, profile, wish };
        self.moved(&caller.person, text, &take).await.map(|()| id)
    }

    /// Gives back early what the caller took.
    ///
    /// # Errors
    /// It is not the caller's, or gives no access any more; or the table cannot be used.
    pub async fn give_back(&self, caller: &Caller, id: &EmergencyId) -> Result<(), EmergencyError> {
        let stored = self.stored(id).await?;
        if stored.person != caller.person {
            return Err(EmergencyError::NoEmergency(id.clone()));
        }
        self.moved(&stored.person, None, &Move::GiveBack(id)).await
    }

    /// Closes the review of what somebody else took.
    ///
    /// # Errors
    /// It is the caller's own, or was reviewed before; or the table cannot be used.
    pub async fn review(&self, by: &PersonId, id: &EmergencyId, comment: String) -> Result<(), EmergencyError> {
        let comment = bounded(Some(comment), LONGEST_TEXT).map_err(|_| EmergencyError::TooLong)?;
        let comment = comment.ok_or(EmergencyError::NoComment)?;
        let sealed = Sealed::new(&comment, self.chance.bytes());
        let stored = self.stored(id).await?;
        let review = Move::Review { id, by, comment: sealed.digest() };
        let text = Text { name: review_name(id), by: by.clone(), sealed };
        self.moved(&stored.person, Some(text), &review).await
    }

    /// Every profile that the caller could take now, as far as it names them.
    ///
    /// # Errors
    /// The table cannot be used.
    pub async fn offered(&self, caller: &Caller) -> Result<Vec<Profile>, StoreError> {
        let mut offered = Vec::new();
        for profile in self.rules.all_profiles().await? {
            if profile.mode == Mode::Enforce && self.named(profile.break_glass.as_ref(), caller).await? {
                offered.push(profile);
            }
        }
        Ok(offered)
    }

    /// Whether a rule names the caller, or a group of theirs.
    async fn named(&self, rule: Option<&BreakGlass>, caller: &Caller) -> Result<bool, StoreError> {
        let Some(BreakGlass { people, groups, .. }) = rule else { return Ok(false) };
        if !groups.is_disjoint(&caller.groups) {
            return Ok(true);
        }
        // Each address once, in the one form in which it is kept.
        for address in people.iter().map(|address| address.to_lowercase()).collect::<BTreeSet<_>>() {
            if self.people.find_person(&address).await?.as_ref() == Some(&caller.person) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    async fn stored(&self, id: &EmergencyId) -> Result<Emergency, EmergencyError> {
        let found = self.emergencies.emergency(id).await?;
        found.ok_or_else(|| EmergencyError::NoEmergency(id.clone()))
    }

    async fn moved(&self, owner: &PersonId, text: Option<Text>, wanted: &Move<'_>) -> Result<(), EmergencyError> {
        let mut races = 0;
        loop {
            let live = self.ledger.load(owner).await?;
            let live = live.ok_or_else(|| StoreError::Changed(format!("the person {owner}")))?;
            trusted(self.clock.as_ref())?;
            let now = decision_time(self.clock.now(), live.head.last_at);
            let moved = self.next(&live, wanted, now).await?;
            match self.commit(&live, &moved, text.clone(), now).await {
                Err(StoreError::Changed(_)) if races < RACES => races += 1,
                done => return Ok(done?),
            }
        }
    }

    async fn next(&self, live: &LivePerson, wanted: &Move<'_>, now: Timestamp) -> Result<Moved, EmergencyError> {
        let (before, after) = match wanted {
            Move::Take { id, caller, profile, wish } => {
                let found = self.rules.profiles(std::slice::from_ref(*profile)).await?.into_iter().next();
                let found = found.ok_or_else(|| EmergencyError::NoProfile((*profile).clone()))?;
                let named = self.named(found.break_glass.as_ref(), caller).await?;
                let origin = Origin::BreakGlass(id.to_string());
                let blocks = self.rules.blocks().await?;
                let blocked =
                    live.person.active == Some(false) || denied(&blocks, &live.person.id, &found, &origin, now);
                let known = Known { named, blocked, now };
                (None, Emergency::taken(id.clone(), live.person.id.clone(), &found, wish.clone(), known)?)
            }
            Move::GiveBack(id) => {
                let before = self.stored(id).await?;
                let after = before.given_back(now)?;
                (Some(before), after)
            }
            Move::Review { id, by, comment } => {
                let before = self.stored(id).await?;
                let after = before.reviewed(Review { by: (*by).clone(), at: now, comment: comment.clone() })?;
                (Some(before), after)
            }
        };
        Ok(Moved { before, after })
    }

    async fn commit(
        &self,
        live: &LivePerson,
        Moved { before, after }: &Moved,
        text: Option<Text>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let gives = before.as_ref().map(|before| before.access) != Some(after.access);
        let due = |at: Timestamp| Some(Due { at, cause: "break_glass".to_owned() }).filter(|_| gives);
        let change = PersonChange {
            next_start: soonest(live.head.next_start.clone(), due(now)),
            next_end: soonest(live.head.next_end.clone(), due(after.access.until.max(now))),
            enrollments: gives.then(|| after.enrollment()).into_iter().collect(),
            emergency: Some(after.clone()),
            texts: text.into_iter().collect(),
            evidence: vec![after.record(before.as_ref(), ACTOR)],
            notices: before.is_none().then(|| told(after, now)).into_iter().collect(),
            ..PersonChange::nothing(live, now)
        };
        commit(self.ledger.as_ref(), self.queues.as_ref(), live, &change).await
    }
}

/// What everybody is told.
fn told(Emergency { id, person, profile, access, .. }: &Emergency, now: Timestamp) -> Notice {
    let text = format!(
        "{person} has taken the profile {profile} in an emergency, until {}. Look at what it is for; {id} stays open until \
         somebody else has reviewed it.",
        rfc3339(access.until)
    );
    Notice::new(format!("break_glass/{id}"), Topic::BreakGlass, text, now)
}
