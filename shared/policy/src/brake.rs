//! The brake: what of a new view waits for a person.
//!
//! A planned hand-off passes, because it was believed an hour ago; so does a swap. What waits is only what nobody forecast
//! and what looks like a fault: cover that ends with nobody in place, many people gone at once, many people come at once.
//! The comparison is with what was believed an hour ago (an hour before the first change that still waits, where one
//! does), so that a slow drain adds up and never slides out of sight.
//!
//! Two numbers of the configuration take part. `rotation` is the share of one rotation's people on call who may be gone
//! at once. `source` is the same for a source, but never below a half: a smaller share would hold what the rule for
//! sources lets pass. Fewer than two people gone never count as many.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::bug::Bug;
use crate::id::{RotationId, UserId};
use crate::installation::BrakeSettings;
use crate::rota::{Difference, Duty, End, KnownShift, Shift, View, difference};
use crate::time::{Span, earlier, rfc3339, union};

/// How far back the belief lies with which a view is compared.
pub const LOOK_BACK: Duration = Duration::from_secs(3_600);

/// The share of a source's people on call, in percent, above which their loss is held.
const HALF: u8 = 50;
/// Fewer people than this gone at once are never many.
const MANY_GONE: usize = 2;
/// Fewer people than this come at once are never many.
const MANY_COME: usize = 3;
const DISCARDED: &str = "an administrator has discarded it";

/// What a judgement is made from.
#[derive(Debug, Clone)]
pub struct Scene<'a> {
    /// Now.
    pub now: Timestamp,
    /// Everything that is known of the rotation, what is gone included as far back as [`LOOK_BACK`] before the oldest
    /// change that waits.
    pub known: &'a [KnownShift],
    /// The complete view.
    pub view: &'a View,
    /// What is known of the source's other rotations.
    pub others: &'a [(&'a RotationId, &'a [KnownShift])],
    /// The shares that the configuration names.
    pub settings: BrakeSettings,
    /// Whether no view of the rotation was ever accepted.
    pub first: bool,
    /// What waits already.
    pub held: Option<Held<'a>>,
    /// Whether what waits has waited as long as a lease lasts.
    pub lease_over: bool,
}

/// What has been said of something that the brake holds: of a change of a view, or of somebody whom a directory shows
/// inactive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Word {
    /// Nothing yet.
    Waiting,
    /// It passes with the next look.
    Released,
    /// It waits for as long as exactly that is shown.
    Discarded,
}

/// A change that waits.
#[derive(Debug, Clone, Copy)]
pub struct Held<'a> {
    /// The plan that an administrator was told of.
    pub plan: &'a Difference,
    /// Since when it waits.
    pub since: Timestamp,
    /// What has been said of exactly this plan.
    pub word: Word,
}

/// What of a view passes and what waits. Together they are the view's difference, but for additions that were dropped at
/// the end of a lease.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Judgement {
    /// What is accepted now.
    pub pass: Difference,
    /// What waits, and why, in a sentence.
    pub held: Option<(Difference, String)>,
}

/// Whether the source's other rotations take part in the judgement: they count only where who is on call now changes, or
/// where something waits already. Elsewhere the judgement is the same without them, and they need not be read.
#[must_use]
pub fn asks_others(scene: &Scene<'_>) -> bool {
    let Scene { now, known, view, .. } = *scene;
    let stand: BTreeSet<Duty<'_>> = standing(known).map(Shift::duty).collect();
    let kept = on_call(view.shifts.iter().filter(|shift| stand.contains(&shift.duty())), now);
    let (before, after) = (on_call(believed(known, now), now), on_call(&view.shifts, now));
    let stays = before == after && before.is_subset(&kept) && on_call(standing(known), now).is_subset(&kept);
    scene.held.is_some() || !stays
}

/// Judges a view. `O(n log n)` in the shifts.
#[must_use]
pub fn judge(scene: &Scene<'_>) -> Judgement {
    let change = difference(scene.known, scene.view);
    let believed = Bug::BrakeOff.is_chosen() || (Bug::EmptyListBelieved.is_chosen() && scene.view.shifts.is_empty());
    if scene.first || believed {
        return Judgement { pass: change, held: None };
    }
    let Some(Held { plan, word: Word::Discarded, .. }) = scene.held else { return weigh(scene, change) };
    // What was discarded waits for as long as the platform shows exactly that. It may be weeks: the rest is judged as if
    // the platform did not say it, and as of now.
    let shown = Some(common(&change, plan)).filter(|shown| is_plan(plan, shown, scene.now)).unwrap_or_default();
    let view = taken_back(scene.view, &shown);
    let Judgement { pass, held } = weigh(&Scene { view: &view, held: None, ..*scene }, without(&change, &shown));
    let held = match held {
        None => (shown, DISCARDED.to_owned()),
        Some((_, why)) => (without(&change, &pass), why),
    };
    Judgement { pass, held: Some(held).filter(|(held, _)| !held.is_empty()) }
}

