//! How a request moves: on what is read right before it, in one transaction of the requester's items, again where somebody
//! else was faster.

use std::collections::BTreeSet;

use dutykey_policy::block::Block;
use dutykey_policy::enrollment::{Cover, Origin};
use dutykey_policy::evidence::Sealed;
use dutykey_policy::id::{PersonId, ProfileId, RequestId, RotationId};
use dutykey_policy::look::{Due, decision_time};
use dutykey_policy::profile::{Approvers, Profile};
use dutykey_policy::request::{Decision, Known, Request, Verdict, Wish, nobody, of_request};
use jiff::Timestamp;

use super::{ACTOR, Caller, Once, RequestError, Requests, comment_name, justification_name, of};
use crate::block::denied;
use crate::due::{commit, soonest};
use crate::ports::clock::trusted;
use crate::ports::ledger::{LivePerson, Made, PersonChange, StoreError, Text};
use crate::settle::covers;

/// How often a loser of a race reads again.
const RACES: usize = 16;

/// What somebody wants to do, with everything but what is known at the instant at which they do it.
pub(super) enum Move<'a> {
    /// Ask for something.
    Ask(NewAsk<'a>),
    /// Change the request that there is.
    Change(&'a RequestId, Change<'a>),
}

/// A new request.
pub(super) struct NewAsk<'a> {
    pub(super) id: RequestId,
    pub(super) profile: &'a ProfileId,
    pub(super) rotation: &'a RotationId,
    pub(super) wish: Wish,
    pub(super) once: Option<&'a Once>,
}

/// A change of a request.
pub(super) enum Change<'a> {
    /// More time is asked for.
    Longer(Wish),
    /// What waits is decided.
    Decide { caller: &'a Caller, verdict: Verdict, comment: Option<String> },
    /// It is taken back, or given back.
    Cancel,
}

impl Move<'_> {
    /// The name of the text that goes with it, where it takes one.
    fn text(&self, before: Option<&Request>) -> Option<String> {
        let asks = before.map_or(0, |before| before.asks().count());
        let decisions = || before.into_iter().flat_map(Request::asks).map(|ask| ask.decisions.len()).sum();
        match self {
            Self::Ask(ask) => Some(justification_name(&ask.id, asks)),
            Self::Change(id, Change::Longer(_)) => Some(justification_name(id, asks)),
            Self::Change(id, Change::Decide { .. }) => Some(comment_name(id, decisions())),
            Self::Change(_, Change::Cancel) => None,
        }
    }

    /// Who writes that text.
    fn author<'m>(&'m self, requester: &'m PersonId) -> &'m PersonId {
        match self {
            Self::Change(_, Change::Decide { caller, .. }) => &caller.person,
            Self::Ask(_) | Self::Change(_, Change::Longer(_) | Change::Cancel) => requester,
        }
    }
}

/// What a move comes to.
enum Outcome {
    /// The request is another.
    Moves(Box<Moved>),
    /// It was asked for before.
    Stands(RequestId),
}

/// A request before and after a move, and the name under which it is made.
struct Moved {
    before: Option<Request>,
    after: Request,
    made: Option<Made>,
}

/// What a move is made on.
pub(super) struct Ground {
    pub(super) profile: Option<Profile>,
    covers: Vec<Cover>,
    blocked: bool,
    now: Timestamp,
}

impl Ground {
    pub(super) fn known<'a>(&'a self, may: &'a dyn Fn(&Approvers, &PersonId, &BTreeSet<String>) -> bool) -> Known<'a> {
        let Self { profile, covers, blocked, now } = self;
        Known { profile: profile.as_ref(), covers, blocked: *blocked, may, now: *now }
    }
}

impl Requests {
    pub(super) async fn moved(
        &self,
        person: &PersonId,
        text: Option<&Sealed>,
        wanted: &Move<'_>,
    ) -> Result<RequestId, RequestError> {
        let mut races = 0;
        loop {
            let live = self.ledger.load(person).await?;
            let live = live.ok_or_else(|| StoreError::Changed(format!("the person {person}")))?;
            trusted(self.clock.as_ref())?;
            let now = decision_time(self.clock.now(), live.head.last_at);
            let outcome = match wanted {
                Move::Ask(ask) => self.asked(&live, ask, now).await?,
                Move::Change(id, change) => self.changed(&live, id, change, now).await?,
            };
            let moved = match outcome {
                Outcome::Moves(moved) => moved,
                Outcome::Stands(id) => return Ok(id),
            };
            // Somebody else may have said something first: the place of a text is known only now.
            let text = text.and_then(|sealed| {
                let (name, by) = (wanted.text(moved.before.as_ref())?, wanted.author(person).clone());
                Some(Text { name, by, sealed: sealed.clone() })
            });
            match self.commit(&live, &moved, text, now).await {
                Err(StoreError::Changed(_)) if races < RACES => races += 1,
                done => return Ok(done.map(|()| moved.after.id)?),
            }
        }
    }

