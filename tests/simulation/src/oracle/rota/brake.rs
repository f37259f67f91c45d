//! What the brake makes of an answer, by its promise alone (R7): what it must hold, what it may hold, and what passes
//! because somebody has released it.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::{Answer, Duty, Elsewhere, HOUR, Known, Rota, Standing};
use crate::oracle::{minutes, plus, seconds};

/// What happened so shortly before or after an instant was known at it, or was not: clocks differ, and reads take time.
const NEAR: i64 = 60;

/// No clock is further from the world's.
const CLOCK: i64 = 2;

/// What waits for a person.
#[derive(Debug, Clone, Default)]
pub(super) struct Waiting {
    /// What is held, or may be.
    duties: BTreeSet<Duty>,
    /// Since when anything is.
    begun: Option<Timestamp>,
    /// Since when it is exactly this.
    since: Option<Timestamp>,
    /// Whether Dutykey may have something else on record.
    pub(super) vague: bool,
    /// When somebody has released it. It passes with the next answer.
    released: Option<Timestamp>,
}

impl Waiting {
    /// Whether an answer was asked for before the release that came in between: whoever asked cannot record it any more.
    pub(super) fn crosses(&mut self, asked: Timestamp) -> bool {
        let crosses = self.released.is_some_and(|at| asked <= at);
        self.vague |= crosses;
        crosses
    }
}

type Spans = Vec<(Timestamp, Timestamp)>;

/// What the brake makes of an answer.
pub(super) struct Judged {
    /// When nobody would be on call for sure, though somebody was to be.
    sure_loss: Spans,
    /// When perhaps nobody would be.
    any_loss: Spans,
    /// Who is missing, where that is too many for sure.
    sure_missing: BTreeSet<usize>,
    /// Who is missing, where that may be too many.
    any_missing: BTreeSet<usize>,
    /// Whether so many may have come that the brake holds whoever is new.
    pub(super) crowded: bool,
    /// Whether it is known exactly what waits.
    clear: bool,
}

impl Known {
    fn first_seen(&self) -> Timestamp {
        self.away.map_or(self.seen, |away| away.first_seen)
    }
}

impl Rota {
    /// An administrator has released what is held.
    pub(in crate::oracle) fn lets_pass(&mut self, now: Timestamp) {
        self.waiting.released = Some(now);
    }

    /// Judges an answer that shows these duties no more.
    pub(super) fn judge(&self, answer: &Answer, elsewhere: &Elsewhere, removed: &[Duty]) -> Judged {
        let Answer { now, recorded, window, shown, .. } = answer;
        let (now, end) = (*now, window.1);
        let crowded = self.first.is_some() && self.may_be_crowded(answer);
        let all: BTreeSet<&Duty> = shown.keys().collect();
        // Whoever is new in a crowd may have to wait, and stands in for nobody until then.
        let surely: BTreeSet<&Duty> = shown.keys().filter(|duty| !crowded || self.stands(duty)).collect();
        let doubtful = |(duty, known): (&Duty, &Known)| known.standing == Standing::Doubtful && is_spoken_of(duty, now);
        let clear = *recorded <= now && !self.waiting.vague && !crowded && !self.duties.iter().any(doubtful);
        Judged {
            sure_loss: self.loss(now, end, &all, true),
            any_loss: self.loss(now, end, &surely, false),
            sure_missing: if clear && elsewhere.alone { self.surely_missing(now, &all) } else { BTreeSet::new() },
            any_missing: self.perhaps_missing(now, &surely, removed, elsewhere.lost),
            crowded,
            clear,
        }
    }

    /// How many have vanished, for the brake of the source's other rotations.
    pub(super) fn vanished(&self, answer: &Answer, removed: &[Duty], judged: &Judged) -> usize {
        let now = answer.now;
        let new = |duty: &&Duty| duty.covers(now) && !self.is_on_call(duty.user, now);
        let replaced = users(answer.shown.keys().filter(|_| !judged.crowded).filter(new), now).len();
        users(removed, now).len().saturating_sub(replaced)
    }

    /// What becomes of the duties that an answer shows no more.
    pub(super) fn outcomes(
        &mut self,
        removed: Vec<Duty>,
        judged: &Judged,
        answer: &Answer,
        elsewhere: &Elsewhere,
    ) -> Vec<(Duty, Standing)> {
        let outcome = |duty: Duty| {
            let next = self.outcome(&duty, judged, answer, elsewhere.lease);
            (duty, next)
        };
        let mut next: Vec<(Duty, Standing)> = removed.into_iter().map(outcome).collect();
        if self.waiting.released.is_some_and(|at| at < answer.asked) {
            self.waiting.released = None;
            self.release(&mut next, judged, answer.now);
        }
        next
    }

