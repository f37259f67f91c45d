//! What time, the rota and the profiles have made of a person's access requests.

use std::time::Duration;

use dutykey_policy::emergency;
use dutykey_policy::enrollment::{Cover, Enrollment, KEPT_AFTER_END, Origin};
use dutykey_policy::id::RotationId;
use dutykey_policy::lock::{Lock, in_force};
use dutykey_policy::look::Due;
use dutykey_policy::profile::Profile;
use dutykey_policy::request::{Known, Request, nobody, of_request};
use dutykey_policy::time::{Span, earlier, later};
use jiff::Timestamp;

use crate::due::soonest;
use crate::look::Worker;
use crate::ports::ledger::{LivePerson, PersonChange, StoreError};
use crate::ports::rota::ReadRota;
use crate::snapshot::Snapshot;

/// How far around an instant shifts are read for whoever is on call at it: duties are merged, and an end far away is as
/// good as none to a request.
const AROUND: Duration = Duration::from_secs(14 * 86_400);

/// So many of each kind are settled at once: a request is up to four items, and all that is settled is one transaction. The
/// rest follows right after it.
const AT_ONCE: usize = 15;

/// The shifts that matter to whoever is on call at an instant.
pub(crate) fn around(now: Timestamp) -> Span {
    Span { start: earlier(now, AROUND), end: later(now, AROUND) }
}

/// When somebody is on call in the rotation, under the lock of the profile.
pub(crate) async fn covers(
    rota: &dyn ReadRota,
    live: &LivePerson,
    rotation: &RotationId,
    profile: &Profile,
    now: Timestamp,
) -> Result<Vec<Cover>, StoreError> {
    let Some(user) = live.person.users.get(&rotation.source) else { return Ok(Vec::new()) };
    let known = rota.known(rotation, around(now)).await?;
    Ok(in_force(&known, Lock::from(profile), now).covers.remove(user).unwrap_or_default())
}

impl Worker {
    /// Settles the person's requests; `None` where nothing has become of them.
    pub(crate) async fn settle(
        &self,
        live: &LivePerson,
        snapshot: &Snapshot,
        now: Timestamp,
    ) -> Result<Option<PersonChange>, StoreError> {
        let mut change = PersonChange::nothing(live, now);
        for request in &live.requests {
            if change.requests.len() == AT_ONCE {
                break;
            }
            let profile = snapshot.installation.profiles.iter().find(|profile| profile.id == request.profile);
            let covers = match profile {
                Some(profile) => covers(self.rota.as_ref(), live, &request.rotation, profile, now).await?,
                None => Vec::new(),
            };
            let settled = request.settled(&Known { profile, covers: &covers, blocked: false, may: &nobody, now });
            if settled != *request {
                change.evidence.extend(of_request(Some(request), &settled, self.actor));
                if settled.access() != request.access() {
                    change.enrollments.push(settled.enrollment());
                }
                change.requests.push(settled);
            }
        }
        let taken = live.enrollments.iter().filter(|enrollment| matches!(enrollment.origin, Origin::BreakGlass(_)));
        let cut = taken.filter(|enrollment| !is_over(enrollment, now)).filter_map(|enrollment| {
            let profile = snapshot.installation.profiles.iter().find(|profile| profile.id == enrollment.profile);
            Some((enrollment, emergency::cut(enrollment, profile, now)?))
        });
        for (enrollment, cut) in cut.take(AT_ONCE) {
            change.evidence.push(emergency::cut_record(enrollment, &cut, self.actor));
            change.enrollments.push(cut);
        }
        // What is cut only now, after a long pause, goes with the next look: one transaction writes an item once.
        let cut: Vec<Origin> = change.enrollments.iter().map(|cut| cut.origin.clone()).collect();
        let over = live.enrollments.iter().filter(|it| is_over(it, now) && !cut.contains(&it.origin)).take(AT_ONCE);
        change.enrollments.extend(over.map(|enrollment| Enrollment { periods: Vec::new(), ..enrollment.clone() }));
        if change.requests.is_empty() && change.enrollments.is_empty() {
            return Ok(None);
        }
        let due = |at: Timestamp| Some(Due { at, cause: "request".to_owned() });
        let cut = change.enrollments.iter().flat_map(|enrollment| &enrollment.periods);
        let cut = cut.filter_map(|period| period.until.at()).min();
        change.next_end = soonest(change.next_end, cut.and_then(|at| due(at.max(now))));
        Ok(Some(change))
    }
}

/// Whether what was asked for or taken has been over for so long that nobody needs it any more.
fn is_over(enrollment: &Enrollment, now: Timestamp) -> bool {
    let asked = matches!(enrollment.origin, Origin::Request(_) | Origin::BreakGlass(_));
    asked && enrollment.periods.iter().all(|period| later(period.until.or_max(), KEPT_AFTER_END) <= now)
}

/// When the person's requests must be settled next.
pub(crate) fn due(live: &LivePerson) -> Option<Due> {
    let at = live.requests.iter().filter_map(Request::due).min()?;
    Some(Due { at, cause: "request".to_owned() })
}
