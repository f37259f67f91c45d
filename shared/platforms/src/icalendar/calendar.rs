//! A calendar as a rota: one series for each UID, its instances within a window, and the people it names.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use dutykey_policy::installation::IdentifyBy;
use dutykey_policy::rota::{Cause, End, PlatformUser, Shift};
use dutykey_policy::time::Span;
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::Offset;

use super::document;
use super::event::{Event, Plan};
use super::fault::{CalendarFault, Problem, excerpt};
use super::rule::{Budget, SLACK, Until};
use super::zone::Zones;

/// The most instants that one reading of a calendar may compute.
const MAX_INSTANTS: usize = 50_000;

/// How a calendar is understood.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settings {
    /// How a person is named in it.
    pub identify_by: IdentifyBy,
    /// The zone of all-day and floating times, by a name of the tz database; `None` for the file's X-WR-TIMEZONE.
    pub time_zone: Option<String>,
}

/// Every shift of the calendar that touches the window, sorted, each with its own ends.
///
/// An event is a shift of everybody it names. One that names nobody is a declared gap (`user: None`): that one event may
/// well mean it, but a calendar in which no event names anybody is faulty. An event without a duration is no shift.
///
/// # Errors
/// The first fault. One faulty event makes the whole answer useless, also where it lies outside the window.
pub fn shifts(text: &str, settings: &Settings, window: Span) -> Result<Vec<Shift>, CalendarFault> {
    Calendar::read(text, settings)?.shifts(window)
}

/// Everybody whom the calendar names, at any time, once each. The name is that of the first event that gives one.
///
/// # Errors
/// The first fault.
pub fn users(text: &str, settings: &Settings) -> Result<Vec<PlatformUser>, CalendarFault> {
    Ok(Calendar::read(text, settings)?.users())
}

/// A calendar whose every event was understood.
#[derive(Debug)]
pub(super) struct Calendar {
    /// What it calls itself.
    pub(super) name: Option<String>,
    series: BTreeMap<String, Series>,
}

/// The event of a UID and its changed instances.
#[derive(Debug, Default)]
struct Series {
    whole: Option<Event>,
    changed: BTreeMap<Timestamp, Event>,
}

/// One instance of a series: the instant that names it, which is its own start, and its end.
struct Instance {
    start: Timestamp,
    end: Timestamp,
}

impl Calendar {
    pub(super) fn read(text: &str, settings: &Settings) -> Result<Self, CalendarFault> {
        let calendar = document::read(text)?;
        if let Some(method) = calendar.one("METHOD")?
            && !matches!(method.value.trim().to_ascii_uppercase().as_str(), "PUBLISH" | "REQUEST")
        {
            return Err(method.unreadable("it is a message about events and not a calendar"));
        }
        let mut zones = Zones::new(&calendar, settings.time_zone.as_deref())?;
        let mut series: BTreeMap<String, Series> = BTreeMap::new();
        for event in calendar.inside("VEVENT") {
            let event = Event::read(event, settings.identify_by, &mut zones)?;
            series.entry(event.uid.clone()).or_default().add(event)?;
        }
        if series.is_empty() {
            return Err(Problem::Empty.into());
        }
        for one in series.values() {
            one.check()?;
        }
        let name = calendar.all("X-WR-CALNAME").chain(calendar.all("NAME")).next();
        let calendar = Self { name: name.map(|name| excerpt(name.value.trim())), series };
        let mut live = calendar.live().peekable();
        if live.peek().is_some() && live.all(|(_, plan)| plan.people.is_empty()) {
            return Err(Problem::NobodyNamed.into());
        }
        drop(live);
        Ok(calendar)
    }

    /// Every event that is not cancelled, by itself or with its series, in the order of the text.
    fn live(&self) -> impl Iterator<Item = (&Event, &Plan)> {
        let mut live: Vec<_> = self.series.values().flat_map(Series::live).collect();
        live.sort_by_key(|(event, _)| event.line);
        live.into_iter()
    }

    pub(super) fn users(&self) -> Vec<PlatformUser> {
        let mut users: BTreeMap<_, PlatformUser> = BTreeMap::new();
        for person in self.live().flat_map(|(_, plan)| &plan.people) {
            let known = users.entry(person.id.clone()).or_insert_with(|| person.clone());
            known.name = known.name.take().or_else(|| person.name.clone());
        }
        users.into_values().collect()
    }

    pub(super) fn shifts(&self, window: Span) -> Result<Vec<Shift>, CalendarFault> {
        let mut budget = Budget::of(MAX_INSTANTS);
        let mut shifts = Vec::new();
        for series in self.series.values() {
            for (event, plan) in series.live() {
                let fault = |problem: Problem| problem.at(event.line).of(&event.uid);
                for instance in instances(plan, window, &mut budget).map_err(fault)? {
                    if event.replaces.is_none() && series.changed.contains_key(&instance.start) {
                        continue;
                    }
                    budget.take(plan.people.len()).map_err(fault)?;
                    shifts.extend(of(event, plan, &instance).filter(|shift| shift.touches(&window)));
                }
            }
        }
        shifts.sort_unstable();
        Ok(shifts)
    }
}

