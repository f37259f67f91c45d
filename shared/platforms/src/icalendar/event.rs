//! One VEVENT (RFC 5545 §3.6.1): who is named, when it begins and ends, and how it recurs.

use std::collections::BTreeSet;

use dutykey_policy::id::UserId;
use dutykey_policy::installation::IdentifyBy;
use dutykey_policy::rota::PlatformUser;
use jiff::civil::DateTime;
use jiff::{SignedDuration, Timestamp};

use super::document::{Component, Property};
use super::fault::{CalendarFault, Problem};
use super::rule::{Rule, Until};
use super::value::{Kind, Length, Moment};
use super::zone::Zones;

/// An event, or one changed instance of a recurring one.
#[derive(Debug)]
pub(super) struct Event {
    /// Where it begins in the text.
    pub(super) line: usize,
    pub(super) uid: String,
    pub(super) sequence: u64,
    /// RECURRENCE-ID: which instance of the series it replaces.
    pub(super) replaces: Option<(Kind, Timestamp)>,
    /// What it says; `None` where it is cancelled.
    pub(super) plan: Option<Plan>,
}

/// What an event says.
#[derive(Debug, PartialEq)]
pub(super) struct Plan {
    /// Nobody, where it names nobody.
    pub(super) people: Vec<PlatformUser>,
    pub(super) start: Moment,
    pub(super) end: EndRule,
    pub(super) rule: Option<Rule>,
    /// RDATE.
    pub(super) added: Vec<Added>,
    /// EXDATE.
    pub(super) dropped: BTreeSet<Timestamp>,
}

/// When an instance ends.
#[derive(Debug, PartialEq)]
pub(super) enum EndRule {
    /// DTEND: for a later instance, as much later on the wall clock of its own zone.
    At(Moment),
    /// DURATION, or what its absence stands for.
    After(Length),
}

/// An instance that RDATE adds.
#[derive(Debug, PartialEq)]
pub(super) struct Added {
    pub(super) start: Moment,
    /// Its own end, where the RDATE is a PERIOD.
    pub(super) end: Option<EndRule>,
}

impl Event {
    /// Reads a VEVENT.
    pub(super) fn read(event: &Component, by: IdentifyBy, zones: &mut Zones<'_>) -> Result<Self, CalendarFault> {
        let uid = event.needed("UID")?;
        if uid.value.trim().is_empty() {
            return Err(uid.unreadable("it is empty"));
        }
        let uid = uid.value.trim();
        Self::read_named(event, uid, by, zones).map_err(|fault| fault.near(event.line).of(uid))
    }

    fn read_named(event: &Component, uid: &str, by: IdentifyBy, zones: &mut Zones<'_>) -> Result<Self, CalendarFault> {
        let replaces = match event.one("RECURRENCE-ID")? {
            None => None,
            Some(property) if property.param("RANGE").is_some() => {
                return Err(Problem::Unsupported("RECURRENCE-ID with RANGE=THISANDFUTURE").at(property.line));
            }
            Some(property) => {
                let moment = Moment::read(property, &property.value, zones)?;
                Some((moment.kind, moment.at()?))
            }
        };
        let sequence = match event.one("SEQUENCE")? {
            None => 0,
            Some(property) => property.value.trim().parse().map_err(|_| property.unreadable("it is no number"))?,
        };
        let plan = if cancelled(event)? { None } else { Some(Plan::read(event, by, zones)?) };
        if let (Some(_), Some(plan)) = (&replaces, &plan)
            && (plan.rule.is_some() || !plan.added.is_empty())
        {
            return Err(Problem::Unsupported("a changed instance that recurs itself").into());
        }
        Ok(Self { line: event.line, uid: uid.to_owned(), sequence, replaces, plan })
    }
}

fn cancelled(event: &Component) -> Result<bool, CalendarFault> {
    let Some(status) = event.one("STATUS")? else { return Ok(false) };
    match status.value.trim().to_ascii_uppercase().as_str() {
        "CANCELLED" => Ok(true),
        "CONFIRMED" | "TENTATIVE" => Ok(false),
        _ => Err(status.unreadable("it is CONFIRMED, TENTATIVE or CANCELLED")),
    }
}

