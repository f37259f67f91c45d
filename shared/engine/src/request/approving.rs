//! Who may decide a request now.

use std::collections::{BTreeMap, BTreeSet};

use dutykey_policy::block::{Block, Denied, Reach};
use dutykey_policy::id::{PersonId, RotationId, UserId};
use dutykey_policy::lock::{Lock, in_force};
use dutykey_policy::profile::{Approvers, Profile};
use dutykey_policy::request::Request;
use dutykey_policy::time::{Span, later};
use jiff::Timestamp;

use super::{Caller, RequestError, Requests};
use crate::ports::ledger::StoreError;

/// Who may decide, by everything that a profile's policy names.
#[derive(Debug, Default)]
pub(super) struct Approving {
    /// Whose the addresses are.
    people: BTreeMap<String, PersonId>,
    /// Who is on call.
    on_call: BTreeMap<RotationId, BTreeSet<PersonId>>,
    /// Every group that is named.
    groups: BTreeSet<String>,
    /// Whose word counts for nothing now: they are blocked, or have left.
    silent: BTreeSet<PersonId>,
}

impl Approving {
    /// Whether a person, with these groups, may decide for such approvers.
    pub(super) fn may(&self, approvers: &Approvers, by: &PersonId, groups: &BTreeSet<String>) -> bool {
        let named = match approvers {
            Approvers::People(addresses) => addresses.iter().any(|address| self.people.get(address) == Some(by)),
            Approvers::OnCall(rotation) => self.on_call.get(rotation).is_some_and(|people| people.contains(by)),
            Approvers::Groups(named) => !named.is_disjoint(groups),
        };
        named && !self.silent.contains(by)
    }

    /// Those of the groups that the policy names.
    pub(super) fn named(&self, groups: &BTreeSet<String>) -> BTreeSet<String> {
        self.groups.intersection(groups).cloned().collect()
    }
}

impl Requests {
    /// Finds out who may decide the request. Whoever is on call must be so by a rota that is fresh.
    pub(super) async fn approving(
        &self,
        profile: Option<&Profile>,
        request: &Request,
        caller: &Caller,
        now: Timestamp,
    ) -> Result<Approving, RequestError> {
        let mut approving = Approving::default();
        let Some(profile) = profile else { return Ok(approving) };
        for step in profile.self_service.iter().flat_map(|service| &service.steps) {
            match &step.approvers {
                Approvers::People(addresses) => {
                    for address in addresses {
                        let found = self.people.find_person(&address.to_lowercase()).await?;
                        approving.people.extend(found.map(|person| (address.clone(), person)));
                    }
                }
                Approvers::OnCall(rotation) => {
                    self.fresh(rotation).await?;
                    let people = self.on_call(rotation, profile, now).await?;
                    approving.on_call.insert(rotation.clone(), people);
                }
                Approvers::Groups(groups) => approving.groups.extend(groups.iter().cloned()),
            }
        }
        let blocks = self.rules.blocks().await?;
        let earlier = request.ask().into_iter().flat_map(|ask| &ask.decisions).map(|decision| &decision.by);
        for person in earlier.chain([&caller.person]) {
            let active = self.ledger.load(person).await?.is_some_and(|live| live.person.active != Some(false));
            if !active || blocks.iter().any(|block| silences(block, person, now)) {
                approving.silent.insert(person.clone());
            }
        }
        Ok(approving)
    }

    /// Who is on call in the rotation now, under the lock of the profile: nobody puts themselves among the approvers
    /// unseen.
    async fn on_call(
        &self,
        rotation: &RotationId,
        profile: &Profile,
        now: Timestamp,
    ) -> Result<BTreeSet<PersonId>, StoreError> {
        let Some(instant) = Span::new(now, later(now, std::time::Duration::from_secs(1))) else {
            return Ok(BTreeSet::new());
        };
        let known = self.rota.known(rotation, instant).await?;
        let covers = in_force(&known, Lock::from(profile), now).covers;
        let users = covers
            .into_iter()
            .filter(|(_, covers)| covers.iter().any(|cover| cover.counts(now)))
            .map(|(user, _)| user.clone());
        let users: Vec<UserId> = users.collect();
        Ok(self.rota.people(&rotation.source, &users).await?.into_values().collect())
    }
}

fn silences(block: &Block, person: &PersonId, now: Timestamp) -> bool {
    let theirs = match &block.denied {
        Denied::Everything => true,
        Denied::Person(denied) => denied == person,
        Denied::Profile(_) | Denied::Enrollment(..) | Denied::App(_) => false,
    };
    theirs && block.live(now) && block.reach == Reach::Revoke
}
