//! What is asked of each endpoint. A `GET` of the API's description that has no line here is an error.

use dutykey_policy::time::{earlier, later};
use dutykey_tests::crowd::{self, ADMINS, AUDIT, Crowd, LEADS, NOW};
use serde_json::{Value, json};
use std::time::Duration;

/// Any error: what cannot be measured is told and ends it.
pub(crate) type Failed = Box<dyn std::error::Error>;

const HOUR: Duration = Duration::from_secs(3_600);

/// The company of which something is asked.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scene<'a> {
    /// The company.
    pub(crate) crowd: &'a Crowd,
    /// How many things are on a page.
    pub(crate) page: u32,
    /// How often the line was asked before: what changes something is asked of another rotation each time.
    pub(crate) nth: u32,
}

impl Scene<'_> {
    /// The rotation whose turn it is to be asked about.
    fn rotation(&self) -> u32 {
        self.nth % self.crowd.size().rotations
    }

    /// The person on call in it.
    fn on_call(&self) -> u32 {
        self.crowd.on_call(self.rotation())
    }
}

/// A request as it goes out.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    /// The method.
    pub(crate) method: &'static str,
    /// The path with its query.
    pub(crate) address: String,
    /// The number of the person who calls.
    pub(crate) who: u32,
    /// Their groups, with commas between.
    pub(crate) groups: String,
    /// What it brings.
    pub(crate) body: Value,
}

/// Whether the process has answered before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Process {
    /// It has: what never changes is known to it.
    Running,
    /// It has just begun.
    New,
}

/// One way to ask an endpoint something.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Line {
    /// The endpoint, by its method and its path in the description.
    pub(crate) endpoint: &'static str,
    /// What is asked, where the endpoint has several lines.
    pub(crate) what: &'static str,
    /// The part of the answer that lists things, where it does.
    pub(crate) things: Option<&'static str>,
    /// Who answers.
    pub(crate) process: Process,
    ask: fn(&Scene<'_>) -> Result<(String, Value), Failed>,
}

