//! What is not believed.

use super::super::Problem;
use super::*;

#[test]
fn p6_silence_is_not_an_empty_rota() {
    let whole = calendar(&event("a", "DTSTART:20260327T080000Z\nDURATION:PT1H"));
    assert_eq!(fault(&calendar("")).problem, Problem::Empty);
    assert_eq!(fault(&calendar("BEGIN:VTODO\nUID:t\nEND:VTODO")).problem, Problem::Empty);
    for text in ["", "\n", "<!DOCTYPE html><html><body>Sign in</body></html>", "{\"error\":\"not found\"}"] {
        assert!(matches!(fault(text).problem, Problem::NotACalendar(_)), "{text}: {}", fault(text));
    }
    let nobody = calendar("BEGIN:VEVENT\nUID:a\nSUMMARY:Ann\nDTSTART:20260327T080000Z\nDURATION:PT1H\nEND:VEVENT");
    assert_eq!(fault(&nobody).problem, Problem::NobodyNamed);
    let last = whole.len() - "END:VCALENDAR\r\n".len() + "END:VCALENDAR".len();
    for cut in 0..last {
        fault(&whole[..cut]);
    }
    assert_eq!(
        rota(&whole[..last], days("2026-03-01", "2026-05-01")).len(),
        1,
        "only the last line's end may be missing"
    );
}

#[test]
fn p6_html_inside_or_after_a_calendar_is_a_fault() {
    let whole = calendar(&event("a", "DTSTART:20260327T080000Z\nDURATION:PT1H"));
    for text in [
        "END:VCALENDAR".to_owned(),
        format!("{whole}<html>"),
        format!("{whole}{whole}"),
        whole.replace("END:VEVENT", "<b>error</b>\r\nEND:VEVENT"),
        whole.replace("END:VEVENT", "END:VTODO"),
        whole.replace("BEGIN:VEVENT", "BEGIN:VEVENT\r\nBEGIN:VEVENT"),
        whole.replace("VERSION:2.0", "VERSION:2.0\r\nMETHOD:CANCEL"),
    ] {
        assert!(fault(&text).line.is_some(), "{}", fault(&text));
    }
}

/// A calendar whose second event begins in line 10 and has the lines from line 13 on.
fn second(lines: &str) -> String {
    calendar(&(event("good", "DTSTART:20260327T080000Z\nDURATION:PT1H") + &event("bad", lines)))
}

#[test]
fn one_faulty_event_makes_the_view_faulty_and_is_named() {
    let start = "DTSTART;TZID=Europe/Berlin:20260105T090000\nDTEND;TZID=Europe/Berlin:20260112T090000";
    let day = "DTSTART;VALUE=DATE;TZID=Europe/Berlin:20260105";
    let cases = [
        ("SUMMARY:no start", 10, "DTSTART is missing"),
        ("DTSTART:20260327T080000", 13, "no zone for the calendar"),
        ("DTSTART;VALUE=DATE:20260327", 13, "no zone for the calendar"),
        ("DTSTART:20260230T080000Z", 13, "DTSTART"),
        ("DTSTART:2026-03-27T08:00:00Z", 13, "DTSTART"),
        ("DTSTART;VALUE=DATE:20260327T080000Z", 13, "VALUE"),
        ("DTSTART;TZID=Europe/Berlin:20260327T080000Z", 13, "TZID"),
        ("DTSTART;TZID=Mars/Base:20260327T080000", 13, "Mars/Base"),
        ("DTSTART;TZID=localtime:20260327T080000", 13, "localtime"),
        ("DTSTART;TZID=Etc/Unknown:20260327T080000", 13, "Etc/Unknown"),
        ("DTSTART:20260327T080000Z\nDTSTART:20260328T080000Z", 14, "more than once"),
        ("DTSTART:20260327T080000Z\nDTEND:20260327T070000Z", 14, "after DTSTART"),
        ("DTSTART:20260327T080000Z\nDTEND;TZID=UTC:20260328", 14, "a date where DTSTART is one"),
        ("DTSTART:20260327T080000Z\nDTEND:20260327T090000Z\nDURATION:PT1H", 15, "only one"),
        ("DTSTART:20260327T080000Z\nDURATION:-PT1H", 14, "duration"),
        ("DTSTART:20260327T080000Z\nDURATION:1 hour", 14, "duration"),
        ("DTSTART:20260327T080000Z\nDURATION:P1M", 14, "duration"),
        ("DTSTART:20260327T080000Z\nSTATUS:GONE", 14, "STATUS"),
        ("DTSTART:20260327T080000Z\nSTATUS CANCELLED", 14, "not a line"),
        ("DTSTART:20260327T080000Z\nSEQUENCE:two", 14, "SEQUENCE"),
        ("DTSTART:20260327T080000Z\nATTENDEE:mailto:", 14, "names nobody"),
        ("DTSTART:20260327T080000Z\nRECURRENCE-ID;RANGE=THISANDFUTURE:20260327T080000Z", 14, "THISANDFUTURE"),
        (&format!("{start}\nEXRULE:FREQ=DAILY"), 15, "EXRULE"),
        (&format!("{start}\nEXDATE;VALUE=DATE;TZID=UTC:20260112"), 15, "EXDATE"),
        (&format!("{start}\nRDATE:20260112T090000Z/PT1H"), 15, "RDATE"),
        (&format!("{day}\nDTEND;VALUE=DATE;TZID=Europe/Berlin:20260105"), 14, "after DTSTART"),
        (&format!("{day}\nRRULE:FREQ=HOURLY"), 14, "names times of day"),
        (&format!("{day}\nRRULE:FREQ=DAILY;BYHOUR=9"), 14, "names times of day"),
        (&format!("{start}\nRRULE:FREQ=WEEKLY\nRRULE:FREQ=DAILY"), 16, "more than once"),
    ];
    for (lines, line, why) in cases {
        let fault = fault(&second(lines));
        assert_eq!((fault.line, fault.uid.as_deref()), (Some(line), Some("bad")), "{lines}: {fault}");
        assert!(fault.to_string().contains(why), "{lines}: {fault}");
    }
}

