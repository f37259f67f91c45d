//! The one table: all that Dutykey knows, in one DynamoDB table, through the ordinary AWS SDK client.
//!
//! - Every key is built in [`keys`], which also lists the access patterns.
//! - A change of state and its evidence are one transaction, conditional on the head that was read; whoever comes second
//!   gets [`StoreError::Changed`] and looks again.
//! - Updates name the attributes that this release knows and leave every other one alone, so that two releases can run
//!   side by side. A record that cannot be read is set aside and named; the rest goes on.
//! - Nothing here reads a clock or makes a random value. The SDK gives each transaction a token of its own, so that the
//!   SDK's retries are idempotent, while two workers with the same decision are still two: one wins.
//!
//! [`StoreError::Changed`]: dutykey_engine::ports::ledger::StoreError::Changed
#![warn(missing_docs)]

mod block;
mod caller;
mod catalog;
mod codec;
mod commit;
mod configuration;
mod configure;
mod days;
mod directory;
mod document;
mod due;
mod emergency;
mod erase;
mod error;
mod evidence;
mod export;
mod hints;
mod io;
mod kept;
pub mod keys;
mod ledger;
mod link;
mod list;
mod notice;
mod profile;
mod rebuild;
mod request;
mod roll;
mod rota;
mod rules;
pub mod stream;
mod summary;
mod sweep;
mod table;
mod turns;
mod write;

use std::sync::Arc;

use aws_sdk_dynamodb::Client;

use crate::kept::Kept;

pub use crate::emergency::Reviewed;
pub use crate::evidence::Line;
pub use crate::export::{Exported, Range};
pub use crate::list::{Cursor, Listed, MAX_PAGE, Page};
pub use crate::rebuild::{Against, Recovered};

/// The version of the items that this release writes, in every item's `v`. An item with a higher one is set aside.
pub const VERSION: u64 = 1;

/// How long ended holds, past shifts and delivered notices are kept, in seconds: 400 days.
const KEPT_SECONDS: i64 = 400 * 86_400;

/// The table. Cheap to clone; clones share the client.
#[derive(Debug, Clone)]
pub struct Store {
    client: Client,
    table: Arc<str>,
    kept: Arc<Kept>,
}

impl Store {
    /// The table of this name, which [`Store::create_table`] or the deployment has made. The client's time-outs and
    /// retries are the caller's choice.
    #[must_use]
    pub fn new(client: Client, table: &str) -> Self {
        Self { client, table: table.into(), kept: Arc::default() }
    }
}
