//! Whole-system tests, and the stand-ins for the world that they and the crates' own tests use.

pub mod pagerduty;
