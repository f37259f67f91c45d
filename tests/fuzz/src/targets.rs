//! The targets, one a file.

pub(crate) mod api;
pub(crate) mod app;
pub(crate) mod calendar;
pub(crate) mod config;
pub(crate) mod item;
pub(crate) mod platform;
pub(crate) mod webhook;