    fn outcome(&self, duty: &Duty, judged: &Judged, answer: &Answer, lease: i64) -> Standing {
        let now = answer.now;
        let same = |other: &&Duty| (other.start, other.end) == (duty.start, duty.end);
        let swapped = answer.shown.keys().any(|other| same(&other));
        let replaced = answer.shown.keys().filter(same).any(|other| !self.stands(other));
        let touches = |spans: &Spans| spans.iter().any(|(from, to)| duty.touches(*from, *to));
        let missed = duty.end > now && judged.sure_missing.contains(&duty.user) && !replaced;
        // Whatever else comes to wait makes another plan of it, which waits for as long again.
        let over = |since: Timestamp| plus(self.waiting.since.map_or(since, |other| other.max(since)), seconds(lease));
        match self.duties.get(duty).map(|known| known.standing) {
            Some(Standing::Held(since)) if now >= plus(over(since), minutes(6)) => Standing::Gone(now),
            Some(Standing::Held(since)) if now >= plus(since, seconds(lease)) => Standing::Doubtful,
            Some(Standing::Held(since)) if touches(&judged.sure_loss) || missed => Standing::Held(since),
            Some(Standing::Shown) if (touches(&judged.sure_loss) && !swapped) || missed => Standing::Held(now),
            _ if touches(&judged.any_loss) || judged.any_missing.contains(&duty.user) => Standing::Doubtful,
            _ => Standing::Gone(now),
        }
    }

    /// What was released passes, where that is exactly what would be held now.
    fn release(&self, next: &mut [(Duty, Standing)], judged: &Judged, now: Timestamp) {
        let runs = |duty: &&Duty| duty.end > now;
        let is_held = |standing: &Standing| matches!(standing, Standing::Held(_));
        let held = next.iter().filter(|(_, standing)| is_held(standing)).map(|(duty, _)| duty).filter(runs);
        let same = held.eq(self.waiting.duties.iter().filter(runs));
        let doubt = !judged.clear || next.iter().any(|(_, standing)| *standing == Standing::Doubtful);
        for (_, standing) in next.iter_mut().filter(|(_, standing)| is_held(standing) && (same || doubt)) {
            *standing = if doubt { Standing::Doubtful } else { Standing::Gone(now) };
        }
    }

    /// Notes what waits after an answer.
    pub(super) fn wait(&mut self, now: Timestamp, recorded: Timestamp) {
        let waits = |(duty, known): &(&Duty, &Known)| {
            matches!(known.standing, Standing::Held(_) | Standing::Doubtful) && is_spoken_of(duty, now)
        };
        let duties: BTreeSet<Duty> = self.duties.iter().filter(waits).map(|(duty, _)| duty.clone()).collect();
        let waiting = &mut self.waiting;
        if duties.is_empty() && recorded <= now {
            *waiting = Waiting { released: waiting.released, ..Waiting::default() };
        } else if duties != waiting.duties {
            waiting.begun.get_or_insert(now);
            waiting.since = Some(now);
            waiting.vague |= recorded > now;
            waiting.duties = duties;
        }
    }

    /// Whether it counts, shown or held.
    fn stands(&self, duty: &Duty) -> bool {
        let standing = self.duties.get(duty).map(|known| known.standing);
        matches!(standing, Some(Standing::Shown | Standing::Held(_)))
    }

    fn is_on_call(&self, user: usize, at: Timestamp) -> bool {
        self.duties
            .iter()
            .any(|(duty, known)| duty.user == user && duty.covers(at) && !matches!(known.standing, Standing::Gone(_)))
    }

    /// Between which instants the one lies with whose belief the brake compares: an hour before what it holds came up. Of a
    /// rotation that is younger than that, it is when its first duty was seen.
    fn compared(&self, begun: Timestamp, since: Timestamp) -> (Timestamp, Timestamp) {
        let first = self.duties.values().map(Known::first_seen).min().unwrap_or(Timestamp::MIN);
        (plus(begun, seconds(-HOUR)), plus(since, seconds(-HOUR)).max(first))
    }

    /// Whether it was believed at each instant between the two for sure; or whether it may have been at one of them.
    fn was_believed(&self, known: &Known, (from, to): (Timestamp, Timestamp), surely: bool) -> bool {
        if !surely {
            let gone = match known.standing {
                Standing::Gone(at) => at.max(known.again),
                Standing::Shown | Standing::Held(_) | Standing::Doubtful => Timestamp::MAX,
            };
            return known.first_seen() <= plus(to, seconds(NEAR)) && gone > plus(from, seconds(-NEAR));
        }
        let since = known.sure_since.max(known.recorded);
        let begun = plus(since, seconds(NEAR)) <= from || self.first.is_some_and(|first| since <= first);
        let lasts = match known.standing {
            Standing::Gone(at) => at > plus(to, seconds(NEAR)),
            Standing::Shown | Standing::Held(_) => true,
            Standing::Doubtful => false,
        };
        begun && lasts
    }

    /// What was believed between the two instants, for sure or perhaps.
    fn believed(&self, between: (Timestamp, Timestamp), surely: bool) -> Vec<&Duty> {
        let believed = self.duties.iter().filter(|(_, known)| self.was_believed(known, between, surely));
        believed.map(|(duty, _)| duty).collect()
    }

