//! One target under libFuzzer: the one that `DUTYKEY_FUZZ` names.
#![no_main]

use std::sync::LazyLock;

use dutykey_fuzz::Target;
use libfuzzer_sys::{fuzz_mutator, fuzz_target, fuzzer_mutate};

static TARGET: LazyLock<Target> = LazyLock::new(|| {
    let name = std::env::var("DUTYKEY_FUZZ").unwrap_or_default();
    Target::named(&name).unwrap_or_else(|| panic!("DUTYKEY_FUZZ is `{name}`, which is no target"))
});

fuzz_target!(|data: &[u8]| TARGET.take(data));

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    TARGET.change(data, size, max_size, seed, fuzzer_mutate)
});