impl Line {
    /// A question to which the answer is one thing.
    const fn one(
        endpoint: &'static str,
        what: &'static str,
        ask: fn(&Scene<'_>) -> Result<(String, Value), Failed>,
    ) -> Self {
        Self { endpoint, what, things: None, process: Process::Running, ask }
    }

    /// A question to which the answer has a list of things.
    const fn many(
        endpoint: &'static str,
        what: &'static str,
        things: &'static str,
        ask: fn(&Scene<'_>) -> Result<(String, Value), Failed>,
    ) -> Self {
        Self { endpoint, what, things: Some(things), process: Process::Running, ask }
    }

    /// Its name.
    pub(crate) fn name(&self) -> String {
        format!("{} {}", self.endpoint, self.what).trim_end().to_owned()
    }

    /// The request. Whoever is on call asks; whoever decides is somebody else of their rotation.
    pub(crate) fn call(&self, scene: &Scene<'_>) -> Result<Call, Failed> {
        let (address, body) = (self.ask)(scene)?;
        let method = if self.endpoint.starts_with("POST") { "POST" } else { "GET" };
        let others = self.endpoint.ends_with("/decision");
        let who = if others { scene.rotation() } else { scene.on_call() };
        Ok(Call { method, address, who, groups: format!("{LEADS},{ADMINS},{AUDIT}"), body })
    }
}

fn get(address: impl Into<String>) -> Result<(String, Value), Failed> {
    Ok((address.into(), Value::Null))
}

/// Every line.
pub(crate) const LINES: &[Line] = &[
    Line {
        process: Process::New,
        ..Line::one("GET /v1/profiles/{profile}", "by a new process", |scene| {
            get(format!("/v1/profiles/{}", crowd::given_to(scene.rotation())?))
        })
    },
    Line::one("GET /v1/me", "", |_| get("/v1/me")),
    Line::many("GET /v1/people", "a page", "people", |scene| get(format!("/v1/people?limit={}", scene.page))),
    Line::one("GET /v1/people/{person}", "on call", |scene| {
        get(format!("/v1/people/{}", crowd::person_id(scene.on_call())?))
    }),
    Line::many("GET /v1/profiles", "", "profiles", |_| get("/v1/profiles")),
    Line::one("GET /v1/profiles/{profile}", "", |scene| {
        get(format!("/v1/profiles/{}", crowd::given_to(scene.rotation())?))
    }),
    Line::one("GET /v1/profiles/{profile}/deletion", "", |scene| {
        get(format!("/v1/profiles/{}/deletion", crowd::given_to(scene.rotation())?))
    }),
    Line::many("GET /v1/profiles/{profile}/enrollments", "a page", "enrollments", |scene| {
        let profile = crowd::given_to(scene.rotation())?;
        get(format!("/v1/profiles/{profile}/enrollments?limit={}", scene.page))
    }),
    Line::many("GET /v1/configuration", "", "profiles", |_| get("/v1/configuration")),
    Line::many("GET /v1/rotations/{rotation}/shifts", "a week", "shifts", |scene| {
        get(format!("/v1/rotations/{}/shifts", crowd::rotation_id(scene.rotation())?))
    }),
    Line::many("GET /v1/who", "now", "holds", |scene| get(format!("/v1/who?limit={}", scene.page))),
    Line::one("GET /v1/who", "two hours ago", |scene| {
        get(format!("/v1/who?at={}&limit={}", earlier(NOW, 2 * HOUR), scene.page))
    }),
    Line::one("GET /v1/who", "in six hours", |scene| {
        get(format!("/v1/who?at={}&limit={}", later(NOW, 6 * HOUR), scene.page))
    }),
    Line::many("GET /v1/forecast", "of a day", "shifts", |scene| {
        get(format!("/v1/forecast?to={}&limit={}", later(NOW, 24 * HOUR), scene.page))
    }),
    Line::many("GET /v1/holds", "a page", "holds", |scene| get(format!("/v1/holds?limit={}", scene.page))),
    Line::many("GET /v1/rotations", "a page", "rotations", |scene| get(format!("/v1/rotations?limit={}", scene.page))),
    Line::many("GET /v1/evidence", "of the system", "records", |scene| {
        get(format!("/v1/evidence?limit={}", scene.page))
    }),
    Line::many("GET /v1/evidence", "of a person", "records", |scene| {
        let person = crowd::person_id(scene.on_call())?;
        get(format!("/v1/evidence?chain=person/{person}&limit={}", scene.page))
    }),
    Line::one("GET /v1/shifts/{shift}/report", "", |scene| {
        get(format!("/v1/shifts/{}/report", scene.crowd.shift_name(scene.rotation())?))
    }),
    Line::many("GET /v1/entitlements", "a page", "entitlements", |scene| {
        get(format!("/v1/entitlements?limit={}", scene.page))
    }),
    Line::many("GET /v1/entitlements", "by name", "entitlements", |scene| {
        get(format!("/v1/entitlements?app=directory&q=prod&limit={}", scene.page))
    }),
    Line::one("GET /v1/overview", "", |_| get("/v1/overview")),
    Line::one("GET /v1/brakes", "", |_| get("/v1/brakes")),
    Line::many("GET /v1/break-glass", "a page", "emergencies", |scene| {
        get(format!("/v1/break-glass?limit={}", scene.page))
    }),
    Line::one("GET /v1/break-glass/{emergency}", "", |scene| {
        get(format!("/v1/break-glass/{}", crowd::emergency_id(scene.rotation())?))
    }),
    Line::many("GET /v1/blocks", "", "blocks", |_| get("/v1/blocks")),
    Line::many("GET /v1/requests", "one's own", "requests", |scene| get(format!("/v1/requests?limit={}", scene.page))),
    Line::many("GET /v1/requests", "a page of those that wait", "requests", |scene| {
        get(format!("/v1/requests?waiting=true&limit={}", scene.page))
    }),
    Line::one("GET /v1/requests/{id}", "", |scene| {
        get(format!("/v1/requests/{}", crowd::waiting_id(scene.rotation())?))
    }),
    Line::one("POST /v1/requests", "", |scene| {
        let profile = crowd::offered_to(scene.rotation())?;
        let ask = json!({ "profile": profile, "duration": "1h", "justification": "the disk is full" });
        Ok(("/v1/requests".to_owned(), ask))
    }),
    Line::one("POST /v1/requests/{id}/decision", "", |scene| {
        let address = format!("/v1/requests/{}/decision", crowd::waiting_id(scene.rotation())?);
        Ok((address, json!({ "decision": "approve", "comment": "go ahead" })))
    }),
];

/// Lines that cost more in a larger company although their answer need not. Each is a fault, with what it comes from; one
/// that was mended has to leave the list.
pub(crate) const KNOWN_TO_GROW: &[&str] = &[
    // `Requests::offers` finds out of every offer of every profile whether the caller could take it, with a query of the
    // rotation's shifts for each, and `Requests::duties` asks each of these rotations again.
    "GET /v1/me",
    // `Brakes::holding` reads the head of each rotation to find those of which something is held.
    "GET /v1/brakes",
    // `judge_deletion` foresees the whole rota with and without the profile, though only the rotations of profiles that give
    // the same can matter.
    "GET /v1/profiles/{profile}/deletion",
];
