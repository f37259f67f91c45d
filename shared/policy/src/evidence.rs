//! Evidence: one hash-chained record per decision or act, and the offline check of an export.
//!
//! A record is a JSON object in the canonical form of RFC 8785, integers only; its hash is the SHA-256 of those bytes, and
//! the next record of its chain carries it. People are named by Dutykey's own IDs, so that a person can be erased while
//! every chain still verifies.

pub mod copies;
mod sealed;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::hold::{Call, Hold, State};
use crate::id::{PersonId, ProfileId, RotationId};
use crate::rota::hex;
use crate::time::rfc3339;

pub use sealed::Sealed;

/// The version of the record's form that this release writes.
pub const VERSION: u32 = 1;

/// Which chain a record belongs to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Chain {
    /// What concerns one person.
    Person(PersonId),
    /// What concerns one profile.
    Profile(ProfileId),
    /// What concerns one rotation.
    Rotation(RotationId),
    /// What concerns the installation.
    System,
}

impl std::fmt::Display for Chain {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Person(id) => write!(f, "person/{id}"),
            Self::Profile(id) => write!(f, "profile/{id}"),
            Self::Rotation(id) => write!(f, "rotation/{id}"),
            Self::System => f.write_str("system"),
        }
    }
}

/// A text is not the name of a chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a chain: person/ID, profile/ID, rotation/ID or system")]
pub struct NoChain;

impl std::str::FromStr for Chain {
    type Err = NoChain;

    fn from_str(name: &str) -> Result<Self, NoChain> {
        match name.split_once('/') {
            None if name == "system" => Ok(Self::System),
            Some(("person", id)) => id.parse().map(Self::Person).map_err(|_| NoChain),
            Some(("profile", id)) => id.parse().map(Self::Profile).map_err(|_| NoChain),
            Some(("rotation", id)) => id.parse().map(Self::Rotation).map_err(|_| NoChain),
            _ => Err(NoChain),
        }
    }
}

/// The end of a chain: the next record follows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChainHead {
    /// The last record's sequence number; 0 before the first.
    pub seq: u64,
    /// The last record's hash; 64 zeros before the first.
    pub hash: String,
}

impl Default for ChainHead {
    fn default() -> Self {
        Self { seq: 0, hash: "0".repeat(64) }
    }
}

/// What is to be recorded, before it has its place in a chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Draft {
    /// What happened, in two words: `grant.attempt`, `hold.held`, ...
    pub act: String,
    /// Who did it: a function of Dutykey, or a person by ID.
    pub actor: String,
    /// To what.
    pub subject: Value,
    /// What was so before.
    pub before: Value,
    /// What is so now.
    pub after: Value,
    /// Why.
    pub why: Value,
}

/// A record in its chain: its canonical bytes and the head that it makes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Its place and hash.
    pub head: ChainHead,
    /// The canonical JSON, one line.
    pub line: String,
}

/// A record could not be written in canonical form.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("evidence of `{act}` has no canonical form: {problem}")]
pub struct Uncanonical {
    act: String,
    problem: String,
}

/// The hash of a record, as the next one and the chain's head name it: SHA-256 of its line, in hexadecimal digits.
#[must_use]
pub fn sha256(line: &str) -> String {
    hex(&Sha256::digest(line.as_bytes()))
}

/// Gives the drafts their places after `head`.
///
/// # Errors
/// A draft that has no canonical form: a number that is not an integer within 2^53.
pub fn append(chain: &Chain, head: &ChainHead, at: Timestamp, drafts: &[Draft]) -> Result<Vec<Record>, Uncanonical> {
    let mut head = head.clone();
    let mut records = Vec::with_capacity(drafts.len());
    for draft in drafts {
        let uncanonical = |problem: String| Uncanonical { act: draft.act.clone(), problem };
        let Draft { act, actor, subject, before, after, why } = draft;
        let record = json!({
            "v": VERSION, "chain": chain.to_string(), "seq": head.seq + 1, "prev": head.hash, "at": rfc3339(at),
            "actor": actor, "act": act, "subject": subject, "before": before, "after": after, "why": why,
        });
        if !exact(&record) {
            return Err(uncanonical("a number is not an integer within 2^53".to_owned()));
        }
        let line = serde_json_canonicalizer::to_string(&record).map_err(|error| uncanonical(error.to_string()))?;
        head = ChainHead { seq: head.seq + 1, hash: sha256(&line) };
        records.push(Record { head: head.clone(), line });
    }
    Ok(records)
}

/// Whether every number is an integer that the canonical form, whose numbers are doubles, keeps exactly.
fn exact(value: &Value) -> bool {
    const LIMIT: u64 = (1 << 53) - 1;
    match value {
        Value::Number(number) => {
            number.as_u64().or(number.as_i64().map(i64::unsigned_abs)).is_some_and(|size| size <= LIMIT)
        }
        Value::Array(items) => items.iter().all(exact),
        Value::Object(fields) => fields.values().all(exact),
        Value::Null | Value::Bool(_) | Value::String(_) => true,
    }
}

