//! The moves of a request.

use std::collections::BTreeSet;
use std::time::Duration;

use super::ends::Offer;
use super::{Access, Ask, Decision, How, Known, MAX_ASKS, MAX_DECISIONS, Refusal, Request, Stage, Verdict, Wish};
use crate::bug::Bug;
use crate::id::{PersonId, ProfileId, RequestId, RotationId};
use crate::profile::Step;
use crate::time::later;

impl<'a> Known<'a> {
    /// What is offered to people on call in the rotation, if anything.
    fn offer(&self, rotation: &RotationId) -> Option<Offer<'a>> {
        let profile = self.profile.filter(|profile| profile.offers(rotation))?;
        let grace = profile.enrollment.as_ref().map_or(Duration::ZERO, |automatic| automatic.grace);
        Some(Offer { service: profile.self_service.as_ref()?, grace })
    }

    /// How many steps have passed: each takes approvals of people who may decide it now, in order of time, and nobody's
    /// word counts for two steps.
    fn passed(&self, steps: &[Step], ask: &Ask) -> usize {
        let mut left: Vec<&Decision> =
            ask.decisions.iter().filter(|decision| decision.verdict == Verdict::Approve).collect();
        let passes = |step: &&Step| {
            let needed = usize::from(step.any.max(1));
            let counts = |decision: &&Decision| (self.may)(&step.approvers, &decision.by, &decision.groups);
            let counted = left.iter().copied().filter(counts).take(needed);
            let by: BTreeSet<&PersonId> = counted.map(|decision| &decision.by).collect();
            left.retain(|decision| !by.contains(&decision.by));
            by.len() == needed
        };
        steps.iter().take_while(passes).count()
    }
}

/// Checks what is asked for and makes it an ask.
fn ask(wish: Wish, offer: Offer<'_>, known: &Known<'_>) -> Result<Ask, Refusal> {
    if offer.service.justification_required && wish.justification.is_none() {
        return Err(Refusal::Unjustified);
    }
    if wish.wanted.is_zero() || wish.wanted > offer.service.max_duration {
        return Err(Refusal::Duration);
    }
    if known.blocked {
        return Err(Refusal::Blocked);
    }
    offer.duty_ends(known).ok_or(Refusal::NotOnCall)?;
    let Wish { wanted, justification, incident } = wish;
    let expires = later(known.now, offer.service.expires);
    Ok(Ask { at: known.now, expires, wanted, justification, incident, decisions: Vec::new() })
}

impl Request {
    /// Asks for a profile. A policy without steps approves at once.
    ///
    /// # Errors
    /// It is not offered, or not now, or not like this.
    pub fn asked(
        id: RequestId,
        person: PersonId,
        profile: ProfileId,
        rotation: RotationId,
        wish: Wish,
        known: &Known<'_>,
    ) -> Result<Self, Refusal> {
        let offer = known.offer(&rotation).ok_or(Refusal::NotOffered)?;
        let version = known.profile.map_or(0, |profile| profile.version);
        let stage = Stage::Asked(ask(wish, offer, known)?);
        Self { id, person, profile, version, rotation, stage, past: Vec::new() }.advanced(offer, known)
    }

    /// Asks for more time, under the same policy. It counts from its approval; access never lasts longer than the
    /// profile allows from its beginning on.
    ///
    /// # Errors
    /// There is nothing to be longer, or it cannot be.
    pub fn longer(&self, wish: Wish, known: &Known<'_>) -> Result<Self, Refusal> {
        let offer = known.offer(&self.rotation).ok_or(Refusal::NotOffered)?;
        let now = self.settled(known);
        let (access, waiting) = match now.stage {
            Stage::Approved { access, longer } => (access, longer),
            Stage::Asked(_) | Stage::Over { .. } => return Err(Refusal::NotApproved),
        };
        if waiting.is_some() {
            return Err(Refusal::Waiting);
        }
        if now.past.len() >= MAX_ASKS {
            return Err(Refusal::TooMany);
        }
        let ask = ask(wish, offer, known)?;
        if offer.until(access.from, ask.wanted, known).is_none_or(|until| until <= access.until) {
            return Err(Refusal::NoLonger);
        }
        Self { stage: Stage::Approved { access, longer: Some(ask) }, past: now.past, ..self.clone() }
            .advanced(offer, known)
    }

