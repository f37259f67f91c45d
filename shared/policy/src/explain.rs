//! Why somebody has access, why not, and what is missing: in sentences for people.

#[cfg(test)]
mod tests;

use std::fmt;

use jiff::Timestamp;
use serde::Serialize;

use crate::block::{Block, Reach};
use crate::enrollment::{Enrollment, Origin};
use crate::hold::{Hold, Outcome, State};
use crate::id::{AppId, EntitlementRef, HoldKey, PersonId, ProfileId, RotationId};
use crate::identity::{Account, Doubt, Person};
use crate::profile::{Mode, Profile};
use crate::rota::Shift;
use crate::time::{instant_text, rfc3339};
use crate::wants::{Reason, Rules, live, wants};

/// A stretch of time in words.
#[must_use]
pub fn period(from: Timestamp, until: Option<Timestamp>) -> String {
    match until {
        Some(until) => format!("from {} until {}", rfc3339(from), rfc3339(until)),
        None => format!("from {}, with no end known", rfc3339(from)),
    }
}

/// What follows a stretch in words where the lease of a stale view ends within it, or before it.
#[must_use]
pub fn unless_read(lease_end: Option<Timestamp>) -> String {
    let lease = |end| {
        let end = rfc3339(end);
        format!(", but not beyond {end}, when the lease of the stale view ends, unless the rota is read again")
    };
    lease_end.map_or_else(String::new, lease)
}

/// A reason in words: `shift S of rotation R under profile P version 3, until T`. The shift is the one that explains
/// coverage, where it is at hand.
#[must_use]
pub fn because(reason: &Reason, shift: Option<&Shift>) -> String {
    let what = match (&reason.origin, shift) {
        (Origin::Coverage(rotation), Some(Shift { native_id: Some(id), .. })) => {
            format!("shift {id} of rotation {rotation}")
        }
        (Origin::Coverage(rotation), Some(shift)) => {
            format!("the shift of {} of rotation {rotation}", rfc3339(shift.start))
        }
        (Origin::Coverage(rotation), None) => format!("coverage of rotation {rotation}"),
        (Origin::Request(id), _) => format!("request {id}"),
        (Origin::BreakGlass(id), _) => format!("break-glass {id}"),
    };
    let end = if reason.rolling { "for as long as the rota shows it, at the latest until" } else { "until" };
    format!("{what} under profile {} version {}, {end} {}", reason.profile, reason.version, rfc3339(reason.until))
}

/// Why a hold is as it is. `shift` finds the shift that explains a reason's coverage.
#[must_use]
pub fn why<'a>(hold: &Hold, shift: impl Fn(&Reason) -> Option<&'a Shift>) -> String {
    let reasons: Vec<String> = hold.reasons.iter().map(|reason| because(reason, shift(reason))).collect();
    let reasons = reasons.join("; and of ");
    let again = hold.retry.as_ref().map(|retry| format!("; {}; tried again at {}", retry.because, rfc3339(retry.at)));
    let again = again.unwrap_or_default();
    match hold.state {
        State::Wanted | State::Granting => format!("to be granted because of {reasons}{again}"),
        State::Held => format!("held because of {reasons}{again}"),
        State::Kept => format!("kept: it was there before Dutykey and stays when this ends: {reasons}"),
        State::Ending => {
            format!("being taken back, due at {}; it was held because of {reasons}{again}", rfc3339(hold.due))
        }
        State::Stuck if hold.is_ending() => format!("stuck in being taken back, due at {}{again}", rfc3339(hold.due)),
        State::Stuck => format!("stuck, wanted because of {reasons}{again}"),
        State::Ended(outcome) => format!("ended at {}: {}", rfc3339(hold.since), ended(outcome)),
    }
}

fn ended(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Proven => "a read has shown that it is gone",
        Outcome::NeverGranted => "nothing was ever granted",
        Outcome::StandingKept => "it was there before Dutykey and stays",
        Outcome::ChangedByOthers => "others have changed it since, and it is left alone",
        Outcome::AccountGone => "the account is gone",
        Outcome::WrittenOff => "an administrator has written it off, and nothing has shown that it is gone",
    }
}

