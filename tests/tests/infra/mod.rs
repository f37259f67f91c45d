//! The templates of `infra/` against the code that they deploy.

mod functions;
mod metrics;
mod permissions;
mod roles;
mod table;
mod template;
