//! The functions at work: the handlers of every function over the simulated world.

use std::sync::Arc;

use dutykey_embedded::Embedded;
use dutykey_engine::look::Worker;
use dutykey_engine::ports::clock::Clock;
use dutykey_engine::ports::ledger::StoreError;
use dutykey_engine::ports::queue::{Message, Queue};
use dutykey_engine::sync::Syncer;
use dutykey_engine::tick::Ticker;
use dutykey_policy::hold::Side;
use dutykey_runtime::clock::SeededChance;

use crate::world::app::CompanyApps;
use crate::world::platform::CompanyPlatforms;
use crate::world::queue::{Queues, Sender};
use crate::world::time::WorkerClock;
use crate::world::{Watching, World, table};

/// One set of functions, as a deployment starts it: with its own clocks and nothing remembered.
#[derive(Debug)]
pub(crate) struct Fleet {
    syncer: Syncer,
    provisioning: Worker,
    revocation: Worker,
    ticker: Ticker,
}

/// What every set of functions works on.
#[derive(Clone)]
pub(crate) struct Ground {
    /// The world.
    pub(crate) world: Arc<World>,
    /// The database under the table.
    pub(crate) embedded: Embedded,
    /// The queues.
    pub(crate) queues: Queues,
    /// The platforms.
    pub(crate) platforms: Arc<CompanyPlatforms>,
    /// The apps.
    pub(crate) apps: Arc<CompanyApps>,
}

impl Fleet {
    /// Starts the functions.
    #[must_use]
    pub(crate) fn start(ground: &Ground, generation: u64) -> Self {
        let world = &ground.world;
        let clock = |number: usize| -> Arc<dyn Clock> {
            let ahead = world.plan.clocks_ms.get(number).copied().unwrap_or_default();
            Arc::new(WorkerClock::new(world.clock.clone(), ahead))
        };
        let store = || Arc::new(table::store(&ground.embedded, world, true));
        let chance =
            |number: u64| Arc::new(SeededChance::new(world.plan.seed.wrapping_mul(31) + generation * 8 + number));
        let witness = Arc::new(Watching(world.clone()));
        let sender = |number: usize| Arc::new(Sender { queues: ground.queues.clone(), clock: clock(number) });
        let worker = |side: Side, actor: &'static str, number: usize| {
            let store = store();
            Worker {
                side,
                actor,
                ledger: store.clone(),
                rota: store.clone(),
                rules: store.clone(),
                turns: store.clone(),
                sweeps: store,
                targets: ground.apps.clone(),
                queues: sender(number),
                clock: clock(number),
                chance: chance(number as u64),
                witness: witness.clone(),
            }
        };
        let (reads, ticks) = (store(), store());
        Self {
            syncer: Syncer {
                rota: reads.clone(),
                ledger: reads.clone(),
                rules: reads,
                platforms: ground.platforms.clone(),
                queues: sender(0),
                clock: clock(0),
                chance: chance(0),
                witness: witness.clone(),
            },
            provisioning: worker(Side::Starts, provisioning::NAME, 1),
            revocation: worker(Side::Ends, revocation::NAME, 2),
            ticker: Ticker {
                due: ticks.clone(),
                numbers: ticks,
                queues: sender(3),
                notify: witness.clone(),
                clock: clock(3),
                witness,
            },
        }
    }

    /// Takes a message.
    ///
    /// # Errors
    /// It has failed, and comes again.
    pub(crate) async fn take(&self, queue: Queue, message: &Message) -> Result<(), StoreError> {
        match queue {
            Queue::Sync => rotation_sync::take(&self.syncer, message).await,
            Queue::Provisioning => provisioning::take(&self.provisioning, message).await,
            Queue::Revocation => revocation::take(&self.revocation, message).await,
        }
    }

    /// Runs the tick.
    pub(crate) async fn tick(&self) {
        // What it could not do the next one finds.
        let _ = handoff::tick(&self.ticker).await;
    }
}