/// How much of a profile a person has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Extent {
    /// All of it.
    All,
    /// Some of it.
    Some,
    /// None of it.
    None,
}

/// One part of the answer to why, or why not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "answer", rename_all = "snake_case")]
pub enum Answer {
    /// A reason lives.
    Reason {
        /// In words.
        because: String,
    },
    /// There is no such profile.
    NoProfile,
    /// The person was erased.
    Erased {
        /// When.
        #[serde(serialize_with = "instant_text::serialize")]
        at: Timestamp,
    },
    /// Nothing brings the person into the profile, now or up to the horizon.
    NotEnrolled {
        /// The rotations that would.
        rotations: Vec<RotationId>,
    },
    /// The next period.
    Next {
        /// When it begins.
        #[serde(serialize_with = "instant_text::serialize")]
        at: Timestamp,
        /// What gives it.
        origin: Origin,
    },
    /// A change of the rota puts them on call and waits for the profile's override lock.
    Locked {
        /// Whose rota.
        rotation: RotationId,
        /// Until when.
        #[serde(serialize_with = "instant_text::serialize")]
        until: Timestamp,
    },
    /// They are on call by a view that is too old to be believed.
    LeaseOver {
        /// Whose view.
        rotation: RotationId,
        /// When its lease ended; `None` where it was never read.
        #[serde(serialize_with = "instant_text::optional")]
        ended: Option<Timestamp>,
    },
    /// A block denies it.
    Blocked {
        /// The block.
        id: String,
        /// Who made it.
        author: String,
        /// Whether it also ended what was held.
        reach: Reach,
        /// When it ends by itself.
        #[serde(serialize_with = "instant_text::optional")]
        until: Option<Timestamp>,
    },
    /// The directory says that the person is not active.
    Inactive,
    /// The person has no account in an app that can be trusted to be theirs.
    NoAccount {
        /// Where.
        app: AppId,
        /// The doubt; `None` where nobody has looked yet.
        doubt: Option<Doubt>,
    },
    /// The app does not have the entitlement.
    NotThere {
        /// What the profile names.
        entitlement: EntitlementRef,
    },
    /// The app is being retired and takes no new grants.
    Retiring {
        /// Which.
        app: AppId,
    },
    /// The profile only shows what would happen.
    Observed,
    /// How an entitlement of it stands.
    Entitlement {
        /// Which.
        entitlement: EntitlementRef,
        /// Where its hold is in its life; `None` where there is none.
        state: Option<State>,
        /// In words.
        why: String,
    },
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Reason { because } => write!(f, "there is a reason: {because}"),
            Self::NoProfile => f.write_str("there is no such profile"),
            Self::Erased { at } => write!(f, "the person was erased on {}", rfc3339(*at)),
            Self::NotEnrolled { rotations } if rotations.is_empty() => {
                f.write_str("the profile enrolls nobody by itself, and there is no request for it")
            }
            Self::NotEnrolled { rotations } => {
                let rotations: Vec<String> = rotations.iter().map(ToString::to_string).collect();
                write!(f, "not on call in any rotation of the profile: {}", rotations.join(", "))
            }
            Self::Next { at, origin } => {
                let origin = match origin {
                    Origin::Coverage(rotation) => format!("rotation {rotation}"),
                    Origin::Request(id) => format!("request {id}"),
                    Origin::BreakGlass(id) => format!("break-glass {id}"),
                };
                write!(f, "the next period begins at {} by {origin}", rfc3339(*at))
            }
            Self::Locked { rotation, until } => write!(
                f,
                "a late change of {rotation} puts them on call and waits for the override lock until {}",
                rfc3339(*until)
            ),
            Self::LeaseOver { rotation, ended: Some(ended) } => {
                let ended = rfc3339(*ended);
                write!(f, "on call in {rotation}, but no fresh view has confirmed it and its lease ended at {ended}")
            }
            Self::LeaseOver { rotation, ended: None } => {
                write!(f, "rotation {rotation} gives nothing: it was never read")
            }
            Self::Blocked { id, author, reach, until } => {
                let what = if *reach == Reach::Revoke { "blocked" } else { "new grants are frozen" };
                let until = until.map_or_else(|| "somebody lifts it".to_owned(), rfc3339);
                write!(f, "{what} by {author} (block {id}) until {until}")
            }
            Self::Inactive => f.write_str("the directory says that the person is not active"),
            Self::NoAccount { app, doubt: Some(doubt) } => write!(f, "no account in {app}: {doubt}; link one"),
            Self::NoAccount { app, doubt: None } => {
                write!(f, "no account in {app} yet; it is looked up before it is needed")
            }
            Self::NotThere { entitlement } => write!(f, "{entitlement} does not exist in its app; correct the profile"),
            Self::Retiring { app } => write!(f, "{app} is being retired and takes no new grants"),
            Self::Observed => {
                f.write_str("the profile is in mode observe: it shows what would happen and touches nothing")
            }
            Self::Entitlement { entitlement, why, .. } => write!(f, "{entitlement}: {why}"),
        }
    }
}

