//! What a person could ask for.

use std::collections::BTreeSet;
use std::time::Duration;

use dutykey_policy::block::Block;
use dutykey_policy::enrollment::{Origin, coverage};
use dutykey_policy::id::{PersonId, ProfileId, RotationId};
use dutykey_policy::profile::Profile;
use dutykey_policy::request::{Refusal, Request, Wish, nobody};
use dutykey_policy::rota::End;
use jiff::Timestamp;

use super::{RequestError, Requests};
use crate::ports::ledger::{LivePerson, StoreError};
use crate::settle::around;

/// A profile that is offered to people on call in a rotation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// The profile.
    pub profile: Profile,
    /// The rotation.
    pub rotation: RotationId,
    /// Why the person could not ask for it now; nothing where they could.
    pub refusal: Option<Refusal>,
}

/// A stretch in which somebody is on call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Duty {
    /// In what.
    pub rotation: RotationId,
    /// Since when.
    pub from: Timestamp,
    /// Until when.
    pub until: End,
}

impl Requests {
    /// Everything that is offered, and whether the person could ask for it now, by what is known of the rota.
    ///
    /// # Errors
    /// The table cannot be used.
    pub async fn offers(&self, person: &PersonId) -> Result<Vec<Offer>, StoreError> {
        let Some(live) = self.ledger.load(person).await? else { return Ok(Vec::new()) };
        let blocks = self.rules.blocks().await?;
        let mut offers = Vec::new();
        for profile in self.rules.all_profiles().await? {
            for rotation in profile.self_service.iter().flat_map(|service| &service.rotations) {
                let refusal = self.refusal(&live, &profile, rotation, &blocks).await?;
                offers.push(Offer { profile: profile.clone(), rotation: rotation.clone(), refusal });
            }
        }
        Ok(offers)
    }

    /// When the person is on call now, in the rotations that give them something or by which something is offered, by what
    /// the platforms say.
    ///
    /// # Errors
    /// The table cannot be used.
    pub async fn duties(&self, live: &LivePerson, offers: &[Offer], now: Timestamp) -> Result<Vec<Duty>, StoreError> {
        let given = live.enrollments.iter().filter_map(|enrollment| match &enrollment.origin {
            Origin::Coverage(rotation) => Some(rotation),
            Origin::Request(_) | Origin::BreakGlass(_) => None,
        });
        let rotations: BTreeSet<&RotationId> = given.chain(offers.iter().map(|offer| &offer.rotation)).collect();
        let mut duties = Vec::new();
        for rotation in rotations {
            let Some(user) = live.person.users.get(&rotation.source) else { continue };
            let known = self.rota.known(rotation, around(now)).await?;
            let theirs = coverage(known.iter().filter(|known| known.shift.user.as_ref() == Some(user)));
            let on = theirs.iter().find(|cover| cover.span.contains(now));
            duties.extend(on.map(|cover| Duty {
                rotation: rotation.clone(),
                from: cover.span.start,
                until: if cover.span.end == Timestamp::MAX { End::Open } else { End::At(cover.span.end) },
            }));
        }
        Ok(duties)
    }

    /// The first of the rotations of the profile's offer in which the person is on call, each read again where it is too
    /// old to tell.
    pub(super) async fn duty(&self, person: &PersonId, profile: &ProfileId) -> Result<RotationId, RequestError> {
        let found = self.rules.profiles(std::slice::from_ref(profile)).await?.into_iter().next();
        let found = found.ok_or_else(|| RequestError::NoProfile(profile.clone()))?;
        let live = self.ledger.load(person).await?;
        let live = live.ok_or_else(|| StoreError::Changed(format!("the person {person}")))?;
        let blocks = self.rules.blocks().await?;
        let mut first = None;
        for rotation in found.self_service.iter().flat_map(|service| &service.rotations) {
            // Whoever is not known on the platform is on call in none of its rotations.
            if live.person.users.contains_key(&rotation.source) {
                self.fresh(rotation).await?;
            }
            match self.refusal(&live, &found, rotation, &blocks).await? {
                None => return Ok(rotation.clone()),
                Some(refusal) => first = first.or(Some(refusal)),
            }
        }
        Err(first.unwrap_or(Refusal::NotOffered).into())
    }

    /// Why the person could not ask for the profile by the rotation now, whatever they say of it.
    async fn refusal(
        &self,
        live: &LivePerson,
        profile: &Profile,
        rotation: &RotationId,
        blocks: &[Block],
    ) -> Result<Option<Refusal>, StoreError> {
        let ground = self.ground_of(live, Some(profile.clone()), rotation, blocks, self.clock.now()).await?;
        let wish = Wish { wanted: Duration::from_secs(1), justification: Some(String::new()), incident: None };
        let (person, id) = (live.person.id.clone(), profile.id.clone());
        let Ok(trial) = "req_00000000000000000000000000".parse() else { return Ok(Some(Refusal::NotOffered)) };
        Ok(Request::asked(trial, person, id, rotation.clone(), wish, &ground.known(&nobody)).err())
    }
}
