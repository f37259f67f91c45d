//! After a restore: the table is held still, gets what it lacks of the copied evidence, and goes on once a person has
//! looked at what that says of each hold.

use std::path::Path;

use dutykey_engine::ports::clock::Clock as _;
use dutykey_engine::ports::rules::{ReadRules as _, Standstill};
use dutykey_engine::ports::summary::ReadSummary as _;
use dutykey_policy::evidence::copies::Copies;
use dutykey_policy::evidence::{Chain, Fault};
use dutykey_policy::hold::{Hold, Outcome, State};
use dutykey_policy::id::RotationId;
use dutykey_policy::time::rfc3339;
use dutykey_runtime::clock::SystemClock;
use dutykey_store::{Against, Recovered, Store};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{plain, print_json};
use crate::cli;
use crate::copies;

/// Who has released it, in the evidence.
const ACTOR: &str = "rebuild";
/// Why it stands still.
const WHY: &str = "the table is being rebuilt from the copy of its evidence";

/// What was found and done.
#[derive(Debug, Default)]
struct Rebuilt {
    chains: u64,
    records: u64,
    holds: Vec<Recovered>,
    faults: Vec<Fault>,
}

/// Rebuilds, or releases. `false` where a chain of the table, or the copy itself, is at fault: nothing of that is written.
///
/// # Errors
/// The table or the copy cannot be used.
pub(crate) async fn run(options: &cli::Rebuild) -> anyhow::Result<bool> {
    let store = crate::data::open(&options.data).await?;
    let now = SystemClock.now();
    let Some(copy) = &options.copy else { return release(&store, now, options).await };
    let read = copies::read(copy)?;
    let standstill = store.stand_still(WHY, now).await?;
    let rebuilt = match read {
        Ok(copies) => rebuild(&store, copy, &copies, now).await?,
        Err(fault) => Rebuilt { faults: vec![fault], ..Rebuilt::default() },
    };
    if options.json {
        print_json(&document(&rebuilt, &standstill))?;
    } else {
        print(&rebuilt);
    }
    Ok(rebuilt.faults.is_empty())
}

async fn rebuild(store: &Store, directory: &Path, copies: &Copies, now: Timestamp) -> anyhow::Result<Rebuilt> {
    let mut rebuilt = Rebuilt::default();
    for (name, copied) in copies.heads() {
        let fault = |seq: u64, problem: &str| Fault { chain: name.to_owned(), seq, problem: problem.to_owned() };
        let Ok(chain) = name.parse::<Chain>() else {
            rebuilt.faults.push(fault(1, "this release knows no such chain"));
            continue;
        };
        match store.against(&chain, &copied, copies).await? {
            Against::Whole => {}
            Against::Differs(seq) => rebuilt.faults.push(fault(seq, "the table holds another record here, or none")),
            Against::Behind(head) => {
                let items = copies::items(directory, &chain)?;
                rebuilt.holds.extend(store.rebuild(&chain, &head, &items, now).await?);
                rebuilt.chains += 1;
                rebuilt.records += copied.seq - head.seq;
            }
        }
    }
    Ok(rebuilt)
}

/// `false` where a rotation was not read since the table stands still: by a view as old as the backup, leases would end.
async fn release(store: &Store, now: Timestamp, options: &cli::Rebuild) -> anyhow::Result<bool> {
    let standstill = store.pulse().await?.standstill;
    let unread = match &standstill {
        Some(standstill) if !options.unread => unread(store, standstill.since).await?,
        _ => Vec::new(),
    };
    let released = if unread.is_empty() { store.release(ACTOR, now).await? } else { None };
    if options.json {
        print_json(&json!({ "released": released.is_some(), "unread": unread }))?;
    } else if let Some(Standstill { since, .. }) = &released {
        out!("released: what was due since {} is begun and ended with the next tick", rfc3339(*since));
    } else if standstill.is_none() {
        out!("nothing stood still");
    } else {
        let named: Vec<_> = unread.iter().map(|id| plain(&id.to_string())).collect();
        out!("NOT RELEASED: since the restore nobody has read {}", named.join(", "));
        out!("Let Dutykey read the rota, or say --unread where a rotation is gone for good.");
    }
    Ok(unread.is_empty())
}

/// The rotations of which nothing was read since then.
async fn unread(store: &Store, since: Timestamp) -> anyhow::Result<Vec<RotationId>> {
    let (followed, _) = store.followed().await?;
    let heads = followed.into_iter().flat_map(|followed| followed.rotations);
    Ok(heads.filter(|head| head.fresh_at.is_none_or(|at| at < since)).map(|head| head.id).collect())
}

fn document(rebuilt: &Rebuilt, standstill: &Standstill) -> Value {
    let side = |hold: &Hold| json!({ "state": hold.state, "until": rfc3339(hold.due) });
    let hold = |Recovered { copy, table }: &Recovered| {
        let profiles: Vec<_> = copy.reasons.iter().map(|reason| &reason.profile).collect();
        json!({
            "person": copy.person, "app": copy.key.app, "account": copy.key.account, "kind": copy.key.place.kind,
            "id": copy.key.place.id, "profiles": profiles, "table": table.as_ref().map(side), "copy": side(copy),
        })
    };
    json!({
        "ok": rebuilt.faults.is_empty(), "standing_still_since": rfc3339(standstill.since),
        "chains": rebuilt.chains, "records": rebuilt.records,
        "holds": rebuilt.holds.iter().map(hold).collect::<Vec<_>>(), "faults": rebuilt.faults,
    })
}

fn print(rebuilt: &Rebuilt) {
    out!("{} records of {} chains were missing and are there again", rebuilt.records, rebuilt.chains);
    if !rebuilt.holds.is_empty() {
        let mut table = crate::output::table(&["person", "app", "what", "the table knew", "the copy says", "until"]);
        for Recovered { copy, table: knew } in &rebuilt.holds {
            let place = &copy.key.place;
            table.add_row([
                copy.person.to_string(),
                copy.key.app.to_string(),
                plain(&format!("{} {}", place.kind, place.id)),
                knew.as_ref().map_or("nothing", |hold| word(hold.state)).to_owned(),
                word(copy.state).to_owned(),
                rfc3339(copy.due),
            ]);
        }
        out!("{table}");
    }
    for Fault { chain, seq, problem } in &rebuilt.faults {
        out!("NOT REBUILT: {}, record {seq}: {}", plain(chain), plain(problem));
    }
    out!("Nothing is begun or ended from now on. Look at this, let Dutykey read the rota again, and then:");
    out!("  dutykey rebuild --release");
}

fn word(state: State) -> &'static str {
    match state {
        State::Wanted => "wanted",
        State::Granting => "being granted",
        State::Held => "held",
        State::Ending => "being ended",
        State::Kept => "standing access",
        State::Stuck => "stuck",
        State::Ended(Outcome::Proven) => "ended, proven gone",
        State::Ended(Outcome::NeverGranted) => "ended, never granted",
        State::Ended(Outcome::StandingKept) => "ended, standing access stays",
        State::Ended(Outcome::ChangedByOthers) => "ended, others have changed it",
        State::Ended(Outcome::AccountGone) => "ended, the account is gone",
        State::Ended(Outcome::WrittenOff) => "ended, written off",
    }
}
