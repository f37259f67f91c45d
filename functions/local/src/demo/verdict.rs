//! The verdict on the demonstration: each promise that it can show, judged from what really happened at the target and
//! from the exported evidence, not from what the ledger says of itself.

use std::collections::{BTreeMap, BTreeSet};

use dutykey_engine::ports::witness::Event;
use dutykey_policy::evidence::Verified;
use dutykey_policy::hold::{Act, Hold, Outcome, State};
use dutykey_policy::time::rfc3339;
use dutykey_targets::sandbox::{By, Change, Effect, Truth};
use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

use super::show::{Names, reasons};

/// The most that a call may be late, in milliseconds: P12.
const ON_TIME_MS: i64 = 2_000;

/// One grant or revocation.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct ActRow {
    pub(crate) act: &'static str,
    pub(crate) person: String,
    pub(crate) app: String,
    pub(crate) id: String,
    #[serde(skip)]
    pub(crate) name: String,
    pub(crate) due: String,
    pub(crate) known: String,
    pub(crate) started: String,
    pub(crate) done: Option<String>,
    pub(crate) lag_ms: i64,
    pub(crate) proven: bool,
    pub(crate) why: String,
}

/// Whether a promise was kept, and what shows it.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Judged {
    pub(crate) ok: bool,
    pub(crate) detail: String,
}

/// The evidence, as verified.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct EvidenceRow {
    pub(crate) chains: usize,
    pub(crate) records: u64,
    pub(crate) verified: bool,
}

/// The verdict.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Verdict {
    pub(crate) ok: bool,
    pub(crate) acts: Vec<ActRow>,
    pub(crate) standing_intact: bool,
    pub(crate) evidence: EvidenceRow,
    pub(crate) promises: BTreeMap<&'static str, Judged>,
}

/// What the verdict is made from.
#[derive(Debug)]
pub(crate) struct Facts<'a> {
    /// What happened, in order.
    pub(crate) events: &'a [Event],
    /// What others call things.
    pub(crate) names: &'a Names,
    /// When the demonstration began.
    pub(crate) epoch: Timestamp,
    /// What took effect at the target.
    pub(crate) effects: &'a [Effect],
    /// Who has what at the end.
    pub(crate) truth: &'a Truth,
    /// Who would have what at the end, had Dutykey never called.
    pub(crate) standing: &'a Truth,
    /// Holds that are not over at the end.
    pub(crate) open: &'a [Hold],
    /// The exported evidence, line by line.
    pub(crate) evidence: &'a [String],
    /// What the offline check says of it.
    pub(crate) verified: &'a Result<Verified, String>,
}

/// Judges.
pub(crate) fn judge(facts: &Facts<'_>) -> Verdict {
    let acts = acts(facts);
    let promises = BTreeMap::from([
        ("P1", no_access_without_reason(facts)),
        ("P2", end_before_start(facts)),
        ("P3", standing_untouched(facts)),
        ("P4", reasons_counted(facts)),
        ("P5", revocations_read_back(facts)),
        ("P6", nothing_ended_early(facts)),
        ("P9", everything_has_evidence(facts)),
        ("P12", on_time(&acts)),
    ]);
    let evidence = match facts.verified {
        Ok(verified) => EvidenceRow { chains: verified.heads.len(), records: verified.records, verified: true },
        Err(_) => EvidenceRow { chains: 0, records: facts.evidence.len() as u64, verified: false },
    };
    Verdict {
        ok: promises.values().all(|judged| judged.ok),
        acts,
        standing_intact: promises.get("P3").is_some_and(|judged| judged.ok),
        evidence,
        promises,
    }
}

fn judged(broken: &[String], kept: String) -> Judged {
    match broken.first() {
        None => Judged { ok: true, detail: kept },
        Some(first) => Judged { ok: false, detail: format!("{first} ({} in all)", broken.len()) },
    }
}

