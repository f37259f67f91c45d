//! Evidence as lines that can be checked offline, without this table.

use std::collections::BTreeMap;
use std::io::Write;

use dutykey_engine::ports::ledger::StoreError;
use dutykey_policy::evidence::{Chain, ChainHead, Closing};
use dutykey_policy::rota::hex;
use jiff::Timestamp;
use serde::Deserialize;
use sha2::{Digest, Sha256};

use crate::Store;
use crate::codec::unreadable;
use crate::evidence::{Line, chain_end, lines, records_from};
use crate::keys;

/// What is exported, by the times of the records: from the first record of a chain at or after `from`, up to the next one
/// at or after `to`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Range {
    /// From when on; `None` from the beginning.
    pub from: Option<Timestamp>,
    /// Until when; `None` to the end.
    pub to: Option<Timestamp>,
}

/// How much was exported.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Exported {
    /// Chains with at least one record.
    pub chains: u64,
    /// Records.
    pub records: u64,
}

#[derive(Deserialize)]
struct At {
    at: Timestamp,
}

impl Store {
    /// Writes every record, or those of one chain, one a line, sorted by chain and sequence number, and the closing line.
    /// The chains end where their heads did when the export began; what is recorded meanwhile is left out.
    ///
    /// The closing line of a whole export comes from the heads, not from the records: a record that has been removed from
    /// the table is missed by whoever checks the export.
    ///
    /// # Errors
    /// The table cannot be used, a record cannot be read, or the lines cannot be written.
    pub async fn export(
        &self,
        only: Option<&Chain>,
        range: Range,
        out: &mut (dyn Write + Send),
    ) -> Result<Exported, StoreError> {
        let partial = range != Range::default();
        let mut exported = Exported::default();
        let mut ends = BTreeMap::new();
        for (chain, head) in self.chain_ends(only).await? {
            let (last, records) = self.export_chain(&chain, &head, range, out).await?;
            let end = if partial { last } else { Some(head) };
            if let Some(end) = end {
                ends.insert(chain.to_string(), end);
                exported.chains += 1;
                exported.records += records;
            }
        }
        let closing = Closing { heads: ends, partial };
        let closing = serde_json::to_string(&closing).map_err(|error| unwritten(&error))?;
        writeln!(out, "{closing}").and_then(|()| out.flush()).map_err(|error| unwritten(&error))?;
        Ok(exported)
    }

    /// Where each chain that has records ends, sorted by name.
    async fn chain_ends(&self, only: Option<&Chain>) -> Result<Vec<(Chain, ChainHead)>, StoreError> {
        let chains = match only {
            Some(chain) => vec![chain.clone()],
            None => self.list_chains().await?,
        };
        self.heads_of(chains).await
    }

    /// Where these chains end, of those that have records, in their order.
    pub(crate) async fn heads_of(&self, chains: Vec<Chain>) -> Result<Vec<(Chain, ChainHead)>, StoreError> {
        let mut heads = self.batch_get(chains.iter().map(keys::chain_head)).await?;
        let mut ends = Vec::with_capacity(chains.len());
        for chain in chains {
            if let Some(item) = heads.remove(&keys::chain_head(&chain)) {
                let end = chain_end(item)?;
                if end.seq > 0 {
                    ends.push((chain, end));
                }
            }
        }
        Ok(ends)
    }

    /// Writes one chain's records; answers the last one and how many.
    async fn export_chain(
        &self,
        chain: &Chain,
        head: &ChainHead,
        range: Range,
        out: &mut (dyn Write + Send),
    ) -> Result<(Option<ChainHead>, u64), StoreError> {
        let (mut last, mut records, mut next) = (None, 0, None);
        loop {
            let page = self.page(&records_from(chain, 1), next, None).await?;
            for item in page.items {
                for Line { seq, line } in lines(item)? {
                    if seq > head.seq {
                        return Ok((last, records));
                    }
                    if range != Range::default() {
                        let record: Result<At, _> = serde_json::from_str(&line);
                        let at = record.map_err(|error| unreadable(&keys::evidence(chain, seq), error))?.at;
                        if last.is_none() && range.from.is_some_and(|from| at < from) {
                            continue;
                        }
                        if range.to.is_some_and(|to| at >= to) {
                            return Ok((last, records));
                        }
                    }
                    writeln!(out, "{line}").map_err(|error| unwritten(&error))?;
                    last = Some(ChainHead { seq, hash: hex(&Sha256::digest(&line)) });
                    records += 1;
                }
            }
            next = page.next;
            if next.is_none() {
                return Ok((last, records));
            }
        }
    }
}

fn unwritten(error: &dyn std::error::Error) -> StoreError {
    StoreError::Unavailable(format!("the export cannot be written: {error}"))
}
