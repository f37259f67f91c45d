//! The script of the simulated platform: read strictly, with errors that name the key.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use dutykey_policy::id::{RotationId, SourceId, UserId};
use dutykey_policy::rota::{Cause, End, PlatformUser, Rotation, Shift, Team};
use dutykey_policy::time::{Span, later, parse_duration};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use super::fault::{Fault, FaultKind, Operation};
use super::rota::{Override, Rota, Shown, Turns};

/// What is wrong with a script.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the sandbox's script, at `{key}`: {problem}")]
pub struct ScriptError {
    /// Where, from the script's top: `rotations[0].shifts[1].user`.
    pub key: String,
    /// What is wrong and what is expected.
    pub problem: String,
}

impl ScriptError {
    /// The script is foreign text: what is quoted of it is bounded and holds no control characters.
    fn new(key: impl Into<String>, problem: impl Into<String>) -> Self {
        let tame = |text: String| text.chars().take(500).map(|c| if c.is_control() { ' ' } else { c }).collect();
        Self { key: tame(key.into()), problem: tame(problem.into()) }
    }
}

/// A script, understood, with instants in the place of offsets.
#[derive(Debug)]
pub(super) struct Script {
    pub account: String,
    pub tells_overrides: bool,
    pub users: Vec<PlatformUser>,
    pub teams: Vec<Team>,
    pub rotations: Vec<Rotation>,
    pub rotas: BTreeMap<RotationId, Rota>,
    pub faults: Vec<Fault>,
}

/// An offset from the epoch, or a length.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(try_from = "String")]
struct Offset(Duration);

impl TryFrom<String> for Offset {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        parse_duration(&text).map(Self)
    }
}

/// An offset, or `open`.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(try_from = "String")]
enum To {
    At(Offset),
    Open,
}

