//! After a restore: the table is held still, gets what it lacks of the copied evidence, and goes on once a person has
//! looked at what that says of each hold.

use std::path::Path;

use anyhow::Context as _;
use dutykey_engine::ports::clock::Clock as _;
use dutykey_engine::ports::rota::Unsettled;
use dutykey_engine::ports::rules::{ReadRules as _, Standstill};
use dutykey_engine::ports::summary::ReadSummary as _;
use dutykey_policy::block::Denied;
use dutykey_policy::evidence::{Chain, ChainHead, Fault};
use dutykey_policy::hold::{Hold, Outcome, State};
use dutykey_policy::id::{HoldKey, PersonId, RotationId};
use dutykey_policy::rebuild::holds;
use dutykey_policy::time::rfc3339;
use dutykey_runtime::clock::SystemClock;
use dutykey_store::{Against, Recovered, Store};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{plain, print_json};
use crate::cli;
use crate::copies;

/// Who has released it, in the evidence.
const ACTOR: &str = "cli";
/// Why it stands still.
const WHY: &str = "the table was restored from a backup";

/// What was found and done.
#[derive(Debug, Default)]
struct Rebuilt {
    chains: u64,
    records: u64,
    holds: Vec<Recovered>,
    /// Open holds of chains that were left alone, by the copy.
    apart: Vec<Hold>,
    denied: Vec<Denied>,
    /// Whom the copy says erased: what the backup had brought back of them is gone again.
    erased: Vec<PersonId>,
    faults: Vec<Fault>,
    /// Whether something could not be done that another run may do.
    unfinished: bool,
}

/// Rebuilds, or releases. `false` where a chain of the table, or of the copy, is at fault and was left alone, or nothing was
/// released.
///
/// # Errors
/// The table or the copy cannot be used.
pub(crate) async fn run(options: &cli::Rebuild) -> anyhow::Result<bool> {
    let store = crate::data::open(&options.data).await?;
    let now = SystemClock.now();
    if options.release {
        return release(&store, now, options).await;
    }
    let mut rebuilt = Rebuilt::default();
    if let Some(copy) = &options.copy {
        let (copies, faults) = copies::read(copy)?;
        anyhow::ensure!(
            copies.records() > 0,
            "{} holds no evidence; name the directory above `system`",
            copy.display()
        );
        store.stand_still(WHY, now).await?;
        rebuilt.faults = faults;
        for (name, copied) in copies.heads() {
            let chain = async {
                let chain = name.parse::<Chain>().context("this release knows no such chain")?;
                let against = store.against(&chain, &copied, &copies).await?;
                rebuild(&store, copy, (&chain, &copied), against, now, &mut rebuilt).await
            };
            // What stops one chain stops no other.
            if let Err(error) = chain.await {
                rebuilt.faults.push(fault(name, copied.seq, &format!("{error:#}")));
                rebuilt.unfinished = true;
            }
        }
    }
    // What is recorded before all is there goes another way than its copy.
    let standstill = match rebuilt.unfinished {
        true => store.stand_still(WHY, now).await?,
        false => store.rebuilt(WHY, now).await?,
    };
    if options.json {
        print_json(&document(&rebuilt, &standstill))?;
    } else {
        print(&rebuilt, &options.data);
    }
    Ok(rebuilt.faults.is_empty())
}

async fn rebuild(
    store: &Store,
    copy: &Path,
    (chain, copied): (&Chain, &ChainHead),
    against: Against,
    now: Timestamp,
    rebuilt: &mut Rebuilt,
) -> anyhow::Result<()> {
    match against {
        Against::Whole => {}
        Against::Differs(seq) => {
            let problem = "the table went another way than its copy, and was left alone";
            rebuilt.faults.push(fault(&chain.to_string(), seq, problem));
            let items = copies::items(copy, chain, copied.seq)?;
            rebuilt.erased.extend(store.erase_again(chain, &items).await?);
            rebuilt.denied.extend(store.deny_again(chain, 0, &items).await?);
            let said = holds(items.iter().flatten().map(String::as_str))?;
            rebuilt.apart.extend(said.into_values().map(|rebuilt| rebuilt.hold).filter(|hold| !hold.is_over()));
        }
        Against::Behind(head) => {
            let items = copies::items(copy, chain, copied.seq)?;
            rebuilt.erased.extend(store.erase_again(chain, &items).await?);
            let (holds, denied) = store.rebuild(chain, &head, &items, now).await?;
            rebuilt.holds.extend(holds);
            rebuilt.denied.extend(denied);
            rebuilt.chains += 1;
            rebuilt.records += copied.seq - head.seq;
        }
    }
    Ok(())
}

fn fault(chain: &str, seq: u64, problem: &str) -> Fault {
    Fault { chain: chain.to_owned(), seq, problem: problem.to_owned() }
}

