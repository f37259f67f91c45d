//! A company of any size in the middle of its life, as the functions would have left it in the table: people with their
//! links, addresses and accounts; rotations with two weeks of shifts; profiles, enrollments, holds, requests and blocks.
//!
//! Everything but the size is the same in each: a rotation has as many people, somebody on call as many holds, a team as
//! many rotations and profiles. What an answer about one thing costs may then not depend on the size.

use std::collections::BTreeSet;
use std::time::Duration;

use dutykey_engine::ports::blocks::WriteBlocks as _;
use dutykey_engine::ports::ledger::{
    Committed, LivePerson, MAX_HOLDS, PersonChange, ReadLedger as _, StoreError, WriteLedger as _,
};
use dutykey_engine::ports::rota::{Directory, KnownChange, RotationChange, RotationHead, UserLink, WriteRota as _};
use dutykey_engine::ports::rules::{Pulse, WritePulse as _, WriteRules as _};
use dutykey_engine::request::justification_name;
use dutykey_policy::block::{Block, Denied, Reach};
use dutykey_policy::enrollment::{Enrollment, Origin, Period};
use dutykey_policy::evidence::{Draft, Sealed};
use dutykey_policy::hold::{Act, Hold, Outcome, State};
use dutykey_policy::id::{
    AppId, EntitlementRef, HoldKey, IdError, PersonId, Place, ProfileId, RequestId, RotationId, UserId,
};
use dutykey_policy::identity::Account;
use dutykey_policy::installation::{App, Installation, PlatformSettings, Rotations, SecretRef, Source, TargetSettings};
use dutykey_policy::look::Due;
use dutykey_policy::profile::{Approvers, Automatic, Mode, Profile, SelfOverride, SelfService, Step};
use dutykey_policy::request::{Access, Ask, How, Request, Stage};
use dutykey_policy::rota::{Cause, End, KnownShift, PlatformUser, Shift};
use dutykey_policy::time::{Span, earlier, later};
use dutykey_policy::wants::{Reason, Shape, Want};
use dutykey_store::Store;
use jiff::Timestamp;
use serde_json::{Value, json};

/// Now, for every company: the middle of a day.
pub const NOW: &str = "2026-11-25T12:00:00Z";
/// The group of those who approve requests.
pub const LEADS: &str = "leads";
/// The group of administrators.
pub const ADMINS: &str = "admins";
/// The group of auditors.
pub const AUDIT: &str = "audit";

const SOURCE: &str = "pd";
const APP: &str = "directory";
const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(86_400);
/// How long a turn lasts.
const TURN: Duration = Duration::from_secs(12 * 3_600);
/// How many turns of each rotation are known: two weeks, and a day that has passed.
const TURNS: u32 = 30;
/// How many rotations share the profiles of a team.
const TEAM: u32 = 5;
/// How many holds somebody who was on call yesterday has had.
const ENDED: u32 = 5;
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
    now: Timestamp,
}

impl Crowd {
    /// Fills an empty table.
    ///
    /// # Errors
    /// The sizes do not go together, or the table cannot be used.
    pub async fn fill(store: &Store, size: Size) -> Result<Self, CrowdError> {
        let now = NOW.parse().unwrap_or(Timestamp::UNIX_EPOCH);
        let enough = size.rotations > 0 && size.people >= 3 * size.rotations;
        if !enough || size.holds > 200 * size.rotations {
            return Err(CrowdError::Size(size));
        }
        let crowd = Self { size, now };
        store.configure(0, &crowd.installation()?, crowd.began()).await?;
        let users: Result<_, IdError> = (0..size.people).map(platform_user).collect();
        let directory = Directory { read_at: Some(now), users: users?, ..Directory::default() };
        store.keep_directory(&SOURCE.parse()?, &directory).await?;
        for rotation in 0..size.rotations {
            store.change_rotation(&crowd.rotation_change(rotation)?).await?;
        }
        for number in 0..size.people {
            crowd.person_lives(store, number).await?;
        }
        for number in 0..BLOCKS.min(size.people) {
            let block = crowd.block(size.people - 1 - number)?;
            store.place(&block, &sealed("laptop stolen"), now).await?;
        }
        store.keep_pulse(&Pulse { ticked_at: Some(now), ..Pulse::default() }).await?;
        Ok(crowd)
    }