/// The view as it were without the change.
fn taken_back(view: &View, change: &Difference) -> View {
    let added: BTreeSet<Duty<'_>> = change.added.iter().map(Shift::duty).collect();
    let stays = view.shifts.iter().filter(|shift| !added.contains(&shift.duty()));
    let mut shifts: Vec<Shift> = stays.chain(&change.removed).cloned().collect();
    shifts.sort();
    View { window: view.window, read_at: view.read_at, shifts }
}

/// Whether it is the plan that was held, and that an administrator may have spoken of: what has ended meanwhile makes no
/// other plan of it.
#[must_use]
pub fn is_plan(plan: &Difference, held: &Difference, now: Timestamp) -> bool {
    running(plan, now).digest() == running(held, now).digest()
}

fn weigh(scene: &Scene<'_>, change: Difference) -> Judgement {
    let (held, why) = Comparison::new(scene, &change).held();
    let released = scene.held.filter(|held| held.word == Word::Released);
    if held.is_empty() || released.is_some_and(|released| is_plan(released.plan, &held, scene.now)) {
        return Judgement { pass: change, held: None };
    }
    let (overdue, waits) = match scene.held.filter(|_| scene.lease_over) {
        Some(Held { plan, .. }) => (common(&held, plan), without(&held, plan)),
        None => (Difference::default(), held.clone()),
    };
    if Bug::WholeViewHeld.is_chosen() {
        return Judgement { pass: Difference::default(), held: Some((change, why)) };
    }
    let mut pass = without(&change, &held);
    pass.removed.extend(overdue.removed);
    pass.removed.sort();
    Judgement { pass, held: (!waits.is_empty()).then_some((waits, why)) }
}

fn filter(change: &Difference, keep: impl Fn(&Shift) -> bool, keep_added: impl Fn(&Shift) -> bool) -> Difference {
    Difference {
        removed: change.removed.iter().filter(|shift| keep(shift)).cloned().collect(),
        added: change.added.iter().filter(|shift| keep_added(shift)).cloned().collect(),
    }
}

fn running(change: &Difference, now: Timestamp) -> Difference {
    filter(change, |shift| shift.end.or_max() > now, |shift| shift.end.or_max() > now)
}

fn common(change: &Difference, other: &Difference) -> Difference {
    let (removed, added) = sets(other);
    filter(change, |shift| removed.contains(&shift.duty()), |shift| added.contains(&shift.duty()))
}

fn without(change: &Difference, other: &Difference) -> Difference {
    let (removed, added) = sets(other);
    filter(change, |shift| !removed.contains(&shift.duty()), |shift| !added.contains(&shift.duty()))
}

/// By duty: what a platform only explains anew makes no other change of it.
fn sets(change: &Difference) -> (BTreeSet<Duty<'_>>, BTreeSet<Duty<'_>>) {
    (change.removed.iter().map(Shift::duty).collect(), change.added.iter().map(Shift::duty).collect())
}

type People<'a> = BTreeSet<&'a UserId>;

/// Who was believed to be on call now in a rotation, and who would be.
#[derive(Debug)]
struct Crowd<'a> {
    before: People<'a>,
    after: People<'a>,
}

impl Crowd<'_> {
    /// How many are gone without anybody in their stead, where those in `elsewhere` do not count as gone.
    fn gone(&self, elsewhere: &People<'_>) -> usize {
        let gone = self.before.iter().filter(|user| !self.after.contains(*user) && !elsewhere.contains(*user)).count();
        gone.saturating_sub(self.after.difference(&self.before).count())
    }
}

/// The people on call now in the rotation at hand, and in every rotation of its source.
struct Crowds<'a> {
    own: Crowd<'a>,
    source: Crowd<'a>,
    /// How many are gone from the source, rotation by rotation.
    gone: usize,
}

fn on_call<'a>(shifts: impl IntoIterator<Item = &'a Shift>, at: Timestamp) -> People<'a> {
    shifts.into_iter().filter(|shift| shift.covers(at)).filter_map(|shift| shift.user.as_ref()).collect()
}

/// What was believed an hour before `since`; of a rotation that is younger than that, what its first view said.
fn believed(known: &[KnownShift], since: Timestamp) -> impl Iterator<Item = &Shift> {
    let then = if Bug::BrakeForgets.is_chosen() { since } else { earlier(since, LOOK_BACK) };
    let first = known.iter().map(|k| k.seen).min().filter(|first| *first < since);
    let then = first.map_or(then, |first| first.max(then));
    known.iter().filter(move |k| k.believed_at(then)).map(|k| &k.shift)
}

