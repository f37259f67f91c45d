//! Recurrence rules (RFC 5545 §3.3.10) on the wall clock: which dates and times a rule names, before any zone is asked.
//!
//! The `rrule` crate expands; it is given UTC as a zone without gaps and folds, so that what it answers is a wall clock.
//! It takes some malformed rules for others (`BYDAY=XXMO` for every Monday, a DST-dependent UNTIL, a rule that it gives up
//! on for one that has ended), so the grammar is checked here first, UNTIL is kept here, and a rule that ends without a
//! cause is an error.

use jiff::civil::{Date, DateTime};
use jiff::tz::Offset;
use jiff::{SignedDuration, Timestamp};
use rrule::RRuleSet;

use super::fault::{Problem, excerpt};
use super::value::Stamp;

/// How much may be computed for all rules of a calendar together, in days that are looked at. A rule may look at many and
/// name few: its author pays with a line, and we with our time.
const MAX_DAYS: u32 = 1_000_000;
/// How many times of day a rule may name. A rule that names each second names thirty million in a year, all at once.
const MAX_TIMES: usize = 1_440;

/// How many more instants may be computed.
#[derive(Debug)]
pub(super) struct Budget {
    left: usize,
    limit: usize,
    days: i64,
}

impl Budget {
    /// So many.
    pub(super) fn of(limit: usize) -> Self {
        Self { left: limit, limit, days: i64::from(MAX_DAYS) }
    }

    /// Takes some.
    pub(super) fn take(&mut self, some: usize) -> Result<(), Problem> {
        let too_many = Problem::TooMany { what: "instants", limit: self.limit };
        self.left = self.left.checked_sub(some).ok_or(too_many)?;
        Ok(())
    }

    /// Takes days that were looked at.
    fn look_at(&mut self, days: i64) -> Result<(), Problem> {
        self.days = self.days.saturating_sub(days);
        let too_many = Problem::TooMany { what: "days to look at for rules", limit: MAX_DAYS as usize };
        if self.days < 0 { Err(too_many) } else { Ok(()) }
    }
}

/// The last that a rule may name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Until {
    /// A day, itself included.
    Date(Date),
    /// A wall clock in the event's zone, itself included.
    Local(DateTime),
    /// An instant, itself included.
    Utc(Timestamp),
}

/// A rule, apart from its UNTIL.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Rule {
    /// What the rule says of its end, for whoever knows the zone.
    pub(super) until: Option<Until>,
    /// Whether it names times of day, which an event of whole days must not have.
    pub(super) names_times: bool,
    text: String,
    count: Option<usize>,
    /// The seconds from one step to the next, where every step is as long as the other.
    step: Option<i64>,
    pace: Pace,
}

/// What it takes to get ahead on a rule.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Pace {
    /// The seconds of a step, at least.
    seconds: i64,
    /// What a step costs, in days that are looked at.
    days: i64,
}

impl Pace {
    fn of(freq: &str, interval: u32) -> Self {
        let (seconds, days) = match freq {
            "SECONDLY" => (1, 1),
            "MINUTELY" => (60, 1),
            "HOURLY" => (3_600, 1),
            "DAILY" => (86_400, 1),
            "WEEKLY" => (7 * 86_400, 1),
            "MONTHLY" => (28 * 86_400, 2),
            _ => (365 * 86_400, 10),
        };
        Self { seconds: seconds * i64::from(interval.max(1)), days }
    }

    /// What it costs to get from one wall clock to another.
    fn cost(self, from: i64, to: i64) -> i64 {
        (to.saturating_sub(from).max(0) / self.seconds).saturating_mul(self.days)
    }
}