impl Series {
    /// Adds an event of the UID. Of two versions the one with the higher SEQUENCE stays.
    fn add(&mut self, event: Event) -> Result<(), CalendarFault> {
        let Some((_, at)) = event.replaces else {
            return match &mut self.whole {
                Some(known) => newer(known, event),
                whole => {
                    *whole = Some(event);
                    Ok(())
                }
            };
        };
        match self.changed.entry(at) {
            Entry::Occupied(mut known) => newer(known.get_mut(), event),
            Entry::Vacant(place) => {
                place.insert(event);
                Ok(())
            }
        }
    }

    /// That each changed instance is named in the way in which the series names its instances; or else both would stand.
    fn check(&self) -> Result<(), CalendarFault> {
        let Some(plan) = self.whole.as_ref().and_then(|whole| whole.plan.as_ref()) else { return Ok(()) };
        for event in self.changed.values() {
            if event.replaces.is_some_and(|(kind, _)| kind != plan.start.kind) {
                let problem =
                    Problem::Unsupported("a RECURRENCE-ID that is a date where DTSTART is a time, or otherwise");
                return Err(problem.at(event.line).of(&event.uid));
            }
        }
        Ok(())
    }

    /// What stands of it: nothing where the whole is cancelled.
    fn live(&self) -> impl Iterator<Item = (&Event, &Plan)> {
        let cancelled = self.whole.as_ref().is_some_and(|whole| whole.plan.is_none());
        let events = self.whole.iter().chain(self.changed.values()).filter(move |_| !cancelled);
        events.filter_map(|event| event.plan.as_ref().map(|plan| (event, plan)))
    }
}

fn newer(known: &mut Event, event: Event) -> Result<(), CalendarFault> {
    if event.sequence == known.sequence && event.plan != known.plan {
        return Err(Problem::Clash.at(event.line).of(&event.uid));
    }
    if event.sequence > known.sequence {
        *known = event;
    }
    Ok(())
}

/// A shift for everybody whom the event names, or one for nobody.
fn of(event: &Event, plan: &Plan, instance: &Instance) -> impl Iterator<Item = Shift> {
    let recurring = plan.rule.is_some() || !plan.added.is_empty();
    let named = event.replaces.map(|(_, at)| at).or_else(|| recurring.then_some(instance.start));
    let native_id = named.map_or_else(|| event.uid.clone(), |at| format!("{}/{at}", event.uid));
    let shift = Shift {
        start: instance.start,
        end: End::At(instance.end),
        user: None,
        cause: Cause::Unknown,
        native_id: Some(native_id),
        maker: None,
    };
    let nobody = plan.people.is_empty().then(|| shift.clone());
    let somebody = plan.people.iter().map(move |person| Shift { user: Some(person.id.clone()), ..shift.clone() });
    nobody.into_iter().chain(somebody)
}

/// Every instance of the plan that may touch the window, and some beside it, each once.
fn instances(plan: &Plan, window: Span, budget: &mut Budget) -> Result<Vec<Instance>, Problem> {
    let mut ends: BTreeMap<Timestamp, Timestamp> = BTreeMap::new();
    for wall in walls(plan, window, budget)? {
        ends.insert(plan.start.zone.instant(wall)?, plan.end(wall)?);
    }
    for added in &plan.added {
        budget.take(1)?;
        let end = match &added.end {
            Some(end) => end.of(&added.start, added.start.wall)?,
            None => {
                let own = plan.start.zone.wall(added.start.at()?);
                plan.end(own)?
            }
        };
        ends.insert(added.start.at()?, end);
    }
    // An instance that a gap swallows whole has an end before its start.
    let stands = |(start, end): &(Timestamp, Timestamp)| start < end && !plan.dropped.contains(start);
    Ok(ends.into_iter().filter(stands).map(|(start, end)| Instance { start, end }).collect())
}

/// The wall clocks at which instances begin, without those that lie certainly outside the window.
fn walls(plan: &Plan, window: Span, budget: &mut Budget) -> Result<Vec<DateTime>, Problem> {
    let first = plan.start.wall;
    let Some(rule) = &plan.rule else {
        budget.take(1)?;
        return Ok(vec![first]);
    };
    let utc = |at: Timestamp| Offset::UTC.to_datetime(at);
    let from = utc(window.start).saturating_sub(SLACK).saturating_sub(plan.length());
    let mut to = utc(window.end).saturating_add(SLACK);
    match rule.until {
        None => {}
        Some(Until::Date(last)) => to = to.min(last.at(23, 59, 59, 0)),
        Some(Until::Local(last)) => to = to.min(last),
        Some(Until::Utc(last)) => to = to.min(utc(last).saturating_add(SLACK)),
    }
    let mut walls = rule.walls(first, from, to, budget)?;
    if let Some(Until::Utc(last)) = rule.until {
        let mut instants = Vec::with_capacity(walls.len());
        for wall in walls {
            if plan.start.zone.instant(wall)? <= last {
                instants.push(wall);
            }
        }
        walls = instants;
    }
    Ok(walls)
}
