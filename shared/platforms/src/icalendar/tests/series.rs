//! What joins the events of one UID.

use super::*;

const DAILY: &str =
    "DTSTART;TZID=Europe/Berlin:20260326T090000\nDTEND;TZID=Europe/Berlin:20260326T170000\nRRULE:FREQ=DAILY;COUNT=5";

fn change(of: &str, who: &str, lines: &str) -> String {
    format!("BEGIN:VEVENT\nUID:s\nATTENDEE:mailto:{who}@example.com\nRECURRENCE-ID{of}\n{lines}\nEND:VEVENT\n")
}

#[test]
fn a_changed_instance_stands_in_the_place_of_the_one_it_names() {
    let moved = "DTSTART;TZID=Europe/Berlin:20260402T120000\nDTEND;TZID=Europe/Berlin:20260402T130000";
    let swapped = "DTSTART;TZID=Europe/Berlin:20260329T090000\nDTEND;TZID=Europe/Berlin:20260329T170000";
    let changes =
        change(";TZID=Europe/Berlin:20260328T090000", "bob", moved) + &change(":20260329T070000Z", "cyd", swapped);
    let expected = [
        "ann 2026-03-26T08:00:00Z 2026-03-26T16:00:00Z",
        "ann 2026-03-27T08:00:00Z 2026-03-27T16:00:00Z",
        "cyd 2026-03-29T07:00:00Z 2026-03-29T15:00:00Z",
        "ann 2026-03-30T07:00:00Z 2026-03-30T15:00:00Z",
        "bob 2026-04-02T10:00:00Z 2026-04-02T11:00:00Z",
    ];
    let window = days("2026-03-01", "2026-05-01");
    assert_eq!(rota(&calendar(&(event("s", DAILY) + &changes)), window), expected);
    assert_eq!(rota(&calendar(&(changes + &event("s", DAILY))), window), expected, "in either order");
    let later = rota(
        &calendar(&(event("s", DAILY) + &change(":20260329T070000Z", "bob", moved))),
        days("2026-04-01", "2026-05-01"),
    );
    assert_eq!(later, ["bob 2026-04-02T10:00:00Z 2026-04-02T11:00:00Z"], "moved into a window that its series misses");
}

#[test]
fn a_moved_instance_keeps_the_id_of_the_one_it_replaces() {
    let moved = change(":20260327T080000Z", "bob", "DTSTART:20260327T100000Z\nDURATION:PT1H");
    let text = calendar(&(event("s", DAILY) + &moved));
    let shifts = super::super::shifts(&text, &Settings::default(), days("2026-03-26", "2026-03-28")).unwrap();
    let ids: Vec<_> = shifts.iter().filter_map(|shift| shift.native_id.as_deref()).collect();
    assert_eq!(ids, ["s/2026-03-26T08:00:00Z", "s/2026-03-27T08:00:00Z"]);
}

#[test]
fn an_orphaned_instance_stands_by_itself() {
    let text = calendar(&change(":20260327T080000Z", "bob", "DTSTART:20260327T100000Z\nDURATION:PT1H"));
    assert_eq!(rota(&text, days("2026-03-01", "2026-05-01")), ["bob 2026-03-27T10:00:00Z 2026-03-27T11:00:00Z"]);
}

#[test]
fn cancelled_means_none() {
    let window = days("2026-03-01", "2026-05-01");
    let instance =
        change(":20260327T080000Z", "ann", "STATUS:CANCELLED\nDTSTART:20260327T080000Z\nDTEND:20260327T080000Z");
    assert_eq!(rota(&calendar(&(event("s", DAILY) + &instance)), window).len(), 4, "one of five");
    let changed = change(":20260327T080000Z", "bob", "DTSTART:20260327T080000Z\nDURATION:PT1H");
    let whole = event("s", &format!("{DAILY}\nSTATUS:Cancelled")) + &changed;
    assert_eq!(rota(&calendar(&whole), window), [""; 0], "the series and all of its instances");
}

