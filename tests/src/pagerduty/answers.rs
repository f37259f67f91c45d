//! How the REST API shows an account (PagerDuty's OpenAPI file and its v2 → v3 upgrade guide).
#![expect(clippy::indexing_slicing, reason = "on JSON objects of our own making it inserts")]

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use super::account::{Account, Audit, Kind, Piece, Policy, Schedule, Target, Team, Upgraded, User};
use super::{Request, refusal};

impl Schedule {
    fn name_of_kind(&self) -> &'static str {
        match self.kind {
            Kind::V2 => "schedule",
            Kind::V3 => "schedule_v3",
        }
    }

    fn time(&self, at: Timestamp) -> String {
        let zone = TimeZone::get(&self.time_zone).unwrap_or(TimeZone::UTC);
        at.to_zoned(zone).strftime("%Y-%m-%dT%H:%M:%S%:z").to_string()
    }

    fn v2_entry(&self, start: Timestamp, end: Timestamp, user: Option<&str>) -> Value {
        let user = json!({ "id": user, "type": "user_reference", "summary": user });
        json!({ "start": self.time(start), "end": self.time(end), "user": user })
    }

    fn v2(&self, request: &Request) -> Value {
        let rendered = |pieces: Vec<Piece>, window: (Timestamp, Timestamp)| {
            let entry = |p: &Piece| self.v2_entry(p.start, p.end, p.user.as_deref());
            let entries: Vec<Value> = pieces.iter().filter(|p| p.user.is_some()).map(entry).collect();
            json!({ "rendered_schedule_entries": entries, "rendered_coverage_percentage": coverage(&pieces, window) })
        };
        let (mut last, mut overrides) =
            (json!({ "rendered_schedule_entries": [], "rendered_coverage_percentage": null }), Value::Null);
        if let Some(window) = window(request) {
            let mut replaced = self.pieces();
            replaced.retain(|piece| piece.source["override_id"].is_string());
            last = rendered(seen(self.pieces(), window, request), window);
            overrides = rendered(seen(replaced, window, request), window);
        }
        last["name"] = json!("Final Schedule");
        json!({ "schedule": {
            "id": self.id, "type": "schedule", "summary": self.name, "name": self.name, "time_zone": self.time_zone,
            "schedule_layers": [], "overrides_subschedule": overrides, "final_schedule": last,
        }})
    }

    fn v3(&self, request: &Request) -> Value {
        let mut schedule = json!({
            "id": self.id, "type": "schedule_v3", "name": self.name, "time_zone": self.time_zone, "rotations": [],
        });
        if let (Some(window), Some("final_schedule")) = (window(request), request.get("include[]")) {
            let pieces = seen(self.pieces(), window, request);
            let share = coverage(&pieces, window);
            let member = |user: Option<&str>| match user {
                Some(user) => json!({ "type": "user_member", "user_id": user }),
                None => json!({ "type": "empty_member" }),
            };
            let assignments: Vec<Value> = pieces
                .iter()
                .map(|p| {
                    json!({
                        "type": "computed_shift_assignment", "start_time": p.start.to_string(),
                        "end_time": p.end.to_string(), "member": member(p.user.as_deref()), "source": p.source,
                    })
                })
                .collect();
            schedule["final_schedule"] = json!({
                "type": "final_schedule", "rendered_coverage_percentage": share,
                "computed_shift_assignments": assignments,
            });
        }
        json!({ "schedule": schedule })
    }
}

/// `since` and `until`, where both are there.
fn window(request: &Request) -> Option<(Timestamp, Timestamp)> {
    Some((request.get("since")?.parse().ok()?, request.get("until")?.parse().ok()?))
}

/// What touches the window, cut at its edges unless asked otherwise.
fn seen(pieces: Vec<Piece>, (since, until): (Timestamp, Timestamp), request: &Request) -> Vec<Piece> {
    let whole = request.get("overflow") == Some("true");
    let inside = pieces.into_iter().filter(|piece| piece.start < until && since < piece.end);
    inside
        .map(|piece| match whole {
            true => piece,
            false => Piece { start: piece.start.max(since), end: piece.end.min(until), ..piece },
        })
        .collect()
}

