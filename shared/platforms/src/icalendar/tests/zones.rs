//! Zones by the names of others, and of the file's own.

use super::super::windows;
use super::super::zone::Zone;
use super::*;

const VIENNA: &str = "BEGIN:VTIMEZONE
    TZID:Company Time
    BEGIN:STANDARD
    DTSTART:16010101T030000
    TZOFFSETFROM:+0200
    TZOFFSETTO:+0100
    RRULE:FREQ=YEARLY;INTERVAL=1;BYDAY=-1SU;BYMONTH=10
    END:STANDARD
    BEGIN:DAYLIGHT
    DTSTART:16010101T020000
    TZOFFSETFROM:+0100
    TZOFFSETTO:+0200
    RRULE:FREQ=YEARLY;INTERVAL=1;BYDAY=-1SU;BYMONTH=3
    END:DAYLIGHT
    END:VTIMEZONE\n";

fn daily(zone: &str, hour: &str) -> String {
    event("d", &format!("DTSTART;TZID={zone}:20260101T{hour}\nDURATION:PT30M\nRRULE:FREQ=DAILY"))
}

#[test]
fn every_name_of_windows_is_a_zone() {
    for (windows, iana) in windows::ZONES {
        assert!(Zone::known(iana).is_some(), "{windows} stands for {iana}, which is not in the database");
        assert_eq!(windows::ZONES.iter().filter(|(name, _)| name == windows).count(), 1, "{windows} is there twice");
    }
    assert_eq!(windows::ZONES.len(), 139);
}

#[test]
fn names_of_windows_and_of_the_database_are_the_same_zones() {
    let window = days("2026-03-20", "2026-11-10");
    for (windows, iana) in
        [("W. Europe Standard Time", "Europe/Berlin"), ("\"eastern standard time\"", "america/new_york")]
    {
        assert_eq!(rota(&calendar(&daily(windows, "090000")), window), rota(&calendar(&daily(iana, "090000")), window));
    }
}

#[test]
fn a_time_in_utc_may_say_so_twice() {
    for name in ["UTC", "Etc/UTC", "GMT"] {
        let text = calendar(&event("u", &format!("DTSTART;TZID={name}:20260701T090000Z\nDURATION:PT1H")));
        assert_eq!(
            rota(&text, days("2026-07-01", "2026-07-02")),
            ["ann 2026-07-01T09:00:00Z 2026-07-01T10:00:00Z"],
            "{name}"
        );
    }
}

#[test]
fn a_zone_of_the_files_own_is_as_good_as_one_of_the_database() {
    let window = days("2026-01-02", "2026-12-31");
    for hour in ["013000", "023000", "033000", "090000"] {
        let own = rota(&calendar(&(VIENNA.to_owned() + &daily("Company Time", hour))), window);
        assert_eq!(own, rota(&calendar(&daily("Europe/Vienna", hour)), window), "at {hour}, gaps and folds included");
    }
    let spring =
        "DTSTART;TZID=Company Time:20260323T090000\nDTEND;TZID=Company Time:20260330T090000\nRRULE:FREQ=WEEKLY;COUNT=2";
    let expected = ["ann 2026-03-23T08:00:00Z 2026-03-30T07:00:00Z", "ann 2026-03-30T07:00:00Z 2026-04-06T07:00:00Z"];
    assert_eq!(rota(&calendar(&(VIENNA.to_owned() + &event("w", spring))), window), expected);
}

#[test]
fn a_zone_of_the_files_own_may_have_a_history() {
    let history = "BEGIN:VTIMEZONE
        TZID:Moving
        BEGIN:STANDARD
        DTSTART:20200101T000000
        TZOFFSETFROM:+0300
        TZOFFSETTO:+0300
        END:STANDARD
        BEGIN:DAYLIGHT
        DTSTART:20250330T020000
        TZOFFSETFROM:+0300
        TZOFFSETTO:+0400
        RRULE:FREQ=YEARLY;BYMONTH=3;BYDAY=-1SU;UNTIL=20260328T230000Z
        RDATE:20270401T020000
        END:DAYLIGHT
        BEGIN:STANDARD
        DTSTART:20251026T030000
        TZOFFSETFROM:+0400
        TZOFFSETTO:+033015
        END:STANDARD
        END:VTIMEZONE\n";
    let text = |day: &str| {
        calendar(&(history.to_owned() + &event("h", &format!("DTSTART;TZID=Moving:{day}T120000\nDURATION:PT1H"))))
    };
    let start = |day: &str| rota(&text(day), days("2019-01-01", "2028-01-01"))[0][4..24].to_owned();
    assert_eq!(start("20190601"), "2019-06-01T09:00:00Z");
    assert_eq!(start("20250601"), "2025-06-01T08:00:00Z");
    assert_eq!(start("20260101"), "2026-01-01T08:29:45Z");
    assert_eq!(start("20260601"), "2026-06-01T08:00:00Z", "the rule's last change is the one at its UNTIL");
    assert_eq!(start("20270601"), "2027-06-01T08:00:00Z");
}

#[test]
fn the_calendars_zone_may_be_of_windows_or_of_the_file() {
    let floating = event("f", "DTSTART:20260701T090000\nDURATION:PT1H");
    for zone in ["W. Europe Standard Time", "Company Time", "Europe/Berlin"] {
        let text = calendar(&format!("X-WR-TIMEZONE:{zone}\n{VIENNA}{floating}"));
        assert_eq!(
            rota(&text, days("2026-07-01", "2026-07-02")),
            ["ann 2026-07-01T07:00:00Z 2026-07-01T08:00:00Z"],
            "{zone}"
        );
    }
}

#[test]
fn a_zone_that_is_not_understood_is_a_fault() {
    let with = |zone: &str| fault(&calendar(&(zone.to_owned() + &daily("Company Time", "090000")))).to_string();
    for (zone, why) in [
        (String::new(), "is not known"),
        ("BEGIN:VTIMEZONE\nTZID:Company Time\nEND:VTIMEZONE\n".to_owned(), "neither STANDARD nor DAYLIGHT"),
        (VIENNA.replace("TZOFFSETTO:+0200", "TZOFFSETTO:2"), "TZOFFSETTO"),
        (VIENNA.replace("BYDAY=-1SU;BYMONTH=3", "BYDAY=LAST"), "RRULE"),
        (VIENNA.replace("16010101T020000", "16010101T020000Z"), "local time"),
        (VIENNA.to_owned() + &VIENNA.replace("+0200", "+0230"), "defined twice"),
        (VIENNA.replace("BYDAY=-1SU;BYMONTH=3", "BYMONTH=2;BYMONTHDAY=30"), "RRULE"),
    ] {
        let message = with(&zone);
        assert!(message.contains(why) && message.contains("UID d") && message.starts_with("line "), "{why}: {message}");
    }
}
