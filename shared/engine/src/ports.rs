//! What the engine needs of the world, each as narrow as the power that it stands for.

pub mod blocks;
pub mod callers;
pub mod catalog;
pub mod clock;
pub mod configuration;
pub mod emergencies;
pub mod erasures;
pub mod hints;
pub mod ledger;
pub mod notify;
pub mod platform;
pub mod profiles;
pub mod queue;
pub mod roll;
pub mod rota;
pub mod rules;
pub mod secrets;
pub mod summary;
pub mod sweep;
pub mod target;
pub mod turns;
pub mod witness;
