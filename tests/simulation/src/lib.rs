//! The proof: a deterministic simulation of the whole system. The real code of every function over a real table runs under
//! virtual time in a world that is simulated and hostile, and an oracle that shares no code with it checks the promises
//! after every step.
//!
//! A seed is expanded into a [`plan::Plan`], an explicit list of everything that happens; [`run::run`] runs it.
#![warn(missing_docs)]

#[cfg(feature = "deliberate-bugs")]
pub mod bugs;
pub mod cli;
mod company;
mod due;
mod fleet;
pub mod generate;
pub mod jobs;
mod office;
pub mod oracle;
pub mod plan;
pub mod report;
pub mod rows;
pub mod run;
pub mod short_path;
pub mod shorten;
pub mod story;
pub mod world;
