//! What every binary needs beside its own work: configuration, secrets, time, telemetry, metrics, AWS clients, and the
//! loop of a Lambda function.
#![warn(missing_docs)]

pub mod aws;
pub mod batch;
pub mod clock;
pub mod config;
pub mod environment;
pub mod function;
pub mod lambda;
pub mod metrics;
pub mod notify;
pub mod secrets;
pub mod stream;
pub mod telemetry;
pub mod witness;