    /// The instant at which everything is as it is.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// How large it is.
    #[must_use]
    pub fn size(&self) -> Size {
        self.size
    }

    /// The number of the person on call in a rotation.
    #[must_use]
    pub fn on_call(&self, rotation: u32) -> u32 {
        let running = (0..TURNS).find(|turn| self.turn(rotation, *turn).contains(self.now));
        self.member(rotation, running.unwrap_or_default())
    }

    /// When everything began: before the first turn.
    fn began(&self) -> Timestamp {
        earlier(self.now, 2 * DAY)
    }

    /// A turn of a rotation, by its number. Hand-offs are spread over eleven hours of the day.
    fn turn(&self, rotation: u32, number: u32) -> Span {
        let first = later(earlier(self.now, 36 * HOUR), HOUR * (1 + rotation % 11));
        let start = later(first, TURN * number);
        Span { start, end: later(start, TURN) }
    }

    /// Whose turn it is.
    fn member(&self, rotation: u32, turn: u32) -> u32 {
        rotation + turn % (self.size.people / self.size.rotations) * self.size.rotations
    }

    /// The turns of a person.
    fn turns(&self, number: u32) -> impl Iterator<Item = Span> {
        let rotation = number % self.size.rotations;
        (0..TURNS).filter(move |turn| self.member(rotation, *turn) == number).map(move |turn| self.turn(rotation, turn))
    }

    fn team(&self, number: u32) -> u32 {
        number % self.size.rotations / TEAM
    }

    fn installation(&self) -> Result<Installation, CrowdError> {
        let teams = self.size.rotations.div_ceil(TEAM);
        let mut profiles = Vec::new();
        for team in 0..teams {
            let rotations = team * TEAM..self.size.rotations.min((team + 1) * TEAM);
            let rotations: BTreeSet<RotationId> = rotations.map(rotation_id).collect::<Result<_, _>>()?;
            profiles.extend([self.given(team, rotations.clone())?, self.offered(team, rotations)?]);
        }
        let token = SecretRef::Env("NOBODY_ASKS".to_owned());
        let source = Source {
            id: SOURCE.parse()?,
            settings: PlatformSettings::Pagerduty {
                base_url: "https://api.pagerduty.com".to_owned(),
                token: token.clone(),
                webhook_secrets: Vec::new(),
            },
            rotations: Rotations::All,
            every: 5 * HOUR / 60,
            retiring: false,
        };
        let settings = TargetSettings::Scim { base_url: "https://scim.example.com/v2".to_owned(), token };
        let mut installation = Installation {
            verified_domains: vec!["example.com".to_owned()],
            sources: vec![source],
            apps: vec![App { id: APP.parse()?, settings, retiring: false }],
            profiles,
            ..Installation::default()
        };
        installation.api.administrators = vec![ADMINS.to_owned()];
        installation.api.auditors = vec![AUDIT.to_owned()];
        Ok(installation)
    }

    /// What a team's people on call have.
    fn given(&self, team: u32, rotations: BTreeSet<RotationId>) -> Result<Profile, CrowdError> {
        let rule = Automatic { rotations, lead: HOUR / 60, grace: HOUR / 6, lease: 4 * HOUR };
        let entitlements: Result<_, IdError> =
            (0..self.size.holds / self.size.rotations).map(|group| entitlement(team, group)).collect();
        Ok(Profile { enrollment: Some(rule), ..profile(given_id(team)?, format!("Team {team}"), entitlements?) })
    }

