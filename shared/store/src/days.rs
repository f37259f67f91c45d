//! Known shifts in buckets, one for each UTC day on which shifts start. A change writes only the days that differ.

use std::collections::BTreeMap;

use dutykey_engine::ports::ledger::StoreError;
use dutykey_engine::ports::rota::KnownChange;
use dutykey_policy::id::RotationId;
use dutykey_policy::rota::KnownShift;
use dutykey_policy::time::Span;
use serde::{Deserialize, Serialize};

use crate::Store;
use crate::codec::{Item, attribute, decode, key_of, number};
use crate::io::{Query, Sort};
use crate::keys::{self, Key};
use crate::notice::expiry;
use crate::write::Write;

/// At most this many shifts of one rotation start on one day: a bucket is one item.
const MAX_DAY: usize = 1_000;

#[derive(Serialize, Deserialize)]
struct Day {
    shifts: Vec<KnownShift>,
}

/// Shifts by the day on which they start, each day sorted.
fn buckets(known: &[KnownShift]) -> BTreeMap<String, Vec<KnownShift>> {
    let mut days: BTreeMap<String, Vec<KnownShift>> = BTreeMap::new();
    for shift in known {
        days.entry(keys::date(shift.shift.start)).or_default().push(shift.clone());
    }
    for shifts in days.values_mut() {
        shifts.sort_by(|a, b| (&a.shift, a.seen, a.gone).cmp(&(&b.shift, b.seen, b.gone)));
    }
    days
}

/// The second after which a day's shifts may be forgotten; never while one of them stands without an end.
fn forgotten(shifts: &[KnownShift]) -> Option<i64> {
    let ends: Option<Vec<_>> = shifts.iter().map(|known| known.gone.or(known.shift.end.at())).collect();
    ends?.into_iter().max().map(expiry)
}

fn day_write(key: Key, shifts: Vec<KnownShift>) -> Result<Write, StoreError> {
    if shifts.len() > MAX_DAY {
        return Err(StoreError::Limit(format!(
            "{key}: {} shifts start on this day, and at most {MAX_DAY} can be kept",
            shifts.len()
        )));
    }
    let ttl = forgotten(&shifts);
    let item = Item::from([("shifts".to_owned(), attribute(&key, &shifts)?)]);
    let write = Write::update(key, item);
    Ok(match ttl {
        Some(ttl) => write.with(keys::TTL, number(ttl)),
        None => write.without(&[keys::TTL]),
    })
}

impl Store {
    /// The writes that make the table say exactly these shifts of what touches the interval, by day. Shifts that do not
    /// touch it stay as they are.
    pub(crate) async fn day_writes(&self, id: &RotationId, known: &KnownChange) -> Result<Vec<Write>, StoreError> {
        let mut wanted = buckets(&known.shifts);
        let mut writes = Vec::new();
        for (key, shifts) in self.days(id, Sort::Begins(keys::DAYS.to_owned())).await? {
            let mut next = wanted.remove(key.sk.trim_start_matches(keys::DAYS)).unwrap_or_default();
            next.extend(shifts.iter().filter(|known_shift| !known_shift.shift.touches(&known.within)).cloned());
            next.sort_by(|a, b| (&a.shift, a.seen).cmp(&(&b.shift, b.seen)));
            if next.is_empty() {
                writes.push(Write::delete(key));
            } else if next != shifts {
                writes.push(day_write(key, next)?);
            }
        }
        for (date, shifts) in wanted {
            writes.push(day_write(keys::day(id, &date), shifts)?);
        }
        writes.sort_by(|a, b| a.key.cmp(&b.key));
        Ok(writes)
    }

    /// The known shifts that touch the interval. A shift may have begun on any day before it.
    pub(crate) async fn shifts(&self, id: &RotationId, within: Span) -> Result<Vec<KnownShift>, StoreError> {
        let last = format!("{}{}", keys::DAYS, keys::date(within.end));
        let days = self.days(id, Sort::Between(keys::DAYS.to_owned(), last)).await?;
        let shifts = days.into_iter().flat_map(|(_, shifts)| shifts);
        Ok(shifts.filter(|known| known.shift.touches(&within)).collect())
    }

    /// A day that cannot be read is an error: silence is not an empty rota.
    async fn days(&self, id: &RotationId, sort: Sort) -> Result<Vec<(Key, Vec<KnownShift>)>, StoreError> {
        let items = self.query(&Query::items(keys::rotation(id), sort)).await?;
        items.into_iter().map(|item| Ok((key_of(&item), decode::<Day>(item)?.shifts))).collect()
    }
}
