//! The promises of this module, each with the calendars that would break it. The calendars are written here; their shapes
//! are those of real feeds.

mod adapter;
mod faults;
mod instants;
mod people;
mod properties;
mod series;
mod zones;

use dutykey_policy::installation::IdentifyBy;
use dutykey_policy::rota::{PlatformUser, Shift};
use dutykey_policy::time::Span;
use jiff::Timestamp;

use super::{CalendarFault, Settings};

/// A VCALENDAR around the lines, which may be indented.
fn calendar(lines: &str) -> String {
    let lines: String = lines.lines().map(str::trim).filter(|l| !l.is_empty()).map(|l| format!("{l}\r\n")).collect();
    format!("BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//test//EN\r\n{lines}END:VCALENDAR\r\n")
}

/// A VEVENT of ann@example.com around the lines.
fn event(uid: &str, lines: &str) -> String {
    format!("BEGIN:VEVENT\nUID:{uid}\nATTENDEE:mailto:ann@example.com\n{lines}\nEND:VEVENT\n")
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap_or_else(|error| panic!("{text} is no instant: {error}"))
}

/// A window between two days, in UTC.
fn days(from: &str, to: &str) -> Span {
    Span::new(at(&format!("{from}T00:00Z")), at(&format!("{to}T00:00Z"))).expect("the window holds an instant")
}

fn by(identify_by: IdentifyBy) -> Settings {
    Settings { identify_by, time_zone: None }
}

fn zone(name: &str) -> Settings {
    Settings { time_zone: Some(name.to_owned()), ..Settings::default() }
}

/// One line for each shift: `ann 2026-03-29T07:00:00Z 2026-04-05T07:00:00Z`, the user without the domain.
fn lines(shifts: &[Shift]) -> Vec<String> {
    let user = |shift: &Shift| match &shift.user {
        Some(user) => user.as_str().trim_end_matches("@example.com").to_owned(),
        None => "nobody".to_owned(),
    };
    shifts.iter().map(|s| format!("{} {} {}", user(s), s.start, s.end.at().expect("an end"))).collect()
}

/// The lines of the shifts of a calendar, without settings.
#[track_caller]
fn rota(text: &str, window: Span) -> Vec<String> {
    rota_with(text, &Settings::default(), window)
}

#[track_caller]
fn rota_with(text: &str, settings: &Settings, window: Span) -> Vec<String> {
    match super::shifts(text, settings, window) {
        Ok(shifts) => lines(&shifts),
        Err(fault) => panic!("a good calendar is refused: {fault}\n{text}"),
    }
}

#[track_caller]
fn users(text: &str, settings: &Settings) -> Vec<PlatformUser> {
    super::users(text, settings).unwrap_or_else(|fault| panic!("a good calendar is refused: {fault}\n{text}"))
}

/// The fault of a calendar that has to have one.
#[track_caller]
fn fault(text: &str) -> CalendarFault {
    match super::shifts(text, &Settings::default(), days("2026-01-01", "2027-01-01")) {
        Err(fault) => fault,
        Ok(shifts) => panic!("believed, with {} shifts:\n{text}", shifts.len()),
    }
}
