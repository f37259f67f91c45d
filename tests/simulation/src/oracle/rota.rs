//! What the platforms have said of one rotation, and what follows from it by the promises alone: who is on call for sure,
//! who may count as on call, and who does not.
//!
//! Slow and obvious on purpose. It knows three words, because the brake is allowed to hold more than it must.

mod brake;
mod lock;
mod restored;

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::{Sure, minutes, plus, seconds};
use crate::plan::Profile;
use brake::Waiting;
use lock::kept_until;

/// An hour: what the brake compares with.
const HOUR: i64 = 3_600;

/// What has been over for so long gives nothing any more, by any profile's grace.
const REMEMBERED: i64 = 6 * HOUR;

/// One user on call over a time, as a platform has shown it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Duty {
    pub(super) user: usize,
    pub(super) start: Timestamp,
    pub(super) end: Timestamp,
}

impl Duty {
    fn covers(&self, at: Timestamp) -> bool {
        self.start <= at && at < self.end
    }

    fn touches(&self, from: Timestamp, to: Timestamp) -> bool {
        self.start < to && from < self.end
    }
}

/// What a profile makes of being on call, in seconds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Terms {
    /// Access begins so long before.
    pub(super) lead: i64,
    /// It ends so long after.
    pub(super) grace: i64,
    /// A view may stand for so long.
    pub(super) lease: i64,
    /// A change of the forecast waits for so long.
    pub(super) lock: i64,
}

impl From<&Profile> for Terms {
    fn from(profile: &Profile) -> Self {
        Self {
            lead: profile.lead.into(),
            grace: if profile.enrolls { profile.grace.into() } else { 0 },
            lease: profile.lease.into(),
            lock: profile.lock.into(),
        }
    }
}

impl Terms {
    fn covers(&self, duty: &Duty, at: Timestamp) -> bool {
        plus(duty.start, seconds(-self.lead)) <= at && at < plus(duty.end, seconds(self.grace))
    }
}

/// What is to be thought of a duty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// The last word of the platform.
    Shown,
    /// Gone or come in a way that the brake may hold or let pass.
    Doubtful,
    /// Gone in a way that the brake must hold, since then.
    Held(Timestamp),
    /// Gone, since then.
    Gone(Timestamp),
}

/// A duty, with when it was first shown and who made it.
#[derive(Debug, Clone)]
pub(super) struct Known {
    pub(super) standing: Standing,
    pub(super) seen: Timestamp,
    /// Since when nothing was in doubt about it.
    sure_since: Timestamp,
    /// Where it was gone once and came back.
    away: Option<Away>,
    /// Whether it was shown last, and a table that was put back since knows nothing of that.
    forgotten: bool,
    /// By when it is on record that it is shown, shown again, or gone: its lock, or its grace, may begin as late as that.
    again: Timestamp,
    /// By when it was on record that it is shown.
    recorded: Timestamp,
    pub(super) made_by_other: bool,
}

/// A duty that was gone for a while.
#[derive(Debug, Clone, Copy)]
struct Away {
    first_seen: Timestamp,
    gone: Timestamp,
    back: Timestamp,
}

/// Everything that was said of one rotation.
#[derive(Debug, Clone, Default)]
pub(super) struct Rota {
    pub(super) duties: BTreeMap<Duty, Known>,
    /// When the last complete answer came.
    pub(super) fresh: Option<Timestamp>,
    /// When the first one came.
    first: Option<Timestamp>,
    /// When the newest answer was asked for.
    asked: Option<Timestamp>,
    /// Until when answers overlapped that said different things.
    pub(super) unsure_until: Option<Timestamp>,
    /// Whether a restored table went on although nothing was read since.
    unread: bool,
    /// When it was first read after that.
    reread: Option<Timestamp>,
    /// When the last read failed.
    failed: Option<Timestamp>,
    /// When Dutykey itself is away, for so long that it notices.
    pauses: Vec<(Timestamp, Timestamp)>,
    /// When people vanished, for the brake that looks at a whole source.
    pub(super) losses: Vec<(Timestamp, usize)>,
    /// What waits for a person.
    waiting: Waiting,
    /// Whether the newest answer was on record at once.
    quiet: bool,
}

