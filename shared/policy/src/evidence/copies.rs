//! The copy of evidence that is kept where Dutykey can add to it and not change it: where its records lie, and how an
//! export compares with it.
//!
//! Whoever can write the table can write every chain anew, and each verifies by itself. The copy shows what stood there.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::{Chain, ChainHead, Closing, Fault, fault};
use crate::rota::hex;
use crate::time::earlier;

/// So long after it was written a record may still be on its way to the copy.
pub const ON_ITS_WAY: Duration = Duration::from_secs(15 * 60);

/// The longest name of a chain's folder, in bytes: a file system takes 255.
const LONGEST: usize = 200;

/// Where in a copy the records of a chain that end with this sequence number lie, with slashes between folders.
#[must_use]
pub fn place(chain: &Chain, last: u64) -> String {
    format!("{}/{last:020}.jsonl", folder(chain))
}

/// Where in a copy the records of a chain lie: `person/per_…`, `system`. What is no letter, digit, `-`, `_` or `.` is
/// escaped, and a long name is replaced by its hash: the records themselves say which chain is theirs.
#[must_use]
pub fn folder(chain: &Chain) -> String {
    let name = chain.to_string();
    match name.split_once('/') {
        Some((kind, id)) => format!("{kind}/{}", part(id)),
        None => name,
    }
}

fn part(id: &str) -> String {
    let mut escaped = String::with_capacity(id.len());
    for byte in id.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            escaped.push_str(&format!("%{byte:02X}"));
        }
    }
    if escaped.len() <= LONGEST { escaped } else { format!("%h{}", hex(&Sha256::digest(id))) }
}

/// What a record says of its place.
#[derive(Deserialize)]
struct Place {
    chain: String,
    seq: u64,
    prev: String,
    at: Timestamp,
}

/// The chains of a copy, each as the hashes of its records.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Copies(BTreeMap<String, Vec<[u8; 32]>>);

impl Copies {
    /// Takes the next record: of each chain from the first on, in any order of the chains. What is held twice counts once.
    ///
    /// # Errors
    /// The copy itself is at fault: it is no record, does not follow the one before it, or another one with its number is
    /// held beside it.
    pub fn line(&mut self, line: &str) -> Result<(), Fault> {
        let place: Result<Place, _> = serde_json::from_str(line);
        let Place { chain, seq, prev, .. } = place.map_err(|_| fault("", 0, "a line of the copy is not a record"))?;
        let hashes = self.0.entry(chain.clone()).or_default();
        let hash: [u8; 32] = Sha256::digest(line.as_bytes()).into();
        let next = hashes.len() as u64 + 1;
        if seq < next {
            return match at(hashes, seq) {
                Some(held) if *held == hash => Ok(()),
                _ => Err(fault(&chain, seq, "the copy holds two records here that differ")),
            };
        }
        if seq > next {
            return Err(fault(&chain, next, "the copy lacks it, and goes on behind it"));
        }
        let before = hashes.last().map_or_else(|| ChainHead::default().hash, |hash| hex(hash));
        if prev != before {
            return Err(fault(&chain, seq, "in the copy it does not follow the record before it"));
        }
        hashes.push(hash);
        Ok(())
    }

    /// Where each chain ends, by its name.
    pub fn heads(&self) -> impl Iterator<Item = (&str, ChainHead)> {
        self.0.iter().filter_map(|(chain, hashes)| {
            let hash = hex(hashes.last()?);
            Some((chain.as_str(), ChainHead { seq: hashes.len() as u64, hash }))
        })
    }

    /// The hash of a record; `None` where the copy has none of this number.
    #[must_use]
    pub fn hash(&self, chain: &Chain, seq: u64) -> Option<String> {
        self.0.get(&chain.to_string()).and_then(|hashes| at(hashes, seq)).map(|hash| hex(hash))
    }

    /// How many records there are.
    #[must_use]
    pub fn records(&self) -> u64 {
        self.0.values().map(|hashes| hashes.len() as u64).sum()
    }
}

/// The hash of the record with this number.
fn at(hashes: &[[u8; 32]], seq: u64) -> Option<&[u8; 32]> {
    hashes.get(usize::try_from(seq.checked_sub(1)?).ok()?)
}

/// Compares an export of all chains with a copy that was fetched before it: whatever the copy holds is in the export, and
/// whatever the export holds is in the copy, but for what may still have been on its way.
#[derive(Debug)]
pub struct Comparison {
    copies: Copies,
    /// How far the export goes in each of its chains.
    exported: BTreeMap<String, u64>,
    /// The first record of each chain that the copy lacks, when it was written, and how many it lacks.
    lacking: BTreeMap<String, (u64, Timestamp, u64)>,
    /// Whether the export is of a part of the time only, so that it says nothing of what it lacks.
    partial: bool,
    /// The first fault by chain and number.
    first: Option<Fault>,
}

impl Comparison {
    /// A comparison with this copy.
    #[must_use]
    pub fn with(copies: Copies) -> Self {
        let (exported, lacking) = (BTreeMap::new(), BTreeMap::new());
        Self { copies, exported, lacking, partial: false, first: None }
    }

    /// Whether the export was of a part of the time only, so that what it lacks was not looked for.
    #[must_use]
    pub fn is_partial(&self) -> bool {
        self.partial
    }

    /// Takes the next line of an export whose lines verify.
    pub fn line(&mut self, line: &str) {
        let Ok(Place { chain, seq, at: written, .. }) = serde_json::from_str::<Place>(line) else {
            match serde_json::from_str::<Closing>(line) {
                Ok(closing) => self.partial = closing.partial,
                Err(_) => {
                    self.found(fault("", 0, "a line of the export is neither a record with its time nor the last line"))
                }
            }
            return;
        };
        self.exported.insert(chain.clone(), seq);
        match self.copies.0.get(&chain).and_then(|hashes| at(hashes, seq)) {
            Some(hash) if hash.as_slice() == Sha256::digest(line.as_bytes()).as_slice() => {}
            Some(_) => self.found(fault(&chain, seq, "the copy holds another record here")),
            None => self.lacking.entry(chain).or_insert((seq, written, 0)).2 += 1,
        }
    }

    fn found(&mut self, fault: Fault) {
        let comes_first = |first: &Fault| (&fault.chain, fault.seq) < (&first.chain, first.seq);
        if self.first.as_ref().is_none_or(comes_first) {
            self.first = Some(fault);
        }
    }

    /// How many records the copy lacks that may still be on their way at `now`, once every line was compared.
    ///
    /// # Errors
    /// The first fault: a record that differs, a chain or a tail that the export or the copy lacks.
    pub fn finish(mut self, now: Timestamp) -> Result<u64, Fault> {
        let young = earlier(now, ON_ITS_WAY);
        let mut on_their_way = 0;
        for (chain, (seq, written, records)) in std::mem::take(&mut self.lacking) {
            if written >= young {
                on_their_way += records;
                continue;
            }
            let whole = self.copies.0.contains_key(&chain);
            self.found(fault(&chain, seq, if whole { "the copy lacks it" } else { "the copy lacks the chain" }));
        }
        let copied = if self.partial { BTreeMap::new() } else { std::mem::take(&mut self.copies.0) };
        for (chain, hashes) in copied {
            let end = self.exported.get(&chain).copied().unwrap_or(0);
            if end < hashes.len() as u64 {
                let what = if end == 0 { "the export lacks the chain" } else { "the export lacks it" };
                self.found(fault(&chain, end + 1, &format!("{what}, and the copy holds it")));
            }
        }
        self.first.map_or(Ok(on_their_way), Err)
    }
}
