//! What is in the table of a rotation and of a person.

use dutykey_engine::ports::ledger::{Claim, LivePerson, PersonChange, Text};
use dutykey_engine::ports::rota::{KnownChange, RotationChange, RotationHead};
use dutykey_engine::request::justification_name;
use dutykey_policy::block::{Block, Denied, Reach};
use dutykey_policy::emergency::Emergency;
use dutykey_policy::enrollment::{Enrollment, Origin, Period};
use dutykey_policy::evidence::{Draft, Sealed};
use dutykey_policy::hold::{Act, Hold, Outcome, State};
use dutykey_policy::id::{EntitlementRef, HoldKey, IdError, Place, RequestId};
use dutykey_policy::identity::Account;
use dutykey_policy::look::Due;
use dutykey_policy::request::{Access, Ask, How, Request, Stage};
use dutykey_policy::rota::{Cause, End, KnownShift, Shift};
use dutykey_policy::time::{Span, earlier, later};
use dutykey_policy::wants::{Reason, Shape, Want};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::names::{
    APP, account, emergency_id, entitlement, given_id, offered_id, past_id, person_id, rotation_id, user, waiting_id,
};
use super::{Crowd, CrowdError, DAY, HOUR, NOW, TEAM, TURNS, began, nth_turn};

/// How many holds somebody who was on call yesterday has had.
const ENDED: u32 = 5;

impl Crowd {
    /// The first view of a rotation.
    pub(super) fn rotation_change(&self, rotation: u32) -> Result<RotationChange, CrowdError> {
        let id = rotation_id(rotation)?;
        let known = |turn: u32| -> Result<KnownShift, CrowdError> {
            let Span { start, end } = nth_turn(rotation, turn);
            let (user, cause) = (Some(user(self.member(rotation, turn))?), Cause::Base);
            let shift = Shift { start, end: End::At(end), user, cause, native_id: None, maker: None };
            Ok(KnownShift { seen: began(), ..shift.into() })
        };
        let shifts = (0..TURNS).map(known).collect::<Result<_, _>>()?;
        let within = Span { start: began(), end: later(NOW, 14 * DAY) };
        let head = RotationHead {
            fresh_at: Some(NOW),
            digest: "0".repeat(64),
            accepted: "0".repeat(64),
            planned: "0".repeat(64),
            window: Some(within),
            due: due(later(NOW, HOUR), "boundary"),
            ..RotationHead::new(id, format!("Primary of team {}, rotation {rotation}", self.team(rotation)))
        };
        let evidence = vec![draft("view.accepted", json!({ "rotation": head.id }))];
        let known = Some(KnownChange { within, shifts });
        Ok(RotationChange { expected: 0, head, at: began(), known, evidence, notices: Vec::new() })
    }

    /// An account, an enrollment for the person's turns, and what ended when their last one did.
    pub(super) fn planned(&self, live: &LivePerson, number: u32) -> Result<PersonChange, CrowdError> {
        let mut identity = live.person.clone();
        let account = account(number);
        identity.accounts.insert(APP.parse()?, Account::Linked(account.parse()?));
        let began = began();
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
        let over = self.turns(number).filter(|turn| later(turn.end, HOUR / 6) <= NOW).last();
        let mut holds = Vec::new();
        for group in 0..over.map_or(0, |_| ENDED.min(self.size.holds / self.size.rotations)) {
            holds.extend(over.map(|turn| self.hold(number, group, turn)).transpose()?);
        }
        let next = self.turns(number).map(|turn| turn.start).find(|start| *start > NOW);
        let subject = json!({ "person": live.person.id, "profile": enrollment.profile });
        Ok(PersonChange {
            next_start: next.and_then(|at| due(at, "period")),
            claims: vec![Claim { app: APP.parse()?, account: account.parse()?, from: None }],
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
    pub(super) fn held(&self, number: u32, group: u32) -> Result<Hold, CrowdError> {
        let running = self.turns(number).find(|turn| turn.contains(NOW));
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
            from_known: began(),
            until_known: began(),
        };
        let want = Want { shape: Shape::Member, reasons: vec![reason], frozen: false };
        let act = |at| Some(Act { due: at, known: began(), started: at, turn_since: None, done: Some(at) });
        let over = until <= NOW;
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
}

/// A request that waits, one that is over, and an emergency that waits for its review.
pub(super) fn asked(live: &LivePerson, rotation: u32) -> Result<PersonChange, CrowdError> {
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
    let at = earlier(NOW, HOUR / 2);
    let access = Access { from: earlier(at, HOUR / 3), until: at, until_known: at };
    let over = Stage::Over { how: How::Ended, at, access: Some(access) };
    let requests = vec![
        request(&waits, Stage::Asked(ask(at)), Vec::new())?,
        request(&ended, over, vec![ask(earlier(at, HOUR / 2))])?,
    ];
    let by = || live.person.id.clone();
    let texts = [&waits, &ended].map(|id| Text { name: justification_name(id, 0), by: by(), sealed: text.clone() });
    let texts = texts.into();
    let evidence = requests.iter().map(|request| draft("request.asked", json!({ "request": request.id })));
    let evidence = evidence.collect();
    let emergency = Some(Emergency {
        id: emergency_id(rotation)?,
        person: live.person.id.clone(),
        profile: offered_id(rotation / TEAM)?,
        version: 1,
        access,
        justification: text.digest(),
        incident: None,
        review: None,
    });
    Ok(PersonChange { requests, emergency, texts, evidence, ..PersonChange::nothing(live, NOW) })
}

pub(super) fn block(number: u32) -> Result<Block, CrowdError> {
    Ok(Block {
        id: format!("01JD{number:022}"),
        denied: Denied::Person(person_id(number)?),
        reach: Reach::Revoke,
        author: person_id(0)?.to_string(),
        from: NOW,
        until: None,
    })
}

pub(super) fn sealed(text: &str) -> Sealed {
    Sealed::new(text, [7; 32])
}

fn due(at: Timestamp, cause: &str) -> Option<Due> {
    Some(Due { at, cause: cause.to_owned() })
}

pub(super) fn draft(act: &str, subject: Value) -> Draft {
    let (act, actor) = (act.to_owned(), "crowd".to_owned());
    Draft { act, actor, subject, before: Value::Null, after: json!({ "known": true }), why: json!("it was filled") }
}
