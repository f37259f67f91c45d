//! What the fuzz targets share. A target is one file in `targets`; what it must never see is an assertion in it.
#![warn(missing_docs)]

use std::time::Duration;

pub mod answers;
pub mod json;
pub mod table;

/// A number that is the same for the same bytes, for a target that looks only sometimes or only somewhere (FNV-1a).
#[must_use]
pub fn lot(bytes: &[u8]) -> usize {
    let hash = bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3));
    usize::try_from(hash >> 8).unwrap_or_default()
}

/// A text with some of its lines many times over, up to about `bytes`: what is quadratic in something shows by taking long.
/// Behind each `id` among them stands the number of the copy, so that each copy may be a thing of its own.
#[must_use]
pub fn blown_up(text: &str, id: &str, lot: usize, bytes: usize) -> String {
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let from = lot % lines.len().max(1);
    let to = (from + 1 + lot / 64 % 16).min(lines.len());
    let again = lines[from.min(to)..to].concat();
    let times = if again.is_empty() { 0 } else { bytes.saturating_sub(text.len()) / again.len() };
    let mut grown = lines[..from.min(to)].concat();
    for copy in 0..times {
        grown += &again.replace(id, &format!("{id}{copy}"));
    }
    grown + &lines[to..].concat()
}

/// The processor's time that this thread has used, so far as the system tells: a busy machine makes nothing slow.
#[must_use]
pub fn busy() -> Duration {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let used = stat.split(' ').next().and_then(|used| used.parse().ok());
    Duration::from_nanos(used.unwrap_or_default())
}

/// Nothing takes longer than this, though the code is not optimised much.
pub const LONGEST: Duration = Duration::from_secs(8);

/// Foreign text in a message is bounded and escaped, and secrets are in none.
///
/// # Panics
/// It is not so.
pub fn assert_fit_to_show(message: &str, secrets: &[&str]) {
    assert!(message.len() < 10_000, "a message of {} bytes: {message:.200}", message.len());
    assert!(!message.chars().any(|c| c.is_control()), "a control character in a message: {message:?}");
    for secret in secrets {
        assert!(!message.contains(secret), "a secret in a message: {message}");
    }
}
