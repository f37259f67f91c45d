//! From accepted shifts to people's enrollments.

use std::collections::{BTreeMap, BTreeSet};

use dutykey_policy::bug::Bug;
use dutykey_policy::enrollment::{Cover, Enrollment, Origin, Period, replan};
use dutykey_policy::evidence::Draft;
use dutykey_policy::id::{PersonId, ProfileId, RotationId, UserId};
use dutykey_policy::identity::Doubt;
use dutykey_policy::installation::Topic;
use dutykey_policy::lock::{Lock, in_force};
use dutykey_policy::look::Due;
use dutykey_policy::profile::Profile;
use dutykey_policy::rota::{End, KnownShift, users};
use dutykey_policy::time::{later, rfc3339};
use dutykey_policy::wants::{READINESS, wants};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::due::{announce, soonest};
use crate::ids;
use crate::ports::ledger::{Committed, Notice, PersonChange, StoreError};
use crate::ports::rota::UserLink;
use crate::ports::witness::Event;
use crate::snapshot::Snapshot;
use crate::sync::Syncer;
use crate::touch::touch;
use crate::view::{Scope, at_hand};

/// How often a loser of a race reads again.
const RACES: usize = 16;

/// So many enrollments of a person change at once: they are one transaction. The rest follows right after it.
const AT_ONCE: usize = 50;

/// So many users of a rotation whom nobody can be matched to are told of one by one, and of more of them how many.
const NAMED: usize = 20;

/// How far somebody is enrolled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Enrolled {
    /// There is more.
    InPart,
    /// As the rotation says.
    Whole,
}

/// A person's coverage of a rotation under each profile, whose locks differ.
type Coverage = BTreeMap<ProfileId, Vec<Cover>>;

impl Syncer {
    /// Plans the enrollments of everybody whose shifts are known; answers how many users on call, now or later, cannot
    /// be matched, and who must be told of those whose shift begins within a day.
    pub(crate) async fn enroll(
        &self,
        scope: &Scope<'_>,
        rotation: &RotationId,
        known: &[KnownShift],
        now: Timestamp,
    ) -> Result<(u32, Vec<Notice>), StoreError> {
        let everybody: Vec<UserId> = users(known.iter().map(|known| &known.shift)).into_iter().cloned().collect();
        let ahead = || known.iter().filter(|known| known.stands() && known.shift.end.or_max() > now);
        let on_call: BTreeSet<&UserId> = users(ahead().map(|known| &known.shift));
        let mut people = self.rota.people(&scope.source.id, &everybody).await?;
        let (mut unmatched, mut notices) = (0, Vec::new());
        for user in on_call {
            if people.contains_key(user) && !Bug::EmailAsKey.is_chosen() {
                continue;
            }
            match self.link(scope, user, now).await? {
                Ok(person) => drop(people.insert(user.clone(), person)),
                Err(doubt) => {
                    unmatched += 1;
                    let starts = ahead().filter(|known| known.shift.user.as_ref() == Some(user)).map(|k| k.shift.start);
                    let soon = starts.min().filter(|start| *start <= later(now, READINESS));
                    notices.extend(soon.map(|start| unmatched_notice(rotation, user, start, doubt, now)));
                    self.witness.saw(&Event::Unmatched { rotation: rotation.clone(), doubt });
                }
            }
        }
        let mut by_person: BTreeMap<PersonId, Coverage> = BTreeMap::new();
        for user in users(known.iter().map(|known| &known.shift)) {
            by_person.extend(people.get(user).map(|person| (person.clone(), Coverage::default())));
        }
        for profile in &scope.profiles {
            for (user, covers) in in_force(known, Lock::from(profile), now).covers {
                if let Some(theirs) = people.get(user).and_then(|person| by_person.get_mut(person)) {
                    theirs.entry(profile.id.clone()).or_default().extend(covers);
                }
            }
        }
        for (person, coverage) in by_person {
            let mut races = 0;
            loop {
                match self.enroll_person(scope, rotation, &person, &coverage, now).await {
                    Ok(Enrolled::Whole) => break,
                    Ok(Enrolled::InPart) => {}
                    Err(StoreError::Changed(_)) if races < RACES => races += 1,
                    // Whoever cannot be read keeps nobody else from being enrolled.
                    Err(error) if error.is_of_one_record() => {
                        tracing::error!(person.id = %person, error = %error, "{person} is not enrolled: {error}");
                        break;
                    }
                    Err(error) => return Err(error),
                }
            }
        }
        if notices.len() > NAMED {
            let more = notices.split_off(NAMED).len();
            notices.push(more_unmatched(rotation, more, now));
        }
        Ok((unmatched, notices))
    }