/// The share of the window with somebody on call, in percent.
fn coverage(pieces: &[Piece], (since, until): (Timestamp, Timestamp)) -> f64 {
    let (mut covered, mut reached) = (0, since);
    for piece in pieces.iter().filter(|piece| piece.user.is_some()) {
        let (start, end) = (piece.start.max(reached), piece.end.min(until));
        if start < end {
            covered += end.as_second() - start.as_second();
            reached = end;
        }
    }
    let whole = (until.as_second() - since.as_second()).max(1);
    f64::from(i32::try_from(covered * 10_000 / whole).unwrap_or(0)) / 100.0
}

impl Account {
    /// The answer: status and body.
    pub(super) fn answer(&self, request: &Request) -> (u16, Value) {
        let path: Vec<&str> = request.path.trim_matches('/').split('/').collect();
        let unknown = || (404, refusal("Not Found"));
        let found = |id: &str, kind: Kind| match self.schedules.iter().find(|s| s.id == id) {
            Some(schedule) if schedule.kind == kind => Ok(schedule),
            Some(_) if kind == Kind::V3 => Err((400, refusal("The schedule is not a v3 schedule"))),
            Some(schedule) if self.upgraded == Upgraded::Bare => {
                Err((200, json!({ "schedule": { "id": schedule.id, "type": "schedule_v3", "name": schedule.name } })))
            }
            _ => Err(unknown()),
        };
        let shown = |schedule: Result<&Schedule, (u16, Value)>, show: &dyn Fn(&Schedule) -> Value| match schedule {
            Ok(schedule) => (200, show(schedule)),
            Err(refusal) => refusal,
        };
        match path.as_slice() {
            ["abilities"] => (200, json!({ "abilities": ["teams"] })),
            ["users"] => self.page(request, "users", self.users.iter(), |user| self.user(user)),
            ["teams"] => {
                let team = |t: &Team| json!({ "id": t.id, "type": "team", "summary": t.name, "name": t.name });
                self.page(request, "teams", self.teams.iter(), team)
            }
            ["teams", id, "members"] => match self.teams.iter().find(|team| team.id == *id) {
                Some(team) => {
                    let member = |(id, role): &(String, String)| json!({ "user": { "id": id, "type": "user_reference" }, "role": role });
                    self.page(request, "members", team.members.iter(), member)
                }
                None => unknown(),
            },
            ["schedules"] => self.list(request, Kind::V2),
            ["v3", "schedules"] => self.list(request, Kind::V3),
            ["schedules", id] => shown(found(id, Kind::V2), &|s| s.v2(request)),
            ["v3", "schedules", id] => shown(found(id, Kind::V3), &|s| s.v3(request)),
            ["schedules", id, "overrides"] => match (window(request), found(id, Kind::V2)) {
                (None, _) => (400, refusal("since and until are required")),
                (_, Err(refusal)) => refusal,
                (Some((since, until)), Ok(schedule)) => {
                    let inside = schedule.overrides.iter().filter(|o| o.start < until && since < o.end);
                    let shown = inside.map(|o| {
                        let mut entry = schedule.v2_entry(o.start, o.end, Some(&o.user));
                        entry["id"] = json!(o.id);
                        entry
                    });
                    (200, json!({ "overrides": shown.collect::<Vec<_>>() }))
                }
            },
            ["schedules", id, "audit", "records"] => shown(found(id, Kind::V2), &|s| self.records(request, s)),
            ["v3", "schedules", id, "audit", "records"] => shown(found(id, Kind::V3), &|s| self.records(request, s)),
            ["escalation_policies"] => {
                self.page(request, "escalation_policies", self.policies.iter(), |policy| self.policy(policy))
            }
            ["escalation_policies", id] => match self.policies.iter().find(|policy| policy.id == *id) {
                Some(policy) => (200, json!({ "escalation_policy": self.policy(policy) })),
                None => unknown(),
            },
            _ => unknown(),
        }
    }