    /// Who is missing, where they are at least two and more than half of those on call, whatever Dutykey compares with.
    fn surely_missing(&self, now: Timestamp, shown: &BTreeSet<&Duty>) -> BTreeSet<usize> {
        let since = self.waiting.since.unwrap_or(now);
        let then = self.compared(since, since);
        let (least, most) = (self.believed(then, true), self.believed(then, false));
        let missing = about(now).map(|at| {
            let on_call = users(shown.iter().copied(), at);
            let (least, most) = (users(least.iter().copied(), at), users(most.iter().copied(), at));
            let gone = unreplaced(&least, &on_call);
            if gone >= 2 && 2 * gone > most.len() { &least - &on_call } else { BTreeSet::new() }
        });
        missing.into_iter().reduce(|all, some| &all & &some).unwrap_or_default()
    }

    /// Who is missing, where with so many of the other rotations they may be so many.
    fn perhaps_missing(
        &self,
        now: Timestamp,
        shown: &BTreeSet<&Duty>,
        removed: &[Duty],
        lost: usize,
    ) -> BTreeSet<usize> {
        let then = self.compared(self.waiting.begun.unwrap_or(now), now);
        let (least, most) = (self.believed(then, true), self.believed(then, false));
        let missing = about(now).map(|at| {
            let on_call = users(shown.iter().copied(), at);
            let (least, most) = (users(least.iter().copied(), at), users(most.iter().copied(), at));
            let gone = unreplaced(&most, &on_call) + lost;
            let many = gone >= 2 && 2 * gone > least.len();
            if many { &(&most - &on_call) | &users(removed, at) } else { BTreeSet::new() }
        });
        missing.into_iter().flatten().collect()
    }

    /// Whether so many may come that the brake holds them: three more than there were for sure, and more than twice as many,
    /// now or at any time to come.
    fn may_be_crowded(&self, answer: &Answer) -> bool {
        let Answer { now, shown, .. } = answer;
        let before = self.believed(self.compared(self.waiting.begun.unwrap_or(*now), *now), true);
        let many = |before: usize, after: usize| after >= before + 3 && after > 2 * before;
        let peak = before.iter().map(|duty| users(before.iter().copied(), duty.start).len()).max().unwrap_or(0);
        let to_come = shown.keys().map(|duty| users(shown.keys(), duty.start.max(*now)).len()).max().unwrap_or(0);
        let grows = |at: Timestamp| many(users(before.iter().copied(), at).len(), users(shown.keys(), at).len());
        about(*now).into_iter().any(grows) || many(peak, to_come)
    }

    /// When somebody was to be on call from now on and nobody would be: for sure, both by what is known now and by what was
    /// known an hour ago; or by either of the two.
    fn loss(&self, now: Timestamp, end: Timestamp, shown: &BTreeSet<&Duty>, sure: bool) -> Spans {
        let then = plus(now, seconds(-HOUR)).max(self.first.unwrap_or(now));
        let compared = self.compared(self.waiting.begun.unwrap_or(now), now);
        let then_known = |known: &Known| match known.standing {
            _ if !sure => self.was_believed(known, compared, false),
            Standing::Gone(at) => known.sure_since <= then && at > then,
            Standing::Doubtful => false,
            Standing::Shown | Standing::Held(_) => known.sure_since <= then,
        };
        let now_known = |known: &Known| match known.standing {
            Standing::Gone(_) => false,
            Standing::Doubtful => !sure,
            Standing::Shown | Standing::Held(_) => true,
        };
        let mut edges: BTreeSet<Timestamp> = [now, end].into();
        for duty in self.duties.keys().chain(shown.iter().copied()) {
            edges.extend([duty.start, duty.end].into_iter().filter(|at| *at > now && *at < end));
        }
        let covered = |at: Timestamp, known: &dyn Fn(&Known) -> bool| {
            self.duties.iter().any(|(duty, k)| duty.covers(at) && known(k))
        };
        let edges: Vec<Timestamp> = edges.into_iter().collect();
        let mut lost = Vec::new();
        for pair in edges.windows(2) {
            let [from, to] = pair else { continue };
            let before = (covered(*from, &then_known), covered(*from, &now_known));
            let was = if sure { before.0 && before.1 } else { before.0 || before.1 };
            let is = shown.iter().any(|duty| duty.covers(*from));
            if was && !is {
                lost.push((*from, *to));
            }
        }
        lost
    }
}

/// Whether an answer may still speak of it.
fn is_spoken_of(duty: &Duty, now: Timestamp) -> bool {
    plus(duty.end, seconds(HOUR + NEAR)) > now
}

/// Now, by whatever clock.
fn about(now: Timestamp) -> [Timestamp; 3] {
    [-CLOCK, 0, CLOCK].map(|off| plus(now, seconds(off)))
}

/// Who is on call at an instant by these duties.
fn users<'a>(duties: impl IntoIterator<Item = &'a Duty>, at: Timestamp) -> BTreeSet<usize> {
    duties.into_iter().filter(|duty| duty.covers(at)).map(|duty| duty.user).collect()
}

/// How many are gone without anybody in their stead.
fn unreplaced(before: &BTreeSet<usize>, after: &BTreeSet<usize>) -> usize {
    before.difference(after).count().saturating_sub(after.difference(before).count())
}
