//! Changes of the forecast that wait for a lock, or are only flagged: who is told, and what is recorded.
//!
//! Access itself needs nothing of this: the end of a lock is in people's enrollments from the moment it begins.

use std::collections::BTreeMap;

use dutykey_policy::evidence::Draft;
use dutykey_policy::id::{PersonId, ProfileId, RotationId, UserId};
use dutykey_policy::installation::Topic;
use dutykey_policy::lock::{Gain, Lock, in_force};
use dutykey_policy::profile::Profile;
use dutykey_policy::rota::KnownShift;
use dutykey_policy::time::rfc3339;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::ports::ledger::{Notice, StoreError};
use crate::ports::rota::{RotationChange, Waiting};
use crate::sync::Syncer;
use crate::view::{Scope, draft};

/// So many are named in one notice.
const NAMED: usize = 20;
/// So many are remembered on a rotation's head, and named in one record. What more waits does so all the same.
const REMEMBERED: usize = 200;

type People = BTreeMap<UserId, PersonId>;

/// What has become of those who wait.
#[derive(Debug, Default)]
struct News<'a> {
    /// Who waits now.
    waiting: Vec<Waiting>,
    /// Who of them did not before.
    begun: Vec<Waiting>,
    /// Whose lock has ended.
    passed: Vec<Waiting>,
    /// Whom the platform shows no more.
    dropped: Vec<Waiting>,
    /// Who counts at once and is flagged.
    flagged: Vec<Waiting>,
    /// Of whom people must be told.
    told: Vec<(&'a ProfileId, Gain<'a>)>,
}

fn news<'a>(before: &[Waiting], known: &'a [KnownShift], profiles: &'a [Profile], now: Timestamp) -> News<'a> {
    let mut news = News::default();
    let (passed, open): (Vec<Waiting>, Vec<Waiting>) = before.iter().cloned().partition(|one| one.until <= now);
    for profile in profiles {
        for gain in in_force(known, Lock::from(profile), now).gains {
            let (user, profile) = (gain.user.clone(), &profile.id);
            let one = Waiting { user, profile: profile.clone(), from: gain.from, until: gain.until.unwrap_or(now) };
            let same = open.iter().find(|other| other.is(&one));
            match (gain.until, same) {
                (None, _) => news.flagged.push(one),
                (Some(_), Some(same)) => {
                    news.waiting.push(same.clone());
                    continue;
                }
                (Some(_), None) if news.waiting.len() < REMEMBERED => {
                    news.waiting.push(one.clone());
                    news.begun.push(one);
                }
                (Some(_), None) => {}
            }
            news.told.extend((gain.told && gain.since == now).then_some((profile, gain)));
        }
    }
    news.dropped = open.into_iter().filter(|one| !news.waiting.iter().any(|other| other.is(one))).collect();
    news.passed = passed;
    news
}

impl Syncer {
    /// Enters into a change of the rotation who waits after it, with what is recorded and told of that.
    pub(crate) async fn locks(
        &self,
        scope: &Scope<'_>,
        known: &[KnownShift],
        change: &mut RotationChange,
    ) -> Result<(), StoreError> {
        let (id, now) = (change.head.id.clone(), change.at);
        let news = news(&change.head.waiting, known, &scope.profiles, now);
        let records = [
            ("lock.waiting", &news.begun),
            ("lock.flagged", &news.flagged),
            ("lock.passed", &news.passed),
            ("lock.dropped", &news.dropped),
        ];
        let records: Vec<_> = records.into_iter().filter(|(_, who)| !who.is_empty()).collect();
        change.head.waiting = news.waiting.clone();
        if records.is_empty() && news.told.is_empty() {
            return Ok(());
        }
        let mut users: Vec<UserId> =
            records.iter().flat_map(|(_, who)| who.iter().map(|one| one.user.clone())).collect();
        users.extend(news.told.iter().map(|(_, gain)| gain.user.clone()));
        users.sort_unstable();
        users.dedup();
        let mut people = self.rota.people(&id.source, &users).await?;
        // Somebody new gets their own ID now, for nothing else may name them.
        for user in users {
            if !people.contains_key(&user)
                && let Ok(person) = self.link(scope, &user, now).await?
            {
                people.insert(user, person);
            }
        }
        change.evidence.extend(records.into_iter().map(|(act, who)| record(&id, act, who, &people)));
        change.notices.extend(notice(&id, &news.told, &people, now));
        Ok(())
    }
}

/// A record names people by their own IDs only; whoever is in doubt is counted.
fn record(rotation: &RotationId, act: &str, who: &[Waiting], people: &People) -> Draft {
    let one = |one: &Waiting| {
        let (from, until) = (rfc3339(one.from), rfc3339(one.until));
        json!({"person": people.get(&one.user), "profile": one.profile, "from": from, "until": until})
    };
    let named: Vec<Value> = who.iter().take(REMEMBERED).map(one).collect();
    draft(rotation, act, Value::Null, json!({"count": who.len(), "gains": named}), Value::Null)
}

/// One notice for all that a view has brought.
fn notice(rotation: &RotationId, told: &[(&ProfileId, Gain<'_>)], people: &People, now: Timestamp) -> Option<Notice> {
    let sentence = |(profile, gain): &(&ProfileId, Gain<'_>)| {
        let who = people.get(gain.user).map_or_else(|| format!("the user {}", gain.user), ToString::to_string);
        let how = if gain.own { "put themselves on call" } else { "is newly on call" };
        let then = match gain.until {
            Some(until) => format!("this waits until {}, and whom they replace keeps access so long", rfc3339(until)),
            None => "this counts at once".to_owned(),
        };
        format!("{who} {how} in {rotation} from {} (profile {profile}): {then}", rfc3339(gain.from))
    };
    let mut text: Vec<String> = told.iter().take(NAMED).map(sentence).collect();
    text.extend((told.len() > NAMED).then(|| format!("and {} more", told.len().saturating_sub(NAMED))));
    let text = format!("{}. Where it is not right, correct the rota or block them.", text.join("; "));
    let id = format!("override/{rotation}/{}", rfc3339(now));
    (!told.is_empty()).then_some(Notice::new(id, Topic::SelfOverride, text, now))
}