impl TryFrom<String> for To {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        if text == "open" { Ok(Self::Open) } else { Offset::try_from(text).map(Self::At) }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawScript {
    account: Option<String>,
    tells_overrides: Option<bool>,
    #[serde(default)]
    users: Vec<RawUser>,
    #[serde(default)]
    teams: Vec<RawTeam>,
    #[serde(default)]
    rotations: Vec<RawRotation>,
    #[serde(default)]
    faults: Vec<RawFault>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawUser {
    id: UserId,
    email: Option<String>,
    name: Option<String>,
    active: Option<bool>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawTeam {
    id: String,
    name: Option<String>,
    #[serde(default)]
    members: Vec<UserId>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRotation {
    id: String,
    name: Option<String>,
    time_zone: Option<String>,
    turns: Option<RawTurns>,
    #[serde(default)]
    shifts: Vec<RawShift>,
    #[serde(default)]
    overrides: Vec<RawOverride>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawTurns {
    users: Vec<Option<UserId>>,
    every: Offset,
    from: Option<Offset>,
    until: Option<Offset>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawShift {
    user: Option<UserId>,
    from: Offset,
    to: To,
    cause: Option<Cause>,
    announced: Option<Offset>,
    withdrawn: Option<Offset>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawOverride {
    user: UserId,
    from: Offset,
    to: Offset,
    by: Option<UserId>,
    replaces: Option<UserId>,
    announced: Option<Offset>,
    withdrawn: Option<Offset>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawFault {
    fault: FaultKind,
    from: Option<Offset>,
    to: Option<Offset>,
    on: Option<Operation>,
    rotation: Option<String>,
    times: Option<u32>,
    after: Option<Offset>,
}

/// What the parts of a script are read with.
struct Reader<'a> {
    source: &'a SourceId,
    epoch: Timestamp,
    users: BTreeSet<UserId>,
}

impl Script {
    /// Reads a script.
    pub(super) fn parse(source: &SourceId, script: &Value, epoch: Timestamp) -> Result<Self, ScriptError> {
        let raw: RawScript = serde_path_to_error::deserialize(script)
            .map_err(|error| ScriptError::new(error.path().to_string(), error.inner().to_string()))?;
        let mut reader = Reader { source, epoch, users: BTreeSet::new() };
        for (i, user) in raw.users.iter().enumerate() {
            if !reader.users.insert(user.id.clone()) {
                return Err(ScriptError::new(format!("users[{i}].id"), format!("`{}` is there twice", user.id)));
            }
        }
        let mut parsed = Self {
            account: raw.account.unwrap_or_else(|| format!("sandbox {source}")),
            tells_overrides: raw.tells_overrides.unwrap_or(true),
            users: raw.users.into_iter().map(user).collect(),
            teams: Vec::new(),
            rotations: Vec::new(),
            rotas: BTreeMap::new(),
            faults: Vec::new(),
        };
        for (i, team) in raw.teams.into_iter().enumerate() {
            parsed.teams.push(reader.team(&format!("teams[{i}]"), team)?);
        }
        for (i, raw) in raw.rotations.into_iter().enumerate() {
            let key = format!("rotations[{i}]");
            let id = reader.rotation_id(&format!("{key}.id"), &raw.id)?;
            if parsed.rotas.contains_key(&id) {
                return Err(ScriptError::new(format!("{key}.id"), format!("`{}` is there twice", id.local())));
            }
            let name = raw.name.clone().unwrap_or_else(|| raw.id.clone());
            parsed.rotations.push(Rotation { id: id.clone(), name, time_zone: raw.time_zone.clone() });
            parsed.rotas.insert(id, reader.rota(&key, raw)?);
        }
        for (i, raw) in raw.faults.into_iter().enumerate() {
            let key = format!("faults[{i}]");
            let fault = reader.fault(&key, raw)?;
            if let Some(unknown) = fault.rotation.as_ref().filter(|id| !parsed.rotas.contains_key(*id)) {
                let problem = format!("`{}` is none of the rotations", unknown.local());
                return Err(ScriptError::new(format!("{key}.rotation"), problem));
            }
            parsed.faults.push(fault);
        }
        Ok(parsed)
    }
}

fn user(raw: RawUser) -> PlatformUser {
    PlatformUser { id: raw.id, email: raw.email, name: raw.name, active: raw.active }
}

impl Reader<'_> {
    fn at(&self, offset: Offset) -> Timestamp {
        later(self.epoch, offset.0)
    }

    fn span(&self, key: &str, from: Offset, to: Offset) -> Result<Span, ScriptError> {
        let span = Span::new(self.at(from), self.at(to));
        span.ok_or_else(|| ScriptError::new(format!("{key}.to"), "must be later than `from`"))
    }

    fn shown(&self, key: &str, announced: Option<Offset>, withdrawn: Option<Offset>) -> Result<Shown, ScriptError> {
        let mut shown = Shown::ALWAYS;
        if let Some(announced) = announced {
            shown.from = self.at(announced);
        }
        if let Some(withdrawn) = withdrawn {
            shown.until = self.at(withdrawn);
        }
        if shown.from < shown.until {
            return Ok(shown);
        }
        Err(ScriptError::new(format!("{key}.withdrawn"), "must be later than `announced`"))
    }

    fn known<'a>(&self, key: &str, user: impl Into<Option<&'a UserId>>) -> Result<(), ScriptError> {
        match user.into() {
            Some(user) if !self.users.contains(user) => {
                Err(ScriptError::new(key, format!("`{user}` is none of the users")))
            }
            _ => Ok(()),
        }
    }

    fn rotation_id(&self, key: &str, local: &str) -> Result<RotationId, ScriptError> {
        format!("{}:{local}", self.source).parse().map_err(|error| ScriptError::new(key, format!("{error}")))
    }

    fn team(&self, key: &str, raw: RawTeam) -> Result<Team, ScriptError> {
        for (i, member) in raw.members.iter().enumerate() {
            self.known(&format!("{key}.members[{i}]"), member)?;
        }
        let members = raw.members.into_iter().map(|member| (member, None)).collect();
        Ok(Team { name: raw.name.unwrap_or_else(|| raw.id.clone()), id: raw.id, members })
    }

    fn rota(&self, key: &str, raw: RawRotation) -> Result<Rota, ScriptError> {
        let turns = raw.turns.map(|turns| self.turns(&format!("{key}.turns"), turns)).transpose()?;
        let mut rota = Rota { id: raw.id, turns, shifts: Vec::new(), overrides: Vec::new() };
        for (i, shift) in raw.shifts.into_iter().enumerate() {
            let native_id = format!("{}/shift/{i}", rota.id);
            rota.shifts.push(self.shift(&format!("{key}.shifts[{i}]"), native_id, shift)?);
        }
        for (i, raw) in raw.overrides.into_iter().enumerate() {
            rota.overrides.push(self.overriding(&format!("{key}.overrides[{i}]"), raw)?);
        }
        Ok(rota)
    }

    fn turns(&self, key: &str, raw: RawTurns) -> Result<Turns, ScriptError> {
        if raw.users.is_empty() {
            return Err(ScriptError::new(format!("{key}.users"), "names nobody"));
        }
        for (i, user) in raw.users.iter().enumerate() {
            self.known(&format!("{key}.users[{i}]"), user)?;
        }
        if raw.every.0.is_zero() {
            return Err(ScriptError::new(format!("{key}.every"), "must be at least 1s"));
        }
        let from = raw.from.map_or(self.epoch, |from| self.at(from));
        let until = raw.until.map_or(Timestamp::MAX, |until| self.at(until));
        if from >= until {
            return Err(ScriptError::new(format!("{key}.until"), "must be later than `from`"));
        }
        Ok(Turns { users: raw.users, every: raw.every.0, from, until })
    }

    fn shift(&self, key: &str, native_id: String, raw: RawShift) -> Result<(Shift, Shown), ScriptError> {
        self.known(&format!("{key}.user"), &raw.user)?;
        let end = match raw.to {
            To::At(to) => End::At(self.span(key, raw.from, to)?.end),
            To::Open => End::Open,
        };
        let shift = Shift {
            start: self.at(raw.from),
            end,
            user: raw.user,
            cause: raw.cause.unwrap_or(Cause::Base),
            native_id: Some(native_id),
            maker: None,
        };
        Ok((shift, self.shown(key, raw.announced, raw.withdrawn)?))
    }

    fn overriding(&self, key: &str, raw: RawOverride) -> Result<Override, ScriptError> {
        self.known(&format!("{key}.user"), &raw.user)?;
        self.known(&format!("{key}.by"), &raw.by)?;
        self.known(&format!("{key}.replaces"), &raw.replaces)?;
        Ok(Override {
            user: raw.user,
            span: self.span(key, raw.from, raw.to)?,
            by: raw.by,
            replaces: raw.replaces,
            shown: self.shown(key, raw.announced, raw.withdrawn)?,
        })
    }

    fn fault(&self, key: &str, raw: RawFault) -> Result<Fault, ScriptError> {
        let from = raw.from.map_or(Timestamp::MIN, |from| self.at(from));
        let to = raw.to.map_or(Timestamp::MAX, |to| self.at(to));
        if from >= to {
            return Err(ScriptError::new(format!("{key}.to"), "must be later than `from`"));
        }
        let rotation = raw.rotation.map(|id| self.rotation_id(&format!("{key}.rotation"), &id)).transpose()?;
        let after = raw.after.map(|after| after.0);
        Ok(Fault { kind: raw.fault, from, to, on: raw.on, rotation, times: raw.times, after })
    }
}