    /// What a team's people on call may ask for.
    fn offered(&self, team: u32, rotations: BTreeSet<RotationId>) -> Result<Profile, CrowdError> {
        let service = SelfService {
            rotations,
            max_duration: 4 * HOUR,
            justification_required: true,
            expires: HOUR,
            steps: vec![Step { approvers: Approvers::Groups([LEADS.to_owned()].into()), any: 1 }],
        };
        let entitlements = vec![entitlement(team, 1_000)?];
        let name = format!("Team {team}, in trouble");
        Ok(Profile { self_service: Some(service), ..profile(offered_id(team)?, name, entitlements) })
    }

    /// The first view of a rotation.
    fn rotation_change(&self, rotation: u32) -> Result<RotationChange, CrowdError> {
        let id = rotation_id(rotation)?;
        let known = |turn: u32| -> Result<KnownShift, CrowdError> {
            let Span { start, end } = self.turn(rotation, turn);
            let (user, cause) = (Some(user(self.member(rotation, turn))?), Cause::Base);
            let shift = Shift { start, end: End::At(end), user, cause, native_id: None, maker: None };
            Ok(KnownShift { seen: self.began(), ..shift.into() })
        };
        let shifts = (0..TURNS).map(known).collect::<Result<_, _>>()?;
        let within = Span { start: self.began(), end: later(self.now, 14 * DAY) };
        let head = RotationHead {
            fresh_at: Some(self.now),
            digest: "0".repeat(64),
            accepted: "0".repeat(64),
            planned: "0".repeat(64),
            window: Some(within),
            due: due(later(self.now, HOUR), "boundary"),
            ..RotationHead::new(id, format!("Primary of team {}, rotation {rotation}", self.team(rotation)))
        };
        let evidence = vec![draft("view.accepted", json!({ "rotation": head.id }))];
        let known = Some(KnownChange { within, shifts });
        Ok(RotationChange { expected: 0, head, at: self.began(), known, evidence, notices: Vec::new() })
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
            at: self.began(),
        };
        let _ = store.link_user(&link).await?;
        let live = store.load(&fresh).await?.ok_or(CrowdError::Lost(number))?;
        let planned = self.planned(&live, number)?;
        let live = changed(store, live, &planned).await?;
        let rotation = number % self.size.rotations;
        if number == self.on_call(rotation) {
            let holds: Result<Vec<Hold>, CrowdError> =
                (0..self.size.holds / self.size.rotations).map(|group| self.held(number, group)).collect();
            let asked = self.asked(&live, rotation)?;
            let mut live = changed(store, live, &asked).await?;
            for holds in holds?.chunks(MAX_HOLDS) {
                let evidence = holds.iter().map(|hold| draft("hold.held", json!({ "hold": hold.key.to_string() })));
                let evidence = evidence.collect();
                let change = PersonChange { holds: holds.to_vec(), evidence, ..PersonChange::nothing(&live, self.now) };
                live = changed(store, live, &change).await?;
            }
        }
        Ok(())
    }

    /// An account, an enrollment for the person's turns, and what ended when their last one did.
    fn planned(&self, live: &LivePerson, number: u32) -> Result<PersonChange, CrowdError> {
        let mut identity = live.person.clone();
        let account = account(number);
        identity.accounts.insert(APP.parse()?, Account::Linked(account.parse()?));
        let began = self.began();
        let period = |turn: Span| Period {
            from: earlier(turn.start, HOUR / 60),
            until: End::At(later(turn.end, HOUR / 6)),
            from_known: began,
            until_known: began,
            duty: Some(turn.start),
        };
        let enrollment = Enrollment {
            person: live.person.id.clone(),
            profile: given_id(self.team(number))?,
            origin: self.origin(number)?,
            periods: self.turns(number).map(period).collect(),
            version: None,
        };
        let over = self.turns(number).filter(|turn| later(turn.end, HOUR / 6) <= self.now).last();
        let mut holds = Vec::new();
        for group in 0..over.map_or(0, |_| ENDED.min(self.size.holds / self.size.rotations)) {
            holds.extend(over.map(|turn| self.hold(number, group, turn)).transpose()?);
        }
        let next = self.turns(number).map(|turn| turn.start).find(|start| *start > self.now);
        let subject = json!({ "person": live.person.id, "profile": enrollment.profile });
        Ok(PersonChange {
            next_start: next.and_then(|at| due(at, "period")),
            claims: vec![(APP.parse()?, account.parse()?)],
            identity: Some(identity),
            enrollments: vec![enrollment],
            holds,
            evidence: vec![draft("enrollment.planned", subject)],
            ..PersonChange::nothing(live, began)
        })
    }

    fn origin(&self, number: u32) -> Result<Origin, IdError> {
        rotation_id(number % self.size.rotations).map(Origin::Coverage)
    }

    /// What the person on call holds.
    fn held(&self, number: u32, group: u32) -> Result<Hold, CrowdError> {
        let running = self.turns(number).find(|turn| turn.contains(self.now));
        self.hold(number, group, running.ok_or(CrowdError::Lost(number))?)
    }

    /// A hold that a turn gave: over, where the turn is.
    fn hold(&self, number: u32, group: u32, turn: Span) -> Result<Hold, CrowdError> {
        let EntitlementRef { app, kind, id } = entitlement(self.team(number), group)?;
        let place = Place { kind, id };
        let key = HoldKey { app, account: account(number).parse()?, place };
        let (from, until) = (earlier(turn.start, HOUR / 60), later(turn.end, HOUR / 6));
        let reason = Reason {
            profile: given_id(self.team(number))?,
            version: 1,
            origin: self.origin(number)?,
            from,
            until,
            rolling: false,
            from_known: self.began(),
            until_known: self.began(),
        };
        let want = Want { shape: Shape::Member, reasons: vec![reason], frozen: false };
        let act = |at| Some(Act { due: at, known: self.began(), started: at, turn_since: None, done: Some(at) });
        let over = until <= self.now;
        Ok(Hold {
            state: if over { State::Ended(Outcome::Proven) } else { State::Held },
            since: if over { until } else { from },
            touched: !over,
            attempts: if over { 2 } else { 1 },
            granted: act(from),
            revoked: act(until).filter(|_| over),
            ..Hold::wanted(key, person_id(number)?, &want, from)
        })
    }

    /// A request that waits, and one that is over.
    fn asked(&self, live: &LivePerson, rotation: u32) -> Result<PersonChange, CrowdError> {
        let text = sealed("the disk is full and nobody can log in");
        let ask = |at: Timestamp| Ask {
            at,
            expires: later(at, HOUR),
            wanted: HOUR,
            justification: Some(text.digest()),
            incident: Some("INC-7".to_owned()),
            decisions: Vec::new(),
        };
        let (waits, ended) = (waiting_id(rotation)?, past_id(rotation)?);
        let request = |id: &RequestId, stage: Stage, past: Vec<Ask>| -> Result<Request, IdError> {
            let (person, profile) = (live.person.id.clone(), offered_id(rotation / TEAM)?);
            Ok(Request { id: id.clone(), person, profile, version: 1, rotation: rotation_id(rotation)?, stage, past })
        };
        let at = earlier(self.now, HOUR / 2);
        let access = Access { from: earlier(at, HOUR / 3), until: at, until_known: at };
        let over = Stage::Over { how: How::Ended, at, access: Some(access) };
        let requests = vec![
            request(&waits, Stage::Asked(ask(at)), Vec::new())?,
            request(&ended, over, vec![ask(earlier(at, HOUR / 2))])?,
        ];
        let texts = [&waits, &ended].map(|id| (justification_name(id, 0), text.clone())).into();
        let evidence = requests.iter().map(|request| draft("request.asked", json!({ "request": request.id })));
        let evidence = evidence.collect();
        Ok(PersonChange { requests, texts, evidence, ..PersonChange::nothing(live, self.now) })
    }

    fn block(&self, number: u32) -> Result<Block, CrowdError> {
        Ok(Block {
            id: format!("01JD{number:022}"),
            denied: Denied::Person(person_id(number)?),
            reach: Reach::Revoke,
            author: person_id(0)?.to_string(),
            from: self.now,
            until: None,
        })
    }
}