impl Plan {
    fn read(event: &Component, by: IdentifyBy, zones: &mut Zones<'_>) -> Result<Self, CalendarFault> {
        let dtstart = event.needed("DTSTART")?;
        let start = Moment::read(dtstart, &dtstart.value, zones)?;
        let end = end(event, &start, zones)?;
        let rule = match event.one("RRULE")? {
            None => None,
            Some(property) => Some(rule(property, &start).map_err(|problem| problem.at(property.line))?),
        };
        if let Some(exrule) = event.all("EXRULE").next() {
            return Err(Problem::Unsupported("EXRULE").at(exrule.line));
        }
        let mut added = Vec::new();
        for (property, value) in values(event, "RDATE") {
            added.push(Added::read(property, value, &start, zones)?);
        }
        let mut dropped = BTreeSet::new();
        for (property, value) in values(event, "EXDATE") {
            let moment = Moment::read(property, value, zones)?;
            if moment.kind != start.kind {
                return Err(property.unreadable("it has to be a date where DTSTART is one, and a time where it is not"));
            }
            dropped.insert(moment.at()?);
        }
        Ok(Self { people: people(event, by)?, start, end, rule, added, dropped })
    }

    /// When the instance ends that begins at the wall clock.
    pub(super) fn end(&self, start: DateTime) -> Result<Timestamp, Problem> {
        self.end.of(&self.start, start)
    }

    /// About how long an instance is.
    pub(super) fn length(&self) -> SignedDuration {
        match &self.end {
            EndRule::At(end) => end.wall.duration_since(self.start.wall),
            EndRule::After(length) => length.about(),
        }
    }
}

impl EndRule {
    /// The end of the instance at `wall` of a series that begins at `first`.
    pub(super) fn of(&self, first: &Moment, wall: DateTime) -> Result<Timestamp, Problem> {
        match self {
            Self::After(length) => length.end(wall, &first.zone),
            Self::At(end) => {
                let later = wall.duration_since(first.wall);
                end.zone.instant(end.wall.checked_add(later).map_err(|_| Problem::OutOfRange)?)
            }
        }
    }
}

impl Added {
    fn read(property: &Property, value: &str, first: &Moment, zones: &mut Zones<'_>) -> Result<Self, CalendarFault> {
        let (from, end) = match value.split_once('/') {
            None => (value, None),
            Some((from, end)) => (from, Some(end)),
        };
        let period = property.param("VALUE").is_some_and(|value| value.eq_ignore_ascii_case("PERIOD"));
        let start = Moment::read(property, from, zones)?;
        if start.kind != first.kind || period != end.is_some() || start.kind == Kind::Date && period {
            return Err(property.unreadable("it has to be of the kind of DTSTART, or a period with VALUE=PERIOD"));
        }
        let end = match end {
            None => None,
            Some(length) if length.starts_with(['P', '+', '-']) => Some(EndRule::After(duration(property, length)?)),
            Some(end) => Some(EndRule::At(end_at(property, end, &start, zones)?)),
        };
        Ok(Self { start, end })
    }
}

/// The values of a property that may be a list, and be there more than once.
fn values<'a>(event: &'a Component, name: &'static str) -> impl Iterator<Item = (&'a Property, &'a str)> {
    event.all(name).flat_map(|property| property.value.split(',').map(move |value| (property, value.trim())))
}

fn end(event: &Component, start: &Moment, zones: &mut Zones<'_>) -> Result<EndRule, CalendarFault> {
    match (event.one("DTEND")?, event.one("DURATION")?) {
        (Some(_), Some(both)) => Err(both.unreadable("there is a DTEND too, and only one can be meant")),
        (Some(dtend), None) => Ok(EndRule::At(end_at(dtend, &dtend.value, start, zones)?)),
        (None, Some(length)) => Ok(EndRule::After(duration(length, &length.value)?)),
        (None, None) if start.kind == Kind::Date => Ok(EndRule::After(Length::DAY)),
        (None, None) => Ok(EndRule::After(Length::NONE)),
    }
}

