//! PagerDuty, by its REST API.
//!
//! Rotations are its schedules, of both kinds, as `SOURCE:ID`, and each level of its escalation policies as `SOURCE:ID@N`.
//! Facts are from PagerDuty's OpenAPI file and its developer documentation of August 2026, by the page named at each.
//!
//! # Requests
//! PagerDuty allows 960 a minute for a key. They go one after the other.
//!
//! | call | requests |
//! |---|---|
//! | `check` | 1 |
//! | `users` | 1 for each 100 |
//! | `teams` | 1 for each 100, and 1 for each 100 members of each |
//! | `rotations` | 1 for each 100 schedules of each kind, and 1 for each 100 escalation policies |
//! | `shifts` of a schedule | 1 for each 90 days; 1 more where it is looked for in the wrong place first (a layered schedule's first read, and after an upgrade); twice as many while it names nobody |
//! | and for new overrides in it | 1 for each 90 days on a layered schedule, and 1 to 5 for the audit records, until their makers are known and at most three times |
//! | `shifts` of a level | 1, and those of each schedule that it points at |

mod http;
mod makers;
mod pages;
mod policy;
mod schedule;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use dutykey_engine::ports::clock::Listener;
use dutykey_engine::ports::platform::{Platform, PlatformError};
use dutykey_engine::ports::secrets::Secret;
use dutykey_policy::id::{RotationId, SourceId, UserId};
use dutykey_policy::rota::{Cause, End, PlatformUser, Rotation, Shift, Team};
use dutykey_policy::time::Span;
use jiff::Timestamp;
use reqwest::StatusCode;
use serde::Deserialize;
use serde_json::Value;

use self::http::{Http, Limits};
use self::makers::Makers;
use self::policy::{Policy, Target};
use self::schedule::{Kind, Reference};

/// One PagerDuty account.
pub struct PagerDuty {
    source: SourceId,
    http: Http,
    /// The kind that each schedule last had: where to look first, and nothing more.
    kinds: Mutex<BTreeMap<String, Kind>>,
    makers: Makers,
}

impl std::fmt::Debug for PagerDuty {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PagerDuty").field("source", &self.source).field("host", &self.http.host()).finish()
    }
}

#[derive(Deserialize)]
struct User {
    id: UserId,
    email: String,
    name: String,
}

#[derive(Deserialize)]
struct TeamEntry {
    id: String,
    name: String,
}

#[derive(Deserialize)]
struct MemberEntry {
    user: Reference,
    role: Option<String>,
}

/// An entry of either list of schedules; that of shift-based ones has references only.
#[derive(Deserialize)]
struct ScheduleEntry {
    id: String,
    summary: String,
    name: Option<String>,
    time_zone: Option<String>,
}

impl PagerDuty {
    /// A client for the account that the token belongs to. `base_url` is `https://api.pagerduty.com`, or
    /// `https://api.eu.pagerduty.com` for an account in the EU service region; plain `http` only reaches this machine. The
    /// token is a read-only key of the REST API, or an OAuth token (`pdus+…`). Nothing is asked yet.
    ///
    /// # Errors
    /// `Misconfigured` for another address, or a token that no header can carry.
    pub fn new(source: SourceId, base_url: &str, token: Secret) -> Result<Self, PlatformError> {
        Self::limited(source, base_url, token, Limits::default())
    }

    fn limited(source: SourceId, base_url: &str, token: Secret, limits: Limits) -> Result<Self, PlatformError> {
        let http = Http::new(base_url, token, limits)?;
        Ok(Self { source, http, kinds: Mutex::default(), makers: Makers::default() })
    }

    /// The same, whose answers say to the listener what time it is there.
    #[must_use]
    pub fn heard_by(self, listener: Listener) -> Self {
        Self { http: self.http.heard_by(listener), ..self }
    }

    fn rotation(&self, key: &str, level: Option<u16>) -> RotationId {
        RotationId { source: self.source.clone(), key: key.to_owned(), level }
    }