fn acts(facts: &Facts<'_>) -> Vec<ActRow> {
    let row = |act: &'static str, hold: &Hold, times: Act, proven: bool| ActRow {
        act,
        person: facts.names.person(&hold.person),
        app: hold.key.app.to_string(),
        id: hold.key.place.id.clone(),
        name: facts.names.place(hold),
        due: rfc3339(times.due),
        known: rfc3339(times.known),
        started: rfc3339(times.started),
        done: times.done.map(rfc3339),
        lag_ms: times.lag_ms(),
        proven,
        why: reasons(hold, facts.epoch),
    };
    facts
        .events
        .iter()
        .filter_map(|event| match event {
            Event::Granted(hold) => hold.granted.map(|act| row("grant", hold, act, act.done.is_some())),
            Event::Revoked(hold) => {
                hold.revoked.map(|act| row("revoke", hold, act, hold.state == State::Ended(Outcome::Proven)))
            }
            _ => None,
        })
        .collect()
}

fn ours<'a>(facts: &'a Facts<'_>) -> impl Iterator<Item = &'a Effect> {
    facts.effects.iter().filter(|effect| effect.by == By::Dutykey)
}

fn place(effect: &Effect) -> (String, String) {
    (effect.account.to_string(), effect.place.id.clone())
}

fn no_access_without_reason(facts: &Facts<'_>) -> Judged {
    let mut broken: Vec<String> = facts.open.iter().map(|hold| format!("{} is still open", hold.key)).collect();
    if facts.truth != facts.standing {
        broken.push("the target is not as it would be without Dutykey".to_owned());
    }
    judged(&broken, "nothing of ours is left after the last shift".to_owned())
}

/// The records of attempts at a place: when each was written, and whether it names the end.
fn attempts(facts: &Facts<'_>, act: &str) -> BTreeMap<(String, String), Vec<(String, bool)>> {
    let mut attempts: BTreeMap<(String, String), Vec<(String, bool)>> = BTreeMap::new();
    for record in facts.evidence.iter().filter_map(|line| serde_json::from_str::<Value>(line).ok()) {
        let text = |pointer: &str| record.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
        let key = (text("/subject/account"), text("/subject/place"));
        if let (Some(said), (Some(account), Some(place)), Some(at)) = (text("/act"), key, text("/at"))
            && said == act
        {
            attempts.entry((account, place)).or_default().push((at, text("/after/due").is_some()));
        }
    }
    attempts
}

fn end_before_start(facts: &Facts<'_>) -> Judged {
    let attempts = attempts(facts, "grant.attempt");
    let added: Vec<&Effect> = ours(facts).filter(|effect| effect.change == Change::Added).collect();
    let written_before = |effect: &&&Effect| {
        let at = rfc3339(effect.at);
        attempts.get(&place(effect)).is_some_and(|records| records.iter().any(|(when, ends)| *ends && *when <= at))
    };
    let broken: Vec<String> = added
        .iter()
        .filter(|effect| !written_before(effect))
        .map(|effect| format!("{} came to {} without a recorded end", effect.place.id, effect.account))
        .collect();
    judged(&broken, format!("the end of all {} grants was written before the call", added.len()))
}

fn standing_untouched(facts: &Facts<'_>) -> Judged {
    let standing: BTreeSet<(String, String)> = facts
        .standing
        .members
        .iter()
        .flat_map(|(group, members)| members.iter().map(move |member| (member.to_string(), group.clone())))
        .collect();
    let broken: Vec<String> = ours(facts)
        .filter(|effect| standing.contains(&place(effect)))
        .map(|effect| format!("the standing access of {} to {} was changed", effect.account, effect.place.id))
        .collect();
    judged(&broken, format!("{} standing access was never touched", standing.len()))
}

