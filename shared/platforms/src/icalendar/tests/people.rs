//! Who is on call.

use dutykey_policy::id::UserId;

use super::*;

fn shift(uid: &str, hour: u8, lines: &str) -> String {
    format!("BEGIN:VEVENT\nUID:{uid}\nDTSTART:20260327T{hour:02}0000Z\nDURATION:PT1H\n{lines}\nEND:VEVENT\n")
}

const WINDOW: (&str, &str) = ("2026-03-01", "2026-05-01");

fn who(text: &str, identify_by: IdentifyBy) -> Vec<Option<String>> {
    let shifts = super::super::shifts(text, &by(identify_by), days(WINDOW.0, WINDOW.1)).unwrap();
    shifts.into_iter().map(|shift| shift.user.map(String::from)).collect()
}

#[test]
fn an_attendee_is_an_address_in_lower_case_however_it_is_written() {
    for attendee in [
        "ATTENDEE:mailto:Ann@Example.com",
        "ATTENDEE;CN=\"Lee: Ann\";ROLE=REQ-PARTICIPANT:MAILTO:ann@example.com",
        "attendee;partstat=NEEDS-ACTION:ann@EXAMPLE.com",
        "ATTENDEE;CN=Ann;X-NUM-GUESTS=0:mailto:ann@ex\n ample.com",
        "ATTENDEE;EMAIL=Ann@example.com:/aMTYz/principal/",
    ] {
        // Folded lines must not be trimmed, so this calendar is put together by hand.
        let text = format!("BEGIN:VCALENDAR\n{}END:VCALENDAR\n", shift("a", 8, attendee));
        assert_eq!(who(&text, IdentifyBy::Attendee), [Some("ann@example.com".to_owned())], "{attendee}");
    }
}

#[test]
fn several_attendees_are_several_people_each_once() {
    let text =
        calendar(&shift("a", 8, "ATTENDEE:bob@example.com\nATTENDEE:ann@example.com\nATTENDEE:mailto:BOB@example.com"));
    assert_eq!(
        rota(&text, days(WINDOW.0, WINDOW.1)),
        ["ann 2026-03-27T08:00:00Z 2026-03-27T09:00:00Z", "bob 2026-03-27T08:00:00Z 2026-03-27T09:00:00Z"]
    );
}

#[test]
fn the_summary_is_trimmed_and_otherwise_as_it_is() {
    let text = calendar(&(shift("a", 8, "SUMMARY: Ann Lee ") + &shift("b", 9, "SUMMARY:Lee\\, Bob")));
    assert_eq!(who(&text, IdentifyBy::Summary), [Some("Ann Lee".to_owned()), Some("Lee, Bob".to_owned())]);
}

#[test]
fn an_event_that_names_nobody_is_a_declared_gap() {
    let text = calendar(&(shift("a", 8, "ATTENDEE:ann@example.com") + &shift("b", 9, "SUMMARY:nobody tonight")));
    let expected =
        ["ann 2026-03-27T08:00:00Z 2026-03-27T09:00:00Z", "nobody 2026-03-27T09:00:00Z 2026-03-27T10:00:00Z"];
    assert_eq!(rota(&text, days(WINDOW.0, WINDOW.1)), expected);
}

#[test]
fn users_are_everybody_the_calendar_names_at_any_time() {
    let user = |id: &str, email: Option<&str>, name: Option<&str>| PlatformUser {
        id: UserId::try_from(id.to_owned()).unwrap(),
        email: email.map(str::to_owned),
        name: name.map(str::to_owned),
        active: None,
    };
    let text = calendar(
        &(shift("a", 8, "ATTENDEE:ann@example.com")
            + &shift("b", 9, "ATTENDEE;CN=Ann Lee:mailto:Ann@example.com\nATTENDEE;CN=Bob:urn:uuid:7F3A")
            + &shift("c", 10, "STATUS:CANCELLED\nATTENDEE:cyd@example.com")),
    );
    assert_eq!(
        users(&text, &by(IdentifyBy::Attendee)),
        [user("ann@example.com", Some("ann@example.com"), Some("Ann Lee")), user("urn:uuid:7f3a", None, Some("Bob"))]
    );
    let text = calendar(&(shift("a", 8, "SUMMARY:@Alex") + &shift("b", 9, "SUMMARY:ann@example.com")));
    assert_eq!(
        users(&text, &by(IdentifyBy::Summary)),
        [user("@Alex", None, Some("@Alex")), user("ann@example.com", Some("ann@example.com"), Some("ann@example.com"))]
    );
}

#[test]
fn a_feed_in_the_manner_of_pagerduty_is_read() {
    let text = "BEGIN:VCALENDAR\r\nPRODID;X-RICAL-TZSOURCE=TZINFO:-//com.denhaven2/NONSGML ri_cal gem//EN\r\nCALSCALE:GREGORIAN\r\n\
        VERSION:2.0\r\nX-WR-CALNAME:On Call Schedule\r\nBEGIN:VEVENT\r\nDTEND;VALUE=DATE-TIME:20260330T070000Z\r\n\
        DTSTART;VALUE=DATE-TIME:20260323T080000Z\r\nATTENDEE:Ann@example.com\r\nUID:QABCDEF\r\n\
        URL:https://example.pagerduty.com/schedules#PABC123\r\nSUMMARY:On Call - Ann Lee - Primary\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n";
    assert_eq!(rota(text, days("2026-03-01", "2026-05-01")), ["ann 2026-03-23T08:00:00Z 2026-03-30T07:00:00Z"]);
}

#[test]
fn a_feed_in_the_manner_of_grafana_is_read() {
    let one = |uid: &str, name: &str, status: &str, from: u8, to: u8| {
        format!(
            "BEGIN:VEVENT\nSUMMARY:{name}\nDTSTART:20260327T{from:02}0000Z\nDTEND:20260327T{to:02}0000Z\nDTSTAMP:20260301T000000Z\n\
             UID:{uid}\nPRIORITY:1\n{status}\nEND:VEVENT\n"
        )
    };
    let text = calendar(
        &("METHOD:PUBLISH\nX-WR-TIMEZONE:UTC\nREFRESH-INTERVAL;VALUE=DURATION:PT1H\n".to_owned()
            + &one("SHIFT-2026-03-27T08:00-U1", "ann", "", 8, 20)
            + &one("SHIFT-2026-03-27T08:00-U2", "bob", "STATUS:CANCELLED", 8, 8)),
    );
    let shifts = rota_with(&text, &by(IdentifyBy::Summary), days("2026-03-01", "2026-05-01"));
    assert_eq!(shifts, ["ann 2026-03-27T08:00:00Z 2026-03-27T20:00:00Z"]);
}

#[test]
fn alarms_and_tasks_are_no_shifts_and_their_lines_are_not_the_events() {
    let alarm = "BEGIN:VALARM\nACTION:EMAIL\nTRIGGER:-PT15M\nDURATION:PT5M\nATTENDEE:eve@example.com\nSUMMARY:wake up\nEND:VALARM";
    let text = calendar(
        &(shift("a", 8, &format!("ATTENDEE:ann@example.com\nTRANSP:TRANSPARENT\n{alarm}"))
            + "BEGIN:VTODO\nUID:t\nATTENDEE:eve@example.com\nDTSTART:20260327T080000Z\nEND:VTODO\n"),
    );
    assert_eq!(rota(&text, days(WINDOW.0, WINDOW.1)), ["ann 2026-03-27T08:00:00Z 2026-03-27T09:00:00Z"]);
}
