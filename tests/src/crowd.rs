//! A company of any size in the middle of its life, as the functions would have left it in the table: people with their
//! links, addresses and accounts; rotations with two weeks of shifts; profiles, enrollments, holds, requests and blocks.
//!
//! Everything but the size is the same in each: a rotation has as many people, somebody on call as many holds, a team as
//! many rotations and profiles. What an answer about one thing costs may then not depend on the size.

mod catalog;
mod names;
mod rules;
mod things;

use std::time::Duration;

use dutykey_engine::ports::blocks::WriteBlocks as _;
use dutykey_engine::ports::ledger::{
    Committed, LivePerson, MAX_HOLDS, PersonChange, ReadLedger as _, StoreError, WriteLedger as _,
};
use dutykey_engine::ports::rota::{Directory, UserLink, WriteRota as _};
use dutykey_engine::ports::rules::{Pulse, WritePulse as _, WriteRules as _};
use dutykey_engine::ports::summary::KeepSummary as _;
use dutykey_engine::summary::{Lag, Summary};
use dutykey_policy::catalog::LongId;
use dutykey_policy::hold::Hold;
use dutykey_policy::id::{AppId, IdError, PersonId};
use dutykey_policy::time::{Span, earlier, later};
use dutykey_store::Store;
use jiff::Timestamp;
use serde_json::json;

use names::{SOURCE, platform_user, user};
use things::{asked, block, draft, sealed};

pub use names::{address, emergency_id, given_to, offered_to, person_id, rotation_id, waiting_id};

/// Now, for every company: 2026-11-25T12:00:00Z.
pub const NOW: Timestamp = Timestamp::constant(1_795_608_000, 0);
/// The group of those who approve requests.
pub const LEADS: &str = "leads";
/// The group of administrators.
pub const ADMINS: &str = "admins";
/// The group of auditors.
pub const AUDIT: &str = "audit";

const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(86_400);
/// How long a turn lasts.
const TURN: Duration = Duration::from_secs(12 * 3_600);
/// How many turns of each rotation are known: two weeks, and a day that has passed.
const TURNS: u32 = 30;
/// How many rotations share the profiles of a team.
const TEAM: u32 = 5;
/// How many blocks there are; those whom they concern are not on call.
const BLOCKS: u32 = 3;

/// Why a company could not be filled.
#[derive(Debug, thiserror::Error)]
pub enum CrowdError {
    /// The table.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A name that was made up here is none.
    #[error(transparent)]
    Id(#[from] IdError),
    /// A name that was made up here is too long for the catalog.
    #[error(transparent)]
    Long(#[from] LongId),
    /// The sizes do not go together.
    #[error("a company needs a rotation, people for three turns of each, and at most 200 holds for each: {0:?}")]
    Size(Size),
    /// Somebody who was just made is not there.
    #[error("person {0} is not in the table, or has no turn, although they were written so")]
    Lost(u32),
    /// An account belongs to somebody else: the table was not empty.
    #[error("the accounts of {0} in {1:?} belong to somebody else; fill an empty table")]
    Claimed(PersonId, Vec<AppId>),
}

/// How large a company is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    /// How many people it has; as many for each rotation.
    pub people: u32,
    /// How many rotations it has, each with one person on call.
    pub rotations: u32,
    /// How many holds are open; as many for each person on call.
    pub holds: u32,
}

/// A company that was filled. People and rotations count from 0; person `n` is in rotation `n % rotations`.
#[derive(Debug, Clone, Copy)]
pub struct Crowd {
    size: Size,
}

impl Crowd {
    /// Fills an empty table.
    ///
    /// # Errors
    /// The sizes do not go together, or the table cannot be used.
    pub async fn fill(store: &Store, size: Size) -> Result<Self, CrowdError> {
        let enough = size.rotations > 0 && size.people >= 3 * size.rotations;
        if !enough || size.holds > 200 * size.rotations {
            return Err(CrowdError::Size(size));
        }
        let crowd = Self { size };
        store.configure(0, &crowd.installation()?, began()).await?;
        let users: Result<_, IdError> = (0..size.people).map(platform_user).collect();
        let directory = Directory { read_at: Some(NOW), users: users?, ..Directory::default() };
        store.keep_directory(&SOURCE.parse()?, &directory).await?;
        for rotation in 0..size.rotations {
            store.change_rotation(&crowd.rotation_change(rotation)?).await?;
        }
        for number in 0..size.people {
            crowd.person_lives(store, number).await?;
        }
        for number in 0..BLOCKS.min(size.people) {
            let denial = block(size.people - 1 - number)?;
            store.place(&denial, &sealed("laptop stolen"), NOW).await?;
        }
        crowd.catalog(store).await?;
        store
            .keep_summary(&Summary {
                at: NOW,
                overdue: 0,
                oldest: HOUR,
                stale_sources: 0,
                brakes: 0,
                unmatched: 0,
                gaps: 0,
                grants: None,
                revocations: Some(Lag { p50_ms: 40, p99_ms: 900 }),
            })
            .await?;
        store.keep_pulse(&Pulse { ticked_at: Some(NOW), ..Pulse::default() }).await?;
        Ok(crowd)
    }

