//! What every binary needs.
#![warn(missing_docs)]

pub mod batch;
pub mod lambda;