    async fn list_rotations(&self) -> Result<Vec<Rotation>, PlatformError> {
        let mut schedules = BTreeMap::new();
        // In this order, so that a schedule which is upgraded between the two is in the second, if not in both.
        for kind in [Kind::Layered, Kind::ShiftBased] {
            for schedule in pages::every(&self.http, kind.list(), "schedules", |s: &ScheduleEntry| &s.id).await? {
                schedules.entry(schedule.id.clone()).or_insert(schedule);
            }
        }
        let policies =
            pages::every(&self.http, &["escalation_policies"], "escalation_policies", |p: &Policy| &p.id).await?;
        believe(schedules.is_empty(), &policies)?;
        let mut rotations = Vec::new();
        for (id, schedule) in schedules {
            let id = self.rotation(http::id(&id).map_err(faulty)?, None);
            let name = schedule.name.unwrap_or(schedule.summary);
            rotations.push(Rotation { id, name, time_zone: schedule.time_zone });
        }
        for policy in policies {
            let key = http::id(&policy.id).map_err(faulty)?;
            for (level, _) in (1..).zip(&policy.escalation_rules) {
                let name = format!("{}, level {level}", policy.name);
                rotations.push(Rotation { id: self.rotation(key, Some(level)), name, time_zone: None });
            }
        }
        Ok(rotations)
    }

    /// A schedule's shifts, wherever it lives now; `guess` says where to look first when nothing is remembered.
    async fn schedule(&self, id: &str, window: Span, guess: Kind) -> Result<Vec<Shift>, PlatformError> {
        let first = self.kinds().get(id).copied().unwrap_or(guess);
        let mut drawn = schedule::read(&self.http, id, window, first).await?;
        self.kinds().insert(id.to_owned(), drawn.kind);
        self.makers.name(&self.http, id, window, &mut drawn).await;
        drawn.shifts.sort();
        Ok(drawn.shifts)
    }

