//! What holds for every calendar.

use jiff::civil::{Date, DateTime, Weekday, date};
use jiff::tz::{TimeZone, TimeZoneDatabase};
use jiff::{SignedDuration, ToSpan as _};
use proptest::prelude::*;
use proptest::sample::{select, subsequence};

use super::*;

const ZONES: [&str; 10] = [
    "Europe/Berlin",
    "Europe/Dublin",
    "America/New_York",
    "America/St_Johns",
    "America/Santiago",
    "Australia/Lord_Howe",
    "Africa/Casablanca",
    "Asia/Gaza",
    "Asia/Kolkata",
    "UTC",
];

/// A rota that steps by days or weeks.
#[derive(Debug, Clone)]
struct Rota {
    zone: &'static str,
    first: DateTime,
    minutes: i64,
    interval: i64,
    /// The weekdays of a weekly one; `None` for a daily one.
    weekdays: Option<Vec<Weekday>>,
    /// The last date of the rule, at the hour of the first.
    last: Option<Date>,
    dropped: Option<Date>,
}

impl Rota {
    fn tz(&self) -> TimeZone {
        TimeZoneDatabase::bundled().get(self.zone).unwrap()
    }

    fn names(&self, day: Date) -> bool {
        let first = self.first.date();
        let apart = |a: Date, b: Date| (b - a).get_days();
        let monday = |day: Date| day - i64::from(day.weekday().to_monday_zero_offset()).days();
        let in_step = match &self.weekdays {
            None => i64::from(apart(first, day)) % self.interval == 0,
            Some(weekdays) => {
                let weeks = i64::from(apart(monday(first), monday(day))) / 7;
                weeks % self.interval == 0 && weekdays.contains(&day.weekday())
            }
        };
        day >= first && in_step && self.last.is_none_or(|last| day <= last) && self.dropped != Some(day)
    }

    /// The slow and obvious way: every local date in turn.
    fn by_hand(&self, window: Span) -> Vec<String> {
        let instant = |wall: DateTime| wall.to_zoned(self.tz()).unwrap().timestamp();
        let mut shifts = Vec::new();
        let mut day = self.first.date();
        while day <= self.tz().to_datetime(window.end).date() + 2.days() {
            let wall = day.to_datetime(self.first.time());
            let (start, end) = (instant(wall), instant(wall + SignedDuration::from_mins(self.minutes)));
            if self.names(day) && start < end && start < window.end && window.start < end {
                shifts.push((start, end));
            }
            day += 1.days();
        }
        shifts.sort();
        shifts.iter().map(|(start, end)| format!("ann {start} {end}")).collect()
    }

    fn text(&self) -> String {
        let stamp = |wall: DateTime| wall.strftime("%Y%m%dT%H%M%S").to_string();
        let zone = self.zone;
        let end = self.first + SignedDuration::from_mins(self.minutes);
        let code =
            |weekday: &Weekday| ["MO", "TU", "WE", "TH", "FR", "SA", "SU"][weekday.to_monday_zero_offset() as usize];
        let mut rule = match &self.weekdays {
            None => "FREQ=DAILY".to_owned(),
            Some(days) => format!("FREQ=WEEKLY;BYDAY={}", days.iter().map(code).collect::<Vec<_>>().join(",")),
        };
        rule += &format!(";INTERVAL={}", self.interval);
        if let Some(last) = self.last {
            let until = last.to_datetime(self.first.time()).to_zoned(self.tz()).unwrap().timestamp();
            rule += &format!(";UNTIL={}", until.strftime("%Y%m%dT%H%M%SZ"));
        }
        let dropped =
            self.dropped.map(|day| format!("\nEXDATE;TZID={zone}:{}", stamp(day.to_datetime(self.first.time()))));
        let (start, end, dropped) = (stamp(self.first), stamp(end), dropped.unwrap_or_default());
        calendar(&event("r", &format!("DTSTART;TZID={zone}:{start}\nDTEND;TZID={zone}:{end}\nRRULE:{rule}{dropped}")))
    }
}

prop_compose! {
    fn rotas()(
        zone in select(&ZONES[..]),
        day in 0..2_500_i64,
        // Often an hour in which clocks change, which is what is looked for.
        minute in prop_oneof![0..1_440_i64, 0..240_i64, Just(0), Just(120), Just(150)],
        minutes in prop_oneof![1..600_i64, Just(1_440), Just(10_080), 1..30_000_i64],
        interval in 1..5_i64,
        weekly in proptest::option::of(subsequence(vec![0_i8, 1, 2, 3, 4, 5, 6], 0..4)),
        last in proptest::option::of(0..900_i64),
        dropped in proptest::option::of(0..900_i64),
    ) -> Rota {
        let first = date(2019, 1, 1).at(0, 0, 0, 0) + day.days() + SignedDuration::from_mins(minute);
        let weekdays = weekly.map(|days| {
            let mut days: Vec<Weekday> = days.iter().map(|d| Weekday::from_monday_zero_offset(*d).unwrap()).collect();
            days.push(first.weekday());
            days
        });
        let later = |days: i64| first.date() + days.days();
        Rota { zone, first, minutes, interval, weekdays, last: last.map(later), dropped: dropped.map(later) }
    }
}

const PARTS: [&str; 16] = [
    "INTERVAL",
    "COUNT",
    "UNTIL",
    "BYSECOND",
    "BYMINUTE",
    "BYHOUR",
    "BYDAY",
    "BYMONTHDAY",
    "BYYEARDAY",
    "BYWEEKNO",
    "BYMONTH",
    "BYSETPOS",
    "WKST",
    "FREQ",
    "BYEASTER",
    "",
];
const VALUES: [&str; 26] = [
    "0",
    "1",
    "2",
    "-1",
    "3,5",
    "9",
    "12",
    "29",
    "31",
    "-31",
    "53",
    "366",
    "-366",
    "65535",
    "999999999",
    "MO",
    "1MO",
    "-1SU",
    "TU,TH",
    "53WE",
    "20270101",
    "20270101T000000Z",
    "DAILY",
    "",
    "é",
    "+1",
];

