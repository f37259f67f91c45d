//! The store against a real table: the embedded DynamoDB, or the server that `DUTYKEY_TEST_DYNAMODB` names.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod blocks;
mod catalog;
mod configuration;
mod erase;
mod evidence;
mod faults;
mod harness;
mod hints;
mod ledger;
mod lists;
mod profiles;
mod rebuild;
mod releases;
mod roll;
mod rota;
mod rules;
mod turns;