/// What changed about a hold, as evidence. `None` where nothing that matters did.
#[must_use]
pub fn of_hold(before: Option<&Hold>, after: &Hold, actor: &str) -> Option<Draft> {
    let attempt = |hold: &Hold| hold.open.as_ref().map(|open| open.number);
    let act = if attempt(after).is_some() && before.and_then(attempt) != attempt(after) {
        let call = after.open.as_ref().map(|open| open.call);
        format!("{}.attempt", call.map_or("call", call_word))
    } else if before.map(|hold| hold.state) != Some(after.state) {
        format!("hold.{}", state_word(after.state))
    } else if before.is_some_and(|hold| failures(hold) < failures(after)) {
        "attempt.failed".to_owned()
    } else if before.is_some_and(|hold| attempt(hold).is_some() && attempt(after).is_none()) {
        "attempt.answered".to_owned()
    } else if before.is_some_and(|hold| hold.reasons != after.reasons) {
        "hold.reasons".to_owned()
    } else if before.is_some_and(|hold| essence(hold) != essence(after)) {
        "hold.changed".to_owned()
    } else {
        return None;
    };
    Some(draft(act, before, after, actor))
}

/// That an administrator has written a hold off. The reason is in it as its digest only.
#[must_use]
pub fn of_write_off(before: &Hold, after: &Hold, by: &PersonId, reason: &Sealed) -> Draft {
    let mut draft = draft("hold.written_off".to_owned(), Some(before), after, by.as_str());
    if let Value::Object(fields) = &mut draft.after {
        fields.insert("reason".to_owned(), json!(reason.digest()));
    }
    draft
}

fn draft(act: String, before: Option<&Hold>, after: &Hold, actor: &str) -> Draft {
    let key = &after.key;
    Draft {
        act,
        actor: actor.to_owned(),
        subject: json!({
            "person": after.person, "app": key.app, "account": key.account, "kind": key.place.kind, "place": key.place.id,
        }),
        before: before.map_or(Value::Null, summary),
        after: summary(after),
        why: json!(
            after
                .reasons
                .iter()
                .map(|reason| json!({
                    "profile": reason.profile, "version": reason.version, "origin": reason.origin,
                    "from": rfc3339(reason.from), "until": rfc3339(reason.until),
                }))
                .collect::<Vec<_>>()
        ),
    }
}

fn failures(hold: &Hold) -> u32 {
    hold.retry.as_ref().map_or(0, |retry| retry.failures)
}

fn call_word(call: Call) -> &'static str {
    match call {
        Call::Grant => "grant",
        Call::Revoke => "revoke",
        Call::Extend => "extend",
    }
}

fn state_word(state: State) -> &'static str {
    match state {
        State::Wanted => "wanted",
        State::Granting => "granting",
        State::Held => "held",
        State::Ending => "ending",
        State::Ended(_) => "ended",
        State::Kept => "kept",
        State::Stuck => "stuck",
    }
}

/// What a hold cannot be rebuilt without, beside its state, its attempt and its reasons.
fn essence(hold: &Hold) -> impl PartialEq + '_ {
    let values = (&hold.shape, &hold.base, &hold.set, &hold.setting);
    (values, hold.touched, hold.ownership, hold.due, hold.native_end)
}

/// Whether something of ours is there, as the state alone tells it. A record says where it is otherwise.
pub(crate) fn touches(state: State) -> bool {
    matches!(state, State::Held | State::Ending)
}

fn summary(hold: &Hold) -> Value {
    let time = |at: Option<Timestamp>| at.map(rfc3339);
    let mut summary = json!({
        "state": hold.state, "shape": hold.shape, "base": hold.base, "set": hold.set, "due": rfc3339(hold.due),
        "attempt": hold.open.as_ref().map(|open| json!({
            "number": open.number, "call": open.call, "started": rfc3339(open.started), "not_after": rfc3339(open.not_after),
        })),
        "attempts": hold.attempts, "failures": failures(hold), "ownership": hold.ownership,
        "read_at": time(hold.checked_at), "native_end": time(hold.native_end),
    });
    if let Value::Object(fields) = &mut summary {
        if hold.touched != touches(hold.state) {
            fields.insert("touched".to_owned(), json!(hold.touched));
        }
        if let Some(setting) = &hold.setting {
            fields.insert("setting".to_owned(), json!(setting));
        }
    }
    summary
}

/// What is wrong with an export, at the first place where something is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, thiserror::Error)]
#[error("{chain} {seq}: {problem}")]
pub struct Fault {
    /// The chain; empty where the line names none.
    pub chain: String,
    /// The record's sequence number; 0 where the line names none.
    pub seq: u64,
    /// What is wrong.
    pub problem: String,
}