/// `false` where nothing may be released yet.
async fn release(store: &Store, now: Timestamp, options: &cli::Rebuild) -> anyhow::Result<bool> {
    let pulse = store.pulse().await?;
    let waits = match (&pulse.standstill, pulse.unrebuilt()) {
        (_, Some(_)) => vec!["it is not rebuilt: `dutykey rebuild --copy DIR` comes first".to_owned()],
        (Some(standstill), None) => unplanned(store, standstill.since, &options.without).await?,
        (None, None) => Vec::new(),
    };
    let released = if waits.is_empty() { store.release(ACTOR, now).await? } else { None };
    if options.json {
        print_json(&json!({ "released": released.is_some(), "waits_for": waits }))?;
    } else if let Some(Standstill { since, .. }) = &released {
        out!("released: what was due since {} is begun and ended with the next tick", rfc3339(*since));
    } else if waits.is_empty() {
        out!("nothing stood still");
    } else {
        out!("NOT RELEASED");
        waits.iter().for_each(|waits| out!("  {}", plain(waits)));
    }
    Ok(waits.is_empty())
}

/// The rotations that do not count yet as their platforms show them, but for those that are gone from them.
async fn unplanned(store: &Store, since: Timestamp, without: &[RotationId]) -> anyhow::Result<Vec<String>> {
    let (followed, _) = store.followed().await?;
    let why = |unsettled: Unsettled| match unsettled {
        Unsettled::Unread => "was not read since: wait, or say --without where it is gone from its platform",
        Unsettled::Held => "waits for a decision on what the brake holds: see `dutykey brake list`",
        Unsettled::Unplanned => "was read and is not planned yet: wait a minute",
    };
    let heads = followed.iter().flat_map(|followed| &followed.rotations).filter(|head| !without.contains(&head.id));
    Ok(heads.filter_map(|head| Some(format!("{} {}", head.id, why(head.unsettled(since)?)))).collect())
}

fn document(rebuilt: &Rebuilt, standstill: &Standstill) -> Value {
    let side = |hold: &Hold| json!({ "state": hold.state, "until": rfc3339(hold.due) });
    let hold = |copy: &Hold, table: Option<&Hold>, met: bool| {
        let profiles: Vec<_> = copy.reasons.iter().map(|reason| &reason.profile).collect();
        json!({
            "person": copy.person, "app": copy.key.app, "account": copy.key.account, "kind": copy.key.place.kind,
            "id": copy.key.place.id, "profiles": profiles, "table": table.map(side), "copy": side(copy), "met": met,
        })
    };
    let holds = rebuilt.holds.iter().map(|found| hold(&found.copy, found.table.as_ref(), found.met));
    json!({
        "ok": rebuilt.faults.is_empty(), "standing_still_since": rfc3339(standstill.since),
        "chains": rebuilt.chains, "records": rebuilt.records,
        "holds": holds.collect::<Vec<_>>(), "faults": rebuilt.faults,
        "denied": rebuilt.denied, "erased": rebuilt.erased, "rebuilt": standstill.rebuilt,
        "left_alone": rebuilt.apart.iter().map(|copy| hold(copy, None, true)).collect::<Vec<_>>(),
    })
}

fn print(rebuilt: &Rebuilt, data: &cli::Data) {
    out!("{} records of {} chains were missing and are there again", rebuilt.records, rebuilt.chains);
    let headings = ["person", "app", "account", "what", "the table knew", "the copy says", "until"];
    let row = |copy: &Hold, knew: &str| {
        let HoldKey { app, account, place } = &copy.key;
        [
            copy.person.to_string(),
            app.to_string(),
            plain(account.as_str()),
            plain(&format!("{} {}", place.kind, place.id)),
            knew.to_owned(),
            word(copy.state).to_owned(),
            rfc3339(copy.due),
        ]
    };
    if !rebuilt.holds.is_empty() {
        let mut table = crate::output::table(&headings);
        for Recovered { copy, table: knew, met } in &rebuilt.holds {
            let nothing = if *met { "nothing" } else { "nothing, and not the person: this ends" };
            table.add_row(row(copy, knew.as_ref().map_or(nothing, |hold| word(hold.state))));
        }
        out!("{table}");
    }
    for denied in &rebuilt.denied {
        out!("denied again: {}", plain(&json!(denied).to_string()));
    }
    for person in &rebuilt.erased {
        out!("erased again: {person}");
    }
    for Fault { chain, seq, problem } in &rebuilt.faults {
        out!("NOT REBUILT: {}, record {seq}: {}", plain(chain), plain(problem));
    }
    if !rebuilt.apart.is_empty() {
        out!("Compare these with the apps by hand:");
        let mut table = crate::output::table(&headings);
        table.add_rows(rebuilt.apart.iter().map(|copy| row(copy, "another way")));
        out!("{table}");
    }
    if rebuilt.unfinished {
        out!("Nothing is begun, ended or recorded until this is done: run it again.");
        out!("What can never be done is given up with --without-copy, after all else was added.");
        return;
    }
    out!("Nothing is begun or ended from now on. Look at this, let Dutykey read the rota, and then:");
    match &data.table {
        Some(table) => out!("  dutykey rebuild --release --table {}", plain(table)),
        None => out!("  dutykey rebuild --release --data {}", plain(&data.data.display().to_string())),
    }
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
