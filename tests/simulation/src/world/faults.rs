//! What goes wrong around Dutykey, as the plan lists it.

use serde::{Deserialize, Serialize};

use crate::plan::Second;

/// A platform misbehaves for a while.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlatformFault {
    /// The source.
    pub source: String,
    /// How: the sandbox's word for it, or `stale` for an answer that is `after` seconds old.
    pub kind: String,
    /// From when.
    pub from: Second,
    /// Until when.
    pub to: Second,
    /// Only this rotation, by its number.
    pub rotation: Option<usize>,
    /// How long a slow answer takes, or how old a stale one is.
    pub after: Option<Second>,
}

/// An app misbehaves for a while.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppFault {
    /// The app's number.
    pub app: usize,
    /// How: the sandbox's word for it.
    pub kind: String,
    /// From when.
    pub from: Second,
    /// Until when.
    pub to: Second,
    /// Which calls: the sandbox's word; every one where absent.
    pub on: Option<String>,
    /// How many of them; every one in that time where absent.
    pub times: Option<u32>,
    /// How long to wait, or how long a slow call takes.
    pub after: Option<Second>,
}

/// How the table misbehaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TableTrouble {
    /// It throttles.
    Throttled,
    /// The request never arrives.
    LostRequest,
    /// The request is carried out and the answer is lost.
    LostAnswer,
    /// It refuses a transaction because of another one.
    Conflict,
}

/// The table misbehaves for a while.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableFault {
    /// How.
    pub kind: TableTrouble,
    /// From when.
    pub from: Second,
    /// Until when.
    pub to: Second,
    /// One request in so many is struck.
    pub one_in: u32,
}

/// How queues misbehave.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum QueueTrouble {
    /// A message comes twice, the second time a little later.
    Duplicated,
    /// A message comes late.
    Delayed,
    /// A message is lost until it is delivered again minutes later.
    Lost,
    /// Sending fails.
    Refused,
}

/// The queues misbehave for a while.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueueFault {
    /// How.
    pub kind: QueueTrouble,
    /// From when.
    pub from: Second,
    /// Until when.
    pub to: Second,
    /// One message in so many is struck.
    pub one_in: u32,
    /// How late, in seconds.
    pub after: Second,
}