/// What an export that verifies consists of.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verified {
    /// The head of each chain.
    pub heads: BTreeMap<String, ChainHead>,
    /// How many records there are.
    pub records: u64,
}

/// The last line of an export: where each of its chains ends, and whether it began in the middle of some.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Closing {
    /// The head of each chain.
    pub heads: BTreeMap<String, ChainHead>,
    /// Whether the export was asked for a part only, so that chains may begin after their first record.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub partial: bool,
}

#[derive(Deserialize)]
struct Line {
    v: u32,
    chain: String,
    seq: u64,
    prev: String,
}

/// Checks the lines of an export one by one.
#[derive(Debug, Default)]
pub struct Verifier {
    verified: Verified,
    /// Where an earlier export ended, by chain: those records must still be there, unchanged.
    since: BTreeMap<String, ChainHead>,
    began_later: Option<(String, u64)>,
    closed: bool,
}

impl Verifier {
    /// A check that also looks for everything that an earlier, verified export held.
    #[must_use]
    pub fn since(earlier: Verified) -> Self {
        Self { since: earlier.heads, ..Self::default() }
    }

    /// Checks the next line.
    ///
    /// # Errors
    /// The first fault.
    pub fn line(&mut self, line: &str) -> Result<(), Fault> {
        if self.closed {
            return Err(fault("", 0, "there are lines after the closing line"));
        }
        let Ok(record) = serde_json::from_str::<Line>(line) else {
            let closing: Closing = serde_json::from_str(line).map_err(|_| fault("", 0, "a line is not a record"))?;
            return self.close(&closing);
        };
        let Line { v, chain, seq, prev } = record;
        if v != VERSION {
            return Err(fault(&chain, seq, "its version is not known to this release"));
        }
        let value: Value = serde_json::from_str(line).map_err(|_| fault(&chain, seq, "it is not JSON"))?;
        if serde_json_canonicalizer::to_string(&value).ok().as_deref() != Some(line) {
            return Err(fault(&chain, seq, "it is not in canonical form"));
        }
        match self.verified.heads.get(&chain) {
            Some(head) if head.seq + 1 != seq => {
                return Err(fault(&chain, seq, &format!("it should be {}", head.seq + 1)));
            }
            Some(head) if head.hash != prev => {
                return Err(fault(&chain, seq, "it does not follow the record before it"));
            }
            None if seq == 1 && prev != ChainHead::default().hash => {
                return Err(fault(&chain, seq, "the first record names one before it"));
            }
            None if seq != 1 => {
                self.follows(&chain, seq, &prev)?;
                self.began_later = Some((chain.clone(), seq));
            }
            Some(_) | None => {}
        }
        let head = ChainHead { seq, hash: sha256(line) };
        if self.since.get(&chain).is_some_and(|earlier| earlier.seq == seq && earlier.hash != head.hash) {
            return Err(fault(&chain, seq, "it is not the record that the earlier export held"));
        }
        self.verified.heads.insert(chain, head);
        self.verified.records += 1;
        Ok(())
    }

    /// A chain that begins after its first record goes on where the earlier export ended, or before.
    fn follows(&self, chain: &str, seq: u64, prev: &str) -> Result<(), Fault> {
        let Some(earlier) = self.since.get(chain) else { return Ok(()) };
        if seq > earlier.seq + 1 {
            return Err(fault(
                chain,
                earlier.seq + 1,
                "it is missing: neither this export nor the earlier one holds it",
            ));
        }
        if seq == earlier.seq + 1 && prev != earlier.hash {
            return Err(fault(chain, seq, "it does not follow the last record of the earlier export"));
        }
        Ok(())
    }

    fn close(&mut self, closing: &Closing) -> Result<(), Fault> {
        if let (Some((chain, seq)), false) = (&self.began_later, closing.partial) {
            return Err(fault(chain, *seq, "the records before it are missing"));
        }
        let names = closing.heads.keys().chain(self.verified.heads.keys());
        for chain in names {
            let (said, found) = (closing.heads.get(chain), self.verified.heads.get(chain));
            if said != found {
                let seq = found.map_or(0, |head| head.seq);
                return Err(fault(chain, seq, "the chain does not end where the closing line says"));
            }
        }
        self.closed = true;
        Ok(())
    }

    /// The result, once every line was checked.
    ///
    /// # Errors
    /// A missing closing line, or a chain or tail that the earlier export held and this one does not.
    pub fn finish(self) -> Result<Verified, Fault> {
        if !self.closed {
            return Err(fault("", 0, "the closing line is missing"));
        }
        for (chain, earlier) in &self.since {
            let found = self.verified.heads.get(chain).map_or(0, |head| head.seq);
            if found < earlier.seq {
                return Err(fault(chain, found + 1, "the earlier export held it, and it is missing"));
            }
        }
        Ok(self.verified)
    }
}

fn fault(chain: &str, seq: u64, problem: &str) -> Fault {
    Fault { chain: chain.to_owned(), seq, problem: problem.to_owned() }
}
