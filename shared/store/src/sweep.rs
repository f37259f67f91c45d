//! Sweeps: written with the change that they follow from, worked off in pages of the lists.

use std::collections::BTreeSet;

use async_trait::async_trait;
use dutykey_engine::ports::ledger::StoreError;
use dutykey_engine::ports::sweep::{Among, Sweep, SweepPage, WorkSweeps};
use dutykey_policy::bug::Bug;

use crate::Store;
use crate::codec::{decode, number, text};
use crate::keys;
use crate::list::Cursor;
use crate::write::{Condition, Write};

/// At most this many people on a page.
const PAGE: usize = 50;

#[async_trait]
impl WorkSweeps for Store {
    async fn sweep(&self, id: &str) -> Result<Option<Sweep>, StoreError> {
        self.get(&keys::sweep(id)).await?.map(decode).transpose()
    }

    async fn sweep_page(&self, sweep: &Sweep) -> Result<SweepPage, StoreError> {
        let lists = match &sweep.among {
            Among::Everybody => keys::shards(keys::PEOPLE),
            Among::Profile(profile) => vec![keys::enrollments_of(profile)],
        };
        let after = sweep.after.as_ref().map(Cursor::new);
        let (found, next) = self.candidates(lists, after.as_ref(), PAGE).await?;
        let people: BTreeSet<_> = found.iter().filter_map(|key| keys::person_of(&key.pk)).collect();
        Ok(SweepPage { people: people.into_iter().collect(), next: next.map(|next| next.as_str().to_owned()) })
    }

    async fn keep_sweep(&self, sweep: &Sweep) -> Result<(), StoreError> {
        let next = Sweep { rev: sweep.rev + 1, ..sweep.clone() };
        let write = sweep_write(&next)?.when(as_read(sweep));
        self.write(write).await.map_err(|refused| refused.changed(format!("sweep {}", sweep.id)))
    }

    async fn end_sweep(&self, sweep: &Sweep) -> Result<(), StoreError> {
        let write = Write::delete(keys::sweep(&sweep.id)).when(as_read(sweep));
        self.write(write).await.map_err(|refused| refused.changed(format!("sweep {}", sweep.id)))
    }
}

fn as_read(sweep: &Sweep) -> Condition {
    Condition::is("rev", number(sweep.rev))
}

/// Writes a sweep with its place among what is due.
pub(crate) fn sweep_write(sweep: &Sweep) -> Result<Write, StoreError> {
    let write = Write::save(keys::sweep(&sweep.id), sweep)?;
    if Bug::SweepForgotten.is_chosen() {
        return Ok(write);
    }
    Ok(write
        .with(keys::DUE.partition, text(keys::shard(keys::SWEEPS, &sweep.id)))
        .with(keys::DUE.sort, text(keys::instant(sweep.due))))
}
