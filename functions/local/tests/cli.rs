//! The real binary on real files: what people type, what they read, and how it exits.
#![expect(clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod cli {
    pub(crate) mod bench;
    mod check;
    mod evidence;
    mod forecast;
    mod plan;
}
