//! What every platform's HTTP has in common: deadlines, bounded bodies, the time that it is there and the time that a
//! server asks to wait.

use std::time::Duration;

use dutykey_engine::ports::clock::Listener;
use jiff::Timestamp;
use jiff::fmt::rfc2822;
use reqwest::header::{AGE, DATE, HeaderMap, RETRY_AFTER};
use reqwest::redirect::Policy;
use reqwest::{Client, Error, RequestBuilder, Response, Url};
use tokio::time::Instant;

/// How we name ourselves. Some servers answer HTML to a client that does not.
const USER_AGENT: &str = concat!("dutykey/", env!("CARGO_PKG_VERSION"));
/// How long a connection may take to come about.
const CONNECT: Duration = Duration::from_secs(10);
/// More redirects than these lead nowhere.
const MAX_REDIRECTS: usize = 5;
/// The longest wait that is believed.
const MAX_WAIT: Duration = Duration::from_secs(24 * 3_600);

/// A client whose every call ends by the deadline, body included. Redirects are followed to safe addresses only, and the
/// address they come from, which may be a secret, is not told.
///
/// # Errors
/// TLS cannot be set up on this machine.
pub(crate) fn client(deadline: Duration) -> Result<Client, reqwest::Error> {
    let redirects = Policy::custom(|attempt| match attempt.previous().len() {
        ..=MAX_REDIRECTS if is_safe(attempt.url()) => attempt.follow(),
        _ => attempt.error("a redirect that is not followed"),
    });
    Client::builder()
        .user_agent(USER_AGENT)
        .timeout(deadline)
        .connect_timeout(CONNECT)
        .referer(false)
        .redirect(redirects)
        .build()
}

/// Whether what is sent to the address can be read by nobody else: `https`, or `http` on this machine.
#[must_use]
pub fn is_safe(url: &Url) -> bool {
    let here = || match url.host_str() {
        Some("localhost" | "[::1]") => true,
        Some(host) => host.parse::<std::net::Ipv4Addr>().is_ok_and(|address| address.is_loopback()),
        None => false,
    };
    match url.scheme() {
        "https" => url.has_host(),
        "http" => here(),
        _ => false,
    }
}

/// Sends a request, and has a clock hear what time its answer says it is there.
pub(crate) async fn send(request: RequestBuilder, listener: Option<&Listener>) -> Result<Response, Error> {
    let asked = Instant::now();
    let response = request.send().await?;
    let text = |name| response.headers().get(name).and_then(|value| value.to_str().ok());
    let host = response.url().host_str().unwrap_or_default();
    if let Some(listener) = listener {
        listener.hear(host, text(DATE), text(AGE), asked.elapsed());
    }
    Ok(response)
}

/// Why a body could not be read.
#[derive(Debug)]
pub(crate) enum BodyError {
    /// It is longer than the limit.
    TooLong,
    /// It broke off, or the deadline passed.
    Broken(reqwest::Error),
}

/// The whole body, at most `limit` bytes of it.
pub(crate) async fn body(mut response: Response, limit: usize) -> Result<Vec<u8>, BodyError> {
    let announced = response.content_length().unwrap_or_default();
    if usize::try_from(announced).map_or(true, |announced| announced > limit) {
        return Err(BodyError::TooLong);
    }
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(BodyError::Broken)? {
        if body.len() + chunk.len() > limit {
            return Err(BodyError::TooLong);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// How long the server asks to wait (RFC 9110 §10.2.3): in seconds, or until a date, which is compared with the server's
/// own clock. At most a day.
pub(crate) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    let asked = text(RETRY_AFTER)?;
    if let Ok(seconds) = asked.parse::<u64>() {
        return Some(Duration::from_secs(seconds).min(MAX_WAIT));
    }
    let date = |text: &str| -> Option<Timestamp> { Some(rfc2822::parse(text).ok()?.timestamp()) };
    let wait = date(asked)?.duration_since(date(text(DATE)?)?);
    Some(Duration::try_from(wait).unwrap_or(Duration::ZERO).min(MAX_WAIT))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_seconds_or_a_date_by_the_servers_own_clock() {
        let headers = |pairs: &[(&'static str, &str)]| -> HeaderMap {
            pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
        };
        let now = ("date", "Sun, 29 Mar 2026 01:00:00 GMT");
        assert_eq!(retry_after(&headers(&[("retry-after", "7")])), Some(Duration::from_secs(7)));
        let later = ("retry-after", "Sun, 29 Mar 2026 01:02:00 GMT");
        assert_eq!(retry_after(&headers(&[now, later])), Some(Duration::from_secs(120)));
        let earlier = ("retry-after", "Sun, 29 Mar 2026 00:00:00 GMT");
        assert_eq!(retry_after(&headers(&[now, earlier])), Some(Duration::ZERO), "a date that has passed: at once");
        assert_eq!(retry_after(&headers(&[later])), None, "without the server's clock a date says nothing");
        assert_eq!(retry_after(&headers(&[("retry-after", "soon")])), None);
        assert_eq!(retry_after(&headers(&[("retry-after", "99999999999")])), Some(MAX_WAIT));
    }

    #[test]
    fn only_https_and_this_machine_are_safe() {
        let safe = |url: &str| is_safe(&Url::parse(url).unwrap());
        for url in ["https://example.com/a", "http://127.0.0.1:8080/a", "http://[::1]/a", "http://localhost/a"] {
            assert!(safe(url), "{url}");
        }
        for url in ["http://example.com/a", "http://127.0.0.1.example.com/", "ftp://localhost/a", "file:///etc/passwd"]
        {
            assert!(!safe(url), "{url}");
        }
    }
}