fn standing(known: &[KnownShift]) -> impl Iterator<Item = &Shift> {
    known.iter().filter(|k| k.stands()).map(|k| &k.shift)
}

fn span(shift: &Shift) -> Option<Span> {
    Span::new(shift.start, shift.end.or_max()).filter(|_| shift.user.is_some())
}

struct Comparison<'a> {
    scene: &'a Scene<'a>,
    change: &'a Difference,
    /// When the change came up: now, or when the first part of it that still waits did.
    since: Timestamp,
    /// Shifts of the difference that only change hands or details: one gone and one come over exactly the same time.
    swapped: BTreeSet<&'a Shift>,
}

impl<'a> Comparison<'a> {
    fn new(scene: &'a Scene<'a>, change: &'a Difference) -> Self {
        let since = scene.held.map_or(scene.now, |held| held.since.min(scene.now));
        Self { scene, change, since, swapped: swapped(change) }
    }

    fn held(&self) -> (Difference, String) {
        let mut why = Vec::new();
        let added = self.too_many(&mut why);
        // Cover is judged by what would be accepted: who waits to be added covers nothing.
        let coming: BTreeSet<&Shift> = added.iter().copied().collect();
        let after: Vec<&'a Shift> = self.scene.view.shifts.iter().filter(|shift| !coming.contains(shift)).collect();
        let mut removed = self.uncovered(&after, &mut why);
        removed.extend(self.too_few(&after, &mut why));
        let held = Difference {
            removed: removed.into_iter().cloned().collect(),
            added: coming.into_iter().cloned().collect(),
        };
        (held, why.join("; "))
    }

