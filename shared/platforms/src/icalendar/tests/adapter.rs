//! Where calendars come from.

use std::path::PathBuf;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Redirect};
use axum::routing::get;
use dutykey_engine::ports::clock::{Clock, Dated, Listener};
use dutykey_engine::ports::platform::{Platform, PlatformError};
use dutykey_engine::ports::secrets::Secret;

use super::super::{ICalendar, Location};
use super::*;

const DATE: &str = "Sun, 29 Mar 2026 01:00:00 GMT";
const TOKEN: &str = "t0p-s3cr3t";

fn good() -> String {
    calendar(&("X-WR-CALNAME:Primary\n".to_owned() + &event("a", "DTSTART:20260327T080000Z\nDURATION:PT1H")))
}

/// A server that answers well only to a client that says who it is and not where it comes from.
async fn served(headers: HeaderMap) -> impl IntoResponse {
    let named = headers.get(header::USER_AGENT).is_some_and(|agent| agent.as_bytes().starts_with(b"dutykey/"));
    match named && !headers.contains_key(header::REFERER) {
        true => good(),
        false => "<html>who are you?</html>".to_owned(),
    }
}

/// The address of a server on this machine, up to the path.
async fn server() -> String {
    let status = |code: u16| get(move || async move { StatusCode::from_u16(code).unwrap() });
    let app = Router::new()
        .route("/good/{token}", get(served))
        .route("/dated/{token}", get(|| async { ([(header::DATE, DATE)], good()) }))
        .route("/cached/{token}", get(|| async { ([(header::DATE, DATE), (header::AGE, "7")], good()) }))
        .route("/moved/{token}", get(|| async { Redirect::temporary("/good/elsewhere") }))
        .route("/circle/{token}", get(|| async { Redirect::temporary("/circle/t0p-s3cr3t") }))
        .route("/unsafe/{token}", get(|| async { Redirect::temporary("http://feeds.example.com/t0p-s3cr3t") }))
        .route("/html/{token}", get(|| async { "<!DOCTYPE html><title>Sign in</title>" }))
        .route("/empty/{token}", get(|| async { "" }))
        .route("/half/{token}", get(|| async { good().split_at(120).0.to_owned() }))
        .route("/long/{token}", get(|| async { "x".repeat(6 * 1024 * 1024) }))
        .route("/part/{token}", get(|| async { (StatusCode::PARTIAL_CONTENT, good()) }))
        .route("/latin/{token}", get(|| async { Body::from(&b"BEGIN:VCALENDAR\xe9"[..]) }))
        .route("/busy/{token}", get(|| async { (StatusCode::TOO_MANY_REQUESTS, [(header::RETRY_AFTER, "17")]) }))
        .route("/silent/{token}", get(std::future::pending::<()>))
        .route("/401/{token}", status(401))
        .route("/403/{token}", status(403))
        .route("/404/{token}", status(404))
        .route("/410/{token}", status(410))
        .route("/503/{token}", status(503));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await });
    format!("http://{address}")
}

fn adapter(location: Location) -> ICalendar {
    ICalendar::new("rota".parse().unwrap(), "primary".to_owned(), location, Settings::default()).unwrap()
}

fn feed(address: &str) -> ICalendar {
    adapter(Location::parse(address))
}

async fn shifts(of: &ICalendar) -> Result<Vec<String>, PlatformError> {
    let shifts = of.shifts(&"rota:primary".parse().unwrap(), days("2026-03-01", "2026-05-01")).await?;
    Ok(lines(&shifts))
}

