//! The real binary on real files: what people type, what they read, and how it exits.

mod cli {
    pub(crate) mod bench;
    mod check;
    mod evidence;
    mod forecast;
    mod plan;
}
