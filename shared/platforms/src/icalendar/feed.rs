//! Where a calendar is, and its bytes. A feed's address gives its reader the calendar, so it is a secret: no error, log or
//! `Debug` shows it.

use std::fmt;
use std::fs::File;
use std::io::{ErrorKind, Read as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use dutykey_engine::ports::clock::Listener;
use dutykey_engine::ports::platform::PlatformError;
use dutykey_engine::ports::secrets::Secret;
use reqwest::{Client, StatusCode, Url};

use super::document::{MAX_BYTES, decode};
use super::fault::excerpt;
use crate::http::{self, BodyError};

/// How long one read may take.
const DEADLINE: Duration = Duration::from_secs(30);

/// Where a calendar is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location {
    /// An `.ics` file.
    File(PathBuf),
    /// An `https` or `webcal` address, or an `http` one of this machine.
    Feed(Secret),
}

impl Location {
    /// Reads a configured location: what has the scheme `https`, `http`, `webcal` or `webcals` is a feed, anything else a
    /// path.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let scheme = text.trim().split_once("://").map(|(scheme, _)| scheme.to_ascii_lowercase());
        match scheme.as_deref() {
            Some("https" | "http" | "webcal" | "webcals") => Self::Feed(Secret::new(text.trim().to_owned())),
            _ => Self::File(PathBuf::from(text)),
        }
    }
}

/// A location that can be read.
pub(super) enum Feed {
    File(PathBuf),
    Address { url: Url, client: Client, listener: Option<Listener> },
}

impl fmt::Debug for Feed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => f.debug_tuple("File").field(path).finish(),
            Self::Address { .. } => f.write_str("Address(…)"),
        }
    }
}

impl Feed {
    pub(super) fn new(location: Location) -> Result<Self, PlatformError> {
        let address = match location {
            Location::File(path) => return Ok(Self::File(path)),
            Location::Feed(address) => address,
        };
        let wrong = || PlatformError::Misconfigured("a calendar's address has to be https or webcal".to_owned());
        let (scheme, rest) = address.expose().trim().split_once(':').ok_or_else(wrong)?;
        let webcal = ["webcal", "webcals"].iter().any(|name| name.eq_ignore_ascii_case(scheme));
        let scheme = if webcal { "https" } else { scheme };
        let url = Url::parse(&format!("{scheme}:{rest}")).ok().filter(http::is_safe).ok_or_else(wrong)?;
        let client = http::client(DEADLINE)
            .map_err(|error| PlatformError::Unavailable(format!("TLS cannot be set up: {}", error.without_url())))?;
        Ok(Self::Address { url, client, listener: None })
    }

    /// The same, whose answers say to the listener what time it is there.
    pub(super) fn heard_by(self, listener: Listener) -> Self {
        match self {
            Self::Address { url, client, .. } => Self::Address { url, client, listener: Some(listener) },
            Self::File(path) => Self::File(path),
        }
    }

    /// Whether a read of it is a request to a server.
    pub(super) fn is_remote(&self) -> bool {
        matches!(self, Self::Address { .. })
    }

    /// The whole text, within the deadline.
    pub(super) async fn read(&self) -> Result<String, PlatformError> {
        let bytes = match self {
            Self::Address { url, client, listener } => fetch(client, url.clone(), listener.as_ref()).await?,
            Self::File(path) => {
                let path = path.clone();
                let reading = tokio::task::spawn_blocking(move || load(&path));
                let read = tokio::time::timeout(DEADLINE, reading).await;
                let read = read.map_err(|_| PlatformError::Unavailable("the file does not open".to_owned()))?;
                read.map_err(|_| PlatformError::Unavailable("the reading of the file was stopped".to_owned()))??
            }
        };
        decode(bytes).ok_or_else(|| PlatformError::Faulty("the calendar is not UTF-8".to_owned()))
    }
}

fn too_long() -> PlatformError {
    PlatformError::Faulty(format!("the calendar is over {MAX_BYTES} bytes"))
}

fn load(path: &Path) -> Result<Vec<u8>, PlatformError> {
    let shown = excerpt(&path.to_string_lossy());
    let failed = |error: std::io::Error| match error.kind() {
        ErrorKind::NotFound => PlatformError::NotFound(format!("the file {shown}")),
        ErrorKind::PermissionDenied => {
            PlatformError::Forbidden { what: format!("the file {shown}"), detail: "permission denied".to_owned() }
        }
        _ => PlatformError::Unavailable(format!("{shown}: {error}")),
    };
    // Opening a pipe waits for its writer, for ever.
    if !path.metadata().map_err(failed)?.is_file() {
        return Err(PlatformError::Misconfigured(format!("{shown} is not a file")));
    }
    let limit = u64::try_from(MAX_BYTES).unwrap_or(u64::MAX);
    let mut bytes = Vec::new();
    File::open(path).and_then(|file| file.take(limit + 1).read_to_end(&mut bytes)).map_err(failed)?;
    if bytes.len() > MAX_BYTES { Err(too_long()) } else { Ok(bytes) }
}

async fn fetch(client: &Client, url: Url, listener: Option<&Listener>) -> Result<Vec<u8>, PlatformError> {
    let request = client.get(url).header(reqwest::header::ACCEPT, "text/calendar, */*;q=0.1");
    let response = http::send(request, listener).await.map_err(|error| broken(&error))?;
    let what = "the calendar's address";
    match response.status() {
        StatusCode::OK => {}
        StatusCode::UNAUTHORIZED => return Err(PlatformError::Unauthorized(format!("{what} answers 401"))),
        StatusCode::FORBIDDEN => {
            return Err(PlatformError::Forbidden { what: what.to_owned(), detail: "it answers 403".to_owned() });
        }
        status @ (StatusCode::NOT_FOUND | StatusCode::GONE) => {
            return Err(PlatformError::NotFound(format!("{what}: it answers {}", status.as_u16())));
        }
        StatusCode::TOO_MANY_REQUESTS => {
            return Err(PlatformError::Throttled { after: http::retry_after(response.headers()) });
        }
        status if status.is_server_error() || status == StatusCode::REQUEST_TIMEOUT => {
            return Err(PlatformError::Unavailable(format!("{what} answers {}", status.as_u16())));
        }
        // Also 206: a part is not the whole.
        status => return Err(PlatformError::Faulty(format!("{what} answers {}", status.as_u16()))),
    }
    http::body(response, MAX_BYTES).await.map_err(|error| match error {
        BodyError::TooLong => too_long(),
        BodyError::Broken(error) => broken(&error),
    })
}

/// What went wrong on the way, in words of our own: the error's would show the address.
fn broken(error: &reqwest::Error) -> PlatformError {
    let what = match error {
        error if error.is_redirect() => {
            return PlatformError::Misconfigured(
                "the calendar's address redirects in circles or to an unsafe address; configure where it leads"
                    .to_owned(),
            );
        }
        error if error.is_timeout() => "no whole answer in time",
        error if error.is_connect() => "no connection",
        _ => "the connection broke",
    };
    PlatformError::Unavailable(format!("the calendar's address: {what}"))
}