#[test]
fn a_malformed_rule_never_leads_to_shifts() {
    let start = "DTSTART;TZID=Europe/Berlin:20260105T090000\nDTEND;TZID=Europe/Berlin:20260112T090000";
    for rule in [
        "",
        "WEEKLY",
        "FREQ=FORTNIGHTLY",
        "INTERVAL=2",
        "FREQ=WEEKLY;FREQ=DAILY",
        "FREQ=WEEKLY;INTERVAL=0",
        "FREQ=WEEKLY;INTERVAL=-1",
        "FREQ=WEEKLY;INTERVAL=",
        "FREQ=WEEKLY;COUNT=0",
        "FREQ=WEEKLY;COUNT=many",
        "FREQ=WEEKLY;UNTIL=soon",
        "FREQ=WEEKLY;UNTIL=20261231",
        "FREQ=WEEKLY;UNTIL=20250101T000000Z",
        "FREQ=WEEKLY;COUNT=3;UNTIL=20261231T000000Z",
        "FREQ=WEEKLY;BYDAY=XXMO",
        "FREQ=WEEKLY;BYDAY=0MO",
        "FREQ=WEEKLY;BYDAY=1MO",
        "FREQ=WEEKLY;BYDAY=MONDAY",
        "FREQ=WEEKLY;BYDAY=MO,",
        "FREQ=WEEKLY;BYDAY=ÄMO",
        "FREQ=WEEKLY;BYMONTHDAY=5",
        "FREQ=WEEKLY;BYHOUR=24",
        "FREQ=WEEKLY;WKST=1",
        "FREQ=WEEKLY;BYEASTER=0",
        "FREQ=WEEKLY;X-SKIP=1",
        "FREQ=WEEKLY\\;BYDAY=MO",
        "FREQ=WEEKLY;BYDAY=TU",
        "FREQ=DAILY;BYMONTH=2",
        "FREQ=HOURLY;INTERVAL=24;BYHOUR=10",
        "EXRULE:FREQ=WEEKLY",
        "FREQ=MONTHLY;BYDAY=1MO;BYSETPOS=2",
        "FREQ=YEARLY;BYWEEKNO=2;BYDAY=1MO",
    ] {
        let fault = fault(&second(&format!("{start}\nRRULE:{rule}")));
        assert!(matches!(fault.problem, Problem::Rule { .. }), "{rule}: {fault}");
        assert_eq!((fault.line, fault.uid.as_deref()), (Some(15), Some("bad")), "{rule}: {fault}");
    }
}