    /// Removed shifts where cover that was believed would end, or not begin, with nobody in place.
    fn uncovered(&self, after: &[&'a Shift], why: &mut Vec<String>) -> BTreeSet<&'a Shift> {
        let before = union(believed(self.scene.known, self.since).filter_map(span).collect());
        let after = union(after.iter().filter_map(|shift| span(shift)).collect());
        let Some(reach) = Span::new(self.scene.now, self.scene.view.window.end) else {
            return BTreeSet::new();
        };
        let lost = subtract(&before, &after, reach);
        let held: BTreeSet<&Shift> =
            self.unswapped(&self.change.removed).filter(|shift| touches(shift, &lost)).collect();
        let told = lost.iter().find(|gap| held.iter().any(|shift| shift.touches(gap)));
        why.extend(told.map(|gap| {
            let (from, to) = (rfc3339(gap.start), rfc3339(gap.end));
            format!("cover ends early: nobody would be on call from {from} to {to}")
        }));
        held
    }

    /// Removed shifts of people on call now, where too many of them would be gone.
    fn too_few(&self, after: &[&'a Shift], why: &mut Vec<String>) -> BTreeSet<&'a Shift> {
        let Crowds { own, source, gone } = self.crowds(after.iter().copied());
        let many = |gone: usize, of: usize, percent: u8| gone >= MANY_GONE && gone * 100 > of * usize::from(percent);
        let (rotation, before) = (own.gone(&BTreeSet::new()), own.before.len());
        let because = if many(gone, source.before.len(), self.scene.settings.source.max(HALF)) {
            format!("{gone} of {} people on call now in the source would be gone", source.before.len())
        } else if many(rotation, before, self.scene.settings.rotation) {
            format!("{rotation} of {before} people on call now in the rotation would be gone")
        } else {
            return BTreeSet::new();
        };
        // Somebody who came within the hour is in no belief of before, and is missed all the same.
        let standing = on_call(standing(self.scene.known), self.scene.now);
        let missing: People<'_> =
            own.before.union(&standing).filter(|user| !own.after.contains(*user)).copied().collect();
        let concerns = |shift: &&Shift| shift.user.as_ref().is_some_and(|user| missing.contains(user));
        let held: BTreeSet<&Shift> = self.unswapped(&self.change.removed).filter(concerns).collect();
        why.extend((!held.is_empty()).then_some(because));
        held
    }

    /// Added shifts, where they would more than double the people on call.
    fn too_many(&self, why: &mut Vec<String>) -> BTreeSet<&'a Shift> {
        let Crowds { own, source, .. } = self.crowds(&self.scene.view.shifts);
        let many = |before: usize, after: usize| after > 2 * before && after >= before + MANY_COME;
        let grown = [&source, &own].into_iter().find(|crowd| many(crowd.before.len(), crowd.after.len()));
        let mut held = BTreeSet::new();
        if let Some(crowd) = grown {
            let new: People<'_> = own.after.difference(&own.before).copied().collect();
            let concerns = |shift: &&Shift| shift.user.as_ref().is_some_and(|user| new.contains(user));
            held.extend(self.unswapped(&self.change.added).filter(concerns));
            let because = format!("people on call now would grow from {} to {}", crowd.before.len(), crowd.after.len());
            why.extend((!held.is_empty()).then_some(because));
        }
        // Of the time to come the peak counts, wherever it lies: at the far end of the window nothing was said before.
        let peak = stretches(believed(self.scene.known, self.since)).into_iter().map(|(_, n)| n).max().unwrap_or(0);
        let crowded = stretches(self.scene.view.shifts.iter()).into_iter();
        let crowded = crowded.filter(|(span, count)| span.end > self.scene.now && many(peak, *count));
        let crowded = union(crowded.map(|(span, _)| span).collect());
        let concerns = |shift: &&Shift| shift.user.is_some() && touches(shift, &crowded) && !held.contains(shift);
        let to_come: Vec<&Shift> = self.unswapped(&self.change.added).filter(concerns).collect();
        if let (false, Some(first)) = (to_come.is_empty(), crowded.first()) {
            let at = rfc3339(first.start.max(self.scene.now));
            why.push(format!("people on call would more than double at {at}; they were {peak} at most"));
        }
        held.extend(to_come);
        held
    }

    /// The people on call now, with `after` in force in the rotation at hand.
    fn crowds(&self, after: impl IntoIterator<Item = &'a Shift>) -> Crowds<'a> {
        let (scene, now) = (self.scene, self.scene.now);
        let own = Crowd { before: on_call(believed(scene.known, self.since), now), after: on_call(after, now) };
        let mut source = Crowd { before: own.before.clone(), after: own.after.clone() };
        let mut others = Vec::with_capacity(scene.others.len());
        for (_, known) in scene.others {
            let other =
                Crowd { before: on_call(believed(known, self.since), now), after: on_call(standing(known), now) };
            source.before.extend(&other.before);
            source.after.extend(&other.after);
            others.push(other);
        }
        let gone = others.iter().chain([&own]).map(|crowd| crowd.gone(&source.after)).sum();
        Crowds { own, source, gone }
    }

    fn unswapped(&self, shifts: &'a [Shift]) -> impl Iterator<Item = &'a Shift> {
        shifts.iter().filter(|shift| !self.swapped.contains(shift))
    }
}

/// Pairs what is gone with what has come over the same time.
fn swapped(change: &Difference) -> BTreeSet<&Shift> {
    let key = |shift: &Shift| (shift.start, shift.end);
    let mut gone: BTreeMap<(Timestamp, End), Vec<&Shift>> = BTreeMap::new();
    for shift in change.removed.iter().filter(|shift| shift.user.is_some()) {
        gone.entry(key(shift)).or_default().push(shift);
    }
    let mut swapped = BTreeSet::new();
    for shift in change.added.iter().filter(|shift| shift.user.is_some()) {
        if let Some(other) = gone.get_mut(&key(shift)).and_then(Vec::pop) {
            swapped.extend([other, shift]);
        }
    }
    swapped
}

/// What `from` has and `what` has not, inside `reach`; both sorted and without overlap.
fn subtract(from: &[Span], what: &[Span], reach: Span) -> Vec<Span> {
    let mut left = Vec::new();
    for span in from {
        let (mut start, end) = (span.start.max(reach.start), span.end.min(reach.end));
        let first = what.partition_point(|other| other.end <= start);
        for other in what.iter().skip(first).take_while(|other| other.start < end) {
            left.extend(Span::new(start, other.start));
            start = start.max(other.end);
        }
        left.extend(Span::new(start, end));
    }
    left
}

/// Whether the shift shares an instant with one of the sorted intervals.
fn touches(shift: &Shift, spans: &[Span]) -> bool {
    let first = spans.partition_point(|span| span.end <= shift.start);
    spans.get(first).is_some_and(|span| shift.touches(span))
}

/// How many different people are on call, over each stretch in which that does not change.
fn stretches<'a>(shifts: impl Iterator<Item = &'a Shift>) -> Vec<(Span, usize)> {
    let mut edges: Vec<(Timestamp, bool, &UserId)> = Vec::new();
    for shift in shifts {
        if let (Some(span), Some(user)) = (span(shift), &shift.user) {
            edges.extend([(span.start, true, user), (span.end, false, user)]);
        }
    }
    edges.sort_unstable();
    let mut counts: BTreeMap<&UserId, usize> = BTreeMap::new();
    let mut stretches = Vec::new();
    let mut previous = None;
    for (at, begins, user) in edges {
        let stretch = previous.and_then(|previous| Span::new(previous, at));
        stretches.extend(stretch.map(|stretch| (stretch, counts.len())));
        let count = counts.entry(user).or_default();
        *count = if begins { *count + 1 } else { count.saturating_sub(1) };
        if *count == 0 {
            counts.remove(user);
        }
        previous = Some(at);
    }
    stretches
}
