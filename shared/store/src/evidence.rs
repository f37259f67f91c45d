//! Chains of evidence as items: records are only ever added, in the transaction of what they record.

use aws_sdk_dynamodb::types::AttributeValue;
use dutykey_engine::ports::ledger::StoreError;
use dutykey_policy::evidence::{Chain, ChainHead, Draft, append};
use dutykey_policy::time::rfc3339;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::Store;
use crate::codec::{Item, attribute, decode, key_of, number, text, unreadable};
use crate::io::{Query, Sort};
use crate::keys::{self, Key};
use crate::list::MAX_PAGE;
use crate::stream::Added;
use crate::write::{Condition, Write};

/// An item of records is closed at this size, in bytes: the table's limit is 400 KiB.
const ITEM_BYTES: usize = 200_000;

/// One record of a chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Its sequence number in its chain, from 1.
    pub seq: u64,
    /// The canonical JSON.
    pub line: String,
}

/// New records of a chain, and where it ends with them.
pub(crate) struct Appended {
    pub(crate) head: ChainHead,
    pub(crate) writes: Vec<Write>,
}

/// Puts drafts behind the end of a chain. Records of one transaction share items: the table allows 100 items in one.
pub(crate) fn appended(
    chain: &Chain,
    head: &ChainHead,
    at: Timestamp,
    drafts: &[Draft],
) -> Result<Appended, StoreError> {
    let records = append(chain, head, at, drafts).map_err(|error| unreadable(&keys::chain_head(chain), error))?;
    let mut writes = Vec::new();
    let mut lines: Vec<AttributeValue> = Vec::new();
    let mut bytes = 0;
    let mut end = head.clone();
    let mut close = |lines: &mut Vec<AttributeValue>, last: u64| {
        writes.push(item_write(chain, std::mem::take(lines), last, at).when(Condition::new()));
    };
    for record in records {
        if bytes + record.line.len() > ITEM_BYTES && !lines.is_empty() {
            close(&mut lines, end.seq);
            bytes = 0;
        }
        bytes += record.line.len();
        lines.push(text(record.line));
        end = record.head;
    }
    if !lines.is_empty() {
        close(&mut lines, end.seq);
    }
    Ok(Appended { head: end, writes })
}

/// Writes an item of records: those of a chain up to this number, the last of this time.
pub(crate) fn item_write(chain: &Chain, lines: Vec<AttributeValue>, last: u64, at: Timestamp) -> Write {
    let first = last + 1 - lines.len() as u64;
    let item = Item::from([
        ("lines".to_owned(), AttributeValue::L(lines)),
        ("first".to_owned(), number(first)),
        ("last".to_owned(), number(last)),
        ("at".to_owned(), text(rfc3339(at))),
    ]);
    Write::put(keys::evidence(chain, last), item)
}

/// The error where a place of a chain is taken although the chain's head does not know it.
pub(crate) fn taken(key: &Key) -> StoreError {
    unreadable(key, "there is evidence here that the chain's head does not know: the table was restored or changed")
}

/// The end of a chain as one attribute.
pub(crate) fn chain_attribute(key: &Key, head: &ChainHead) -> Result<AttributeValue, StoreError> {
    attribute(key, head)
}

/// The condition that a chain still ends where it was read.
pub(crate) fn ends_at(head: &ChainHead) -> Condition {
    if head.seq == 0 {
        let unused = Condition::is("chain.seq", number(0));
        Condition::Any(vec![Condition::Absent("chain".to_owned()), unused])
    } else {
        Condition::is("chain.seq", number(head.seq))
    }
}

#[derive(Serialize, Deserialize)]
struct Records {
    lines: Vec<String>,
    first: u64,
}

#[derive(Serialize, Deserialize)]
struct Ends {
    #[serde(default)]
    chain: ChainHead,
}

/// The end of a chain, of the item that says it.
pub(crate) fn chain_end(item: Item) -> Result<ChainHead, StoreError> {
    Ok(decode::<Ends>(item)?.chain)
}

/// The records of an item.
pub(crate) fn lines(item: Item) -> Result<Vec<Line>, StoreError> {
    let key = key_of(&item);
    let Records { lines, first } = decode(item)?;
    if lines.is_empty() {
        return Err(unreadable(&key, "it has no records"));
    }
    Ok((first..).zip(lines).map(|(seq, line)| Line { seq, line }).collect())
}

impl Store {
    /// Where a chain ends, read consistently; before the first record where there is no such chain.
    ///
    /// # Errors
    /// The table cannot be used, or the head cannot be read.
    pub async fn chain_head(&self, chain: &Chain) -> Result<ChainHead, StoreError> {
        let item = self.get(&keys::chain_head(chain)).await?;
        item.map_or_else(|| Ok(ChainHead::default()), chain_end)
    }

    /// Records of a chain from a sequence number on, at most `limit` and never more than [`MAX_PAGE`]. The next page
    /// begins after the last one's number.
    ///
    /// # Errors
    /// The table cannot be used, or a record cannot be read.
    pub async fn evidence(&self, chain: &Chain, from: u64, limit: usize) -> Result<Vec<Line>, StoreError> {
        let limit = limit.min(MAX_PAGE);
        let mut found = Vec::new();
        let mut next = None;
        while found.len() < limit {
            let page = self.page(&records_from(chain, from), next, Some(limit)).await?;
            for item in page.items {
                found.extend(lines(item)?.into_iter().filter(|line| line.seq >= from));
            }
            next = page.next;
            if next.is_none() {
                break;
            }
        }
        found.truncate(limit);
        Ok(found)
    }
}

impl Store {
    /// The items of a chain that hold its records from a number on, in their order and at most so many; none only where
    /// there are no such records.
    ///
    /// # Errors
    /// The table cannot be used, or a record cannot be read.
    pub async fn evidence_items(&self, chain: &Chain, from: u64, limit: usize) -> Result<Vec<Added>, StoreError> {
        let page = self.page(&records_from(chain, from), None, Some(limit)).await?;
        page.items.into_iter().map(|item| Ok(Added { chain: chain.clone(), lines: lines(item)? })).collect()
    }
}

/// The items of a chain that hold its records from a number on.
pub(crate) fn records_from(chain: &Chain, from: u64) -> Query {
    let range = Sort::Between(keys::evidence_place(from), keys::evidence_place(u64::MAX));
    Query::items(keys::chain(chain), range)
}