fn reasons_counted(facts: &Facts<'_>) -> Judged {
    let mut held: BTreeSet<(String, String)> = BTreeSet::new();
    let mut broken = Vec::new();
    for effect in ours(facts) {
        let fits = match effect.change {
            Change::Added => held.insert(place(effect)),
            Change::Removed => held.remove(&place(effect)),
            Change::Set { .. } | Change::Noted => true,
        };
        if !fits {
            broken.push(format!("{} at {} changed twice", effect.account, effect.place.id));
        }
    }
    let grants = ours(facts).filter(|effect| effect.change == Change::Added).count();
    let expected: BTreeSet<(String, String, Timestamp)> = facts
        .events
        .iter()
        .filter_map(|event| match event {
            Event::Revoked(hold) => Some((hold.key.account.to_string(), hold.key.place.id.clone(), hold.due)),
            _ => None,
        })
        .collect();
    if grants != expected.len() {
        broken.push(format!("{grants} grants took effect for {} stretches of reasons", expected.len()));
    }
    judged(&broken, format!("{grants} grants and as many revocations, for overlapping reasons too"))
}

fn revocations_read_back(facts: &Facts<'_>) -> Judged {
    let revoked: Vec<&Hold> = facts
        .events
        .iter()
        .filter_map(|event| match event {
            Event::Revoked(hold) => Some(hold.as_ref()),
            _ => None,
        })
        .collect();
    let broken: Vec<String> = revoked
        .iter()
        .filter(|hold| hold.state != State::Ended(Outcome::Proven))
        .map(|hold| format!("{} was not read back", hold.key))
        .collect();
    judged(&broken, format!("all {} revocations were read back as gone", revoked.len()))
}

fn nothing_ended_early(facts: &Facts<'_>) -> Judged {
    let due: Vec<(String, String, Timestamp)> = facts
        .events
        .iter()
        .filter_map(|event| match event {
            Event::Revoked(hold) => {
                hold.revoked.map(|act| (hold.key.account.to_string(), hold.key.place.id.clone(), act.due))
            }
            _ => None,
        })
        .collect();
    let fails = facts.events.iter().filter(|event| matches!(event, Event::ViewFailed { .. })).count();
    let early = |effect: &&Effect| {
        let (account, group) = place(effect);
        !due.iter().any(|(who, what, at)| *who == account && *what == group && *at <= effect.at)
    };
    let broken: Vec<String> = ours(facts)
        .filter(|effect| effect.change == Change::Removed)
        .filter(early)
        .map(|effect| format!("{} lost {} before its end", effect.account, effect.place.id))
        .collect();
    judged(&broken, format!("{fails} reads failed; nobody lost access before its known end"))
}

fn everything_has_evidence(facts: &Facts<'_>) -> Judged {
    let mut broken = Vec::new();
    if let Err(fault) = facts.verified {
        broken.push(format!("the export does not verify: {fault}"));
    }
    for (change, act) in [(Change::Added, "grant.attempt"), (Change::Removed, "revoke.attempt")] {
        let mut attempts = attempts(facts, act);
        for effect in ours(facts).filter(|effect| effect.change == change) {
            let records = attempts.entry(place(effect)).or_default();
            let at = rfc3339(effect.at);
            match records.iter().rposition(|(when, _)| *when <= at) {
                Some(index) => drop(records.remove(index)),
                None => broken.push(format!("{} at {} has no record of its own", effect.account, effect.place.id)),
            }
        }
    }
    judged(&broken, "each effect has its own record, and the chains verify offline".to_owned())
}

fn on_time(acts: &[ActRow]) -> Judged {
    let broken: Vec<String> = acts
        .iter()
        .filter(|act| act.lag_ms > ON_TIME_MS)
        .map(|act| format!("the {} of {} for {} was {} ms late", act.act, act.name, act.person, act.lag_ms))
        .collect();
    let most = acts.iter().map(|act| act.lag_ms).max().unwrap_or_default();
    judged(&broken, format!("every call left in time; the latest {most} ms after it was due"))
}
