//! An installation with administrators: whoever calls its API shows a token.

use dutykey_tests::issuer::{AUDIENCE, Issuer};

use super::*;

/// A server whose callers have tokens of an issuer.
pub(crate) struct Office {
    pub(crate) server: Server,
    pub(crate) place: Place,
    issuer: Issuer,
}

impl Office {
    /// Ann is on call over these instants; whoever is in the group `admins` administers.
    pub(crate) async fn open(start: Timestamp, end: Timestamp) -> Self {
        let issuer = Issuer::start().await;
        let place = Place::new(start, end).await;
        let api = format!(
            "api: {{ oidc: {{ issuer: \"{}\", audience: {AUDIENCE} }}, administrators: {{ groups: [admins] }} }}",
            issuer.url
        );
        place.asking(&api, "{ approvers: { groups: [security], any: 1 } }");
        Self { server: place.serve().await, place, issuer }
    }

    /// The address of its API.
    pub(crate) fn address(&self) -> String {
        format!("http://{}", self.server.address)
    }

    fn token(&self, who: &str, groups: &[&str]) -> String {
        self.issuer.token(&self.issuer.claims(who, groups, SystemClock.now()))
    }

    /// Runs a command at its API as somebody: how it exits, and all that it says.
    pub(crate) async fn run(&self, who: &str, groups: &[&str], arguments: &[&str]) -> (Option<i32>, String) {
        let mut command = self.place.command(arguments);
        command.args(["--api", &self.address()]).env("DUTYKEY_TOKEN", self.token(who, groups));
        let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
        let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), said(&output));
        (output.status.code(), text)
    }

    /// What its API answers somebody.
    pub(crate) async fn get(&self, who: &str, groups: &[&str], path: &str) -> Value {
        let request = reqwest::Client::new().get(format!("{}{path}", self.address()));
        let answer = request.bearer_auth(self.token(who, groups)).send().await.unwrap();
        let (status, text) = (answer.status().as_u16(), answer.text().await.unwrap());
        assert_eq!(status, 200, "{path}: {text}");
        serde_json::from_str(&text).unwrap()
    }
}
