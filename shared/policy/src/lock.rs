//! The override lock: a change of the forecast that puts somebody on call waits before it takes effect.
//!
//! Whoever gains access by the rota does so no earlier than a profile's `override_lock` after the change was first seen,
//! unless the platform names as its maker somebody else. The rules hold for each instant of the rota by itself:
//!
//! - A **change** concerns time of which the view before had spoken. What the first view shows, and what comes in at the
//!   far end of the window, is forecast and no change.
//! - A **gain** is a user whom a view shows and the forecast in force did not. It counts at once where one of the shifts
//!   that show the user was made by somebody else, or is no change; where the user made it and the profile only flags
//!   that; or where the lock is zero. Else it **waits** until a lock's length after it was first seen, for as long as it
//!   is shown without interruption. How the duty is cut into shifts makes no difference.
//! - While anybody waits, nobody whom the forecast in force shows is taken out: the change waits as a whole. They are
//!   **kept** until nobody waits any more, because the last one's lock has ended or the platform shows them no longer.
//!   Where nobody waits, whoever is shown no longer is out at once; that is the brake's business.
//!
//! Since each instant is judged by itself, nobody is kept past the end that their own forecast had. And since the end of a
//! lock is known when it begins, it is written into the coverage at once: nobody has to come back for it.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;

use crate::bug::Bug;
use crate::enrollment::Cover;
use crate::id::UserId;
use crate::profile::{Profile, SelfOverride};
use crate::rota::KnownShift;
use crate::time::{Span, later};

/// A gain that takes effect sooner than this after its lock is told whoever made it: it may be meant for tonight.
const SOON: Duration = Duration::from_secs(3_600);

/// What a profile says of changes of the forecast.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lock {
    /// How long they wait; zero only flags them.
    pub wait: Duration,
    /// What happens with those that somebody made for themselves.
    pub own: SelfOverride,
}

impl From<&Profile> for Lock {
    fn from(profile: &Profile) -> Self {
        Self { wait: profile.override_lock, own: profile.self_override }
    }
}

/// Somebody whom a change of the forecast puts on call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gain<'a> {
    /// Who.
    pub user: &'a UserId,
    /// The first instant of it that is not over.
    pub from: Timestamp,
    /// When it was first seen.
    pub since: Timestamp,
    /// Until when it waits; `None` where it counts at once and is only flagged.
    pub until: Option<Timestamp>,
    /// Whether the platform names the user as its maker.
    pub own: bool,
    /// Whether people must be told: it is self-made, or begins less than an hour after its lock ends.
    pub told: bool,
}

/// Who is on call under a lock.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct InForce<'a> {
    /// When each user is on call, with the locks inside.
    pub covers: BTreeMap<&'a UserId, Vec<Cover>>,
    /// What waits now, and what counts since `now` and is flagged.
    pub gains: Vec<Gain<'a>>,
}

/// Who is on call by all that is known of a rotation at `now`. `O(n log n)` in the shifts, times how many of them lie over
/// one another.
#[must_use]
pub fn in_force(known: &[KnownShift], lock: Lock, now: Timestamp) -> InForce<'_> {
    let another = |k: &KnownShift| Bug::ReasonKeyedByShift.is_chosen() && k.seen > k.shift.start;
    let mut known: Vec<&KnownShift> = known.iter().filter(|k| k.shift.user.is_some() && !another(k)).collect();
    known.sort_by_key(|k| k.shift.start);
    let edges = known.iter().flat_map(|k| [Some(k.shift.start), Some(k.shift.end.or_max()), k.reached]);
    let edges: BTreeSet<Timestamp> = edges.flatten().collect();
    let mut found = InForce::default();
    let (mut ahead, mut over) = (known.into_iter().peekable(), Vec::new());
    for (start, end) in edges.iter().zip(edges.iter().skip(1)) {
        while let Some(next) = ahead.next_if(|k| k.shift.start <= *start) {
            over.push(next);
        }
        over.retain(|k: &&KnownShift| k.shift.end.or_max() > *start);
        if let Some(span) = Span::new(*start, *end) {
            Stretch::new(span, lock, now, &mut found).tell(&over);
        }
    }
    found.gains.sort_by_key(|gain| (gain.user, gain.since, gain.until));
    found
}

/// What a gain does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Counts,
    Flagged { own: bool },
    Waits { own: bool },
}

/// A stretch of the rota in which nothing begins or ends, while what is known of it is told from the beginning.
struct Stretch<'a, 'f> {
    span: Span,
    lock: Lock,
    now: Timestamp,
    /// Whom the last view shows.
    shown: BTreeSet<&'a UserId>,
    /// Whom the forecast in force shows, and since when that was in force.
    standing: BTreeMap<&'a UserId, Timestamp>,
    /// Who waits: since when, until when, and whether for their own doing.
    waiting: BTreeMap<&'a UserId, (Timestamp, Timestamp, bool)>,
    found: &'f mut InForce<'a>,
}

impl<'a, 'f> Stretch<'a, 'f> {
    fn new(span: Span, lock: Lock, now: Timestamp, found: &'f mut InForce<'a>) -> Self {
        let (shown, standing, waiting) = Default::default();
        Self { span, lock, now, shown, standing, waiting, found }
    }

