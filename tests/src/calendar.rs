//! What an iCalendar feed says.

use jiff::Timestamp;

/// A feed with one shift of Ann's (`ann@example.com`) over `[start, end)`, in whole seconds.
#[must_use]
pub fn ann_s_shift(start: Timestamp, end: Timestamp) -> String {
    let at = |at: Timestamp| at.strftime("%Y%m%dT%H%M%SZ").to_string();
    let lines = [
        "BEGIN:VCALENDAR".to_owned(),
        "VERSION:2.0".to_owned(),
        "PRODID:-//Dutykey//Tests//EN".to_owned(),
        "BEGIN:VEVENT".to_owned(),
        "UID:1@example.com".to_owned(),
        format!("DTSTAMP:{}", at(start)),
        format!("DTSTART:{}", at(start)),
        format!("DTEND:{}", at(end)),
        "SUMMARY:Ann".to_owned(),
        "ATTENDEE:mailto:ann@example.com".to_owned(),
        "END:VEVENT".to_owned(),
        "END:VCALENDAR".to_owned(),
    ];
    lines.join("\r\n") + "\r\n"
}
