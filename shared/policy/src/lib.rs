//! The heart of Dutykey: the domain's types and every decision, as pure functions.
//!
//! Nothing here reads a clock, a network, a disk or the environment; time is always a parameter, in UTC. What the rest of
//! the program does is to read what these functions need, call them, and carry out what they answer.
//!
//! The words are the design's: a *person* is on call in a *rotation* over a *shift*; merged shifts are *coverage*; an
//! *access profile* turns coverage into an *enrollment*; a live enrollment is a *reason*; reasons keep a *hold* alive;
//! and each decision leaves *evidence*.
#![warn(missing_docs)]

pub mod block;
pub mod brake;
pub mod bug;
pub mod catalog;
pub mod clock;
pub mod configure;
pub mod difference;
pub mod edit;
pub mod effect;
pub mod emergency;
pub mod enrollment;
pub mod erase;
pub mod evidence;
pub mod explain;
pub mod forecast;
pub mod gain;
pub mod hold;
pub mod id;
pub mod identity;
pub mod installation;
pub mod lease;
pub mod lock;
pub mod look;
pub mod portable;
pub mod profile;
pub mod rebuild;
pub mod request;
pub mod retire;
pub mod retry;
pub mod roll;
pub mod rota;
#[cfg(test)]
mod testing;
pub mod time;
pub mod turn;
pub mod wants;