/// Why a person has a profile, or why not and what is missing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Explanation {
    /// Who.
    pub person: PersonId,
    /// What.
    pub profile: ProfileId,
    /// As of when.
    #[serde(serialize_with = "instant_text::serialize")]
    pub at: Timestamp,
    /// How much of it they have.
    pub has: Extent,
    /// Why.
    pub answers: Vec<Answer>,
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let has = match self.has {
            Extent::All => "has all of",
            Extent::Some => "has some of",
            Extent::None => "has nothing of",
        };
        write!(f, "{} {has} {} at {}", self.person, self.profile, rfc3339(self.at))?;
        self.answers.iter().try_for_each(|answer| write!(f, "\n  {answer}"))
    }
}

/// Explains a person's access by a profile, from their live items; of holds that are over, those that were written off.
/// `shift` finds the shift that explains a reason's coverage.
#[must_use]
pub fn explain<'a>(
    person: &Person,
    enrollments: &[Enrollment],
    holds: &[Hold],
    profile: &ProfileId,
    rules: &impl Rules,
    shift: impl Fn(&Reason) -> Option<&'a Shift>,
    now: Timestamp,
) -> Explanation {
    let mut explanation = Explanation {
        person: person.id.clone(),
        profile: profile.clone(),
        at: now,
        has: Extent::None,
        answers: Vec::new(),
    };
    let Some(profile) = rules.profile(profile) else {
        explanation.answers.push(Answer::NoProfile);
        return explanation;
    };
    let theirs: Vec<&Enrollment> = enrollments.iter().filter(|e| e.profile == profile.id).collect();
    let answers = &mut explanation.answers;
    answers.extend(person.erased.map(|at| Answer::Erased { at }));
    answers.extend((profile.mode == Mode::Observe).then_some(Answer::Observed));
    answers.extend((person.active == Some(false)).then_some(Answer::Inactive));
    answers.extend(rules.blocks().iter().filter(|block| concerns(block, person, profile, now)).map(blocked));
    answers.extend(reasons(&theirs, profile, rules, &shift, now));
    answers.extend(
        locks(person, profile, rules)
            .filter(|(_, until)| *until > now)
            .map(|(rotation, until)| Answer::Locked { rotation: rotation.clone(), until }),
    );
    for entitlement in &profile.entitlements {
        let more = missing(person, entitlement, rules, answers);
        answers.extend(more);
    }
    let wanted = wants(person, enrollments, rules, now);
    let mut in_place = 0;
    for entitlement in &profile.entitlements {
        let Some(key) = key(person, entitlement, rules) else { continue };
        let of_place = |over: bool| holds.iter().find(|hold| hold.key == key && hold.is_over() == over);
        let hold = of_place(false);
        in_place += usize::from(hold.is_some_and(|hold| matches!(hold.state, State::Held | State::Kept)));
        let why = match hold {
            Some(hold) => why(hold, &shift),
            None if wanted.places.get(&key).is_some_and(|want| want.frozen) => "wanted, but not begun".to_owned(),
            None if wanted.places.contains_key(&key) => "wanted; it is begun with the next look".to_owned(),
            None => match of_place(true) {
                Some(over) => why(over, &shift),
                None => continue,
            },
        };
        let state = hold.map(|hold| hold.state);
        answers.push(Answer::Entitlement { entitlement: entitlement.clone(), state, why });
    }
    explanation.has = match in_place {
        0 => Extent::None,
        n if n == profile.entitlements.len() => Extent::All,
        _ => Extent::Some,
    };
    explanation
}

