//! Blocks: the denial, the text of its reason, the evidence and what makes those due whom it concerns, in one transaction.

use async_trait::async_trait;
use dutykey_engine::ports::blocks::{Concerned, WriteBlocks};
use dutykey_engine::ports::ledger::{PersonHead, StoreError};
use dutykey_engine::ports::sweep::{Among, Sweep};
use dutykey_policy::block::{Block, Denied};
use dutykey_policy::evidence::{Chain, ChainHead, Draft, Sealed};
use dutykey_policy::id::PersonId;
use dutykey_policy::look::Due;
use jiff::Timestamp;

use crate::Store;
use crate::codec::{Item, decode, number};
use crate::commit::{For, Writes};
use crate::erase::written_by;
use crate::evidence::{appended, chain_attribute, ends_at};
use crate::keys;
use crate::ledger::{as_read, head_write, listed};
use crate::sweep::sweep_write;
use crate::write::{Condition, Write};

/// How often a block is tried again where somebody else has recorded something meanwhile.
const ATTEMPTS: usize = 16;
/// The table may forget a block so many seconds after its end: each look reads them all.
const FORGOTTEN_SECONDS: i64 = 86_400;

#[async_trait]
impl WriteBlocks for Store {
    async fn place(&self, block: &Block, reason: &Sealed, at: Timestamp) -> Result<Option<Concerned>, StoreError> {
        let words = keys::block_text(block.denied.person(), &block.id);
        for _ in 0..ATTEMPTS {
            if self.stored(&block.id).await?.as_ref() == Some(block) {
                return Ok(Some(concerned(block, "placed")));
            }
            let write = block_write(block)?.when(Condition::new());
            let text = Write::save(words.clone(), reason)?.when(Condition::new());
            let author: Option<PersonId> = block.author.parse().ok();
            let text = match author.filter(|author| block.denied.person() != Some(author)) {
                Some(author) => written_by(text, &author),
                None => text,
            };
            let writes = vec![(For::Head, write), (For::Head, text)];
            match self.said(block, &block.placed(reason), "placed", writes, at).await {
                Err(StoreError::Changed(_)) => {}
                done => return done,
            }
        }
        Err(changed(&block.id))
    }

    async fn lift(&self, id: &str, author: &str, at: Timestamp) -> Result<Option<Concerned>, StoreError> {
        for _ in 0..ATTEMPTS {
            let running = |block: &Block| block.until.is_none_or(|until| at < until);
            let Some(block) = self.stored(id).await?.filter(running) else { return Ok(None) };
            let writes = vec![(For::Head, Write::delete(keys::block(id)).when(Condition::exists()))];
            match self.said(&block, &block.lifted(author), "lifted", writes, at).await {
                Err(StoreError::Changed(_)) => {}
                done => return done,
            }
        }
        Err(changed(id))
    }
}

fn changed(id: &str) -> StoreError {
    StoreError::Changed(format!("block {id}"))
}

fn sweep_id(block: &Block, word: &str) -> String {
    format!("block/{}/{word}", block.id)
}

fn concerned(block: &Block, word: &str) -> Concerned {
    match block.denied.person() {
        Some(person) => Concerned::Person(person.clone()),
        None => Concerned::Sweep(sweep_id(block, word)),
    }
}

impl Store {
    /// Why a block was placed; `None` where that was erased.
    ///
    /// # Errors
    /// The table cannot be used, or the record cannot be read.
    pub async fn block_reason(&self, block: &Block) -> Result<Option<String>, StoreError> {
        let text = self.get(&keys::block_text(block.denied.person(), &block.id)).await?;
        Ok(text.map(decode::<Sealed>).transpose()?.map(|sealed| sealed.text))
    }

    async fn stored(&self, id: &str) -> Result<Option<Block>, StoreError> {
        self.get(&keys::block(id)).await?.map(decode).transpose()
    }

    /// Commits what is said of a block with its evidence, and makes those due whom it concerns.
    async fn said(
        &self,
        block: &Block,
        draft: &Draft,
        word: &str,
        mut writes: Writes,
        at: Timestamp,
    ) -> Result<Option<Concerned>, StoreError> {
        let chain = block.denied.chain();
        let drafts = std::slice::from_ref(draft);
        let evidence = if let Some(person) = block.denied.person() {
            let Some(item) = self.get(&keys::person_head(person)).await? else { return Ok(None) };
            let before: PersonHead = decode(item)?;
            // With the head read first: whoever is erased after this moves it.
            if self.who(std::slice::from_ref(person)).await?.values().any(|it| it.erased.is_some()) {
                return Ok(None);
            }
            // Time never runs backwards for a person.
            let at = before.last_at.map_or(at, |last| last.max(at));
            let evidence = appended(&chain, &before.chain, at, drafts)?;
            let now = |due: &Option<Due>| {
                let now = Due { at, cause: "block".to_owned() };
                Some(due.clone().filter(|due| due.at <= at).unwrap_or(now))
            };
            let next = PersonHead {
                rev: before.rev + 1,
                chain: evidence.head.clone(),
                last_at: Some(at),
                next_start: now(&before.next_start),
                next_end: now(&before.next_end),
            };
            writes.push((For::Head, head_write(person, &next)?.when(as_read(&before))));
            evidence
        } else {
            let end = self.chain_head(&chain).await?;
            let evidence = appended(&chain, &end, at, drafts)?;
            writes.push((For::Head, chain_step(&chain, &end, &evidence.head)?));
            let among = match &block.denied {
                Denied::Profile(profile) => Among::Profile(profile.clone()),
                _ => Among::Everybody,
            };
            let sweep = sweep_write(&Sweep::new(sweep_id(block, word), among, "block", at))?;
            writes.push((For::Record, sweep.when(Condition::known_version())));
            evidence
        };
        writes.extend(evidence.writes.into_iter().map(|write| (For::Evidence, write)));
        self.commit_all(format!("block {}", block.id), writes, &[]).await?;
        Ok(Some(concerned(block, word)))
    }
}

/// Writes a block, which the table may forget a while after its end.
pub(crate) fn block_write(block: &Block) -> Result<Write, StoreError> {
    let write = Write::save(keys::block(&block.id), block)?;
    Ok(match block.until {
        Some(until) => write.with(keys::TTL, number(until.as_second().saturating_add(FORGOTTEN_SECONDS))),
        None => write,
    })
}

/// Moves the end of a chain whose head says nothing else.
pub(crate) fn chain_step(chain: &Chain, before: &ChainHead, after: &ChainHead) -> Result<Write, StoreError> {
    let key = keys::chain_head(chain);
    let end = chain_attribute(&key, after)?;
    let write = Write::update(key, Item::from([("chain".to_owned(), end)])).when(ends_at(before));
    Ok(match chain {
        // What is not listed anywhere else would be missing in an export.
        Chain::Profile(id) => {
            listed(write, keys::LISTS, keys::shard(keys::PROFILES, id.as_str()), id.as_str().to_owned())
        }
        _ => write,
    })
}
