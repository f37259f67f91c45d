//! On-call platforms: one module for each, behind the engine's port, and the verification of their webhooks.
#![warn(missing_docs)]

pub mod pagerduty;
pub mod webhook;
