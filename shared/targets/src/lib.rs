//! Target systems, one module each, behind the engine's `Target` port.
#![warn(missing_docs)]

pub mod adapters;
pub mod sandbox;
pub mod scim;
