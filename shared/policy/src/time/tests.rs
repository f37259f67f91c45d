use std::time::Duration;

use proptest::prelude::*;

use super::{Span, format_duration, parse_duration, rfc3339, union};
use crate::testing::{cases, minute, second};

#[test]
fn instants_have_exactly_three_decimals() {
    assert_eq!(rfc3339("2026-03-29T01:00:00Z".parse().unwrap()), "2026-03-29T01:00:00.000Z");
    assert_eq!(rfc3339("2026-03-29T01:00:00.9999+02:00".parse().unwrap()), "2026-03-28T23:00:00.999Z");
}

#[test]
fn durations_are_whole_numbers_with_a_unit() {
    for (text, seconds) in
        [("0", 0), ("90s", 90), ("5m", 300), ("8h", 28_800), ("14d", 1_209_600), ("400d", 34_560_000)]
    {
        assert_eq!(parse_duration(text), Ok(Duration::from_secs(seconds)), "{text}");
    }
    for bad in ["", "5", "m", "5mm", "-5m", "1.5h", "5 m", "401d", "99999999999999999999d", "5w", "5é", "+5m"] {
        assert!(parse_duration(bad).is_err(), "{bad:?}");
    }
}

#[test]
fn durations_are_written_in_the_largest_unit_that_is_whole() {
    for (seconds, text) in
        [(0, "0s"), (60, "1m"), (90, "90s"), (5_400, "90m"), (28_800, "8h"), (90_000, "25h"), (86_400, "1d")]
    {
        assert_eq!(format_duration(Duration::from_secs(seconds)), text);
    }
}

#[test]
fn an_interval_has_its_start_and_not_its_end() {
    let span = |from: i64, to: i64| Span::new(minute(from), minute(to));
    assert_eq!((span(5, 5), span(5, 4)), (None, None), "it would hold no instant");
    let [first, second, across] = [(0, 10), (10, 20), (9, 11)].map(|(from, to)| span(from, to).unwrap());
    assert_eq!([-1, 0, 9, 10].map(|at| first.contains(minute(at))), [false, true, true, false]);
    for (one, other, share) in [(first, second, false), (first, across, true), (second, across, true)] {
        assert_eq!((one.overlaps(&other), other.overlaps(&one)), (share, share), "{one:?} and {other:?}");
    }
}

proptest! {
    #![proptest_config(cases(300))]

    #[test]
    fn durations_come_back_as_they_were_written(seconds in 0_u64..34_560_000) {
        let duration = Duration::from_secs(seconds);
        prop_assert_eq!(parse_duration(&format_duration(duration)), Ok(duration));
    }

    #[test]
    fn text_order_is_time_order(a in -1_000_000_i64..1_000_000, b in -1_000_000_i64..1_000_000) {
        prop_assert_eq!(rfc3339(second(a)).cmp(&rfc3339(second(b))), a.cmp(&b));
    }

    #[test]
    fn a_union_covers_the_same_instants_without_overlap(spans in prop::collection::vec((0_i64..80, 1_i64..15), 0..10)) {
        let spans: Vec<Span> = spans.iter().filter_map(|(from, len)| Span::new(minute(*from), minute(from + len))).collect();
        let merged = union(spans.clone());
        for at in -1..100 {
            let inside = |spans: &[Span]| spans.iter().any(|span| span.contains(minute(at)));
            prop_assert_eq!(inside(&spans), inside(&merged));
        }
        prop_assert!(merged.windows(2).all(|pair| pair[0].end < pair[1].start));
    }
}
