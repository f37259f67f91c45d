//! Every input of the corpora, and some changes of each. A fuzzer goes on from here; this much runs with every change.
#![expect(clippy::expect_used, clippy::indexing_slicing, clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use dutykey_fuzz::Target;

/// How many changes are tried from each input on, each of the one before.
const CHANGES: u32 = 12;
/// How many bytes a change may add.
const ROOM: usize = 200;

/// Takes each input of the target's corpus and its changes, the same each time.
fn take_all(name: &str) {
    let target = Target::named(name).expect("a target has the name of its corpus");
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(name);
    let mut inputs: Vec<_> = fs::read_dir(&corpus).unwrap().map(|entry| entry.unwrap().path()).collect();
    inputs.sort();
    assert!(!inputs.is_empty(), "{} has no input", corpus.display());
    for path in inputs {
        let mut input = fs::read(&path).unwrap();
        for seed in 1..=CHANGES {
            let taken = catch_unwind(AssertUnwindSafe(|| target.take(&input)));
            assert!(taken.is_ok(), "{name}, on {} or a change of it: {}", path.display(), input.escape_ascii());
            let (size, most) = (input.len(), input.len() + ROOM);
            input.resize(most, 0);
            let size = target.change(&mut input, size, most, seed, change_bytes);
            input.truncate(size);
        }
    }
}

/// Flips, repeats, removes or inserts some bytes. What it does follows from what is there, so that it is the same each time.
fn change_bytes(data: &mut [u8], size: usize, most: usize) -> usize {
    let seed = data.iter().fold(size as u64, |seed, byte| seed.wrapping_mul(31).wrapping_add(u64::from(*byte)));
    let mut chance = fastrand::Rng::with_seed(seed);
    let mut bytes = data[..size].to_vec();
    for _ in 0..chance.usize(1..=4) {
        let from = chance.usize(..=bytes.len());
        let to = (from + chance.usize(1..=16)).min(bytes.len());
        match chance.u8(..4) {
            0 => bytes[from..to].iter_mut().take(1).for_each(|byte| *byte ^= 1 << chance.u8(..8)),
            1 => drop(bytes.drain(from..to)),
            2 => {
                let again = bytes[from..to].to_vec();
                bytes.splice(from..from, again);
            }
            _ => bytes.insert(from, *chance.choice(b"\0\n\r \"'{}[]:,;=#%/\\-09AZaz\x7f\xc3\xff").unwrap()),
        }
    }
    bytes.truncate(most.min(data.len()));
    data[..bytes.len()].copy_from_slice(&bytes);
    bytes.len()
}

#[test]
fn requests_to_the_api_are_never_our_fault() {
    take_all("api");
}

#[test]
fn an_app_s_answers_are_understood_or_refused() {
    take_all("app");
}

#[test]
fn a_calendar_is_a_whole_view_or_an_error_that_says_where() {
    take_all("calendar");
}

#[test]
fn a_configuration_is_an_installation_or_problems_by_line() {
    take_all("config");
}

#[test]
fn r24_an_item_of_another_release_loses_nothing() {
    take_all("item");
}

#[test]
fn a_platform_s_answers_are_a_whole_view_or_an_error() {
    take_all("platform");
}

#[test]
fn only_a_signed_webhook_is_taken() {
    take_all("webhook");
}
