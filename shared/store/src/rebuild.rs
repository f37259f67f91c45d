//! A table that was restored from a backup, rebuilt from the copy of its evidence: the records that it lacks, as they were
//! written, and the holds of which they speak, each to be looked at at once.
//!
//! What evidence does not hold stays as it was restored: the configuration, who is who, what was asked for since. What has
//! ended since stays so. While all this is under way nothing is recorded, and until a person has looked nothing is begun or
//! ended.

mod person;

use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use dutykey_engine::ports::ledger::StoreError;
use dutykey_engine::ports::rota::RotationHead;
use dutykey_engine::ports::rules::{Pulse, ReadRules as _, Standstill, WritePulse as _};
use dutykey_engine::ports::sweep::{Among, Sweep};
use dutykey_policy::block::Denied;
use dutykey_policy::evidence::copies::Copies;
use dutykey_policy::evidence::{Chain, ChainHead, Draft, sha256};
use dutykey_policy::hold::Hold;
use dutykey_policy::id::RotationId;
use dutykey_policy::rebuild::denials;
use dutykey_policy::time::{earlier, rfc3339};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::Store;
use crate::block::{block_write, chain_step};
use crate::codec::{Item, number, text, unreadable};
use crate::commit::{For, Writes};
use crate::evidence::{appended, chain_attribute, ends_at, item_write};
use crate::keys;
use crate::rota;
use crate::sweep::sweep_write;
use crate::write::{Condition, Write};

/// Items of a backup differ in age by less than this; their clocks are those of the functions that wrote them.
const SKEW: Duration = Duration::from_secs(60);
/// How often a standstill is tried again where a tick was faster.
const ATTEMPTS: usize = 16;
/// So many items of evidence in one transaction, which takes 4 MB.
const ITEMS: usize = 10;

/// How a chain of the table stands to its copy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Against {
    /// It has all that the copy holds.
    Whole,
    /// It ends here, and the copy goes on.
    Behind(ChainHead),
    /// It went another way than the copy: at this record at the latest.
    Differs(u64),
}

/// A hold of which missing records spoke.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recovered {
    /// As the copy of the evidence leaves it.
    pub copy: Hold,
    /// As the table knew it, if it did.
    pub table: Option<Hold>,
    /// Whether the table knew the person. Whoever was first met since the backup has no link any more.
    pub met: bool,
}

/// A part of the missing records that is one item, and where the chain ends with it.
struct Part {
    end: ChainHead,
    at: Timestamp,
    write: Write,
}

#[derive(Deserialize)]
struct Written {
    at: Timestamp,
}

impl Store {
    /// From now on nothing is begun, ended or recorded. A standstill that there is already goes on as it is.
    ///
    /// # Errors
    /// The table cannot be used.
    pub async fn stand_still(&self, why: &str, at: Timestamp) -> Result<Standstill, StoreError> {
        self.stands(|there| there.unwrap_or_else(|| Standstill { since: at, why: why.to_owned(), rebuilt: false }))
            .await
    }

    /// The table has what it lacked: records may follow, and once a person has looked it may be released.
    ///
    /// # Errors
    /// The table cannot be used.
    pub async fn rebuilt(&self, why: &str, at: Timestamp) -> Result<Standstill, StoreError> {
        let began = || Standstill { since: at, why: why.to_owned(), rebuilt: true };
        self.stands(|there| there.map_or_else(began, |there| Standstill { rebuilt: true, ..there })).await
    }

    /// Whether anything may be recorded: not in a restored table that is not rebuilt yet.
    ///
    /// # Errors
    /// It may not, or the table cannot be used.
    pub async fn may_record(&self) -> Result<(), StoreError> {
        match self.pulse().await?.unrebuilt() {
            Some(standstill) => Err(StoreError::Unavailable(standstill.to_string())),
            None => Ok(()),
        }
    }