    /// How large it is.
    #[must_use]
    pub fn size(&self) -> Size {
        self.size
    }

    /// The number of the person on call in a rotation.
    #[must_use]
    pub fn on_call(&self, rotation: u32) -> u32 {
        let running = (0..TURNS).find(|turn| nth_turn(rotation, *turn).contains(NOW));
        self.member(rotation, running.unwrap_or_default())
    }

    /// The name of the shift that a rotation's person on call is in.
    ///
    /// # Errors
    /// Nobody is on call.
    pub fn shift_name(&self, rotation: u32) -> Result<String, CrowdError> {
        let change = self.rotation_change(rotation)?;
        let known = change.known.into_iter().flat_map(|known| known.shifts);
        let mut running = known.filter(|known| known.shift.covers(NOW));
        let running = running.next().ok_or(CrowdError::Lost(rotation))?;
        Ok(running.shift.name(&change.head.id))
    }

    /// Whose turn it is.
    fn member(&self, rotation: u32, turn: u32) -> u32 {
        rotation + turn % (self.size.people / self.size.rotations) * self.size.rotations
    }

    /// The turns of a person.
    fn turns(&self, number: u32) -> impl Iterator<Item = Span> {
        let rotation = number % self.size.rotations;
        (0..TURNS).filter(move |turn| self.member(rotation, *turn) == number).map(move |turn| nth_turn(rotation, turn))
    }

    fn team(&self, number: u32) -> u32 {
        number % self.size.rotations / TEAM
    }

    /// A person, with all that is theirs.
    async fn person_lives(&self, store: &Store, number: u32) -> Result<(), CrowdError> {
        let fresh = person_id(number)?;
        let link = UserLink {
            source: SOURCE.parse()?,
            user: user(number)?,
            address: address(number),
            name: Some(format!("Person Number {number}")),
            fresh: fresh.clone(),
            said: false,
            at: began(),
        };
        let _ = store.link_user(&link).await?;
        let live = store.load(&fresh).await?.ok_or(CrowdError::Lost(number))?;
        let planned = self.planned(&live, number)?;
        let live = changed(store, live, &planned).await?;
        let rotation = number % self.size.rotations;
        if number == self.on_call(rotation) {
            let holds: Result<Vec<Hold>, CrowdError> =
                (0..self.size.holds / self.size.rotations).map(|group| self.held(number, group)).collect();
            let requests = asked(&live, rotation)?;
            let mut live = changed(store, live, &requests).await?;
            for holds in holds?.chunks(MAX_HOLDS) {
                let evidence = holds.iter().map(|hold| draft("hold.held", json!({ "hold": hold.key.to_string() })));
                let evidence = evidence.collect();
                let change = PersonChange { holds: holds.to_vec(), evidence, ..PersonChange::nothing(&live, NOW) };
                live = changed(store, live, &change).await?;
            }
        }
        Ok(())
    }
}

/// A turn of a rotation, by its number. Hand-offs are spread over eleven hours of the day.
fn nth_turn(rotation: u32, number: u32) -> Span {
    let first = later(earlier(NOW, 36 * HOUR), HOUR * (1 + rotation % 11));
    let start = later(first, TURN * number);
    Span { start, end: later(start, TURN) }
}

/// When everything began: before the first turn.
fn began() -> Timestamp {
    earlier(NOW, 2 * DAY)
}

/// The person with the head that the change has made: reading them again would take longer than writing them.
async fn changed(store: &Store, live: LivePerson, change: &PersonChange) -> Result<LivePerson, CrowdError> {
    match store.commit(change).await? {
        Committed::Done(head) => Ok(LivePerson { head, ..live }),
        Committed::Claimed(apps) => Err(CrowdError::Claimed(live.person.id, apps)),
    }
}
