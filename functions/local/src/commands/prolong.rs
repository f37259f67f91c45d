//! Prolonging the leases of a rotation whose platform does not answer. A running `serve` finds it with its next tick.

use std::sync::Arc;

use async_trait::async_trait;
use dutykey_engine::brake::By;
use dutykey_engine::ports::queue::{Enqueue, Message, Queue, SendError};
use dutykey_engine::prolong::Leases;
use dutykey_policy::time::{rfc3339, to_millis};
use dutykey_runtime::clock::{SystemChance, SystemClock};

use super::plain;
use crate::cli::Prolong;

/// Prolongs.
///
/// # Errors
/// The table cannot be used, there is no such rotation, or its leases may not be prolonged until then.
pub(crate) async fn run(options: &Prolong) -> anyhow::Result<bool> {
    let store = crate::data::open(&options.data).await?;
    store.may_record().await?;
    let store = Arc::new(store);
    let leases = Leases {
        rota: store.clone(),
        ledger: store.clone(),
        rules: store,
        queues: Arc::new(NextTick),
        clock: Arc::new(SystemClock),
        chance: Arc::new(SystemChance),
    };
    let until = to_millis(options.until);
    let head = leases.prolong(&options.rotation, until, &options.reason, &By::CommandLine).await?;
    out!("{}: its last view stands until {}, or until a new one comes", plain(&head.id.to_string()), rfc3339(until));
    Ok(true)
}

/// Sends no messages: what they would say is in the table, where the next tick finds it.
struct NextTick;

#[async_trait]
impl Enqueue for NextTick {
    async fn send(&self, _: Queue, _: Vec<Message>) -> Result<(), SendError> {
        Ok(())
    }
}