    async fn asked(&self, live: &LivePerson, ask: &NewAsk<'_>, now: Timestamp) -> Result<Outcome, RequestError> {
        if let Some(id) = self.made(&live.person.id, ask.once, now).await? {
            return Ok(Outcome::Stands(id));
        }
        let ground = self.ground(live, ask.profile, ask.rotation, now).await?;
        if ground.profile.is_none() {
            return Err(RequestError::NoProfile(ask.profile.clone()));
        }
        let (person, profile, rotation) = (live.person.id.clone(), ask.profile.clone(), ask.rotation.clone());
        let after =
            Request::asked(ask.id.clone(), person, profile, rotation, ask.wish.clone(), &ground.known(&nobody))?;
        let made = ask.once.map(|Once { name, of }| {
            let (name, of) = (name.clone(), of.clone());
            Made { name, of, request: ask.id.clone(), at: now }
        });
        Ok(Outcome::Moves(Box::new(Moved { before: None, after, made })))
    }

    async fn changed(
        &self,
        live: &LivePerson,
        id: &RequestId,
        change: &Change<'_>,
        now: Timestamp,
    ) -> Result<Outcome, RequestError> {
        let before = of(live, id)?;
        let ground = self.ground(live, &before.profile, &before.rotation, now).await?;
        let after = match change {
            Change::Cancel => before.cancelled(&ground.known(&nobody))?,
            Change::Longer(wish) => before.longer(wish.clone(), &ground.known(&nobody))?,
            Change::Decide { caller, verdict, comment } => {
                let approving = self.approving(ground.profile.as_ref(), &before, caller, now).await?;
                let may = |approvers: &Approvers, by: &PersonId, groups: &BTreeSet<String>| {
                    approving.may(approvers, by, groups)
                };
                let (by, groups) = (caller.person.clone(), approving.named(&caller.groups));
                let decision = Decision { by, groups, at: now, verdict: *verdict, comment: comment.clone() };
                before.decided(decision, &ground.known(&may))?
            }
        };
        Ok(Outcome::Moves(Box::new(Moved { before: Some(before), after, made: None })))
    }

    async fn commit(
        &self,
        live: &LivePerson,
        Moved { before, after, made }: &Moved,
        text: Option<Text>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let gives = before.as_ref().and_then(Request::access) != after.access();
        let due = |at: Timestamp| Some(Due { at, cause: "request".to_owned() });
        let next_end = after.access().filter(|_| gives).and_then(|access| due(access.until.max(now)));
        let next_start = if gives { due(now) } else { after.due().and_then(due) };
        let change = PersonChange {
            next_start: soonest(live.head.next_start.clone(), next_start),
            next_end: soonest(live.head.next_end.clone(), next_end),
            enrollments: gives.then(|| after.enrollment()).into_iter().collect(),
            requests: vec![after.clone()],
            texts: text.into_iter().collect(),
            made: made.clone(),
            evidence: of_request(before.as_ref(), after, ACTOR),
            ..PersonChange::nothing(live, now)
        };
        commit(self.ledger.as_ref(), self.queues.as_ref(), live, &change).await
    }

    pub(super) async fn ground(
        &self,
        live: &LivePerson,
        profile: &ProfileId,
        rotation: &RotationId,
        now: Timestamp,
    ) -> Result<Ground, StoreError> {
        let profile = self.rules.profiles(std::slice::from_ref(profile)).await?.into_iter().next();
        self.ground_of(live, profile, rotation, &self.rules.blocks().await?, now).await
    }

    pub(super) async fn ground_of(
        &self,
        live: &LivePerson,
        profile: Option<Profile>,
        rotation: &RotationId,
        blocks: &[Block],
        now: Timestamp,
    ) -> Result<Ground, StoreError> {
        let covers = match &profile {
            Some(profile) => covers(self.rota.as_ref(), live, rotation, profile, now).await?,
            None => Vec::new(),
        };
        let inactive = live.person.active == Some(false);
        let asked = Origin::Request(String::new());
        let denies = |profile: &Profile| denied(blocks, &live.person.id, profile, &asked, now);
        let blocked = inactive || profile.as_ref().is_some_and(denies);
        Ok(Ground { profile, covers, blocked, now })
    }
}