impl Rule {
    /// Reads the value of an RRULE.
    pub(super) fn parse(text: &str) -> Result<Self, Problem> {
        let wrong = |why: &str| Problem::Rule { rule: excerpt(text), why: why.to_owned() };
        let mut parts: Vec<(String, &str)> = Vec::new();
        for part in text.trim().trim_end_matches(';').split(';') {
            let (name, value) = part.split_once('=').ok_or_else(|| wrong("a part is not NAME=VALUE"))?;
            let name = name.to_ascii_uppercase();
            if parts.iter().any(|(known, _)| *known == name) {
                return Err(wrong(&format!("{} is there twice", excerpt(&name))));
            }
            if !well_formed(&name, value) {
                return Err(wrong(&format!("{} cannot be {}", excerpt(&name), excerpt(value))));
            }
            parts.push((name, value));
        }
        let get = |wanted: &str| parts.iter().find(|(name, _)| name == wanted).map(|(_, value)| *value);
        let freq = get("FREQ").ok_or_else(|| wrong("FREQ is missing"))?.to_ascii_uppercase();
        let number = |name: &str| get(name).and_then(|value| value.parse::<u32>().ok());
        let times = |name: &str| get(name).map_or(1, |value| value.split(',').count());
        let times = ["BYHOUR", "BYMINUTE", "BYSECOND"].into_iter().map(times).fold(1, usize::saturating_mul);
        if times > MAX_TIMES {
            return Err(wrong("it names more times of day than a rota has"));
        }
        let pace = Pace::of(&freq, number("INTERVAL").unwrap_or(1));
        let until = match get("UNTIL") {
            None => None,
            Some(_) if get("COUNT").is_some() => return Err(wrong("it has both COUNT and UNTIL")),
            Some(value) => Some(match Stamp::parse(value).ok_or_else(|| wrong("its UNTIL is no time"))? {
                Stamp::Date(date) => Until::Date(date),
                Stamp::Local(wall) => Until::Local(wall),
                Stamp::Utc(wall) => {
                    Until::Utc(Offset::UTC.to_timestamp(wall).map_err(|_| wrong("its UNTIL is no time"))?)
                }
            }),
        };
        let numbered = get("BYDAY").is_some_and(|days| days.bytes().any(|b| b.is_ascii_digit()));
        if numbered && (!matches!(freq.as_str(), "MONTHLY" | "YEARLY") || get("BYWEEKNO").is_some()) {
            return Err(wrong("a numbered BYDAY belongs to a month or a year"));
        }
        let expanded = parts.iter().filter(|(name, _)| name != "UNTIL").map(|(name, value)| format!("{name}={value}"));
        Ok(Self {
            until,
            names_times: matches!(freq.as_str(), "SECONDLY" | "MINUTELY" | "HOURLY")
                || ["BYHOUR", "BYMINUTE", "BYSECOND"].iter().any(|name| get(name).is_some()),
            text: expanded.collect::<Vec<_>>().join(";"),
            count: number("COUNT").and_then(|count| usize::try_from(count).ok()),
            step: (!matches!(freq.as_str(), "MONTHLY" | "YEARLY")).then_some(pace.seconds),
            pace,
        })
    }

    /// Whether the rule names the wall clock at which its series begins. RFC 5545 leaves undefined what one means that
    /// does not.
    pub(super) fn names(&self, start: DateTime) -> Result<bool, Problem> {
        Ok(self.set(start)?.into_iter().next().is_some_and(|first| first.timestamp() == seconds(start)))
    }

    /// Every wall clock from `from` to `to` that the rule names for a series that begins at `start`, in order.
    pub(super) fn walls(
        &self,
        start: DateTime,
        from: DateTime,
        to: DateTime,
        budget: &mut Budget,
    ) -> Result<Vec<DateTime>, Problem> {
        let (from, to) = (seconds(from), seconds(to));
        let start = self.skip(start, from)?;
        let set = self.set(start)?;
        let (begin, mut paid) = (seconds(start), 0);
        let mut walls = Vec::new();
        let mut named = 0_usize;
        for wall in &set {
            let at = wall.timestamp();
            let cost = self.pace.cost(begin, at);
            budget.look_at(cost - paid)?;
            paid = cost;
            if at > to {
                return Ok(walls);
            }
            budget.take(1)?;
            named += 1;
            if at >= from {
                walls.push(wall_at(at)?);
            }
        }
        if self.count.is_some_and(|count| named >= count) {
            Ok(walls)
        } else {
            Err(self.wrong("it names no more dates"))
        }
    }