    fn tell(mut self, over: &[&'a KnownShift]) {
        let times: BTreeSet<Timestamp> = over.iter().flat_map(|k| [Some(k.seen), k.gone]).flatten().collect();
        for at in times {
            self.pass(at);
            self.view(over, at);
        }
        let until = self.waiting.values().map(|(_, until, _)| *until).max();
        let closes = |user| if self.shown.contains(user) { None } else { until };
        for (user, opens) in &self.standing {
            cover(self.found, user, self.span, *opens, closes(*user).unwrap_or(Timestamp::MAX));
        }
        for (user, (since, until, own)) in std::mem::take(&mut self.waiting) {
            cover(self.found, user, self.span, until, Timestamp::MAX);
            if until > self.now {
                self.gain(user, since, Some(until), own);
            }
        }
    }

    /// Lets pass whose lock has ended before `at`; whoever was kept for them goes with the last.
    fn pass(&mut self, at: Timestamp) {
        let last = self.let_in(|until| until < at);
        if let Some(last) = last.filter(|_| self.waiting.is_empty()) {
            let kept = self.kept();
            self.release(&kept, last);
        }
    }

    /// Puts into force whose lock is over, and answers when the last of them was.
    fn let_in(&mut self, is_over: impl Fn(Timestamp) -> bool) -> Option<Timestamp> {
        let ended: Vec<_> = self.waiting.iter().filter(|(_, (_, until, _))| is_over(*until)).collect();
        let ended: Vec<_> = ended.into_iter().map(|(user, (_, until, _))| (*user, *until)).collect();
        for (user, until) in &ended {
            self.waiting.remove(user);
            self.standing.insert(user, *until);
        }
        ended.iter().map(|(_, until)| *until).max()
    }

    /// What the view of `at` has changed.
    fn view(&mut self, over: &[&'a KnownShift], at: Timestamp) {
        let kept = self.kept();
        let shown: Vec<&KnownShift> = over.iter().filter(|k| k.believed_at(at)).copied().collect();
        self.shown = shown.iter().filter_map(|k| k.shift.user.as_ref()).collect();
        self.waiting.retain(|user, _| self.shown.contains(user));
        // Whose lock ends at this very instant passes only where this view still shows them.
        self.let_in(|until| until == at);
        let new: Vec<&UserId> = self.shown.iter().filter(|user| !self.standing.contains_key(*user)).copied().collect();
        for user in new {
            let verdict = self.verdict(user, shown.iter().filter(|k| k.shift.user.as_ref() == Some(user)));
            if let Verdict::Waits { own } = verdict {
                let first = (at, later(at, self.lock.wait), own);
                self.waiting.entry(user).or_insert(first);
                continue;
            }
            self.waiting.remove(user);
            self.standing.insert(user, Timestamp::MIN);
            if let (Verdict::Flagged { own }, true) = (verdict, at == self.now) {
                self.gain(user, at, None, own);
            }
        }
        if self.waiting.is_empty() || Bug::LockHalf.is_chosen() {
            self.release(&kept, at);
            self.standing.retain(|user, _| self.shown.contains(user));
        }
    }

    fn verdict<'k>(&self, user: &UserId, shown: impl Iterator<Item = &'k &'k KnownShift>) -> Verdict {
        let mut own = false;
        for known in shown {
            let change = known.reached.is_some_and(|reached| self.span.start < reached);
            match &known.shift.maker {
                _ if !change || Bug::LockIgnored.is_chosen() => return Verdict::Counts,
                Some(maker) if maker != user => return Verdict::Counts,
                maker => own |= maker.is_some(),
            }
        }
        if self.lock.wait.is_zero() || (own && self.lock.own == SelfOverride::Flag) {
            Verdict::Flagged { own }
        } else {
            Verdict::Waits { own }
        }
    }

    /// Those whom the forecast in force shows and the last view does not.
    fn kept(&self) -> Vec<&'a UserId> {
        self.standing.keys().filter(|user| !self.shown.contains(*user)).copied().collect()
    }

    /// Whoever was kept is out from `at` on, where they have not come back.
    fn release(&mut self, kept: &[&'a UserId], at: Timestamp) {
        for user in kept.iter().filter(|user| !self.shown.contains(*user)) {
            if let Some(opens) = self.standing.remove(user) {
                cover(self.found, user, self.span, opens, at);
            }
        }
    }

    fn gain(&mut self, user: &'a UserId, since: Timestamp, until: Option<Timestamp>, own: bool) {
        if self.span.end <= self.now {
            return;
        }
        let from = self.span.start.max(self.now);
        let told = own || from < later(later(since, self.lock.wait), SOON);
        let mut gains = self.found.gains.iter_mut();
        match gains.find(|gain| (gain.user, gain.since, gain.until) == (user, since, until)) {
            Some(gain) => (gain.own, gain.told) = (gain.own || own, gain.told || told),
            None => self.found.gains.push(Gain { user, from, since, until, own, told }),
        }
    }
}

/// Adds a stretch to a user's coverage; it goes on with the one before where it touches it.
fn cover<'a>(found: &mut InForce<'a>, user: &'a UserId, span: Span, opens: Timestamp, closes: Timestamp) {
    let covers = found.covers.entry(user).or_default();
    let before = covers.iter_mut().rev().find(|cover| (cover.opens, cover.closes) == (opens, closes));
    match before.filter(|cover| cover.span.end == span.start) {
        Some(cover) => cover.span.end = span.end,
        None => covers.push(Cover { span, opens, closes }),
    }
}
