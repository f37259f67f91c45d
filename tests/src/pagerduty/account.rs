//! What a PagerDuty account has.

use jiff::Timestamp;
use serde_json::{Value, json};

/// Somebody with a login.
#[derive(Debug, Clone)]
pub struct User {
    /// The ID.
    pub id: String,
    /// The name.
    pub name: String,
    /// The address.
    pub email: String,
}

/// A team.
#[derive(Debug, Clone)]
pub struct Team {
    /// The ID.
    pub id: String,
    /// The name.
    pub name: String,
    /// User IDs and roles.
    pub members: Vec<(String, String)>,
}

/// How a schedule is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// In layers: `/schedules`.
    V2,
    /// Of shifts: `/v3/schedules`.
    V3,
}

/// A turn of the rota, over `[start, end)`.
#[derive(Debug, Clone)]
pub struct Turn {
    /// Its start.
    pub start: Timestamp,
    /// Its end.
    pub end: Timestamp,
    /// Whose it is; `None` is a gap that a shift-based schedule declares.
    pub user: Option<String>,
}

/// A replacement. In a layered schedule it wins over every turn, in a shift-based one over those of `replaces`.
#[derive(Debug, Clone)]
pub struct Override {
    /// The ID.
    pub id: String,
    /// Its start.
    pub start: Timestamp,
    /// Its end.
    pub end: Timestamp,
    /// Who takes over.
    pub user: String,
    /// Whose turns it takes, in a shift-based schedule.
    pub replaces: Option<String>,
}

/// A shift beside the rota, in a shift-based schedule.
#[derive(Debug, Clone)]
pub struct Custom {
    /// The ID.
    pub id: String,
    /// The shift.
    pub turn: Turn,
}

/// A schedule.
#[derive(Debug, Clone)]
pub struct Schedule {
    /// The ID. It stays when the kind changes.
    pub id: String,
    /// The name.
    pub name: String,
    /// The IANA zone; a layered schedule's times are shown in it.
    pub time_zone: String,
    /// How it is made; assign it to upgrade the schedule.
    pub kind: Kind,
    /// Its turns; those of a shift-based one may overlap.
    pub turns: Vec<Turn>,
    /// Its replacements.
    pub overrides: Vec<Override>,
    /// Its shifts beside the rota.
    pub custom: Vec<Custom>,
}

/// What a level of a policy points at.
#[derive(Debug, Clone)]
pub enum Target {
    /// Somebody by name.
    User(String),
    /// A schedule; the reference says its kind.
    Schedule(String),
}

/// An escalation policy.
#[derive(Debug, Clone)]
pub struct Policy {
    /// The ID.
    pub id: String,
    /// The name.
    pub name: String,
    /// Its levels, from 1.
    pub rules: Vec<Vec<Target>>,
}

/// Somebody did something with a part of a schedule.
#[derive(Debug, Clone)]
pub struct Audit {
    /// The schedule.
    pub schedule: String,
    /// What was acted upon: an override's ID.
    pub resource: String,
    /// Who; `None` for a key of the account.
    pub actor: Option<String>,
    /// When.
    pub at: Timestamp,
}

/// How `/schedules/{id}` answers for a schedule that is shift-based now. PagerDuty only says that it will not have the
/// old shape.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Upgraded {
    /// 404.
    #[default]
    NotFound,
    /// 200, without a final schedule.
    Bare,
}

/// Everything that the API shows.
#[derive(Debug, Clone)]
pub struct Account {
    /// The token that is let in.
    pub token: String,
    /// The account's own host.
    pub host: String,
    /// All users.
    pub users: Vec<User>,
    /// All teams.
    pub teams: Vec<Team>,
    /// All schedules, of both kinds.
    pub schedules: Vec<Schedule>,
    /// All escalation policies.
    pub policies: Vec<Policy>,
    /// All audit records.
    pub audit: Vec<Audit>,
    /// See [`Upgraded`].
    pub upgraded: Upgraded,
    /// The longest page, whatever is asked for.
    pub largest_page: usize,
}

impl Default for Account {
    fn default() -> Self {
        Self {
            token: "fake-key-of-acme".to_owned(),
            host: "acme.pagerduty.com".to_owned(),
            users: Vec::new(),
            teams: Vec::new(),
            schedules: Vec::new(),
            policies: Vec::new(),
            audit: Vec::new(),
            upgraded: Upgraded::default(),
            largest_page: 100,
        }
    }
}

/// A part of the final schedule.
pub(super) struct Piece {
    pub(super) start: Timestamp,
    pub(super) end: Timestamp,
    pub(super) user: Option<String>,
    pub(super) source: Value,
}

impl Schedule {
    /// A schedule without turns, in UTC.
    #[must_use]
    pub fn new(id: &str, kind: Kind) -> Self {
        Self {
            id: id.to_owned(),
            name: format!("Rota {id}"),
            time_zone: "UTC".to_owned(),
            kind,
            turns: Vec::new(),
            overrides: Vec::new(),
            custom: Vec::new(),
        }
    }

    /// Adds a turn.
    #[must_use]
    pub fn turn(mut self, user: &str, start: Timestamp, end: Timestamp) -> Self {
        self.turns.push(Turn { start, end, user: Some(user.to_owned()) });
        self
    }

    /// Adds a replacement.
    #[must_use]
    pub fn replaced(mut self, id: &str, user: &str, replaces: &str, start: Timestamp, end: Timestamp) -> Self {
        let (id, user, replaces) = (id.to_owned(), user.to_owned(), Some(replaces.to_owned()));
        self.overrides.push(Override { id, start, end, user, replaces });
        self
    }

    /// Who is on call, with replacements applied.
    pub(super) fn pieces(&self) -> Vec<Piece> {
        let mut pieces = Vec::new();
        for turn in &self.turns {
            let mut left = vec![(turn.start, turn.end)];
            for o in self.overrides.iter().filter(|o| self.kind == Kind::V2 || o.replaces == turn.user) {
                left = left
                    .into_iter()
                    .flat_map(|(start, end)| [(start, end.min(o.start)), (start.max(o.end), end)])
                    .filter(|(start, end)| start < end)
                    .collect();
            }
            let source = json!({ "type": "schedule_rotation", "rotation_id": format!("ROT{}", self.id) });
            let piece = |(start, end)| Piece { start, end, user: turn.user.clone(), source: source.clone() };
            pieces.extend(left.into_iter().map(piece));
        }
        for o in &self.overrides {
            let source = json!({ "type": "schedule_rotation_override", "override_id": o.id });
            pieces.push(Piece { start: o.start, end: o.end, user: Some(o.user.clone()), source });
        }
        for c in &self.custom {
            let source = json!({ "type": "custom_shift", "shift_id": c.id });
            pieces.push(Piece { start: c.turn.start, end: c.turn.end, user: c.turn.user.clone(), source });
        }
        pieces.sort_by_key(|piece| (piece.start, piece.end));
        pieces
    }
}

impl Account {
    pub(super) fn admits(&self, authorization: &str) -> bool {
        let scheme = if self.token.starts_with("pdus+") { "Bearer " } else { "Token token=" };
        authorization.strip_prefix(scheme) == Some(&self.token)
    }

    /// The schedule with this ID, to change it.
    pub fn schedule(&mut self, id: &str) -> Option<&mut Schedule> {
        self.schedules.iter_mut().find(|schedule| schedule.id == id)
    }
}
