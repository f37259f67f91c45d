//! A time zone that the file defines itself (RFC 5545 §3.6.5): offsets from UTC and the instants at which each begins.

use jiff::civil::{DateTime, date};
use jiff::tz::Offset;
use jiff::{SignedDuration, Timestamp};

use super::document::Component;
use super::fault::Problem;
use super::rule::{Budget, Rule, Until};
use super::value::Stamp;

/// No rule of a zone is followed further; a wall clock beyond it is refused.
const LAST: DateTime = date(2099, 12, 31).at(23, 59, 59, 0);
/// The most changes of offset in one zone: outlook's zones begin in 1601 and change twice a year.
const MAX_CHANGES: usize = 10_000;
/// Further apart than this no two offsets are.
const SLACK: SignedDuration = SignedDuration::from_hours(48);

/// The offset before the first change, and all changes in order.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct OwnZone {
    before: Offset,
    changes: Vec<(Timestamp, Offset)>,
}

impl OwnZone {
    /// Reads a VTIMEZONE; the error says what is not understood. The budget is that of all zones of the calendar.
    pub(super) fn read(zone: &Component, budget: &mut Budget) -> Result<Self, &'static str> {
        let mut changes: Vec<(Timestamp, Offset, Offset)> = Vec::new();
        for observance in zone.inside("STANDARD").chain(zone.inside("DAYLIGHT")) {
            let offset = |name| observance.needed(name).ok().and_then(|property| parse_offset(property.value.trim()));
            let from = offset("TZOFFSETFROM").ok_or("TZOFFSETFROM is missing or not an offset")?;
            let to = offset("TZOFFSETTO").ok_or("TZOFFSETTO is missing or not an offset")?;
            for wall in onsets(observance, from, budget)? {
                let at = from.to_timestamp(wall).map_err(|_| "a change is out of range")?;
                changes.push((at, from, to));
            }
            if changes.len() > MAX_CHANGES {
                return Err("it changes too often");
            }
        }
        changes.sort_unstable_by_key(|(at, _, _)| *at);
        if changes.windows(2).any(|pair| matches!(pair, [(a, _, to), (b, _, other)] if a == b && to != other)) {
            return Err("two of its changes fall together");
        }
        let (_, before, _) = *changes.first().ok_or("it has neither STANDARD nor DAYLIGHT")?;
        Ok(Self { before, changes: changes.into_iter().map(|(at, _, to)| (at, to)).collect() })
    }

    /// The instant of a wall clock, in the manner of [`super::zone::Zone::instant`].
    pub(super) fn instant(&self, wall: DateTime) -> Result<Timestamp, Problem> {
        if wall > LAST {
            return Err(Problem::OutOfRange);
        }
        let about = Offset::UTC.to_timestamp(wall).map_err(|_| Problem::OutOfRange)?;
        let earliest = about.checked_sub(SLACK).map_err(|_| Problem::OutOfRange)?;
        let mut next = self.changes.partition_point(|(at, _)| *at <= earliest);
        loop {
            // The stretch before change `next`, on whose offset the clock may show this time.
            let offset = self.offset_before(next);
            let at = offset.to_timestamp(wall).map_err(|_| Problem::OutOfRange)?;
            match self.changes.get(next) {
                Some((change, to)) if at >= *change => {
                    // Past this stretch; and if it is too early for the next one, the clock skips it.
                    let skipped = to.to_timestamp(wall).is_ok_and(|later| later < *change);
                    if skipped {
                        return Ok(at);
                    }
                    next += 1;
                }
                _ => return Ok(at),
            }
        }
    }

    /// What the wall clock shows at an instant.
    pub(super) fn wall(&self, at: Timestamp) -> DateTime {
        self.offset_before(self.changes.partition_point(|(change, _)| *change <= at)).to_datetime(at)
    }

    fn offset_before(&self, change: usize) -> Offset {
        let last = change.checked_sub(1).and_then(|last| self.changes.get(last));
        last.map_or(self.before, |(_, offset)| *offset)
    }
}

/// The wall clocks, on the offset before, at which an observance begins.
fn onsets(observance: &Component, from: Offset, budget: &mut Budget) -> Result<Vec<DateTime>, &'static str> {
    let local = |text: &str| match Stamp::parse(text) {
        Some(Stamp::Local(wall)) => Ok(wall),
        _ => Err("a DTSTART or RDATE in it is not a local time"),
    };
    let start = local(&observance.needed("DTSTART").map_err(|_| "a DTSTART in it is missing or repeated")?.value)?;
    let rule = observance.one("RRULE").map_err(|_| "an RRULE in it is repeated")?;
    let mut walls = match rule {
        None => vec![start],
        Some(rule) => {
            let rule = Rule::parse(&rule.value).map_err(|_| "an RRULE in it is not understood")?;
            let walls = rule.walls(start, start, LAST, budget);
            let admitted = |wall: &DateTime| match rule.until {
                None => true,
                Some(Until::Date(last)) => wall.date() <= last,
                Some(Until::Local(last)) => *wall <= last,
                Some(Until::Utc(last)) => from.to_timestamp(*wall).is_ok_and(|at| at <= last),
            };
            let walls = walls.map_err(|_| "an RRULE in it is not understood")?;
            walls.into_iter().filter(admitted).collect()
        }
    };
    for dates in observance.all("RDATE") {
        for text in dates.value.split(',') {
            walls.push(local(text)?);
        }
    }
    Ok(walls)
}

/// Reads `+0100`, `-0330` or `+013045`.
fn parse_offset(text: &str) -> Option<Offset> {
    let (sign, digits) = match text.split_at_checked(1)? {
        ("+", digits) => (1, digits),
        ("-", digits) => (-1, digits),
        _ => return None,
    };
    if !matches!(digits.len(), 4 | 6) || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let part = |from: usize| digits.get(from..from + 2).map_or(Some(0), |t| t.parse::<i32>().ok());
    let (hours, minutes, seconds) = (part(0)?, part(2)?, part(4)?);
    if minutes > 59 || seconds > 59 {
        return None;
    }
    Offset::from_seconds(sign * (hours * 3_600 + minutes * 60 + seconds)).ok()
}
