//! Whole paths: what happens to somebody's access from the rota to the app and back, on the real program under virtual
//! time.

mod api;
mod apps;
mod blocks;
mod catalog;
mod clocks;
mod crash;
mod edits;
mod gate;
mod handoff;
mod identity;
mod leases;
mod locks;
mod messages;
mod numbers;
mod profiles;
mod requests;
mod rotas;
mod turns;
mod views;
pub(crate) mod world;
mod write_off;
