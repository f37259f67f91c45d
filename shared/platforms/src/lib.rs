//! On-call platforms, one module each, behind the engine's `Platform` port.
#![warn(missing_docs)]

pub mod sandbox;
