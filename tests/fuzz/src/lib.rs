//! Everything that comes from outside, as bytes: a target takes an input through a public way in, and what must never be seen is
//! an assertion in it. A test runs each over its corpus and some changes of that; libFuzzer (`libfuzzer`) goes on from there.
#![warn(missing_docs)]
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a target fails at what must not be"
)]

mod answers;
mod json;
mod table;
mod targets;

use std::time::Duration;

use targets::{api, app, calendar, config, item, platform, webhook};

/// Changes `data[..size]` byte by byte to at most so many, and answers how many there are then.
pub type ChangeBytes = fn(data: &mut [u8], size: usize, most: usize) -> usize;

/// What inputs of a target look like, and so how they are changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Bytes,
    Json,
}

/// Something that takes what comes from outside.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// Its name, which is also that of its corpus.
    pub name: &'static str,
    form: Form,
    take: fn(&[u8]),
}

/// Every target.
const TARGETS: [Target; 7] = [
    Target { name: "api", form: Form::Bytes, take: api::take },
    Target { name: "app", form: Form::Json, take: app::take },
    Target { name: "calendar", form: Form::Bytes, take: calendar::take },
    Target { name: "config", form: Form::Bytes, take: config::take },
    Target { name: "item", form: Form::Json, take: item::take },
    Target { name: "platform", form: Form::Json, take: platform::take },
    Target { name: "webhook", form: Form::Bytes, take: webhook::take },
];

impl Target {
    /// The one of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        TARGETS.into_iter().find(|target| target.name == name)
    }

    /// Takes one input.
    ///
    /// # Panics
    /// A promise is broken.
    pub fn take(&self, input: &[u8]) {
        (self.take)(input);
    }

    /// Changes the input in `data[..size]` to at most so many bytes, in a way that may reach further than the one before;
    /// answers how many there are then. The seed is for the form; whatever changes bytes has chances of its own.
    pub fn change(&self, data: &mut [u8], size: usize, most: usize, seed: u32, bytes: ChangeBytes) -> usize {
        match self.form {
            Form::Bytes => bytes(data, size, most),
            Form::Json => json::change(data, size, most, seed, bytes),
        }
    }
}

/// A number that is the same for the same bytes, for a target that looks only sometimes or only somewhere (FNV-1a).
pub(crate) fn lot(bytes: &[u8]) -> usize {
    let hash = bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3));
    usize::try_from(hash >> 8).unwrap_or_default()
}

/// A text with some of its lines many times over, up to about `bytes`: what is quadratic in something shows by taking long.
/// Behind each `id` among them stands the number of the copy, so that each copy may be a thing of its own.
pub(crate) fn blown_up(text: &str, id: &str, lot: usize, bytes: usize) -> String {
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
pub(crate) fn busy() -> Duration {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let used = stat.split(' ').next().and_then(|used| used.parse().ok());
    Duration::from_nanos(used.unwrap_or_default())
}

/// Nothing takes longer than this, though the code is not optimised much.
pub(crate) const LONGEST: Duration = Duration::from_secs(8);

/// Foreign text in a message is bounded and escaped, and secrets are in none.
///
/// # Panics
/// It is not so.
pub(crate) fn assert_fit_to_show(message: &str, secrets: &[&str]) {
    assert!(message.len() < 10_000, "a message of {} bytes: {message:.200}", message.len());
    assert!(!message.chars().any(|c| c.is_control()), "a control character in a message: {message:?}");
    for secret in secrets {
        assert!(!message.contains(secret), "a secret in a message: {message}");
    }
}