/// An end, which is not before the start. One in UTC is an instant and not a wall clock that anybody lives by, so it is
/// turned into the start's.
fn end_at(property: &Property, value: &str, start: &Moment, zones: &mut Zones<'_>) -> Result<Moment, CalendarFault> {
    let mut end = Moment::read(property, value, zones)?;
    if end.kind != start.kind {
        return Err(property.unreadable("it has to be a date where DTSTART is one, and a time where it is not"));
    }
    if end.zone.is_utc() {
        end.wall = start.zone.wall(end.at().map_err(|problem| problem.at(property.line))?);
        end.zone = start.zone.clone();
    }
    let backwards = if end.zone == start.zone { end.wall < start.wall } else { end.at()? < start.at()? };
    if backwards || end.kind == Kind::Date && end.wall == start.wall {
        return Err(property.unreadable("it has to be after DTSTART"));
    }
    Ok(end)
}

fn duration(property: &Property, value: &str) -> Result<Length, CalendarFault> {
    Length::parse(value.trim()).ok_or_else(|| property.unreadable("a duration is P1W, P1D, PT8H or the like"))
}

fn rule(property: &Property, start: &Moment) -> Result<Rule, Problem> {
    let rule = Rule::parse(&property.value)?;
    let wrong = |why: &str| Problem::Rule { rule: super::fault::excerpt(&property.value), why: why.to_owned() };
    if start.kind == Kind::Date && rule.names_times {
        return Err(wrong("DTSTART is a date, and the rule names times of day"));
    }
    let ended = match rule.until {
        None => false,
        Some(Until::Date(_)) if start.kind == Kind::Time => {
            return Err(wrong("DTSTART is a time, so UNTIL has to be a time in UTC such as 20261231T225959Z"));
        }
        Some(Until::Date(last)) => last < start.wall.date(),
        Some(Until::Local(last)) => last < start.wall,
        Some(Until::Utc(last)) => last < start.at()?,
    };
    if ended {
        return Err(wrong("it ends before DTSTART"));
    }
    if !rule.names(start.wall)? {
        return Err(wrong("it does not name its own DTSTART; move DTSTART to the first date that the rule names"));
    }
    Ok(rule)
}

/// Who the event names, each once.
fn people(event: &Component, by: IdentifyBy) -> Result<Vec<PlatformUser>, CalendarFault> {
    let mut people: Vec<PlatformUser> = Vec::new();
    match by {
        IdentifyBy::Summary => {
            if let Some(summary) = event.one("SUMMARY")?
                && !summary.value.trim().is_empty()
            {
                people.push(person(summary, summary.value.trim(), Some(summary.value.trim()))?);
            }
        }
        IdentifyBy::Attendee => {
            let mut known = BTreeSet::new();
            for attendee in event.all("ATTENDEE") {
                let person = person(attendee, &address(attendee), attendee.param("CN"))?;
                if known.insert(person.id.clone()) {
                    people.push(person);
                }
            }
        }
    }
    Ok(people)
}

/// The attendee's address in lower case, with or without `mailto:`. Where the value is no address but a name within the
/// calendar's own system, the EMAIL parameter (RFC 7986 §6.2) has it; without one, that name is the ID.
fn address(attendee: &Property) -> String {
    let plain = |text: &str| {
        let text = text.trim();
        let scheme = text.get(..7).filter(|scheme| scheme.eq_ignore_ascii_case("mailto:"));
        let text = scheme.and_then(|_| text.get(7..)).unwrap_or(text);
        text.trim().to_lowercase()
    };
    let value = plain(&attendee.value);
    let email = attendee.param("EMAIL").map(plain).filter(|email| is_address(email));
    if is_address(&value) { value } else { email.unwrap_or(value) }
}

fn person(property: &Property, id: &str, name: Option<&str>) -> Result<PlatformUser, CalendarFault> {
    let id =
        UserId::try_from(id.to_owned()).map_err(|_| property.unreadable("it names nobody, or at too great length"))?;
    let email = is_address(id.as_str()).then(|| id.as_str().to_owned());
    let name = name.map(|name| name.trim().trim_matches('"').to_owned()).filter(|name| !name.is_empty());
    Ok(PlatformUser { id, email, name, active: None })
}

/// Whether a text has the form of an address.
fn is_address(text: &str) -> bool {
    let strange = |c: char| c.is_whitespace() || c.is_control() || matches!(c, ':' | '/' | ',' | ';' | '<' | '>' | '"');
    text.split_once('@').is_some_and(|(local, domain)| {
        !local.is_empty() && !domain.is_empty() && !domain.contains('@') && !text.chars().any(strange)
    })
}
