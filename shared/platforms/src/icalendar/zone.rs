//! Time zones: of the tz database, by a name of Windows, or defined in the file itself.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::{TimeZone, TimeZoneDatabase};

use super::document::Component;
use super::fault::{CalendarFault, Problem, excerpt};
use super::rule::Budget;
use super::vtimezone::OwnZone;
use super::windows;

/// The tz database that is compiled in: the same answer on every machine, and none of the machine's own names such as
/// `localtime`.
static DATABASE: LazyLock<TimeZoneDatabase> = LazyLock::new(TimeZoneDatabase::bundled);

/// The names of UTC in the tz database.
const UTC: [&str; 7] = ["UTC", "Etc/UTC", "GMT", "Etc/GMT", "Zulu", "Etc/Zulu", "Etc/UCT"];
/// The most zones that one calendar may name; to compute one of the file's own takes a while.
const MAX_ZONES: usize = 500;
/// The most changes of offset in all of the file's own zones together.
const MAX_CHANGES: usize = 1_000_000;

/// A time zone.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Zone {
    /// Of the tz database.
    Known(TimeZone),
    /// Of the file.
    Own(Arc<OwnZone>),
}

impl Zone {
    /// UTC.
    pub(super) fn utc() -> Self {
        Self::Known(TimeZone::UTC)
    }

    /// The zone of the tz database with the name, or with the name that Windows has for it.
    pub(super) fn known(name: &str) -> Option<Self> {
        let get = |name: &str| DATABASE.get(name).ok().filter(|zone| !zone.is_unknown());
        get(name).or_else(|| get(windows::iana(name)?)).map(Self::Known)
    }

    /// Whether it is UTC by any of its names.
    pub(super) fn is_utc(&self) -> bool {
        match self {
            Self::Known(zone) => zone.iana_name().is_some_and(|name| UTC.contains(&name)),
            Self::Own(_) => false,
        }
    }

    /// The instant of a wall clock. One that is skipped moves on by what is skipped; of one that comes twice it is the first.
    pub(super) fn instant(&self, wall: DateTime) -> Result<Timestamp, Problem> {
        match self {
            Self::Known(zone) => zone.to_ambiguous_timestamp(wall).compatible().map_err(|_| Problem::OutOfRange),
            Self::Own(zone) => zone.instant(wall),
        }
    }

    /// What the wall clock shows at an instant.
    pub(super) fn wall(&self, at: Timestamp) -> DateTime {
        match self {
            Self::Known(zone) => zone.to_datetime(at),
            Self::Own(zone) => zone.wall(at),
        }
    }
}

/// The zones that a calendar may name. Each is looked for once, when it is first named.
#[derive(Debug)]
pub(super) struct Zones<'a> {
    defined: Vec<&'a Component>,
    calendar: Option<String>,
    found: BTreeMap<String, Zone>,
    budget: Budget,
}

impl<'a> Zones<'a> {
    /// The zones of a VCALENDAR. `setting` is the configured zone of dates and floating times; else it is X-WR-TIMEZONE.
    pub(super) fn new(calendar: &'a Component, setting: Option<&str>) -> Result<Self, CalendarFault> {
        if let Some(name) = setting
            && Zone::known(name).is_none()
        {
            return Err(Problem::Setting(excerpt(name)).into());
        }
        let written = calendar.one("X-WR-TIMEZONE")?.map(|property| property.value.trim());
        let name = setting.or(written).filter(|name| !name.is_empty()).map(str::to_owned);
        Ok(Self {
            defined: calendar.inside("VTIMEZONE").collect(),
            calendar: name,
            found: BTreeMap::new(),
            budget: Budget::of(MAX_CHANGES),
        })
    }

    /// The zone of dates and floating times.
    pub(super) fn calendar(&mut self) -> Result<Zone, Problem> {
        let name = self.calendar.clone().ok_or(Problem::NoZone)?;
        self.find(&name)
    }

    /// The zone of a TZID.
    pub(super) fn find(&mut self, name: &str) -> Result<Zone, Problem> {
        if let Some(zone) = self.found.get(name) {
            return Ok(zone.clone());
        }
        if self.found.len() >= MAX_ZONES {
            return Err(Problem::TooMany { what: "time zones", limit: MAX_ZONES });
        }
        let zone = Zone::known(name).map_or_else(|| self.own(name), Ok)?;
        self.found.insert(name.to_owned(), zone.clone());
        Ok(zone)
    }

    fn own(&mut self, name: &str) -> Result<Zone, Problem> {
        let wrong = |why| Problem::OwnZone { zone: excerpt(name), why };
        let named = |zone: &&&Component| zone.all("TZID").next().is_some_and(|property| property.value == name);
        let mut zones = self.defined.iter().filter(named).map(|zone| OwnZone::read(zone, &mut self.budget));
        let zone = zones.next().ok_or_else(|| Problem::UnknownZone(excerpt(name)))?.map_err(wrong)?;
        for other in zones {
            if other.map_err(wrong)? != zone {
                return Err(wrong("it is defined twice, and not alike"));
            }
        }
        Ok(Zone::Own(Arc::new(zone)))
    }
}