/// The person with the head that the change has made: reading them again would take longer than writing them.
async fn changed(store: &Store, live: LivePerson, change: &PersonChange) -> Result<LivePerson, CrowdError> {
    match store.commit(change).await? {
        Committed::Done(head) => Ok(LivePerson { head, ..live }),
        Committed::Claimed(apps) => Err(CrowdError::Claimed(live.person.id, apps)),
    }
}

/// A person's address.
#[must_use]
pub fn address(number: u32) -> String {
    format!("person.number.{number}@example.com")
}

/// A person.
///
/// # Errors
/// None: it is an ID.
pub fn person_id(number: u32) -> Result<PersonId, IdError> {
    format!("per_01JD{number:022}").parse()
}

/// A rotation.
///
/// # Errors
/// None: it is an ID.
pub fn rotation_id(number: u32) -> Result<RotationId, IdError> {
    format!("{SOURCE}:R{number:06}").parse()
}

/// The profile that the people on call of a rotation's team have.
///
/// # Errors
/// None: it is an ID.
pub fn given_to(rotation: u32) -> Result<ProfileId, IdError> {
    given_id(rotation / TEAM)
}

/// The profile that the people on call of a rotation's team may ask for.
///
/// # Errors
/// None: it is an ID.
pub fn offered_to(rotation: u32) -> Result<ProfileId, IdError> {
    offered_id(rotation / TEAM)
}

