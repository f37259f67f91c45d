//! What the tests of the whole system share: the real binaries as processes, and what surrounds them, on loopback.
#![warn(missing_docs)]

pub mod aws;
pub mod calendar;
pub mod company;
pub mod crowd;
pub mod events;
pub mod issuer;
pub mod pagerduty;
pub mod process;
pub mod proxy;
pub mod runtime_api;
pub mod scim;
pub mod surroundings;
pub mod table;