#[tokio::test]
async fn a_feed_is_read_as_one_rotation() {
    let calendar = feed(&format!("{}/good/{TOKEN}", server().await));
    assert_eq!(shifts(&calendar).await.unwrap(), ["ann 2026-03-27T08:00:00Z 2026-03-27T09:00:00Z"]);
    assert_eq!(calendar.check().await.unwrap(), "calendar Primary, users: 1");
    assert_eq!(calendar.users().await.unwrap()[0].id.as_str(), "ann@example.com");
    assert_eq!(calendar.teams().await.unwrap(), []);
    let rotations = calendar.rotations().await.unwrap();
    assert_eq!(rotations.iter().map(|r| r.id.to_string()).collect::<Vec<_>>(), ["rota:primary"]);
    let other = calendar.shifts(&"rota:secondary".parse().unwrap(), days("2026-03-01", "2026-05-01")).await;
    assert!(matches!(other, Err(PlatformError::NotFound(_))), "{other:?}");
}

/// A clock that keeps what it hears.
#[derive(Default)]
struct Ear(std::sync::Mutex<Vec<String>>);

#[async_trait::async_trait]
impl Clock for Ear {
    fn now(&self) -> Timestamp {
        Timestamp::UNIX_EPOCH
    }
    async fn sleep_until(&self, _at: Timestamp) {}
    fn hear(&self, answer: &Dated<'_>) {
        self.0.lock().unwrap().push(format!("{} {}", answer.from, answer.date));
    }
}

#[tokio::test]
async fn r25_an_answer_says_what_time_it_is_there_unless_it_comes_out_of_a_cache() {
    let (ear, server) = (std::sync::Arc::new(Ear::default()), server().await);
    for path in ["dated", "cached"] {
        let calendar = feed(&format!("{server}/{path}/{TOKEN}")).heard_by(Listener::new(ear.clone(), &"rota"));
        assert_eq!(shifts(&calendar).await.unwrap().len(), 1);
    }
    assert_eq!(*ear.0.lock().unwrap(), [format!("rota {DATE}")]);
}

#[tokio::test]
async fn a_redirect_is_followed_without_telling_where_it_comes_from() {
    let moved = feed(&format!("{}/moved/{TOKEN}", server().await));
    assert_eq!(shifts(&moved).await.unwrap().len(), 1);
}

#[tokio::test]
async fn p6_no_answer_is_taken_for_an_empty_rota_and_none_shows_the_address() {
    let server = server().await;
    for (path, expected) in [
        ("html", "Faulty"),
        ("empty", "Faulty"),
        ("half", "Faulty"),
        ("long", "Faulty"),
        ("part", "Faulty"),
        ("latin", "Faulty"),
        ("401", "Unauthorized"),
        ("403", "Forbidden"),
        ("404", "NotFound"),
        ("410", "NotFound"),
        ("503", "Unavailable"),
        ("circle", "Misconfigured"),
        ("unsafe", "Misconfigured"),
    ] {
        let calendar = feed(&format!("{server}/{path}/{TOKEN}"));
        let error = shifts(&calendar).await.expect_err(path);
        let shown = format!("{error} {error:?} {calendar:?}");
        assert!(
            shown.contains(&format!("{expected}(")) || shown.contains(&format!("{expected} {{")),
            "{path}: {shown}"
        );
        assert!(!shown.contains(TOKEN) && !shown.contains("127.0.0.1"), "{path} shows the address: {shown}");
    }
    let busy = shifts(&feed(&format!("{server}/busy/{TOKEN}"))).await;
    assert_eq!(busy, Err(PlatformError::Throttled { after: Some(Duration::from_secs(17)) }));
}