#[test]
fn past_a_limit_it_is_a_fault_that_names_the_limit() {
    let one = event("a", "DTSTART:20260327T080000Z\nDURATION:PT1H");
    let long = calendar(&one).replace("VERSION", &format!("X-PAD:{}\r\nVERSION", "a".repeat(5 * 1024 * 1024)));
    assert!(fault(&long).to_string().contains("5242880 bytes"), "{}", fault(&long));
    let many = calendar(&(0..=10_000).map(|n| event(&n.to_string(), "DTSTART:20260327T080000Z")).collect::<String>());
    assert!(fault(&many).to_string().contains("10000 events"), "{}", fault(&many));
    let dense = calendar(&event("dense", "DTSTART:20260101T000000Z\nDURATION:PT1M\nRRULE:FREQ=MINUTELY"));
    assert!(fault(&dense).to_string().contains("50000 instants"), "{}", fault(&dense));
    assert_eq!(fault(&dense).uid.as_deref(), Some("dense"));
    let crowd: String = (0..200).map(|n| format!("ATTENDEE:u{n}@example.com\n")).collect();
    let crowded =
        calendar(&event("crowd", &format!("{crowd}DTSTART:20260101T000000Z\nDURATION:PT1H\nRRULE:FREQ=DAILY")));
    assert!(fault(&crowded).to_string().contains("50000 instants"), "{}", fault(&crowded));
}

#[test]
fn what_takes_long_to_compute_is_a_fault_before_it_has_taken_long() {
    let every = |count: u8| (0..count).map(|n| n.to_string()).collect::<Vec<_>>().join(",");
    let seconds = format!("FREQ=YEARLY;BYHOUR={};BYMINUTE={};BYSECOND={}", every(24), every(60), every(60));
    let text = calendar(&event("a", &format!("DTSTART:20260101T000000Z\nDURATION:PT1S\nRRULE:{seconds}")));
    assert!(matches!(fault(&text).problem, Problem::Rule { .. }), "each second of a year: {}", fault(&text));

    let rare = "DTSTART:00010101T000000Z\nDURATION:PT1H\nRRULE:FREQ=DAILY;BYMONTH=1;BYMONTHDAY=1;COUNT=9000";
    let text = calendar(&(0..3).map(|n| event(&n.to_string(), rare)).collect::<String>());
    assert!(
        fault(&text).to_string().contains("1000000 days"),
        "each day since the year 1, three times: {}",
        fault(&text)
    );

    let part = |name: &str, month: u8| {
        let offsets = "TZOFFSETFROM:+0100\nTZOFFSETTO:+0200";
        let rule = format!("RRULE:FREQ=YEARLY;BYDAY=-1SU;BYMONTH={month}");
        format!("BEGIN:{name}\nDTSTART:1601{month:02}25T020000\n{offsets}\n{rule}\nEND:{name}\n")
    };
    let zone = format!("BEGIN:VTIMEZONE\nTZID:Own\n{}END:VTIMEZONE\n", part("DAYLIGHT", 3));
    let used = event("a", "DTSTART;TZID=Own:20260327T080000\nDURATION:PT1H");
    let text = calendar(&format!("{}{used}", zone.repeat(300)));
    assert!(matches!(fault(&text).problem, Problem::OwnZone { .. }), "a zone 300 times: {}", fault(&text));
}

#[test]
fn an_event_may_name_very_many_people() {
    let crowd: String = (0..100_000).map(|n| format!("ATTENDEE:u{n}@example.com\n")).collect();
    let text = calendar(&event("crowd", &format!("{crowd}DTSTART:20260101T000000Z\nDURATION:PT1H")));
    let users = super::super::users(&text, &Settings::default()).expect("it is a calendar");
    assert_eq!(users.len(), 100_001, "everybody, and the one of every event here");
}

#[test]
fn a_message_is_short_and_shows_no_control_characters() {
    let uid = format!("u\u{7}{}", "x".repeat(5_000));
    let message = fault(&calendar(&event(&uid, &format!("DTSTART:{}", "9".repeat(5_000))))).to_string();
    assert!(message.len() < 500 && !message.contains(char::is_control), "{message}");
}

#[test]
fn a_setting_that_is_no_zone_is_said_to_be_one() {
    let text = calendar(&event("a", "DTSTART:20260327T080000Z\nDURATION:PT1H"));
    let fault = super::super::shifts(&text, &zone("Europe/Atlantis"), days("2026-03-01", "2026-05-01")).unwrap_err();
    assert_eq!(fault.problem, Problem::Setting("Europe/Atlantis".to_owned()));
}
