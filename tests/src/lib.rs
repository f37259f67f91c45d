//! What whole-system tests share: fake platforms and targets on loopback.

pub mod scim;
