//! The only orchestration: read, ask policy, take one step, record.
//!
//! Everything that touches the world is behind a narrow trait in [`ports`]; a function of the bundle takes only the ports
//! that its role in the cloud allows it. Messages and ticks only ever say *look again*; what is done follows from what is
//! read then.
#![warn(missing_docs)]

pub mod again;
pub mod block;
pub mod brake;
mod call;
pub mod caller;
pub mod catalog;
pub mod configuration;
mod directory;
mod due;
pub mod emergency;
mod enroll;
pub mod erase;
mod identify;
mod ids;
mod lease;
mod lock;
pub mod look;
pub mod ports;
pub mod profile;
pub mod prolong;
pub mod request;
mod settle;
pub mod snapshot;
pub mod summary;
pub mod sync;
pub mod tick;
mod told;
mod touch;
mod turns;
mod view;
pub mod write_off;