/// What else the brake looks at.
pub(super) struct Elsewhere {
    /// How many people vanished within the past hour from the other rotations of the source.
    pub(super) lost: usize,
    /// The shortest lease of the profiles that the rotation gives, in seconds.
    pub(super) lease: i64,
    /// Whether the source has no other rotation.
    pub(super) alone: bool,
}

/// A complete answer.
pub(super) struct Answer {
    /// When it was asked for.
    pub(super) asked: Timestamp,
    /// When it came.
    pub(super) now: Timestamp,
    /// By when what is new in it is on record: whoever has read it may have died or found no table.
    pub(super) recorded: Timestamp,
    /// What it speaks of.
    pub(super) window: (Timestamp, Timestamp),
    /// Who is on call, and whether somebody else made it so.
    pub(super) shown: BTreeMap<Duty, bool>,
}

impl Rota {
    /// One of which nothing is known yet, and which Dutykey does not watch in these times.
    pub(super) fn watched(pauses: Vec<(Timestamp, Timestamp)>) -> Self {
        Self { pauses, ..Self::default() }
    }

    /// Takes in a complete answer.
    pub(super) fn answered(&mut self, answer: &Answer, elsewhere: &Elsewhere) {
        let Answer { asked, now, recorded, window, shown } = answer;
        let (asked, now, recorded) = (*asked, *now, *recorded);
        if self.is_older(asked, now) {
            return;
        }
        if self.waiting.crosses(asked) || self.asked.is_some_and(|other| asked < self.fresh.unwrap_or(other)) {
            // Two reads at once: either may be the newer one.
            self.unsure_until = self.unsure_until.max(Some(plus(now, minutes(10))));
        }
        self.reads_again(now, recorded);
        for (_, known) in self.duties.iter_mut().filter(|(duty, _)| duty.touches(window.0, window.1)) {
            known.forgotten = false;
        }
        let removed: Vec<Duty> = self
            .duties
            .iter()
            .filter(|(duty, known)| {
                !matches!(known.standing, Standing::Gone(_))
                    && duty.touches(window.0, window.1)
                    && !shown.contains_key(duty)
            })
            .map(|(duty, _)| duty.clone())
            .collect();
        let judged = self.judge(answer, elsewhere, &removed);
        let lost = self.vanished(answer, &removed, &judged);
        self.losses.push((now, lost));
        for (duty, next) in self.outcomes(removed, &judged, answer, elsewhere) {
            if let Some(known) = self.duties.get_mut(&duty) {
                if known.standing != next {
                    known.again = recorded;
                }
                if next == Standing::Doubtful {
                    known.sure_since = Timestamp::MAX;
                }
                known.standing = next;
            }
        }
        for (duty, made_by_other) in shown {
            let known = self.duties.entry(duty.clone()).or_insert_with(|| Known {
                standing: Standing::Gone(now),
                seen: now,
                sure_since: now,
                away: None,
                forgotten: false,
                again: recorded,
                recorded,
                made_by_other: *made_by_other,
            });
            known.standing = match known.standing {
                Standing::Shown => Standing::Shown,
                Standing::Held(_) => Standing::Shown,
                Standing::Doubtful | Standing::Gone(_) if judged.crowded => {
                    known.sure_since = Timestamp::MAX;
                    Standing::Doubtful
                }
                Standing::Doubtful => {
                    (known.sure_since, known.again, known.recorded) = (now, recorded, recorded);
                    Standing::Shown
                }
                Standing::Gone(gone) => {
                    if gone < now {
                        let first_seen = known.away.map_or(known.seen, |away| away.first_seen);
                        known.away = Some(Away { first_seen, gone: gone.max(known.again), back: now });
                    }
                    (known.seen, known.sure_since, known.again, known.recorded) = (now, now, recorded, recorded);
                    Standing::Shown
                }
            };
        }
        self.first = self.first.or(Some(now));
        self.asked = Some(asked);
        self.fresh = Some(now);
        self.quiet = recorded <= now;
        self.losses.retain(|(at, _)| plus(*at, seconds(HOUR)) > now);
        self.duties.retain(|duty, _| plus(duty.end, seconds(REMEMBERED)) > now);
        self.wait(now, recorded);
    }