    async fn stands(&self, next: impl Fn(Option<Standstill>) -> Standstill) -> Result<Standstill, StoreError> {
        for _ in 0..ATTEMPTS {
            let pulse = self.pulse().await?;
            let standstill = next(pulse.standstill.clone());
            if pulse.standstill.as_ref() == Some(&standstill) {
                return Ok(standstill);
            }
            match self.keep_pulse(&Pulse { standstill: Some(standstill.clone()), ..pulse }).await {
                Ok(()) => return Ok(standstill),
                Err(StoreError::Changed(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Err(changed())
    }

    /// Ends the standstill with its evidence; `None` where there was none. All that is due is sent again, everybody is looked
    /// at, and as after any pause no lease ends before its platform was asked. From now on this table is the one that it
    /// says it is.
    ///
    /// # Errors
    /// The table cannot be used.
    pub async fn release(&self, actor: &str, at: Timestamp) -> Result<Option<Standstill>, StoreError> {
        for _ in 0..ATTEMPTS {
            let pulse = self.pulse().await?;
            let Some(standstill) = pulse.standstill.clone() else { return Ok(None) };
            let unmoved = Condition::is("rev", number(pulse.rev));
            let next = Pulse { standstill: None, resumed_at: Some(at), rev: pulse.rev + 1, ..pulse.unsent() };
            let end = self.chain_head(&Chain::System).await?;
            let evidence = appended(&Chain::System, &end, at, &[released(&standstill, actor)])?;
            let mut writes: Writes = vec![
                (For::Head, Write::save(keys::pulse(), &next)?.when(unmoved)),
                (For::Head, chain_step(&Chain::System, &end, &evidence.head)?),
            ];
            writes.extend(self.is_this_table().await?.map(|write| (For::Record, write)));
            let everybody = Sweep::new(format!("released/{}", rfc3339(at)), Among::Everybody, "release", at);
            writes.push((For::Record, sweep_write(&everybody)?));
            writes.extend(evidence.writes.into_iter().map(|write| (For::Evidence, write)));
            match self.commit_all("the pulse", writes, &[]).await {
                Ok(_) => return Ok(Some(standstill)),
                Err(StoreError::Changed(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Err(changed())
    }

    /// How a chain stands to the copy of it, by the hash of the last record that both have.
    ///
    /// # Errors
    /// The table cannot be used, or a record cannot be read.
    pub async fn against(&self, chain: &Chain, copied: &ChainHead, copies: &Copies) -> Result<Against, StoreError> {
        let head = self.chain_head(chain).await?;
        if head.seq < copied.seq {
            let same = head.seq == 0 || copies.hash(chain, head.seq).as_ref() == Some(&head.hash);
            return Ok(if same { Against::Behind(head) } else { Against::Differs(head.seq) });
        }
        let found = self.evidence(chain, copied.seq, 1).await?;
        let same = found.first().is_some_and(|found| found.seq == copied.seq && sha256(&found.line) == copied.hash);
        Ok(if same { Against::Whole } else { Against::Differs(copied.seq) })
    }

    /// Adds to a chain that ends at `head` what it lacks of the copy, whose records of the chain are `items`, from the first
    /// on. Before them come the blocks, and what has ended of that which a person had asked for, and with the first of a
    /// person's the holds, of which the missing records speak.
    ///
    /// Whoever is interrupted begins again where the chain ends then. Whom the missing records say erased is erased before
    /// ([`Store::erase_again`]): afterwards nothing is missing.
    ///
    /// # Errors
    /// The table cannot be used, the chain has changed since it was compared, or a record cannot be read.
    pub async fn rebuild(
        &self,
        chain: &Chain,
        head: &ChainHead,
        items: &[Vec<String>],
        now: Timestamp,
    ) -> Result<(Vec<Recovered>, Vec<Denied>), StoreError> {
        let mut parts = parts(chain, items)?;
        let surely = surely(head, &parts);
        parts.retain(|part| part.end.seq > surely);
        // A denial counts before any grant that it denies.
        let denied = self.deny_again(chain, surely, items).await?;
        let holds = match chain {
            Chain::Person(person) => self.rebuild_person(person, (head, surely), items, parts, now).await?,
            Chain::Profile(_) | Chain::Rotation(_) | Chain::System => {
                let mut end = head.clone();
                for parts in parts.chunks(ITEMS) {
                    let Some(last) = parts.last() else { break };
                    let step = match chain {
                        Chain::Rotation(rotation) => self.rotation_step(rotation, &end, &last.end).await?,
                        _ => chain_step(chain, &end, &last.end)?,
                    };
                    let mut writes: Writes = vec![(For::Head, step)];
                    writes.extend(parts.iter().map(|part| (For::Evidence, part.write.clone())));
                    self.commit_all(chain, writes, &[]).await?;
                    end = last.end.clone();
                }
                Vec::new()
            }
        };
        Ok((holds, denied))
    }

    /// Denies again what the records of the copy after this one deny, and lifts what they say was lifted; answers what is
    /// denied. A block moves no chain, so that one which went another way than its copy loses none.
    ///
    /// # Errors
    /// The table cannot be used, or a record cannot be read.
    pub async fn deny_again(
        &self,
        chain: &Chain,
        after: u64,
        items: &[Vec<String>],
    ) -> Result<Vec<Denied>, StoreError> {
        let said = denials(after, items.iter().flatten().map(String::as_str));
        let said = said.map_err(|error| unreadable(&keys::evidence(chain, error.seq), error.problem))?;
        let mut denied = Vec::new();
        for (id, block) in said {
            let write = match &block {
                Some(block) => block_write(block)?,
                None => Write::delete(keys::block(&id)),
            };
            self.commit_all(format!("block {id}"), vec![(For::Head, write)], &[]).await?;
            denied.extend(block.map(|block| block.denied));
        }
        Ok(denied)
    }

    /// Moves the end of a rotation's chain. One that the table does not know counts as never read.
    async fn rotation_step(&self, id: &RotationId, from: &ChainHead, to: &ChainHead) -> Result<Write, StoreError> {
        let key = keys::rotation_head(id);
        if self.get(&key).await?.is_none() {
            let unread = RotationHead { chain: to.clone(), ..RotationHead::new(id.clone(), id.to_string()) };
            return Ok(rota::head_write(&unread)?.when(Condition::new()));
        }
        let end = chain_attribute(&key, to)?;
        Ok(Write::update(key, Item::from([("chain".to_owned(), end)])).when(ends_at(from)))
    }
}

fn changed() -> StoreError {
    StoreError::Changed("the pulse".to_owned())
}

fn released(standstill: &Standstill, actor: &str) -> Draft {
    Draft {
        act: "installation.released".to_owned(),
        actor: actor.to_owned(),
        subject: json!({}),
        before: json!({ "since": rfc3339(standstill.since), "why": standstill.why }),
        after: Value::Null,
        why: Value::Null,
    }
}

/// How far a chain that ends here is surely in the table with all that its records speak of. Items of a backup are not all
/// of one instant: those that were written together may be there in part (DynamoDB's guide, *Point-in-time recovery*).
fn surely(head: &ChainHead, parts: &[Part]) -> u64 {
    let there = || parts.iter().rev().filter(|part| part.end.seq <= head.seq);
    let Some(end) = there().next() else { return 0 };
    there().find(|part| part.at < earlier(end.at, SKEW)).map_or(0, |part| part.end.seq)
}

/// The records in the items of the copy: what is copied from the rebuilt table is what is there.
fn parts(chain: &Chain, items: &[Vec<String>]) -> Result<Vec<Part>, StoreError> {
    let mut last = 0;
    let parts = items.iter().filter_map(|lines| {
        last += lines.len() as u64;
        part(chain, lines, last).transpose()
    });
    parts.collect()
}

fn part(chain: &Chain, lines: &[String], last: u64) -> Result<Option<Part>, StoreError> {
    let Some(line) = lines.last() else { return Ok(None) };
    let written: Result<Written, _> = serde_json::from_str(line);
    let Written { at } = written.map_err(|error| unreadable(&keys::evidence(chain, last), error))?;
    let end = ChainHead { seq: last, hash: sha256(line) };
    let lines: Vec<AttributeValue> = lines.iter().map(|line| text(line.as_str())).collect();
    let same = Condition::is("lines", AttributeValue::L(lines.clone()));
    let write = item_write(chain, lines, last, at).when(Condition::Any(vec![Condition::new(), same]));
    Ok(Some(Part { end, at, write }))
}
