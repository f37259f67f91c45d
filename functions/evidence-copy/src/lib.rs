//! The function that copies evidence as it is written: the table's stream feeds it, and a bucket keeps what it adds. It
//! can add to the copy and can neither read nor change it, and of the table it sees nothing but the stream.

use std::num::NonZeroUsize;
use std::sync::Arc;

use dutykey_engine::ports::clock::Clock as _;
use dutykey_policy::evidence::copies;
use dutykey_runtime::aws::Bucket;
use dutykey_runtime::clock::SystemClock;
use dutykey_runtime::lambda::{ErrorType, Event, Failure};
use dutykey_runtime::metrics::{Counter, Metrics};
use dutykey_runtime::stream::{self, Change, StreamBatchResponse, What};
use dutykey_store::stream::{Added, added, is_evidence};
use serde_json::Value;

/// The function's name, in logs and metrics.
pub const NAME: &str = "evidence-copy";
/// Where in the bucket the copy is.
pub const FOLDER: &str = "evidence";
/// How many objects are added side by side.
const SIDE_BY_SIDE: NonZeroUsize = NonZeroUsize::new(10).unwrap();

/// What the function works with from its start to its end.
#[derive(Debug)]
pub struct Function {
    /// Where the copy is kept.
    pub bucket: Bucket,
    /// What is measured; written after each event.
    pub metrics: Arc<Metrics>,
    /// The time of what is measured.
    pub clock: SystemClock,
    /// The installation's name, a dimension of its metrics.
    pub environment: String,
}

impl Function {
    /// Takes changes of the table, and answers from which on they come again.
    ///
    /// # Errors
    /// The event is not of a table's stream.
    pub async fn handle(&self, event: Event) -> Result<StreamBatchResponse, Failure> {
        let Event::Stream(event) = event else {
            return Err(Failure::new(ErrorType::Input, "evidence-copy takes changes of the table only"));
        };
        let done = stream::each(event, SIDE_BY_SIDE, |change| self.take(change)).await;
        self.metrics.publish(self.clock.now(), &self.environment, NAME);
        Ok(done)
    }

    async fn take(&self, change: Change) -> Result<(), Failure> {
        let item = change.item;
        if !is_evidence(&item.keys) {
            return Ok(());
        }
        match (change.what, item.new_image) {
            (What::Insert, Some(image)) => match added(image) {
                Ok(added) => return self.copy(&added).await,
                // It would hold up the evidence behind it for as long as it is tried: it is told of, and missed by whoever
                // compares the table with its copy.
                Err(error) => self.touched(&item.keys, &format!("was added and is none: {error}")),
            },
            (What::Insert, None) => self.touched(&item.keys, "was added, and the stream does not show it"),
            (What::Modify, _) => self.touched(&item.keys, "was changed"),
            (What::Remove, _) => self.touched(&item.keys, "was removed"),
        }
        Ok(())
    }

    async fn copy(&self, added: &Added) -> Result<(), Failure> {
        let mut body = String::new();
        for line in &added.lines {
            body.push_str(&line.line);
            body.push('\n');
        }
        let key = format!("{FOLDER}/{}", copies::place(&added.chain, added.last()));
        // One that is there already was copied by a delivery before this one.
        self.bucket.add(&key, body.into_bytes()).await.map_err(|error| Failure::new(ErrorType::Bucket, error))
    }

    /// Evidence is only ever added, so that whatever else happens to it is somebody else's doing.
    fn touched(&self, keys: &Value, how: &str) {
        self.metrics.add(Counter::EvidenceTouched, 1);
        tracing::error!(%keys, "evidence in the table {how}: no part of Dutykey does that");
    }
}
