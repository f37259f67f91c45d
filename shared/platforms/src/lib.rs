//! On-call platforms, one module each, behind the engine's `Platform` port, and the verification of their webhooks.
#![warn(missing_docs)]

pub mod adapters;
mod http;
pub mod icalendar;
pub mod pagerduty;
pub mod sandbox;
pub mod webhook;

pub use http::is_safe;
