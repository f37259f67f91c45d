//! Turns: each is an item that is there while an attempt holds it. One that nobody gave back is free after its time, and is
//! taken over as it was read.

use async_trait::async_trait;
use dutykey_engine::ports::ledger::StoreError;
use dutykey_engine::ports::turns::ReadTurns;
use dutykey_policy::id::AppId;
use dutykey_policy::turn::{Change, Read, Taken};

use crate::Store;
use crate::codec::{Item, attribute, attributes, decode, key_of, number, text};
use crate::commit::{For, Writes};
use crate::io::{Query, Sort};
use crate::keys::{self, Key};
use crate::write::{Condition, Write};

/// How long after its time a turn that nobody gave back is removed, in seconds.
const REMOVED: i64 = 86_400;
/// Until when a turn is held.
const NOT_AFTER: &str = "not_after";

#[async_trait]
impl ReadTurns for Store {
    async fn turns(&self, app: &AppId, key: &str) -> Result<Read, StoreError> {
        let items = self.query(&Query::items(keys::turns(app, key), Sort::Begins(keys::TURNS.to_owned()))).await?;
        let read = |item: Item| {
            let key = key_of(&item);
            let taken = decode(item).inspect_err(|error| tracing::error!(%key, %error, "a turn is taken to be held"));
            Some((keys::turn_number(&key.sk)?, taken.ok()))
        };
        Ok(items.into_iter().filter_map(read).collect())
    }
}

/// The writes of turns. One that is taken is a new item: nothing of its last holder stays.
pub(crate) fn turn_writes(changes: &[Change]) -> Result<Writes, StoreError> {
    changes.iter().map(turn_write).collect()
}

fn turn_write(change: &Change) -> Result<(For, Write), StoreError> {
    let (Change::Take(turn, _) | Change::Keep(turn) | Change::Give(turn)) = change;
    let key = keys::turn(&turn.app, &turn.key, turn.number);
    let until = attribute(&key, &turn.not_after)?;
    let ttl = number(turn.not_after.as_second().saturating_add(REMOVED));
    Ok(match change {
        Change::Take(_, over) => {
            let as_read = match over {
                None => Condition::new(),
                Some(over) => Condition::All(vec![
                    holder(&key, over)?,
                    Condition::is(NOT_AFTER, attribute(&key, &over.not_after)?),
                ]),
            };
            let item = attributes(&key, turn)?;
            (For::Turn, Write::put(key, item).with(keys::TTL, ttl).when(as_read))
        }
        Change::Keep(_) => {
            let ours = holder(&key, turn)?;
            let set = Item::from([(NOT_AFTER.to_owned(), until), (keys::TTL.to_owned(), ttl)]);
            (For::OwnTurn, Write::update(key, set).when(ours))
        }
        Change::Give(_) => {
            let ours = holder(&key, turn)?;
            (For::OwnTurn, Write::delete(key).when(ours))
        }
    })
}

/// The turn is held by this attempt.
fn holder(key: &Key, turn: &Taken) -> Result<Condition, StoreError> {
    Ok(Condition::All(vec![
        Condition::is("person", text(turn.person.as_str())),
        Condition::is("hold", attribute(key, &turn.hold)?),
        Condition::is("attempt", number(turn.attempt)),
    ]))
}