/// What brings the person into the profile, or what would.
fn reasons<'a>(
    theirs: &[&Enrollment],
    profile: &Profile,
    rules: &impl Rules,
    shift: &impl Fn(&Reason) -> Option<&'a Shift>,
    now: Timestamp,
) -> Vec<Answer> {
    let (mut answers, mut starts) = (Vec::new(), Vec::new());
    for enrollment in theirs {
        let live = live(enrollment, profile, rules, now);
        starts.extend(live.next_start.map(|at| (at, &enrollment.origin)));
        let on_call = enrollment.periods.iter().any(|period| period.contains(now));
        match (&live.reason, &enrollment.origin) {
            (Some(reason), _) => answers.push(Answer::Reason { because: because(reason, shift(reason)) }),
            (None, Origin::Coverage(rotation)) if on_call && profile.enrolls(rotation) => {
                let lease = profile.enrollment.as_ref().map(|rule| rule.lease).unwrap_or_default();
                let ended = rules.freshness(rotation).map(|fresh| fresh.lease_end(lease));
                answers.push(Answer::LeaseOver { rotation: rotation.clone(), ended });
            }
            (None, _) => {}
        }
    }
    if answers.is_empty() {
        let rotations = || profile.enrollment.iter().flat_map(|rule| rule.rotations.iter().cloned()).collect();
        answers.push(match starts.into_iter().min() {
            Some((at, origin)) => Answer::Next { at, origin: origin.clone() },
            None => Answer::NotEnrolled { rotations: rotations() },
        });
    }
    answers
}

/// The rotations whose coverage waits for a lock of the profile, and until when.
fn locks<'a>(
    person: &'a Person,
    profile: &'a Profile,
    rules: &'a impl Rules,
) -> impl Iterator<Item = (&'a RotationId, Timestamp)> {
    let rotations = profile.enrollment.iter().flat_map(|rule| &rule.rotations);
    rotations.filter_map(|rotation| {
        let user = person.users.get(&rotation.source)?;
        rules.lock(rotation, user, &profile.id).map(|until| (rotation, until))
    })
}

fn concerns(block: &Block, person: &Person, profile: &Profile, now: Timestamp) -> bool {
    block.live(now) && profile.entitlements.iter().any(|e| block.denies(&person.id, &profile.id, &e.app))
}

fn blocked(block: &Block) -> Answer {
    Answer::Blocked { id: block.id.clone(), author: block.author.clone(), reach: block.reach, until: block.until }
}

/// What stands in an entitlement's way and was not said before.
fn missing(person: &Person, entitlement: &EntitlementRef, rules: &impl Rules, said: &[Answer]) -> Vec<Answer> {
    let app = entitlement.app.clone();
    let account = match person.accounts.get(&app) {
        Some(Account::Linked(_)) => None,
        Some(Account::Doubtful { doubt, .. }) => Some(Answer::NoAccount { app: app.clone(), doubt: Some(*doubt) }),
        None => Some(Answer::NoAccount { app: app.clone(), doubt: None }),
    };
    let slot = rules.slot(entitlement).is_none().then(|| Answer::NotThere { entitlement: entitlement.clone() });
    let retiring = (!rules.grants(&app)).then_some(Answer::Retiring { app });
    [account, slot, retiring].into_iter().flatten().filter(|answer| !said.contains(answer)).collect()
}

fn key(person: &Person, entitlement: &EntitlementRef, rules: &impl Rules) -> Option<HoldKey> {
    let Some(Account::Linked(account)) = person.accounts.get(&entitlement.app) else { return None };
    let place = rules.slot(entitlement)?.place;
    Some(HoldKey { app: entitlement.app.clone(), account: account.clone(), place })
}
