//! Evidence as the table's stream shows it: each item once, when it is added. Nothing here asks the table.

use dutykey_engine::ports::ledger::StoreError;
use dutykey_policy::evidence::Chain;
use serde::Deserialize;
use serde_json::Value;

use crate::codec::{Item, key_of, unreadable};
use crate::error::bounded;
use crate::evidence::{Line, lines};
use crate::keys::{self, SK};

/// Records that were added together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Added {
    /// Their chain.
    pub chain: Chain,
    /// The records in their order, of which there is at least one.
    pub lines: Vec<Line>,
}

impl Added {
    /// The sequence number of the last of them, by which they are named.
    #[must_use]
    pub fn last(&self) -> u64 {
        self.lines.last().map_or(0, |line| line.seq)
    }
}

/// Whether an item with this key, whose attributes are as DynamoDB has them in JSON, is of evidence.
#[must_use]
pub fn is_evidence(keys: &Value) -> bool {
    let place = keys.get(SK).and_then(|place| place.get("S")?.as_str());
    place.is_some_and(|place| place.starts_with(keys::EVIDENCE))
}

#[derive(Deserialize)]
struct Place {
    chain: String,
    seq: u64,
}

/// The records of an item of evidence, whose attributes are as DynamoDB has them in JSON.
///
/// # Errors
/// It is none: it cannot be read, or its records do not belong where it lies.
pub fn added(image: Value) -> Result<Added, StoreError> {
    let item: Result<serde_dynamo::Item, _> = serde_json::from_value(image);
    let item: Item = item
        .map_err(|error| StoreError::Unreadable {
            key: "an item of the stream".to_owned(),
            problem: bounded(&error.to_string()),
        })?
        .into();
    let key = key_of(&item);
    let lines = lines(item)?;
    let mut chains = Vec::with_capacity(lines.len());
    for Line { seq, line } in &lines {
        let place: Place = serde_json::from_str(line).map_err(|error| unreadable(&key, error))?;
        if place.seq != *seq {
            return Err(unreadable(&key, format!("record {seq} says that it is {}", place.seq)));
        }
        chains.push(place.chain.parse::<Chain>().map_err(|error| unreadable(&key, error))?);
    }
    let last = lines.last().map_or(0, |line| line.seq);
    let here = |chain: &Chain| keys::evidence(chain, last) == key;
    match chains.pop().filter(here) {
        Some(chain) if chains.iter().all(here) => Ok(Added { chain, lines }),
        _ => Err(unreadable(&key, "its records belong elsewhere")),
    }
}
