//! What every binary needs beside its own work: configuration, secrets, time, telemetry, metrics and AWS clients.
#![warn(missing_docs)]

pub mod aws;
pub mod clock;
pub mod config;
pub mod environment;
pub mod metrics;
pub mod notify;
pub mod secrets;
pub mod telemetry;
pub mod witness;