#[tokio::test]
async fn nobody_listening_is_unavailable() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let error = shifts(&feed(&format!("http://{address}/{TOKEN}"))).await.expect_err("nobody is there");
    assert_eq!(error, PlatformError::Unavailable("the calendar's address: no connection".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn a_server_that_never_answers_is_unavailable() {
    let error = shifts(&feed(&format!("{}/silent/{TOKEN}", server().await))).await.expect_err("no answer");
    assert!(matches!(error, PlatformError::Unavailable(_)), "{error:?}");
}

#[test]
fn addresses_are_https_or_webcal_or_on_this_machine() {
    let made = |location| ICalendar::new("rota".parse().unwrap(), "main".to_owned(), location, Settings::default());
    for good in
        ["https://example.com/a.ics", "webcal://example.com/a.ics", "WEBCAL://example.com/a", "http://localhost/a"]
    {
        assert!(made(Location::parse(good)).is_ok(), "{good}");
    }
    for bad in ["http://example.com/t0p-s3cr3t", "ftp://example.com/t0p-s3cr3t", "t0p-s3cr3t", "https://", "webcal:"] {
        let error = made(Location::Feed(Secret::new(bad.to_owned()))).expect_err(bad);
        assert!(matches!(&error, PlatformError::Misconfigured(text) if !text.contains(TOKEN)), "{bad}: {error:?}");
    }
    assert_eq!(Location::parse("./rota.ics"), Location::File(PathBuf::from("./rota.ics")));
    let shown = format!("{:?}", Location::parse("https://example.com/t0p-s3cr3t"));
    assert!(!shown.contains(TOKEN), "{shown}");
    let nowhere = Settings { time_zone: Some("Europe/Atlantis".to_owned()), ..Settings::default() };
    let nowhere = ICalendar::new("rota".parse().unwrap(), "main".to_owned(), Location::parse("a.ics"), nowhere);
    assert!(matches!(nowhere, Err(PlatformError::Misconfigured(_))));
}

#[tokio::test]
async fn a_file_is_read_each_time_and_its_absence_is_no_empty_rota() {
    let folder = std::env::temp_dir().join(format!("dutykey-icalendar-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join("rota.ics");
    let calendar = adapter(Location::File(path.clone()));
    assert!(matches!(shifts(&calendar).await, Err(PlatformError::NotFound(_))));
    std::fs::write(&path, good()).unwrap();
    assert_eq!(shifts(&calendar).await.unwrap().len(), 1);
    std::fs::write(&path, good() + &" ".repeat(5 * 1024 * 1024)).unwrap();
    assert!(matches!(shifts(&calendar).await, Err(PlatformError::Faulty(_))), "over the limit");
    let directory = shifts(&adapter(Location::File(folder.clone()))).await;
    assert!(matches!(directory, Err(PlatformError::Misconfigured(_))), "{directory:?}");
    std::fs::remove_dir_all(&folder).unwrap();
}

/// The text with each of its wider characters split by a fold.
fn folded(text: &str, fold: &str) -> Vec<u8> {
    let split = |byte: u8| if byte >= 0xc0 { [&[byte][..], fold.as_bytes()].concat() } else { vec![byte] };
    text.bytes().flat_map(split).collect()
}

#[tokio::test]
async fn p8_a_name_that_is_folded_inside_a_character_is_the_same_name_and_a_fault_keeps_its_line() {
    let folder = std::env::temp_dir().join(format!("dutykey-icalendar-folded-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join("rota.ics");
    let calendar_at = adapter(Location::File(path.clone()));
    let named = event("a", "DTSTART:20260327T080000Z\nDURATION:PT1H");
    let named = named.replace("ATTENDEE:", "ATTENDEE;CN=Jürgen Müller:");
    for fold in ["\r\n ", "\n\t"] {
        std::fs::write(&path, folded(&calendar(&named), fold)).unwrap();
        assert_eq!(calendar_at.users().await.unwrap()[0].name.as_deref(), Some("Jürgen Müller"), "{fold:?}");
        assert_eq!(shifts(&calendar_at).await.unwrap().len(), 1, "{fold:?}");
        let second = calendar(&(named.clone() + &event("b", "SUMMARY:no start")));
        std::fs::write(&path, folded(&second, fold)).unwrap();
        let fault = shifts(&calendar_at).await.expect_err("an event without a start").to_string();
        assert!(fault.contains("line 12, UID b: DTSTART is missing"), "{fold:?}: two folds before it: {fault}");
        std::fs::write(&path, [folded(&second, fold), vec![0xe9]].concat()).unwrap();
        let other = shifts(&calendar_at).await.expect_err("a byte that is no text").to_string();
        assert!(other.contains("not UTF-8"), "{fold:?}: {other}");
    }
    std::fs::remove_dir_all(&folder).unwrap();
}
