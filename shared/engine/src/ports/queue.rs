//! The three queues and their messages. A message never says what to do, only whom to look at.

use async_trait::async_trait;
use dutykey_policy::id::{AppId, PersonId, SourceId};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// A queue, each with its own function.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Queue {
    /// Reads of platforms.
    Sync,
    /// Beginnings.
    Provisioning,
    /// Ends.
    Revocation,
}

/// What a queue carries.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// The version of this form: 1.
    pub v: u32,
    /// What to look at.
    #[serde(flatten)]
    pub about: About,
    /// The worker waits until then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_before: Option<Timestamp>,
    /// Why it was sent; for logs only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
    /// What it belongs to; for logs only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace: Option<String>,
}

/// What to look at.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(untagged)]
pub enum About {
    /// A person.
    Person {
        /// Whom.
        person: PersonId,
    },
    /// A rotation, or everything of a source.
    Rota {
        /// The source.
        source: SourceId,
        /// The part of the rotation's ID that follows the source; every rotation where it is absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        rotation: Option<String>,
    },
    /// Many people, by a sweep.
    Sweep {
        /// Its ID.
        sweep: String,
    },
    /// What apps have to give.
    Catalog {
        /// What is to be done.
        job: CatalogJob,
        /// Of which app; of each where it is absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        app: Option<AppId>,
    },
}

/// The word by which a schedule's input and a message say that catalogs are to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CatalogJob {
    /// Read what apps have to give.
    Catalog,
}

impl Message {
    /// Look at a person.
    #[must_use]
    pub fn person(person: PersonId, cause: &str) -> Self {
        Self { v: 1, about: About::Person { person }, not_before: None, cause: Some(cause.to_owned()), trace: None }
    }

    /// Read a rotation; every rotation of the source where none is named.
    #[must_use]
    pub fn rota(source: SourceId, rotation: Option<String>, cause: &str) -> Self {
        let about = About::Rota { source, rotation };
        Self { v: 1, about, not_before: None, cause: Some(cause.to_owned()), trace: None }
    }

    /// Go on with a sweep.
    #[must_use]
    pub fn sweep(id: &str, cause: &str) -> Self {
        let about = About::Sweep { sweep: id.to_owned() };
        Self { v: 1, about, not_before: None, cause: Some(cause.to_owned()), trace: None }
    }

    /// Read what an app has to give; every app where none is named.
    #[must_use]
    pub fn catalog(app: Option<AppId>, cause: &str) -> Self {
        let about = About::Catalog { job: CatalogJob::Catalog, app };
        Self { v: 1, about, not_before: None, cause: Some(cause.to_owned()), trace: None }
    }

    /// The same message, for a worker that waits until then.
    #[must_use]
    pub fn at(mut self, at: Timestamp) -> Self {
        self.not_before = Some(at);
        self
    }
}

/// A message could not be sent. What it would have said is in the table, and the next tick finds it there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("could not send to the queue: {0}")]
pub struct SendError(pub String);

/// The power to send messages.
#[async_trait]
pub trait Enqueue: Send + Sync {
    /// Sends the messages. Each is delivered at least once, shortly before its `not_before` where it has one (at most
    /// fifteen minutes ahead), else at once.
    async fn send(&self, queue: Queue, messages: Vec<Message>) -> Result<(), SendError>;
}