    /// Links a user whom nobody is linked to yet.
    pub(crate) async fn link(
        &self,
        scope: &Scope<'_>,
        user: &UserId,
        now: Timestamp,
    ) -> Result<Result<PersonId, Doubt>, StoreError> {
        let address = match scope.directory.first_address(scope.installation, &scope.source.id, user) {
            Ok(address) => address,
            Err(doubt) => return Ok(Err(doubt)),
        };
        let profile = scope.directory.users.iter().find(|known| known.id == *user);
        let Some(fresh) = self.fresh_person(now) else { return Ok(Err(Doubt::Unmatched)) };
        let link = UserLink {
            source: scope.source.id.clone(),
            user: user.clone(),
            address,
            name: profile.and_then(|profile| profile.name.clone()),
            fresh,
            said: scope.installation.link_of(&scope.source.id, user).is_some(),
            at: now,
        };
        self.rota.link_user(&link).await
    }

    fn fresh_person(&self, now: Timestamp) -> Option<PersonId> {
        ids::named("per", self.chance.as_ref(), now).ok()
    }

    /// Replaces the person's enrollments through this rotation where they differ, as many as one transaction takes.
    async fn enroll_person(
        &self,
        scope: &Scope<'_>,
        rotation: &RotationId,
        id: &PersonId,
        coverage: &Coverage,
        now: Timestamp,
    ) -> Result<Enrolled, StoreError> {
        // Whoever was erased since their user was looked up is nobody's user any more.
        let live = self.ledger.load(id).await?.filter(|live| live.person.erased.is_none());
        let Some(live) = live else { return Ok(Enrolled::Whole) };
        let origin = Origin::Coverage(rotation.clone());
        let mine = live.enrollments.iter().filter(|enrollment| enrollment.origin == origin);
        let mut profiles: BTreeSet<ProfileId> = mine.map(|enrollment| enrollment.profile.clone()).collect();
        profiles.extend(scope.profiles.iter().map(|profile| profile.id.clone()));
        let mut changed = Vec::new();
        let mut evidence = Vec::new();
        let (mut begins, mut ends) = (false, false);
        for profile in profiles {
            if changed.len() == AT_ONCE {
                break;
            }
            let before = live.enrollments.iter().find(|e| e.profile == profile && e.origin == origin);
            let previous = before.map_or(&[][..], |enrollment| &enrollment.periods);
            let rule = scope.profiles.iter().find(|known| known.id == profile);
            let periods = planned(previous, coverage.get(&profile).map_or(&[], Vec::as_slice), rule, now);
            if ahead(previous, now).eq(ahead(&periods, now)) {
                continue;
            }
            let running = |periods: &[Period]| periods.iter().find(|period| period.contains(now)).copied();
            begins |=
                running(&periods).is_some() && running(&periods).map(|p| p.until) != running(previous).map(|p| p.until);
            ends |= running(previous).is_some() && running(&periods).is_none();
            evidence.push(record(id, &profile, rotation, previous, &periods, now));
            changed.push(Enrollment { person: id.clone(), profile, origin: origin.clone(), periods, version: None });
        }
        // What somebody has asked for by being on call here is settled by a look.
        let asked = live.requests.iter().any(|request| request.rotation == *rotation);
        if changed.is_empty() && !asked {
            return Ok(Enrolled::Whole);
        }
        let enrolled = if changed.len() == AT_ONCE { Enrolled::InPart } else { Enrolled::Whole };
        begins |= asked;
        let mut after = live.enrollments.clone();
        after.retain(|e| !changed.iter().any(|c| c.profile == e.profile && c.origin == e.origin));
        after.extend(changed.iter().cloned());
        let rules = Snapshot::read(self.rules.as_ref(), self.rota.as_ref(), &after, now).await?;
        let next = rules.map(|rules| wants(&live.person, &after, &rules, now)).unwrap_or_default();
        let at = |at: Timestamp, cause: &str| Some(Due { at, cause: cause.to_owned() });
        let start = if begins || !next.unresolved.is_empty() {
            at(now, "start")
        } else {
            next.next_start.and_then(|t| at(t, "start"))
        };
        let end = if ends { at(now, "end") } else { next.next_end.and_then(|t| at(t, "end")) };
        let change = PersonChange {
            enrollments: changed,
            evidence,
            next_start: soonest(live.head.next_start.clone(), start),
            next_end: soonest(live.head.next_end.clone(), end),
            ..PersonChange::nothing(&live, now)
        };
        if let Committed::Done(head) = self.ledger.commit(&change).await? {
            announce(self.queues.as_ref(), id, &live.head, &head, now, None).await;
        }
        Ok(enrolled)
    }

