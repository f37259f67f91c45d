//! Calendars: an answer is a complete view, or an error that says where.
//!
//! An input is a byte that chooses how the calendar is understood and over which window, and the text.

use dutykey_platforms::icalendar::{CalendarFault, Problem, Settings, shifts, users};
use dutykey_policy::installation::IdentifyBy;
use dutykey_policy::rota::Shift;
use dutykey_policy::time::Span;

use crate::{LONGEST, assert_fit_to_show, blown_up, busy, lot};

/// Begin, middle and end of windows: an ordinary fortnight, the two hours in which clocks change, and the ends of time.
const WINDOWS: [[&str; 3]; 4] = [
    ["2026-11-23T00:00:00Z", "2026-11-30T09:00:00Z", "2026-12-07T00:00:00Z"],
    ["2026-03-01T00:00:00Z", "2026-03-29T01:00:00Z", "2026-05-30T00:00:00Z"],
    ["2026-10-01T00:00:00Z", "2026-10-25T00:30:00Z", "2026-12-30T00:00:00Z"],
    ["-009999-01-02T01:59:59Z", "2026-01-01T00:00:00Z", "9999-12-30T22:00:00.999999999Z"],
];

/// Takes one input.
pub(crate) fn take(data: &[u8]) {
    let Some((choice, text)) = data.split_first() else { return };
    let Ok(text) = std::str::from_utf8(text) else { return };
    let identify_by = if choice & 1 == 0 { IdentifyBy::Attendee } else { IdentifyBy::Summary };
    let time_zone = (choice & 2 > 0).then(|| "America/New_York".to_owned());
    let settings = Settings { identify_by, time_zone };
    let [from, middle, to] = WINDOWS[usize::from(choice >> 2) % 4].map(|at| at.parse().unwrap());
    let (whole, part) = (Span::new(from, to).unwrap(), Span::new(from, middle).unwrap());

    let begun = busy();
    let found = shifts(text, &settings, whole);
    let people = users(text, &settings);
    match &found {
        Err(fault) => assert_says_where(fault),
        Ok(found) => {
            assert!(found.is_sorted(), "not sorted: {found:?}");
            for shift in found {
                assert!(shift.end.at().is_some_and(|end| shift.start < end), "no end after its start: {shift:?}");
                assert!(shift.touches(&whole), "outside the window: {shift:?}");
            }
            let people = people.as_ref().expect("a calendar with shifts has users");
            let known = |shift: &Shift| shift.user.as_ref().is_none_or(|user| people.iter().any(|one| one.id == *user));
            assert!(found.iter().all(known), "a shift of nobody whom the calendar names");
            if let Ok(early) = shifts(text, &settings, part) {
                let expected: Vec<&Shift> = found.iter().filter(|shift| shift.touches(&part)).collect();
                assert_eq!(early.iter().collect::<Vec<_>>(), expected, "a part of the window shows other shifts");
            }
        }
    }
    if let Err(fault) = &people {
        assert_says_where(fault);
        assert_eq!(found.as_ref().err(), Some(fault), "what has no users has shifts");
    }
    let lot = lot(data);
    if lot.is_multiple_of(64) {
        let _ = shifts(&blown_up(text, "UID:", lot / 64, 256 * 1024), &settings, whole);
    }
    let took = busy().saturating_sub(begun);
    assert!(took < LONGEST, "it took {took:?}");
}

/// A line, but for what concerns the text as a whole.
fn assert_says_where(fault: &CalendarFault) {
    assert_fit_to_show(&fault.to_string(), &[]);
    let whole = matches!(
        fault.problem,
        Problem::NotACalendar(_)
            | Problem::Empty
            | Problem::NobodyNamed
            | Problem::TooMany { .. }
            | Problem::CutOff(_)
            | Problem::Setting(_)
    );
    assert!(fault.line.is_some() || whole, "it names no line: {fault}");
}
