//! Instants, half-open intervals and their union. All instants are UTC; a wall clock appears only where one is shown.

#[cfg(test)]
mod tests;

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// An instant with exactly three decimals, `2026-03-29T01:00:00.000Z`: fixed width, so that text order is time order.
#[must_use]
pub fn rfc3339(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string()
}

/// The instant without what is finer than a millisecond: the precision of everything that is stored.
#[must_use]
pub fn to_millis(at: Timestamp) -> Timestamp {
    Timestamp::from_millisecond(at.as_millisecond()).unwrap_or(at)
}

/// The instant a duration later; the end of time where it does not fit.
#[must_use]
pub fn later(at: Timestamp, by: Duration) -> Timestamp {
    at.checked_add(by).unwrap_or(Timestamp::MAX)
}

/// The instant a duration earlier; the beginning of time where it does not fit.
#[must_use]
pub fn earlier(at: Timestamp, by: Duration) -> Timestamp {
    at.checked_sub(by).unwrap_or(Timestamp::MIN)
}

/// Milliseconds from one instant to another, negative where the second is the earlier.
#[must_use]
pub fn millis_between(from: Timestamp, to: Timestamp) -> i64 {
    to.as_millisecond().saturating_sub(from.as_millisecond())
}

/// A half-open interval `[start, end)` that is never empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Span {
    /// The first instant inside.
    pub start: Timestamp,
    /// The first instant after it.
    pub end: Timestamp,
}

impl Span {
    /// The interval, or `None` where it would hold no instant.
    #[must_use]
    pub fn new(start: Timestamp, end: Timestamp) -> Option<Self> {
        (start < end).then_some(Self { start, end })
    }

    /// Whether the instant lies inside.
    #[must_use]
    pub fn contains(&self, at: Timestamp) -> bool {
        self.start <= at && at < self.end
    }

    /// Whether the two share an instant.
    #[must_use]
    pub fn overlaps(&self, other: &Self) -> bool {
        self.start < other.end && other.start < self.end
    }
}

/// The union of intervals: sorted, without overlap, and with those that touch joined. `O(n log n)`.
#[must_use]
pub fn union(mut spans: Vec<Span>) -> Vec<Span> {
    spans.sort_unstable();
    let mut merged: Vec<Span> = Vec::with_capacity(spans.len());
    for span in spans {
        match merged.last_mut() {
            Some(last) if span.start <= last.end => last.end = last.end.max(span.end),
            _ => merged.push(span),
        }
    }
    merged
}

/// What of the window no interval covers, in order. `O(n log n)`.
#[must_use]
pub fn uncovered(spans: Vec<Span>, window: Span) -> Vec<Span> {
    let mut gaps = Vec::new();
    let mut from = window.start;
    let edge = Span { start: window.end, end: Timestamp::MAX };
    for span in union(spans).into_iter().chain([edge]) {
        gaps.extend(Span::new(from, span.start.min(window.end)));
        from = from.max(span.end);
    }
    gaps
}

/// A whole number of seconds as the configuration writes it: `90s`, `5m`, `8h`, `14d`.
#[must_use]
pub fn format_duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    for (unit, size) in [("d", 86_400), ("h", 3_600), ("m", 60)] {
        if seconds >= size && seconds.is_multiple_of(size) {
            return format!("{}{unit}", seconds / size);
        }
    }
    format!("{seconds}s")
}

/// Reads `90s`, `5m`, `8h` or `14d`; a bare `0` is allowed too. At most 400 days.
///
/// # Errors
/// The text that could not be read, in a sentence.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("`{}` is not a duration: a whole number and s, m, h or d", text.escape_debug());
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let units = [('s', 1), ('m', 60), ('h', 3_600), ('d', 86_400)];
    let (number, size) =
        units.iter().find_map(|(unit, size)| Some((text.strip_suffix(*unit)?, *size))).ok_or_else(wrong)?;
    if number.is_empty() || !number.bytes().all(|b| b.is_ascii_digit()) {
        return Err(wrong());
    }
    let seconds = number.parse().ok().and_then(|n: u64| n.checked_mul(size)).filter(|s| *s <= 400 * 86_400);
    seconds.map(Duration::from_secs).ok_or_else(|| format!("`{text}` is longer than 400 days"))
}

/// Instants in answers to people: the text form of [`rfc3339`].
pub mod instant_text {
    use super::{Timestamp, rfc3339};
    use serde::Serializer;

    /// Writes the text form.
    ///
    /// # Errors
    /// Those of the serializer.
    pub fn serialize<S: Serializer>(at: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&rfc3339(*at))
    }

    /// Writes the text form, or null.
    ///
    /// # Errors
    /// Those of the serializer.
    pub fn optional<S: Serializer>(at: &Option<Timestamp>, serializer: S) -> Result<S::Ok, S::Error> {
        match at {
            Some(at) => serialize(at, serializer),
            None => serializer.serialize_none(),
        }
    }
}

/// Durations in documents: the text form of [`parse_duration`].
pub mod duration_text {
    use super::{Duration, format_duration, parse_duration};
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    /// Writes the text form.
    ///
    /// # Errors
    /// Those of the serializer.
    pub fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&format_duration(*duration))
    }

    /// Reads the text form.
    ///
    /// # Errors
    /// A text that is no duration.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        let text = String::deserialize(deserializer)?;
        parse_duration(&text).map_err(D::Error::custom)
    }

    /// The same where there may be none.
    pub mod optional {
        use super::{Duration, format_duration, parse_duration};
        use serde::{Deserialize, Deserializer, Serializer, de::Error};

        /// Writes the text form, or null.
        ///
        /// # Errors
        /// Those of the serializer.
        pub fn serialize<S: Serializer>(duration: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
            match duration {
                Some(duration) => serializer.serialize_str(&format_duration(*duration)),
                None => serializer.serialize_none(),
            }
        }

        /// Reads the text form, or null.
        ///
        /// # Errors
        /// A text that is no duration.
        pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
            let text = Option::<String>::deserialize(deserializer)?;
            text.map(|text| parse_duration(&text).map_err(D::Error::custom)).transpose()
        }
    }
}
