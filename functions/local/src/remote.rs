//! The API of an installation, called as whoever the token says.

use std::time::Duration;

use anyhow::{Context as _, bail};
use dutykey_engine::ports::secrets::Secret;
use dutykey_platforms::is_safe;
use reqwest::redirect::Policy;
use reqwest::{Method, StatusCode, Url, header};
use serde_json::Value;

use crate::output::plain;

/// The variable that has the caller's token. It is never an argument: others on the machine see these.
const TOKEN: &str = "DUTYKEY_TOKEN";
/// The deadline of one call: the API itself answers within 25 seconds.
const DEADLINE: Duration = Duration::from_secs(40);
/// How long a connection may take to come about.
const CONNECT: Duration = Duration::from_secs(10);
/// The longest answer, in bytes.
const LONGEST: usize = 20 << 20;
/// The longest text of an answer that is shown, in characters.
const SHOWN: usize = 2_000;

/// An API.
pub(crate) struct Remote {
    http: reqwest::Client,
    base: String,
    token: Secret,
}

impl Remote {
    /// The API at an address. Over anything but `https` only on this machine.
    ///
    /// # Errors
    /// The address or the token cannot be used.
    pub(crate) fn new(api: &Url) -> anyhow::Result<Self> {
        if !is_safe(api) {
            bail!("--api must begin with https://; only a server on this machine may go without");
        }
        let bare = api.username().is_empty() && api.password().is_none();
        if !bare || api.query().is_some() || api.fragment().is_some() {
            bail!("--api is the address that stands before /v1, with no user, `?` or `#` in it");
        }
        let token = std::env::var(TOKEN).ok().map(|token| token.trim().to_owned()).filter(|token| !token.is_empty());
        let token = token.with_context(|| {
            format!("who are you? Put a token of the installation's issuer into the environment, as {TOKEN}")
        })?;
        let http = reqwest::Client::builder().timeout(DEADLINE).connect_timeout(CONNECT).redirect(Policy::none());
        // On this machine the token goes without encryption, and so to nobody between.
        let http = if api.scheme() == "http" { http.no_proxy() } else { http };
        let base = api.as_str().trim_end_matches('/').to_owned();
        Ok(Self { http: http.build().context("the HTTP client")?, base, token: Secret::new(token) })
    }

    /// The answer to a question.
    ///
    /// # Errors
    /// There is none, or it is a problem.
    pub(crate) async fn get(&self, path: &str) -> anyhow::Result<Value> {
        Ok(self.call(Method::GET, path, None, None).await?.1)
    }

    /// The answer to what is sent.
    ///
    /// # Errors
    /// There is none, or it is a problem.
    pub(crate) async fn post(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        Ok(self.call(Method::POST, path, None, Some(body)).await?.1)
    }

    /// Puts something in the place of its version; the status of the answer says what became of it.
    ///
    /// # Errors
    /// There is no answer, or it is a problem.
    pub(crate) async fn put(&self, path: &str, version: u64, body: &Value) -> anyhow::Result<(StatusCode, Value)> {
        self.call(Method::PUT, path, Some(version), Some(body)).await
    }

    async fn call(
        &self,
        method: Method,
        path: &str,
        version: Option<u64>,
        body: Option<&Value>,
    ) -> anyhow::Result<(StatusCode, Value)> {
        let mut request = self.http.request(method, format!("{}{path}", self.base)).bearer_auth(self.token.expose());
        if let Some(version) = version {
            request = request.header(header::IF_MATCH, format!("\"{version}\""));
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        let mut response = request.send().await.with_context(|| format!("{} does not answer", self.base))?;
        let status = response.status();
        let mut bytes = Vec::new();
        while let Some(part) = response.chunk().await.with_context(|| format!("{} broke off", self.base))? {
            bytes.extend_from_slice(&part);
            if bytes.len() > LONGEST {
                bail!("{} answers with more than {LONGEST} bytes", self.base);
            }
        }
        let answer: Option<Value> = serde_json::from_slice(&bytes).ok();
        match answer {
            Some(answer) if status.is_success() => Ok((status, answer)),
            answer => Err(problem(&self.base, status, answer.as_ref())),
        }
    }
}

/// What an answer that is a problem (RFC 9457) says; of another one its status.
fn problem(base: &str, status: StatusCode, answer: Option<&Value>) -> anyhow::Error {
    let said = |name: &str| answer.and_then(|answer| answer.get(name)).and_then(Value::as_str).map(shown);
    match (said("title"), said("detail")) {
        (Some(title), Some(detail)) => anyhow::anyhow!("{title}: {detail}"),
        _ => anyhow::anyhow!("{base} answers with {status}, and not as Dutykey's API does"),
    }
}

fn shown(text: &str) -> String {
    plain(&text.chars().take(SHOWN).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_goes_to_https_and_to_this_machine_only() {
        let safe = |url: &str| is_safe(&Url::parse(url).unwrap());
        for url in ["https://dutykey.example.com", "http://127.0.0.1:8080", "http://[::1]:8080", "http://localhost/"] {
            assert!(safe(url), "{url}");
        }
        for url in ["http://dutykey.example.com", "http://127.0.0.1.example.com", "file:///etc/passwd"] {
            assert!(!safe(url), "{url}");
        }
    }

    #[test]
    fn a_problem_is_told_in_its_own_words_and_without_control_characters() {
        let answer =
            serde_json::json!({ "title": "It takes another administrator", "detail": "you proposed\u{1b}[2J it" });
        let told = problem("https://example.com", StatusCode::FORBIDDEN, Some(&answer)).to_string();
        assert_eq!(told, "It takes another administrator: you proposed\\u{1b}[2J it");
        let other = problem("https://example.com", StatusCode::BAD_GATEWAY, None).to_string();
        assert!(other.contains("502"), "{other}");
    }
}