#[test]
fn the_highest_sequence_of_each_instance_wins() {
    let window = days("2026-03-01", "2026-05-01");
    let one = |who: &str, sequence: &str, hour: u8| {
        format!(
            "BEGIN:VEVENT\nUID:s\nATTENDEE:{who}@example.com\n{sequence}\nDTSTART:20260327T{hour:02}0000Z\nDURATION:PT1H\nEND:VEVENT\n"
        )
    };
    let (old, new) = (one("ann", "", 8), one("bob", "SEQUENCE:2", 9));
    let expected = ["bob 2026-03-27T09:00:00Z 2026-03-27T10:00:00Z"];
    assert_eq!(rota(&calendar(&(old.clone() + &new)), window), expected);
    assert_eq!(rota(&calendar(&(new.clone() + &old)), window), expected);
    assert_eq!(rota(&calendar(&(new.clone() + &new)), window), expected, "the same twice is once");
    let revived = one("ann", "SEQUENCE:3\nSTATUS:CANCELLED", 9);
    assert_eq!(rota(&calendar(&(new.clone() + &revived)), window), [""; 0], "cancelled later");
    let clash = fault(&calendar(&(one("ann", "SEQUENCE:2", 8) + &new)));
    assert!(clash.to_string().contains("UID s") && clash.to_string().contains("SEQUENCE"), "{clash}");
}

#[test]
fn dates_are_dropped_and_added() {
    let window = days("2026-03-01", "2026-05-01");
    let dropped = "EXDATE;TZID=Europe/Berlin:20260327T090000,20260328T090000\nEXDATE:20260330T070000Z";
    let expected = ["ann 2026-03-26T08:00:00Z 2026-03-26T16:00:00Z", "ann 2026-03-29T07:00:00Z 2026-03-29T15:00:00Z"];
    assert_eq!(rota(&calendar(&event("s", &format!("{DAILY}\n{dropped}"))), window), expected);
    let added = "DTSTART;TZID=Europe/Berlin:20260326T090000\nDTEND;TZID=Europe/Berlin:20260326T170000\n\
                 RDATE;TZID=Europe/Berlin:20260330T090000\nRDATE;VALUE=PERIOD:20260401T100000Z/PT30M,20260402T100000Z/20260402T120000Z";
    let expected = [
        "ann 2026-03-26T08:00:00Z 2026-03-26T16:00:00Z",
        "ann 2026-03-30T07:00:00Z 2026-03-30T15:00:00Z",
        "ann 2026-04-01T10:00:00Z 2026-04-01T10:30:00Z",
        "ann 2026-04-02T10:00:00Z 2026-04-02T12:00:00Z",
    ];
    assert_eq!(rota(&calendar(&event("s", added)), window), expected);
    let days_off = "X-WR-TIMEZONE:Europe/Berlin\n".to_owned()
        + &event("v", "DTSTART;VALUE=DATE:20260328\nRRULE:FREQ=DAILY;COUNT=3\nEXDATE;VALUE=DATE:20260329");
    assert_eq!(rota(&calendar(&days_off), window).len(), 2);
}

#[test]
fn rules_of_every_frequency_name_the_dates_of_rfc_5545() {
    let starts = |first: &str, rule: &str| -> Vec<String> {
        let text = calendar(&event("r", &format!("DTSTART:{first}T090000Z\nDURATION:PT1H\nRRULE:{rule}")));
        rota(&text, days("2026-01-01", "2030-01-01")).iter().map(|line| line[4..14].to_owned()).collect()
    };
    assert_eq!(starts("20260130", "FREQ=MONTHLY;BYDAY=-1FR;COUNT=3"), ["2026-01-30", "2026-02-27", "2026-03-27"]);
    assert_eq!(starts("20260131", "FREQ=MONTHLY;COUNT=3"), ["2026-01-31", "2026-03-31", "2026-05-31"]);
    assert_eq!(starts("20240229", "FREQ=YEARLY;COUNT=2"), ["2028-02-29"]);
    assert_eq!(
        starts("20260102", "FREQ=MONTHLY;BYDAY=FR;BYMONTHDAY=2,13;COUNT=3"),
        ["2026-01-02", "2026-02-13", "2026-03-13"]
    );
    assert_eq!(
        starts("20260130", "FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1;COUNT=2"),
        ["2026-01-30", "2026-02-27"]
    );
    assert_eq!(
        starts("20260106", "FREQ=WEEKLY;INTERVAL=2;WKST=SU;BYDAY=TU,SU;COUNT=4"),
        ["2026-01-06", "2026-01-18", "2026-01-20", "2026-02-01"]
    );
    assert_eq!(
        starts("20260104", "FREQ=WEEKLY;INTERVAL=2;BYDAY=TU,SU;WKST=MO;COUNT=3"),
        ["2026-01-04", "2026-01-13", "2026-01-18"]
    );
    assert_eq!(starts("20260329", "FREQ=YEARLY;BYMONTH=3;BYDAY=-1SU;COUNT=2"), ["2026-03-29", "2027-03-28"]);
}
