//! The functions that nobody kills, in the test's own process: they cost nothing to start.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use dutykey_engine::look::Worker;
use dutykey_engine::ports::clock::Clock;
use dutykey_engine::ports::queue::{Enqueue, Message, Queue, SendError};
use dutykey_engine::ports::witness::{Event, Witness};
use dutykey_engine::sync::Syncer;
use dutykey_policy::hold::Side;
use dutykey_runtime::clock::{SystemChance, SystemClock};
use dutykey_runtime::secrets::Secrets;
use dutykey_store::Store;

/// How long secrets are kept: longer than any case.
const KEEP: Duration = Duration::from_secs(3_600);

/// Whoever looks at people.
pub(super) fn worker(
    store: &Store,
    side: Side,
    secret: impl Fn(&str) -> Option<String> + Send + Sync + 'static,
) -> Worker {
    let (store, clock): (_, Arc<dyn Clock>) = (Arc::new(store.clone()), Arc::new(SystemClock));
    let sandbox = dutykey_targets::sandbox::SandboxWorld::new(clock.now(), clock.clone());
    let secrets = Arc::new(Secrets::new(secret, None, clock.clone(), KEEP));
    Worker {
        side,
        actor: if side == Side::Starts { "provisioning" } else { "revocation" },
        ledger: store.clone(),
        rota: store.clone(),
        rules: store.clone(),
        sweeps: store.clone(),
        turns: store,
        targets: Arc::new(dutykey_targets::adapters::Adapters::new(secrets, clock.clone(), sandbox, KEEP)),
        queues: Arc::new(Nobody),
        clock,
        chance: Arc::new(SystemChance),
        witness: Arc::new(Nobody),
    }
}

/// Whoever reads platforms.
pub(super) fn syncer(store: &Store, secret: impl Fn(&str) -> Option<String> + Send + Sync + 'static) -> Syncer {
    let (store, clock): (_, Arc<dyn Clock>) = (Arc::new(store.clone()), Arc::new(SystemClock));
    let sandbox = dutykey_platforms::sandbox::SandboxWorld::new(clock.now(), clock.clone());
    let secrets = Arc::new(Secrets::new(secret, None, clock.clone(), KEEP));
    Syncer {
        rota: store.clone(),
        ledger: store.clone(),
        rules: store,
        platforms: Arc::new(dutykey_platforms::adapters::Adapters::new(secrets, clock.clone(), sandbox, KEEP)),
        queues: Arc::new(Nobody),
        clock,
        chance: Arc::new(SystemChance),
        witness: Arc::new(Nobody),
    }
}

/// Takes no messages, which the table does without, and sees nothing.
struct Nobody;

#[async_trait]
impl Enqueue for Nobody {
    async fn send(&self, _: Queue, _: Vec<Message>) -> Result<(), SendError> {
        Ok(())
    }
}

impl Witness for Nobody {
    fn saw(&self, _: &Event) {}
}
