//! What every binary needs beside its own work: configuration, secrets, time, telemetry, metrics and AWS clients.
#![warn(missing_docs)]

pub mod config;
