//! The values of properties: dates, times and durations (RFC 5545 §3.3).

use jiff::civil::{Date, DateTime, Time};
use jiff::{SignedDuration, Span, Timestamp};

use super::document::Property;
use super::fault::{CalendarFault, Problem};
use super::zone::{Zone, Zones};

/// A date or a time as it is written, before a zone is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stamp {
    /// `20260329`
    Date(Date),
    /// `20260329T090000`: a wall clock somewhere.
    Local(DateTime),
    /// `20260329T070000Z`
    Utc(DateTime),
}

impl Stamp {
    /// Reads one of the three forms, and nothing else.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let number = |from: usize, to: usize| -> Option<i16> {
            text.get(from..to).filter(|t| t.bytes().all(|b| b.is_ascii_digit()))?.parse().ok()
        };
        let small = |from: usize| number(from, from + 2).and_then(|n| i8::try_from(n).ok());
        let date = Date::new(number(0, 4)?, small(4)?, small(6)?).ok()?;
        let utc = match (text.len(), text.get(15..)) {
            (8, _) => return Some(Self::Date(date)),
            (15, _) => false,
            (16, Some("Z")) => true,
            _ => return None,
        };
        text.get(8..9).filter(|t| *t == "T")?;
        let wall = DateTime::from_parts(date, Time::new(small(9)?, small(11)?, small(13)?, 0).ok()?);
        Some(if utc { Self::Utc(wall) } else { Self::Local(wall) })
    }
}

/// Whether days or instants are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A whole day.
    Date,
    /// A time of day.
    Time,
}

/// A wall clock in a zone; for a date, its midnight.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Moment {
    pub(super) kind: Kind,
    pub(super) wall: DateTime,
    pub(super) zone: Zone,
}

impl Moment {
    /// Reads one value of a property, in the property's TZID, in UTC, or in the calendar's zone.
    pub(super) fn read(property: &Property, value: &str, zones: &mut Zones<'_>) -> Result<Self, CalendarFault> {
        let unreadable = |why| Err(property.unreadable(why));
        let Some(stamp) = Stamp::parse(value) else {
            return unreadable("a date is 20260329, a time 20260329T090000 or 20260329T070000Z");
        };
        let declared = property.param("VALUE").map(str::to_ascii_uppercase);
        let zone = |zones: &mut Zones<'_>| match property.param("TZID") {
            Some(name) => zones.find(name),
            None => zones.calendar(),
        };
        let near = |problem: Problem| problem.at(property.line);
        match (stamp, declared.as_deref()) {
            (Stamp::Date(date), None | Some("DATE")) => {
                let wall = date.to_datetime(Time::midnight());
                Ok(Self { kind: Kind::Date, wall, zone: zone(zones).map_err(near)? })
            }
            (Stamp::Local(wall), None | Some("DATE-TIME" | "PERIOD")) => {
                Ok(Self { kind: Kind::Time, wall, zone: zone(zones).map_err(near)? })
            }
            (Stamp::Utc(wall), None | Some("DATE-TIME" | "PERIOD")) => {
                if property.param("TZID").is_some() && !zone(zones).map_err(near)?.is_utc() {
                    return unreadable("it has a TZID and is in UTC; only one can be meant");
                }
                Ok(Self { kind: Kind::Time, wall, zone: Zone::utc() })
            }
            _ => unreadable("it is not what its VALUE says"),
        }
    }

    /// The instant.
    pub(super) fn at(&self) -> Result<Timestamp, Problem> {
        self.zone.instant(self.wall)
    }
}

/// A DURATION: days of the calendar, then seconds of the clock (RFC 5545 §3.3.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Length {
    days: i64,
    seconds: i64,
}

impl Length {
    /// One day of the calendar.
    pub(super) const DAY: Self = Self { days: 1, seconds: 0 };
    /// No time at all.
    pub(super) const NONE: Self = Self { days: 0, seconds: 0 };

    /// Reads `P1W`, `P1D`, `PT8H` and their like; negative ones and months are not durations of an event.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let text = text.strip_prefix('+').unwrap_or(text);
        if !text.starts_with('P') || text.contains(['.', ',']) {
            return None;
        }
        let span: Span = text.parse().ok()?;
        if span.is_negative() || span.get_years() != 0 || span.get_months() != 0 {
            return None;
        }
        let days = i64::from(span.get_weeks()) * 7 + i64::from(span.get_days());
        let seconds = i64::from(span.get_hours()) * 3_600 + span.get_minutes() * 60 + span.get_seconds();
        Some(Self { days, seconds })
    }

    /// When something ends that begins at the wall clock.
    pub(super) fn end(self, wall: DateTime, zone: &Zone) -> Result<Timestamp, Problem> {
        let days = SignedDuration::from_secs(self.days.saturating_mul(86_400));
        let wall = wall.checked_add(days).map_err(|_| Problem::OutOfRange)?;
        let seconds = SignedDuration::from_secs(self.seconds);
        zone.instant(wall)?.checked_add(seconds).map_err(|_| Problem::OutOfRange)
    }

    /// About how long it is on the wall clock.
    pub(super) fn about(self) -> SignedDuration {
        SignedDuration::from_secs(self.days.saturating_mul(86_400).saturating_add(self.seconds))
    }
}