    /// Whether an answer is older than the one before it, which was on record by then: such a one changes nothing (R15).
    fn is_older(&self, asked: Timestamp, now: Timestamp) -> bool {
        let newer = self.asked.is_some_and(|newer| asked < newer);
        newer && self.quiet && self.fresh.is_some_and(|fresh| plus(fresh, seconds(5)) < now)
    }

    /// A read has failed. What a dead worker had read, and this one was to record, is still not on record.
    pub(super) fn fails(&mut self, now: Timestamp) {
        self.failed = Some(now);
        self.forgets(now, plus(now, minutes(6)));
    }

    /// Everybody whom it has lately shown.
    pub(super) fn people(&self) -> impl Iterator<Item = usize> + '_ {
        self.duties.keys().map(|duty| duty.user)
    }

    /// Whoever has just read it has died: what is new in it may be on record only at `recorded`.
    pub(super) fn forgets(&mut self, now: Timestamp, recorded: Timestamp) {
        self.rereads(now, recorded);
        self.quiet = false;
        for known in self.duties.values_mut().filter(|known| plus(known.again, minutes(1)) > now) {
            known.again = known.again.max(recorded);
            if known.standing == Standing::Shown {
                known.recorded = known.again;
            }
            self.waiting.vague = true;
        }
    }

    /// Whether the user counts as on call at `at` under a profile's terms.
    pub(super) fn on_call(&self, user: usize, at: Timestamp, terms: &Terms) -> Sure {
        let Some(fresh) = self.fresh else { return Sure::No };
        let stale = plus(fresh, seconds(terms.lease));
        // Whoever was away when a lease ended asks first: it lives on until that has failed, and for ten minutes at most.
        let away = self.pauses.iter().filter(|(from, to)| fresh < *to && *from <= stale && *from <= at);
        let prolonged = away.map(|(_, to)| (*to, plus(*to, minutes(10)))).max();
        let stale = prolonged.map_or(stale, |(_, until)| until.max(stale));
        if at >= stale {
            return if at < plus(stale, minutes(6)) { self.ever(user, at, terms).min(Sure::Maybe) } else { Sure::No };
        }
        if prolonged.is_some_and(|(back, _)| self.failed.is_some_and(|failed| failed >= back)) {
            return self.ever(user, at, terms).min(Sure::Maybe);
        }
        let sure = self.ever(user, at, terms);
        if self.unread || self.unsure_until.is_some_and(|until| at < until) { sure.min(Sure::Maybe) } else { sure }
    }

    fn ever(&self, user: usize, at: Timestamp, terms: &Terms) -> Sure {
        let mut sure = Sure::No;
        for (duty, known) in self.duties.iter().filter(|(duty, _)| duty.user == user) {
            if !terms.covers(duty, at) {
                continue;
            }
            sure = sure.max(match known.standing {
                // What would have to wait for longer than the duty lasts never counts, not even in its grace.
                Standing::Shown | Standing::Held(_) if self.waits(known, known.again, at.min(duty.end), terms) => {
                    Sure::Maybe
                }
                // What was heard of, or let pass by the brake, only after it was over, or is perhaps not on record yet.
                Standing::Shown | Standing::Held(_) if known.seen >= duty.end || at < known.again => Sure::Maybe,
                Standing::Shown if (duty.end..Timestamp::MAX).contains(&known.sure_since) => Sure::Maybe,
                Standing::Shown | Standing::Held(_) => Sure::Yes,
                Standing::Doubtful => Sure::Maybe,
                Standing::Gone(gone) if self.is_kept((duty, known), gone, at, terms) => Sure::Yes,
                // An end of coverage that nobody forecast has its grace as well, and whoever is replaced is kept while the
                // change waits.
                Standing::Gone(gone)
                    if at < plus(self.replaced(duty, gone.max(known.again), terms), seconds(terms.grace)) =>
                {
                    Sure::Maybe
                }
                Standing::Gone(_) => Sure::No,
            });
        }
        sure
    }

    /// By when a duty that is gone since then is out of force: the lock of what replaced it is over, and that of whatever
    /// replaced this while it waited.
    fn replaced(&self, duty: &Duty, gone: Timestamp, terms: &Terms) -> Timestamp {
        let lock = seconds(terms.lock);
        let mut until = plus(gone, lock);
        let others = || self.duties.iter().filter(|(other, _)| other.touches(duty.start, duty.end));
        let changes = || {
            others().flat_map(|(_, known)| match known.standing {
                Standing::Gone(at) => [known.seen, at.max(known.again)],
                _ => [known.seen, known.again],
            })
        };
        while let Some(next) =
            changes().filter(|at| *at <= until).map(|at| plus(at, lock)).max().filter(|at| *at > until)
        {
            until = next;
        }
        until
    }

    /// Whether a duty that came as a change of the forecast waits for a lock that began at `since`.
    fn waits(&self, known: &Known, since: Timestamp, at: Timestamp, terms: &Terms) -> bool {
        let change = self.first.is_some_and(|first| since > first) && !known.made_by_other;
        change && terms.lock > 0 && at <= plus(since, seconds(terms.lock))
    }

    /// Whether the user is on call at `at` by nothing but changes that wait for the lock.
    pub(super) fn only_waits(&self, user: usize, at: Timestamp, terms: &Terms) -> bool {
        let mut covering =
            self.duties.iter().filter(|(duty, _)| duty.user == user && terms.covers(duty, at)).peekable();
        // Whoever came back before their going counted was never away.
        let since = |known: &Known| match known.away {
            Some(away) if away.back <= plus(away.gone, seconds(terms.lock + 60)) => away.first_seen,
            _ => known.seen,
        };
        covering.peek().is_some() && covering.all(|(_, known)| self.waits(known, since(known), at, terms))
    }

    /// Whether a duty of the user begins to count within so many seconds after `at`.
    pub(super) fn begins_within(&self, user: usize, at: Timestamp, within: i64, terms: &Terms) -> bool {
        let begins = |duty: &Duty| plus(duty.start, seconds(-terms.lead));
        let mut duties =
            self.duties.iter().filter(|(duty, known)| duty.user == user && known.standing == Standing::Shown);
        duties.any(|(duty, _)| at < begins(duty) && begins(duty) <= plus(at, seconds(within)))
    }

    /// Until when the user is on call for sure and without a break, by what is known at `at`; at most until `most`.
    pub(super) fn on_call_until(&self, user: usize, at: Timestamp, most: Timestamp, terms: &Terms) -> Timestamp {
        // Nobody may have heard yet of what is not on record.
        let unheard = |then: Timestamp| {
            self.duties.iter().any(|(duty, known)| duty.user == user && duty.covers(then) && at < known.again)
        };
        let ahead = self.edges(terms).filter(|then| at < *then && *then < most);
        let breaks = |then: &Timestamp| self.on_call(user, *then, terms) != Sure::Yes || unheard(*then);
        ahead.chain([at]).filter(breaks).min().unwrap_or(most)
    }

    /// Every instant at which the answer to [`Rota::on_call`] may change by itself.
    pub(super) fn edges(&self, terms: &Terms) -> impl Iterator<Item = Timestamp> + '_ {
        let Terms { lead, grace, lease, lock } = *terms;
        let stale = self.fresh.map(|fresh| plus(fresh, seconds(lease)));
        let terms = *terms;
        let gone = move |duty: &Duty, known: &Known| match known.standing {
            Standing::Gone(at) => Some(plus(self.replaced(duty, at.max(known.again), &terms), seconds(grace))),
            _ => Some(plus(known.again, seconds(lock))),
        };
        self.duties
            .iter()
            .flat_map(move |(duty, known)| {
                let recorded = Some(known.again);
                [
                    Some(plus(duty.start, seconds(-lead))),
                    Some(plus(duty.end, seconds(grace))),
                    gone(duty, known),
                    kept_until(known, &terms),
                    recorded,
                ]
            })
            .chain([stale, stale.map(|at| plus(at, minutes(6))), self.unsure_until])
            .chain(self.pauses.iter().flat_map(|(_, to)| [Some(plus(*to, minutes(10))), Some(plus(*to, minutes(16)))]))
            .flatten()
    }
}
