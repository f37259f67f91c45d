//! The function of beginnings: makes holds true. It also reads what apps have to give, since it has their credentials.

use dutykey_engine::catalog::Catalogs;
use dutykey_engine::look::Worker;
use dutykey_engine::ports::ledger::StoreError;
use dutykey_engine::ports::queue::{About, Message};
use dutykey_runtime::batch::SqsBatchResponse;
use dutykey_runtime::function::Looks;
use dutykey_runtime::lambda::{Event, Failure};

/// The function's name, in evidence, logs and metrics.
pub const NAME: &str = "provisioning";

/// Takes one message about people of the `provisioning` queue.
///
/// # Errors
/// The table cannot be used; the message comes again.
pub async fn take(worker: &Worker, message: &Message) -> Result<(), StoreError> {
    worker.take(message).await
}

/// Takes one message of the `provisioning` queue: about people, or about catalogs.
///
/// # Errors
/// The table cannot be used; the message comes again.
pub async fn take_any(worker: &Worker, catalogs: &Catalogs, message: &Message) -> Result<(), StoreError> {
    match &message.about {
        About::Catalog { app, .. } => catalogs.take(app.as_ref()).await,
        About::Person { .. } | About::Rota { .. } | About::Sweep { .. } => take(worker, message).await,
    }
}

/// What the function works with from its start to its end.
#[derive(Debug)]
pub struct Function {
    /// Who looks at people.
    pub looks: Looks,
    /// Who reads catalogs.
    pub catalogs: Catalogs,
}

impl Function {
    /// Takes a batch of the function's queue, and answers which records come again.
    ///
    /// # Errors
    /// The event is not of a queue, or none of its records was done.
    pub async fn handle(&self, event: Event) -> Result<SqsBatchResponse, Failure> {
        let (worker, catalogs) = (&self.looks.worker, &self.catalogs);
        self.looks.taking(event, |message| async move { take_any(worker, catalogs, &message).await }).await
    }
}
