//! The roll of a directory: one item, changed with the person whom it is about, or by an administrator's word.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use dutykey_engine::ports::ledger::{Notice, StoreError};
use dutykey_engine::ports::roll::{ReadRoll, RollChange, WriteRoll};
use dutykey_engine::ports::sweep::{Among, Sweep};
use dutykey_policy::evidence::Chain;
use dutykey_policy::id::PersonId;
use dutykey_policy::identity::Person;
use dutykey_policy::roll::Roll;
use jiff::Timestamp;

use crate::Store;
use crate::block::chain_step;
use crate::codec::{decode, key_of, number};
use crate::commit::{For, Writes};
use crate::evidence::appended;
use crate::io::{Query, Sort};
use crate::keys;
use crate::sweep::sweep_write;
use crate::write::{Condition, Write};

#[async_trait]
impl ReadRoll for Store {
    async fn roll(&self, directory: &str) -> Result<Roll, StoreError> {
        self.get(&keys::roll(directory)).await?.map_or_else(|| Ok(Roll::default()), decode)
    }

    async fn active_since(&self, since: Timestamp) -> Result<BTreeSet<PersonId>, StoreError> {
        let mut people = BTreeSet::new();
        for shard in keys::shards(keys::ACTIVE) {
            let range = Sort::Between(keys::instant(since), keys::AFTER_INSTANTS.to_owned());
            let items = self.query(&Query::index(keys::LISTS, shard, range)).await?;
            people.extend(items.iter().filter_map(|item| keys::person_of(&key_of(item).pk)));
        }
        Ok(people)
    }

    async fn persons(&self, people: &[PersonId]) -> Result<BTreeMap<PersonId, Person>, StoreError> {
        self.who(people).await
    }
}

#[async_trait]
impl WriteRoll for Store {
    async fn say(&self, change: &RollChange, notices: &[Notice], at: Timestamp) -> Result<(), StoreError> {
        let mut writes = self.roll_writes(change, at).await?;
        let id = format!("roll/{}/{}", change.directory, change.roll.rev);
        writes.push((For::Record, sweep_write(&Sweep::new(id, Among::Everybody, "brake", at))?));
        self.commit_all(format!("the roll of {}", change.directory), writes, notices).await.map(|_| ())
    }
}

impl Store {
    /// The writes of a roll and of what is recorded with it.
    pub(crate) async fn roll_writes(&self, change: &RollChange, at: Timestamp) -> Result<Writes, StoreError> {
        let before = change.roll.rev;
        let unchanged = if before == 0 { Condition::new() } else { Condition::is("rev", number(before)) };
        let next = Roll { rev: before + 1, ..change.roll.clone() };
        let roll = Write::save(keys::roll(&change.directory), &next)?.when(unchanged);
        let mut writes: Writes = vec![(For::Head, roll)];
        if !change.evidence.is_empty() {
            let end = self.chain_head(&Chain::System).await?;
            let evidence = appended(&Chain::System, &end, at, &change.evidence)?;
            writes.push((For::Head, chain_step(&Chain::System, &end, &evidence.head)?));
            writes.extend(evidence.writes.into_iter().map(|write| (For::Evidence, write)));
        }
        Ok(writes)
    }
}