    /// A later start of the same series that names the same dates from `from` on: whole steps later, and one step before
    /// `from`, since a first step may be a broken one. What follows from DTSTART (weekday, hour) is the same there.
    fn skip(&self, start: DateTime, from: i64) -> Result<DateTime, Problem> {
        match (self.step, self.count) {
            (Some(step), None) if step > 0 => {
                let steps = (from.saturating_sub(seconds(start)) / step).saturating_sub(1).max(0);
                wall_at(seconds(start).saturating_add(steps.saturating_mul(step)))
            }
            _ => Ok(start),
        }
    }

    fn set(&self, start: DateTime) -> Result<RRuleSet, Problem> {
        if start.year() < 1 {
            return Err(Problem::OutOfRange);
        }
        let text = format!("DTSTART:{}Z\nRRULE:{}", start.strftime("%Y%m%dT%H%M%S"), self.text);
        text.parse::<RRuleSet>().map(RRuleSet::limit).map_err(|error| self.wrong(&excerpt(&error.to_string())))
    }

    fn wrong(&self, why: &str) -> Problem {
        Problem::Rule { rule: excerpt(&self.text), why: why.to_owned() }
    }
}

/// The wall clock as seconds on a clock that is never changed.
fn seconds(wall: DateTime) -> i64 {
    Offset::UTC.to_timestamp(wall).map_or(i64::MAX, Timestamp::as_second)
}

fn wall_at(seconds: i64) -> Result<DateTime, Problem> {
    Timestamp::from_second(seconds).map(|at| Offset::UTC.to_datetime(at)).map_err(|_| Problem::OutOfRange)
}

/// How far from the wall clock an instant's UTC may be, with what a gap may add.
pub(super) const SLACK: SignedDuration = SignedDuration::from_hours(72);

/// Whether a part of a rule is one of RFC 5545, in the form and range given there.
fn well_formed(name: &str, value: &str) -> bool {
    let within = |text: &str, low: i32, high: i32, signed: bool| {
        let digits = if signed { text.strip_prefix(['+', '-']).unwrap_or(text) } else { text };
        let plain = (1..=9).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
        plain && text.parse::<i32>().is_ok_and(|n| (low..=high).contains(&n))
    };
    let each = |low, high, signed| value.split(',').all(|text| within(text, low, high, signed));
    let each_nonzero = |most: i32| each(-most, most, true) && value.split(',').all(|text| text.parse() != Ok(0));
    let weekday = |text: &str| ["MO", "TU", "WE", "TH", "FR", "SA", "SU"].iter().any(|d| d.eq_ignore_ascii_case(text));
    match name {
        "FREQ" => ["SECONDLY", "MINUTELY", "HOURLY", "DAILY", "WEEKLY", "MONTHLY", "YEARLY"]
            .iter()
            .any(|freq| freq.eq_ignore_ascii_case(value)),
        "UNTIL" => Stamp::parse(value).is_some(),
        "COUNT" => within(value, 1, i32::MAX, false),
        "INTERVAL" => within(value, 1, i32::from(u16::MAX), false),
        "BYSECOND" | "BYMINUTE" => each(0, 59, false),
        "BYHOUR" => each(0, 23, false),
        "BYMONTH" => each(1, 12, false),
        "BYMONTHDAY" => each_nonzero(31),
        "BYYEARDAY" | "BYSETPOS" => each_nonzero(366),
        "BYWEEKNO" => each_nonzero(53),
        "BYDAY" => value.split(',').all(|day| {
            day.len().checked_sub(2).and_then(|at| day.split_at_checked(at)).is_some_and(|(number, day)| {
                weekday(day) && (number.is_empty() || within(number, -53, 53, true) && number.parse() != Ok(0))
            })
        }),
        "WKST" => weekday(value),
        _ => false,
    }
}