    fn user(&self, user: &User) -> Value {
        json!({
            "id": user.id, "type": "user", "summary": user.name, "name": user.name, "email": user.email,
            "time_zone": "Etc/UTC", "role": "user", "html_url": format!("https://{}/users/{}", self.host, user.id),
            "invitation_sent": false, "created_via_sso": true, "teams": [],
        })
    }

    fn list(&self, request: &Request, kind: Kind) -> (u16, Value) {
        let listed = self.schedules.iter().filter(|schedule| schedule.kind == kind);
        self.page(request, "schedules", listed, |s| match kind {
            Kind::V2 => {
                json!({ "id": s.id, "type": "schedule", "summary": s.name, "name": s.name, "time_zone": s.time_zone })
            }
            Kind::V3 => json!({ "id": s.id, "type": "schedule_v3_reference", "summary": s.name }),
        })
    }

    fn policy(&self, policy: &Policy) -> Value {
        let target = |target: &Target| match target {
            Target::User(id) => json!({ "id": id, "type": "user_reference" }),
            Target::Schedule(id) => {
                let kind = self.schedules.iter().find(|s| s.id == *id).map_or("schedule", Schedule::name_of_kind);
                json!({ "id": id, "type": format!("{kind}_reference") })
            }
        };
        let rule = |(level, targets): (usize, &Vec<Target>)| {
            json!({
                "id": format!("{}R{level}", policy.id), "escalation_delay_in_minutes": 30,
                "targets": targets.iter().map(target).collect::<Vec<_>>(),
            })
        };
        json!({
            "id": policy.id, "type": "escalation_policy", "summary": policy.name, "name": policy.name, "num_loops": 0,
            "escalation_rules": policy.rules.iter().enumerate().map(rule).collect::<Vec<_>>(),
        })
    }

    /// A page by `limit` and `offset`.
    fn page<'a, T: 'a>(
        &self,
        request: &Request,
        name: &str,
        all: impl Iterator<Item = &'a T>,
        show: impl Fn(&'a T) -> Value,
    ) -> (u16, Value) {
        let number = |name: &str, default| request.get(name).and_then(|n| n.parse().ok()).unwrap_or(default);
        let limit = number("limit", 25_usize).min(self.largest_page);
        let offset = number("offset", 0_usize);
        if offset + limit > 10_000 {
            return (400, refusal("offset and limit are together more than 10000"));
        }
        let mut rest = all.skip(offset).peekable();
        let page: Vec<Value> = rest.by_ref().take(limit).map(show).collect();
        let more = rest.peek().is_some();
        (200, json!({ name: page, "limit": limit, "offset": offset, "more": more, "total": null }))
    }

    /// A schedule's audit records from `since` on, newest first, by cursor.
    fn records(&self, request: &Request, schedule: &Schedule) -> Value {
        let since: Option<Timestamp> = request.get("since").and_then(|at| at.parse().ok());
        let mut records: Vec<&Audit> = self.audit.iter().filter(|r| r.schedule == schedule.id).collect();
        records.retain(|record| since.is_none_or(|since| record.at >= since));
        records.sort_by_key(|record| std::cmp::Reverse(record.at));
        let from: usize = request.get("cursor").and_then(|n| n.parse().ok()).unwrap_or(0);
        let limit = request.get("limit").and_then(|n| n.parse().ok()).unwrap_or(10).min(self.largest_page);
        let next = (from + limit < records.len()).then(|| (from + limit).to_string());
        let root = json!({ "id": schedule.id, "type": format!("{}_reference", schedule.name_of_kind()) });
        let shown: Vec<Value> = records
            .into_iter()
            .skip(from)
            .take(limit)
            .map(|record| {
                let actor = record.actor.as_ref().map(|id| json!({ "id": id, "type": "user_reference" }));
                json!({
                    "id": format!("AR{}", record.resource), "execution_time": record.at.to_string(),
                    "actors": actor.map(|actor| vec![actor]), "method": { "type": "browser" }, "action": "update",
                    "root_resource": root, "details": { "resource": { "id": record.resource, "type": "override_reference" } },
                })
            })
            .collect();
        json!({ "records": shown, "next_cursor": next, "limit": limit })
    }
}