/// The request of the person on call in a rotation that waits to be decided.
///
/// # Errors
/// None: it is an ID.
pub fn waiting_id(rotation: u32) -> Result<RequestId, IdError> {
    format!("req_01JD{:022}", 2 * rotation).parse()
}

fn past_id(rotation: u32) -> Result<RequestId, IdError> {
    format!("req_01JD{:022}", 2 * rotation + 1).parse()
}

fn given_id(team: u32) -> Result<ProfileId, IdError> {
    format!("team-{team}").parse()
}

fn offered_id(team: u32) -> Result<ProfileId, IdError> {
    format!("team-{team}-trouble").parse()
}

fn user(number: u32) -> Result<UserId, IdError> {
    format!("P{number:06}").parse()
}

fn account(number: u32) -> String {
    format!("2819c223-7f76-453a-919d-{number:012}")
}

fn entitlement(team: u32, group: u32) -> Result<EntitlementRef, IdError> {
    let id = format!("e9e30dba-f08f-4109-8486-{team:06}{group:06}");
    Ok(EntitlementRef { app: APP.parse()?, kind: "group".to_owned(), id })
}

fn platform_user(number: u32) -> Result<PlatformUser, IdError> {
    let name = Some(format!("Person Number {number}"));
    Ok(PlatformUser { id: user(number)?, email: Some(address(number)), name, active: None })
}

fn profile(id: ProfileId, name: String, entitlements: Vec<EntitlementRef>) -> Profile {
    Profile {
        id,
        version: 1,
        name,
        entitlements,
        mode: Mode::Enforce,
        enrollment: None,
        self_service: None,
        self_override: SelfOverride::Hold,
        override_lock: Duration::ZERO,
        break_glass: None,
    }
}

fn sealed(text: &str) -> Sealed {
    Sealed::new(text, [7; 32])
}

fn due(at: Timestamp, cause: &str) -> Option<Due> {
    Some(Due { at, cause: cause.to_owned() })
}

fn draft(act: &str, subject: Value) -> Draft {
    let (act, actor) = (act.to_owned(), "crowd".to_owned());
    Draft { act, actor, subject, before: Value::Null, after: json!({ "known": true }), why: json!("it was filled") }
}
