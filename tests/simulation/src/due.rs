//! Which ticks and which reads of a platform would find something: the others may be skipped. A tick finds something where
//! anything in the table comes due; a read finds something where the platform's answer, or what is asked, has changed.

use std::time::Duration;

use aws_sdk_dynamodb::Client;
use dutykey_engine::snapshot::AHEAD;
use dutykey_engine::tick::{OVERDUE, ROTATIONS_AHEAD};
use dutykey_policy::time::{earlier, later};
use dutykey_store::keys;
use jiff::Timestamp;

use crate::plan::{DEFAULT_LEASE, Happening, Plan, Profile, Second, System};
use crate::world::table::TABLE;

/// How often a tick runs.
pub(crate) const MINUTE: Duration = Duration::from_secs(60);
/// No clock is further from the world's.
const CLOCK: Duration = Duration::from_secs(2);
/// How often a platform is read.
pub(crate) const EVERY: Duration = Duration::from_secs(300);

/// Something in the index of what is due.
#[derive(Debug, Clone, Copy)]
struct Item {
    at: Timestamp,
    kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Person,
    Rotation,
    Other,
}

/// What was due when the table was last looked at.
#[derive(Debug, Default)]
pub(crate) struct Dues {
    items: Vec<Item>,
}

impl Dues {
    /// Looks at the table.
    pub(crate) async fn look(client: &Client) -> Self {
        let mut items = Vec::new();
        for index in [keys::DUE, keys::ENDS] {
            let mut from = None;
            loop {
                let scan = client.scan().table_name(TABLE).index_name(index.name).set_exclusive_start_key(from);
                let Ok(page) = scan.send().await else { break };
                for item in page.items.unwrap_or_default() {
                    let text = |name: &str| item.get(name).and_then(|value| value.as_s().ok()).cloned();
                    let at = text(index.sort).and_then(|at| at.parse().ok());
                    let kind = match text(index.partition).unwrap_or_default().split('#').next() {
                        Some(keys::STARTS | keys::END) => Kind::Person,
                        Some(keys::DUE_ROTATIONS) => Kind::Rotation,
                        _ => Kind::Other,
                    };
                    items.extend(at.map(|at| Item { at, kind }));
                }
                from = page.last_evaluated_key;
                if from.is_none() {
                    break;
                }
            }
        }
        Self { items }
    }

    /// From when on a tick finds something, where the last one ran at `last`.
    #[must_use]
    pub(crate) fn next(&self, last: Option<Timestamp>) -> Timestamp {
        let found = |item: &Item| {
            let ahead = match item.kind {
                Kind::Person => AHEAD,
                Kind::Rotation => ROTATIONS_AHEAD,
                Kind::Other => return item.at,
            };
            // The tick may have another clock.
            let sent = last.is_some_and(|last| later(item.at, CLOCK) <= later(last, ahead));
            if sent { later(item.at, OVERDUE) } else { earlier(item.at, ahead + CLOCK) }
        };
        self.items.iter().map(found).min().unwrap_or(Timestamp::MAX)
    }
}

/// When reads of platforms find something.
#[derive(Debug)]
pub(crate) struct Reads {
    /// While they do.
    spans: Vec<(Timestamp, Timestamp)>,
    /// When the last one was.
    last: Timestamp,
    /// Without a read for longer than this, a lease would come to its half, which reads each 5 minutes never let it.
    longest: Duration,
}

/// So long before half of the shortest lease has passed a platform is read again, at the next of its turns.
const BEFORE_HALF: Second = 330;

impl Reads {
    /// Those of the plan.
    #[must_use]
    pub(crate) fn new(plan: &Plan) -> Self {
        let edited = plan.happens.iter().filter_map(|happening| match happening {
            Happening::Edit { to, .. } => to.as_ref(),
            _ => None,
        });
        // What no profile enrolls from any more has the lease of such rotations.
        let retires = |happening: &Happening| matches!(happening, Happening::Retires { what: System::Source(_), .. });
        let retired = plan.happens.iter().any(retires).then_some(DEFAULT_LEASE);
        let leases = plan.profiles.iter().chain(edited).map(Profile::leased).chain(retired);
        let half = leases.min().unwrap_or(DEFAULT_LEASE) / 2;
        let mut spans = Vec::new();
        let mut span = |from: u32, to: u32, after: u32| {
            let from = if after > 300 { from.saturating_sub(300) } else { from };
            spans.push((plan.at(from), plan.at(to.saturating_add(after))));
        };
        span(0, 0, 600);
        for rotation in &plan.rotations {
            for shift in &rotation.shifts {
                span(shift.announced, shift.announced, 300);
                shift.withdrawn.into_iter().for_each(|at| span(at, at, 300));
            }
            for laid in &rotation.overrides {
                span(laid.announced, laid.announced, 300);
                laid.withdrawn.into_iter().for_each(|at| span(at, at, 300));
            }
        }
        for happening in &plan.happens {
            match happening {
                // While it goes on failing nothing new is found; what lies is read each time.
                Happening::Platform(fault) if fault.to - fault.from > 3_600 => {
                    span(fault.from, fault.from, 600);
                    span(fault.to, fault.to, 900);
                }
                Happening::Platform(fault) => span(fault.from, fault.to, 900),
                Happening::Table(fault) => span(fault.from, fault.to, 900),
                Happening::Queue(fault) => span(fault.from, fault.to.saturating_add(fault.after), 900),
                Happening::Pause { from, to } | Happening::TickSkipped { from, to } => span(*from, *to, 900),
                Happening::Restored { backup, at, lasts } => {
                    span(backup.saturating_sub(300), *backup, 0);
                    span(*at, at.saturating_add(*lasts), 900);
                }
                Happening::Renamed { at, .. } => span(*at, *at, 4_500),
                Happening::Releases { at, after } => span(*at, at.saturating_add(*after), 900),
                // Users are read again within the hour, and whoever is listed no longer counts for a day after that.
                Happening::Departs { at, .. } => {
                    span(*at, *at, 4_500);
                    let day = at.saturating_add(86_400);
                    span(day, day, 8_100);
                }
                Happening::Deploy { at }
                | Happening::RolledBack { at }
                | Happening::Edit { at, .. }
                | Happening::Retires { at, .. } => {
                    span(*at, *at, 900);
                }
                _ => {}
            }
        }
        span(plan.lasts, plan.lasts, 900);
        let longest = Duration::from_secs(half.saturating_sub(BEFORE_HALF).max(BEFORE_HALF).into());
        Self { spans, last: plan.epoch, longest }
    }

    /// Reads find something from `from` until `to`.
    pub(crate) fn add(&mut self, from: Timestamp, to: Timestamp) {
        self.spans.push((from, to));
    }

    /// A read begins.
    pub(crate) fn read(&mut self, now: Timestamp) {
        self.last = now;
    }

    /// Whether a read at `at` may find something, or is due for the leases' sake.
    #[must_use]
    pub(crate) fn finds(&self, at: Timestamp) -> bool {
        later(self.last, self.longest) <= at || self.spans.iter().any(|(from, to)| (*from..*to).contains(&at))
    }

    /// The next turn, at or after `at`, at which a read may find something.
    #[must_use]
    pub(crate) fn next(&self, mut at: Timestamp) -> Timestamp {
        while !self.finds(at) {
            let starts = self.spans.iter().map(|(from, _)| *from).filter(|from| *from > at);
            let next = starts.chain([later(self.last, self.longest)]).min().unwrap_or(Timestamp::MAX);
            while at < next {
                at = later(at, EVERY);
            }
        }
        at
    }
}