    /// Has everybody looked at whose access hangs on this rotation now: its lease is over or was prolonged, or it is
    /// fresh again.
    pub(crate) async fn touch(&self, rotation: &RotationId, now: Timestamp) -> Result<(), StoreError> {
        let known = self.rota.known(rotation, at_hand(now)).await?;
        let everybody: Vec<UserId> = users(known.iter().map(|known| &known.shift)).into_iter().cloned().collect();
        for person in self.rota.people(&rotation.source, &everybody).await?.into_values() {
            touch(self.ledger.as_ref(), self.queues.as_ref(), &person, "lease", now, |_| true).await?;
        }
        Ok(())
    }
}

fn unmatched_notice(rotation: &RotationId, user: &UserId, start: Timestamp, doubt: Doubt, now: Timestamp) -> Notice {
    let start = rfc3339(start);
    let text = format!(
        "the user {user} is on call in {rotation} from {start} and gets no access: {doubt}. Link them to a person, or \
         correct their address on the platform."
    );
    let id = format!("unmatched/{rotation}/{user}/{start}/{doubt}");
    Notice::new(id, Topic::Unmatched, text, now)
}

fn more_unmatched(rotation: &RotationId, more: usize, now: Timestamp) -> Notice {
    let text = format!(
        "{more} other users are on call in {rotation} now or within a day and get no access: nobody can be matched to \
         them. Look at `verified_domains`, and at their addresses on the platform."
    );
    Notice::new(format!("unmatched/{rotation}/more/{more}"), Topic::Unmatched, text, now)
}

/// The periods under a profile's rule. A profile that the rotation no longer gives ends now, without grace.
fn planned(previous: &[Period], coverage: &[Cover], profile: Option<&Profile>, now: Timestamp) -> Vec<Period> {
    match profile.and_then(|profile| profile.enrollment.as_ref()) {
        Some(rule) => replan(previous, coverage, rule, now),
        None => previous
            .iter()
            .filter(|period| period.from < now)
            .map(|period| {
                if period.contains(now) { Period { until: End::At(now), until_known: now, ..*period } } else { *period }
            })
            .collect(),
    }
}

/// The periods that are not over.
fn ahead(periods: &[Period], now: Timestamp) -> impl Iterator<Item = &Period> {
    periods.iter().filter(move |period| period.until.or_max() > now)
}

fn record(
    person: &PersonId,
    profile: &ProfileId,
    rotation: &RotationId,
    before: &[Period],
    after: &[Period],
    now: Timestamp,
) -> Draft {
    let periods = |periods: &[Period]| -> Vec<Value> {
        let text = |period: &Period| json!([rfc3339(period.from), period.until.at().map(rfc3339)]);
        ahead(periods, now).map(text).collect()
    };
    Draft {
        act: "enrollment.planned".to_owned(),
        actor: "rotation-sync".to_owned(),
        subject: json!({"person": person, "profile": profile, "rotation": rotation}),
        before: json!(periods(before)),
        after: json!(periods(after)),
        why: Value::Null,
    }
}