    /// Somebody decides what waits. The last approval that is needed approves it, if the requester is on call still.
    ///
    /// # Errors
    /// Nothing waits, or it is not theirs to decide.
    pub fn decided(&self, decision: Decision, known: &Known<'_>) -> Result<Self, Refusal> {
        let mut next = self.settled(known);
        let (by, groups) = (decision.by.clone(), decision.groups.clone());
        if by == self.person {
            return Err(Refusal::OwnRequest);
        }
        let Some(waiting) = next.ask_mut() else { return Err(Refusal::Decided) };
        let offer = known.offer(&self.rotation).ok_or(Refusal::NotOffered)?;
        let passed = known.passed(&offer.service.steps, waiting);
        let step = offer.service.steps.get(passed).ok_or(Refusal::Decided)?;
        if !(known.may)(&step.approvers, &by, &groups) {
            return Err(Refusal::NotApprover);
        }
        if decision.verdict == Verdict::Deny {
            waiting.decisions.push(decision);
            return Ok(next.without_ask(How::Denied, known));
        }
        if waiting.decisions.iter().any(|earlier| earlier.by == by) {
            return Err(Refusal::Repeated);
        }
        if waiting.decisions.len() >= MAX_DECISIONS {
            return Err(Refusal::TooMany);
        }
        waiting.decisions.push(decision);
        next.advanced(offer, known)
    }

    /// The requester takes back what waits, or gives back what they have: at once and without grace.
    ///
    /// # Errors
    /// It is over.
    pub fn cancelled(&self, known: &Known<'_>) -> Result<Self, Refusal> {
        let next = self.settled(known);
        match next.stage {
            Stage::Asked(_) => Ok(next.over(How::Cancelled, known)),
            Stage::Approved { .. } => Ok(next.over(How::GivenBack, known)),
            Stage::Over { .. } => Err(Refusal::Decided),
        }
    }

    /// What time, the rota and the profile have made of it.
    #[must_use]
    pub fn settled(&self, known: &Known<'_>) -> Self {
        let offer = known.offer(&self.rotation);
        let Some(offer) = offer else {
            return match self.stage {
                Stage::Asked(_) => self.over(How::Expired, known),
                Stage::Approved { .. } => self.over(How::Ended, known),
                Stage::Over { .. } => self.clone(),
            };
        };
        let stands = |ask: &Ask| known.now < ask.expires && offer.duty_ends(known).is_some();
        match &self.stage {
            Stage::Asked(ask) if !stands(ask) => self.over(How::Expired, known),
            Stage::Approved { access, longer } => {
                let access = offer.cut(*access, known);
                let next = Self { stage: Stage::Approved { access, longer: longer.clone() }, ..self.clone() };
                let next = if longer.as_ref().is_some_and(|ask| !stands(ask)) { next.approved(access) } else { next };
                if access.until <= known.now { next.over(How::Ended, known) } else { next }
            }
            Stage::Asked(_) | Stage::Over { .. } => self.clone(),
        }
    }

    /// How many steps of what waits have passed, and how many there are.
    #[must_use]
    pub fn steps(&self, known: &Known<'_>) -> Option<(usize, usize)> {
        let offer = known.offer(&self.rotation)?;
        Some((known.passed(&offer.service.steps, self.ask()?), offer.service.steps.len()))
    }

    fn ask_mut(&mut self) -> Option<&mut Ask> {
        match &mut self.stage {
            Stage::Asked(ask) => Some(ask),
            Stage::Approved { longer, .. } => longer.as_mut(),
            Stage::Over { .. } => None,
        }
    }

    /// Approved, where every step has passed.
    fn advanced(&self, offer: Offer<'_>, known: &Known<'_>) -> Result<Self, Refusal> {
        let Some(waiting) = self.ask() else { return Ok(self.clone()) };
        if known.passed(&offer.service.steps, waiting) < offer.service.steps.len() {
            return Ok(self.clone());
        }
        if known.blocked {
            return Err(Refusal::Blocked);
        }
        let before = self.access();
        let from = before.map_or(known.now, |access| access.from);
        let until = offer.until(from, waiting.wanted, known).ok_or(Refusal::NotOnCall)?;
        let access = match before {
            Some(access) if access.until >= until => access,
            _ => Access { from, until, until_known: known.now },
        };
        Ok(self.approved(access))
    }

    /// Approved for this, and nothing waits any more.
    fn approved(&self, access: Access) -> Self {
        let past = self.asks().cloned().collect();
        Self { stage: Stage::Approved { access, longer: None }, past, ..self.clone() }
    }

    /// What waited is over: a request that was never approved with it, one that was goes on as it was.
    fn without_ask(&self, how: How, known: &Known<'_>) -> Self {
        match self.stage {
            Stage::Approved { access, .. } => self.approved(access),
            Stage::Asked(_) | Stage::Over { .. } => self.over(how, known),
        }
    }

    /// Over, and its access ended now at the latest.
    fn over(&self, how: How, known: &Known<'_>) -> Self {
        let ended = |access: Access| {
            let kept = Bug::GivenBackKept.is_chosen() && how == How::GivenBack;
            let early = known.now < access.until && !kept;
            if early { Access { until: known.now, until_known: known.now, ..access } } else { access }
        };
        let stage = Stage::Over { how, at: known.now, access: self.access().map(ended) };
        Self { stage, past: self.asks().cloned().collect(), ..self.clone() }
    }
}