    fn kinds(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Kind>> {
        self.kinds.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The shifts of a rotation that is written without a level.
    async fn of_schedule(&self, rotation: &RotationId, window: Span) -> Result<Vec<Shift>, PlatformError> {
        let shifts = self.schedule(&rotation.key, window, Kind::ShiftBased).await;
        if matches!(shifts, Err(PlatformError::NotFound(_))) && policy::get(&self.http, &rotation.key).await.is_ok() {
            let text = format!("{rotation} is an escalation policy; name one of its levels, as in {rotation}@1");
            return Err(PlatformError::Misconfigured(text));
        }
        shifts
    }

    /// The shifts of level `number` of an escalation policy: those of its schedules, and everybody that it names, who are
    /// on call from the beginning of time (the platform names no start, and the window's would be another with each
    /// read). A gap in one of several targets is none in the level.
    async fn of_level(&self, rotation: &RotationId, number: u16, window: Span) -> Result<Vec<Shift>, PlatformError> {
        let policy = match policy::get(&self.http, &rotation.key).await {
            Ok(policy) => policy,
            Err(failed) if failed.is(StatusCode::NOT_FOUND) && self.is_schedule(&rotation.key).await => {
                let plain = self.rotation(&rotation.key, None);
                let text = format!("{rotation} is a schedule, which has no levels; write {plain}");
                return Err(PlatformError::Misconfigured(text));
            }
            Err(failed) => return Err(failed.error),
        };
        let rule = usize::from(number).checked_sub(1).and_then(|index| policy.escalation_rules.get(index));
        let Some(rule) = rule else {
            let levels = policy.escalation_rules.len();
            return Err(PlatformError::NotFound(format!("level {number} of {}, which has {levels}", policy.id)));
        };
        let targets = rule.targets()?;
        let mut shifts = Vec::new();
        for target in &targets {
            match target {
                Target::Schedule(id, kind) => shifts.extend(self.schedule(id, window, *kind).await?),
                Target::User(id) => {
                    let id = http::id(id).map_err(faulty)?;
                    shifts.push(Shift {
                        start: Timestamp::UNIX_EPOCH,
                        end: End::Open,
                        user: Some(UserId::try_from(id.to_owned()).map_err(|e| PlatformError::Faulty(e.to_string()))?),
                        cause: Cause::Direct,
                        native_id: None,
                        maker: None,
                    });
                }
            }
        }
        if targets.len() > 1 {
            shifts.retain(|shift| shift.user.is_some());
        }
        shifts.sort();
        shifts.dedup();
        Ok(shifts)
    }

    /// Whether the ID is a schedule's. The newer address answers 400 for a schedule of the older kind, and 404 for none.
    async fn is_schedule(&self, id: &str) -> bool {
        match self.http.get::<Value>(&Kind::ShiftBased.path(id, &[]), &[]).await {
            Ok(_) => true,
            Err(failed) => failed.is(StatusCode::BAD_REQUEST),
        }
    }
}

/// PagerDuty leaves out schedules that the token may not read, without a word. That it lists none at all while policies
/// point at some is no empty account. A target that is not understood fails the read of its own level, not the list.
fn believe(no_schedules: bool, policies: &[Policy]) -> Result<(), PlatformError> {
    let rules = policies.iter().flat_map(|policy| &policy.escalation_rules);
    let targets = rules.flat_map(|rule| &rule.targets).filter_map(Target::of);
    let pointed = targets.filter(|target| matches!(target, Target::Schedule(..))).count();
    if no_schedules && pointed > 0 {
        let text = format!("it lists no schedule, while escalation policies point at some ({pointed} times)");
        return Err(PlatformError::Faulty(text));
    }
    Ok(())
}

/// An ID in an answer that cannot be one is the answer's fault, not the configuration's.
fn faulty(error: PlatformError) -> PlatformError {
    PlatformError::Faulty(error.to_string())
}

#[async_trait]
impl Platform for PagerDuty {
    fn take_requests(&self) -> u64 {
        self.http.take_requests()
    }

    async fn check(&self) -> Result<String, PlatformError> {
        let read = async {
            let answer = self.http.get::<Value>(&["users"], &[("limit", "1")]).await?.body;
            let Some(user) = answer.pointer("/users/0") else {
                return Err(PlatformError::Faulty("GET /users: no account is without users".to_owned()));
            };
            // A user's page is at the account's own host: https://SUBDOMAIN.pagerduty.com/users/…
            let page = user.get("html_url").and_then(Value::as_str).and_then(|url| url::Url::parse(url).ok());
            let host = page.as_ref().and_then(|url| url.host_str()).unwrap_or(self.http.host());
            Ok(format!("PagerDuty account {}", self.http.clean(host)))
        };
        self.http.within("the account", read).await
    }

    async fn users(&self) -> Result<Vec<PlatformUser>, PlatformError> {
        let read = async {
            let users = pages::every(&self.http, &["users"], "users", |user: &User| user.id.as_str()).await?;
            if users.is_empty() {
                return Err(PlatformError::Faulty("GET /users: no account is without users".to_owned()));
            }
            let user = |u: User| PlatformUser { id: u.id, email: Some(u.email), name: Some(u.name), active: None };
            Ok(users.into_iter().map(user).collect())
        };
        self.http.within("the list of users", read).await
    }

    async fn teams(&self) -> Result<Vec<Team>, PlatformError> {
        let read = async {
            let mut teams = Vec::new();
            for team in pages::every(&self.http, &["teams"], "teams", |team: &TeamEntry| &team.id).await? {
                let path = ["teams", &team.id, "members"];
                let entries = pages::every(&self.http, &path, "members", |m: &MemberEntry| &m.user.id).await?;
                let member = |m: MemberEntry| Ok((UserId::try_from(m.user.id)?, m.role));
                let members = entries.into_iter().map(member).collect::<Result<_, dutykey_policy::id::IdError>>();
                let members = members.map_err(|e| PlatformError::Faulty(e.to_string()))?;
                teams.push(Team { id: team.id, name: team.name, members });
            }
            Ok(teams)
        };
        self.http.within("the list of teams", read).await
    }

    async fn rotations(&self) -> Result<Vec<Rotation>, PlatformError> {
        self.http.within("the list of schedules", self.list_rotations()).await
    }

    async fn shifts(&self, rotation: &RotationId, window: Span) -> Result<Vec<Shift>, PlatformError> {
        if rotation.source != self.source {
            let text = format!("{rotation} is not a rotation of source {}", self.source);
            return Err(PlatformError::Misconfigured(text));
        }
        let read = async {
            match rotation.level {
                None => self.of_schedule(rotation, window).await,
                Some(number) => self.of_level(rotation, number, window).await,
            }
        };
        self.http.within(&format!("rotation {rotation}"), read).await
    }
}