prop_compose! {
    /// Rules that are good, nearly good, or nothing of the kind.
    fn rules()(
        freq in select(vec!["SECONDLY", "MINUTELY", "HOURLY", "DAILY", "WEEKLY", "MONTHLY", "YEARLY"]),
        parts in proptest::collection::vec((select(&PARTS[..]), select(&VALUES[..])), 0..4),
    ) -> String {
        parts.iter().fold(format!("FREQ={freq}"), |rule, (name, value)| format!("{rule};{name}={value}"))
    }
}

/// A calendar with something of everything.
fn rich() -> String {
    let zone = "BEGIN:VTIMEZONE\nTZID:Own\nBEGIN:STANDARD\nDTSTART:19701025T030000\nTZOFFSETFROM:+0200\nTZOFFSETTO:+0100\n\
        RRULE:FREQ=YEARLY;BYDAY=-1SU;BYMONTH=10\nEND:STANDARD\nBEGIN:DAYLIGHT\nDTSTART:19700329T020000\nTZOFFSETFROM:+0100\n\
        TZOFFSETTO:+0200\nRRULE:FREQ=YEARLY;BYDAY=-1SU;BYMONTH=3\nEND:DAYLIGHT\nEND:VTIMEZONE\n";
    let series = "SUMMARY:Ann\\, näht\nSEQUENCE:1\nSTATUS:CONFIRMED\nDTSTART;TZID=Own:20260105T090000\nDTEND;TZID=Own:20260112T090000\n\
        RRULE:FREQ=WEEKLY;INTERVAL=2;BYDAY=MO;UNTIL=20261231T000000Z\nEXDATE;TZID=Own:20260119T090000\n\
        RDATE;VALUE=PERIOD:20260401T100000Z/PT30M,20260402T100000Z/20260402T120000Z";
    let changed = "RECURRENCE-ID;TZID=Own:20260202T090000\nDTSTART:20260203T090000Z\nDURATION:P1DT2H";
    let day = "DTSTART;VALUE=DATE:20260301\nRRULE:FREQ=MONTHLY;BYMONTHDAY=1,15;COUNT=9";
    calendar(&format!(
        "X-WR-TIMEZONE:Europe/Berlin\n{zone}{}{}{}",
        event("a", series),
        event("a", changed),
        event("b", day)
    ))
}

/// A change to a text: at a place in thousandths of its length, take so many characters out and put some in.
fn mutated(text: &str, changes: &[(usize, usize, String)]) -> String {
    let mut text: Vec<char> = text.chars().collect();
    for (place, length, put) in changes {
        let from = text.len() * place / 1_000;
        let to = (from + length).min(text.len());
        text.splice(from..to, put.chars());
    }
    text.into_iter().collect()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_rota_is_what_stepping_through_the_dates_gives(rota in rotas(), from in 0..3_500_i64, length in 1..90_i64) {
        let start = date(2019, 1, 1).to_zoned(TimeZone::UTC).unwrap().timestamp() + SignedDuration::from_hours(from * 24 + 7);
        let window = Span::new(start, start + SignedDuration::from_hours(length * 24)).unwrap();
        let shifts = super::super::shifts(&rota.text(), &Settings::default(), window);
        match shifts {
            Ok(shifts) => prop_assert_eq!(lines(&shifts), rota.by_hand(window), "{}", rota.text()),
            Err(fault) => prop_assert!(false, "{}\n{}", fault, rota.text()),
        }
    }

    #[test]
    fn no_text_makes_it_panic(text in "\\PC{0,200}") {
        let _ = super::super::users(&text, &Settings::default());
    }

    #[test]
    fn no_change_to_a_calendar_makes_it_panic_or_lose_its_order(
        changes in proptest::collection::vec((0..1_000_usize, 0..40_usize, "[A-Z0-9:;=,/+\\-éT\r\n ]{0,6}"), 1..4),
    ) {
        let text = mutated(&rich(), &changes);
        for settings in [by(IdentifyBy::Attendee), by(IdentifyBy::Summary), zone("America/New_York")] {
            let window = days("2026-01-10", "2026-06-01");
            let _ = super::super::users(&text, &settings);
            if let Ok(shifts) = super::super::shifts(&text, &settings, window) {
                prop_assert!(shifts.is_sorted());
                prop_assert!(shifts.iter().all(|s| s.touches(&window) && s.end.at().is_some_and(|end| s.start < end)));
            }
        }
    }

    #[test]
    fn no_rule_makes_it_panic_and_none_hides_dates(rule in rules()) {
        let text = calendar(&event("r", &format!("DTSTART:20260105T090000Z\nDURATION:PT1H\nRRULE:{rule}")));
        let whole = super::super::shifts(&text, &Settings::default(), days("2026-01-01", "2026-09-01"));
        let late = super::super::shifts(&text, &Settings::default(), days("2026-08-01", "2026-09-01"));
        if let (Ok(whole), Ok(late)) = (whole, late) {
            let window = days("2026-08-01", "2026-09-01");
            let expected: Vec<_> = whole.into_iter().filter(|shift| shift.touches(&window)).collect();
            prop_assert_eq!(late, expected, "{}", rule);
        }
    }
}

#[test]
fn the_calendar_that_is_changed_is_a_good_one() {
    assert!(rota(&rich(), days("2026-01-10", "2026-06-01")).len() > 10);
}
