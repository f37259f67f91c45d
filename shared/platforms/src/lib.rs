//! On-call platforms, one module each, behind the engine's `Platform` port.
#![warn(missing_docs)]

pub mod sandbox;
//! On-call platforms: one module for each, behind the engine's `Platform` trait.
#![warn(missing_docs)]

mod http;
pub mod icalendar;
//! On-call platforms: one module for each, behind the engine's port, and the verification of their webhooks.
#![warn(missing_docs)]

pub mod pagerduty;
pub mod webhook;
