//! What each way to fail means: for a write the question is whether it may have happened.

use std::time::Duration;

use dutykey_engine::ports::secrets::Secret;
use dutykey_engine::ports::target::{MAX_DETAIL, Target, TargetError};
use dutykey_policy::hold::Held;
use dutykey_tests::scim::{Dialect, Effect, FakeScim, Fault, Moment, Reply, TOKEN};

use super::{ANN, DONE, GROUP, Scim, answer, at, failure, grant, held, reads, revoke, scim, server, writes};

/// Waits for something that happens in another task.
async fn until(happened: impl AsyncFn() -> bool, what: &str) {
    let wait = async {
        while !happened().await {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), wait).await.unwrap_or_else(|_| panic!("waited in vain: {what}"));
}

#[tokio::test]
async fn p10_each_status_says_whether_a_change_may_have_happened() {
    for (status, read, write) in [
        (202, "transient", "lost"),
        (301, "permanent", "permanent"),
        (400, "permanent", "permanent"),
        (401, "permanent", "permanent"),
        (403, "permanent", "permanent"),
        (408, "transient", "lost"),
        (409, "conflict", "conflict"),
        (412, "conflict", "conflict"),
        (413, "permanent", "permanent"),
        (429, "throttled", "throttled"),
        (500, "transient", "lost"),
        (501, "permanent", "permanent"),
        (502, "transient", "lost"),
        (503, "transient", "transient"),
        (504, "transient", "lost"),
        (520, "transient", "lost"),
    ] {
        let fake = server(Dialect::Rfc).await;
        let scim = scim(&fake);
        fake.fault(1, reads, Moment::BeforeEffect, answer(status));
        assert_eq!(failure(held(&scim, GROUP, ANN).await), read, "GET {status}");
        fake.fault(1, writes, Moment::BeforeEffect, answer(status));
        assert_eq!(failure(grant(&scim).await), write, "PATCH {status}");
        // A refusal of the standard's form with 400 leads to a read, and that shows that she is no member.
        fake.fault(1, writes, Moment::BeforeEffect, answer(status));
        let revoked = if status == 400 { "success" } else { write };
        assert_eq!(failure(revoke(&scim).await), revoked, "PATCH {status}");
        assert!(fake.effects().is_empty(), "{status}");
        let tries = fake.requests().iter().filter(|request| request.writes()).count();
        assert_eq!(tries, 2, "{status}: nothing is tried again in here");
    }
}

#[tokio::test]
async fn p10_a_change_whose_answer_was_lost_may_have_happened() {
    for (moment, adds) in [(Moment::BeforeEffect, 0), (Moment::AfterEffect, 1)] {
        for fault in [Fault::Close, answer(500)] {
            let fake = server(Dialect::Rfc).await;
            fake.fault(1, writes, moment, fault.clone());
            assert_eq!(failure(grant(&scim(&fake)).await), "lost", "{fault:?} {moment:?}");
            assert_eq!(fake.effect(GROUP, ANN).adds, adds, "{fault:?} {moment:?}");
        }
    }
    let fake = server(Dialect::Rfc).await;
    fake.fault(1, reads, Moment::BeforeEffect, Fault::Close);
    assert_eq!(failure(held(&scim(&fake), GROUP, ANN).await), "transient", "a read changes nothing");
}

#[tokio::test]
async fn r1_a_change_that_hangs_is_given_up_at_the_deadline_and_may_still_happen() {
    for moment in [Moment::BeforeEffect, Moment::AfterEffect] {
        let fake = server(Dialect::Rfc).await;
        let scim = Scim { deadline: Duration::from_millis(200), ..scim(&fake) };
        let mut gate = fake.gate(writes, moment);
        assert_eq!(failure(grant(&scim).await), "lost", "{moment:?}");
        gate.reached().await;
        let before = fake.effect(GROUP, ANN).adds;
        assert_eq!(before, u32::from(moment == Moment::AfterEffect), "{moment:?}");
        gate.open();
        until(async || fake.effect(GROUP, ANN).adds > 0, "the server works off what it has received").await;
        assert_eq!(fake.effect(GROUP, ANN), Effect { adds: 1, removes: 0 }, "{moment:?}: the server worked it off");
    }
    let fake = server(Dialect::Rfc).await;
    let scim = Scim { deadline: Duration::from_millis(200), ..scim(&fake) };
    let _gate = fake.gate(reads, Moment::BeforeEffect);
    assert_eq!(failure(held(&scim, GROUP, ANN).await), "transient");
}

#[tokio::test]
async fn r1_all_requests_of_a_call_share_its_deadline() {
    let fake = server(Dialect::Aws).await;
    fake.state(|world| world.join(GROUP, ANN));
    let scim = Scim { deadline: Duration::from_millis(300), ..scim(&fake) };
    let gate = fake.gate(|request| request.number == 4, Moment::AfterEffect);
    let began = tokio::time::Instant::now();
    assert_eq!(
        failure(revoke(&scim).await),
        "transient",
        "the last read had no time left, and nothing was sent after it"
    );
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
    gate.open();
    assert_eq!(
        scim.capabilities("group").deadline,
        Duration::from_millis(300),
        "the attempt's `not_after` counts from it"
    );
    assert!(fake.state(|world| world.is_member(GROUP, ANN)));
}

#[tokio::test]
async fn p10_without_a_connection_nothing_happened() {
    let fake = server(Dialect::Rfc).await;
    let scim = scim(&fake);
    let address = fake.base_url();
    drop(fake);
    // The port is free once the server's task has gone.
    let port = address.trim_start_matches("http://").split('/').next().expect("an address").to_owned();
    until(async || tokio::net::TcpStream::connect(&port).await.is_err(), "the server is gone").await;
    assert_eq!(failure(grant(&scim).await), "transient");
    assert_eq!(failure(revoke(&scim).await), "transient");
}

#[tokio::test]
async fn the_wait_that_a_server_asks_for_is_passed_on() {
    let date = "Sun, 06 Nov 1994 08:49:37 GMT";
    for (after, expected) in [
        ("5", Some(5)),
        ("0", Some(0)),
        ("18446744073709551615", Some(u64::MAX)),
        ("Sun, 06 Nov 1994 08:51:07 GMT", Some(90)),
        ("Sun, 06 Nov 1994 08:00:00 GMT", Some(0)),
        ("soon", None),
        ("-5", None),
    ] {
        let fake = server(Dialect::Rfc).await;
        let reply = |status| Reply::error(status, "", "slow down").with("Retry-After", after).with("Date", date);
        let expected = expected.map(Duration::from_secs);
        fake.fault(1, writes, Moment::BeforeEffect, Fault::Answer(reply(429)));
        match grant(&scim(&fake)).await {
            Err(TargetError::Throttled { after: told, .. }) => assert_eq!(told, expected, "`{after}`"),
            other => panic!("`{after}`: {other:?}"),
        }
        fake.fault(1, reads, Moment::BeforeEffect, Fault::Answer(reply(503)));
        match held(&scim(&fake), GROUP, ANN).await {
            Err(TargetError::Transient { after: told, .. }) => assert_eq!(told, expected, "`{after}`"),
            other => panic!("`{after}`: {other:?}"),
        }
    }
}

#[tokio::test]
async fn p10_a_refusal_that_says_when_to_come_back_is_a_limit_and_not_a_missing_right() {
    for (after, expected) in [(Some("60"), Some(60)), (Some("soon"), None), (None, None)] {
        let fake = server(Dialect::Rfc).await;
        let reply = Reply::error(403, "", "You have exceeded a secondary rate limit");
        let reply = match after {
            Some(after) => reply.with("Retry-After", after),
            None => reply,
        };
        fake.fault(1, |_| true, Moment::BeforeEffect, Fault::Answer(reply.clone()));
        let read = held(&scim(&fake), GROUP, ANN).await.expect_err("refused");
        fake.fault(1, writes, Moment::BeforeEffect, Fault::Answer(reply));
        let write = grant(&scim(&fake)).await.expect_err("refused");
        for error in [read, write] {
            match (&error, expected) {
                (TargetError::Throttled { after: told, .. }, Some(seconds)) => {
                    assert_eq!(*told, Some(Duration::from_secs(seconds)), "{after:?}");
                }
                (TargetError::Permanent(_), None) => {}
                _ => panic!("{after:?}: {error:?}"),
            }
        }
        assert!(fake.effects().is_empty(), "{after:?}: nothing was done");
    }
}

#[tokio::test]
async fn p13_the_token_goes_to_its_own_server_only() {
    let (fake, other) = (server(Dialect::Rfc).await, server(Dialect::Rfc).await);
    for status in [301, 302, 307, 308] {
        let away = Reply::status(status).with("Location", &format!("{}/Groups/{GROUP}", other.base_url()));
        fake.fault(1, reads, Moment::BeforeEffect, Fault::Answer(away.clone()));
        assert_eq!(failure(held(&scim(&fake), GROUP, ANN).await), "permanent", "{status}");
        fake.fault(1, writes, Moment::BeforeEffect, Fault::Answer(away));
        let error = grant(&scim(&fake)).await.expect_err("a redirect is no success");
        assert!(error.to_string().contains(&other.base_url()), "{status}: says where to: {error}");
    }
    assert_eq!(other.requests(), []);
    assert!(fake.requests().iter().all(|request| request.bearer.as_deref() == Some(TOKEN)));
}

#[tokio::test]
async fn p13_the_token_is_in_no_error_and_no_debug() {
    let fake = server(Dialect::Rfc).await;
    let scim = scim(&fake);
    let echo = || {
        let said = format!("Bearer {TOKEN} is not known");
        Reply::error(401, TOKEN, &said).with("Location", TOKEN)
    };
    fake.fault(2, |_| true, Moment::BeforeEffect, Fault::Answer(echo()));
    let mut said = format!("{:?} {:?} {scim:?}", held(&scim, GROUP, ANN).await, grant(&scim).await);
    let odd = Reply { body: format!("{{\"id\": {{\"{TOKEN}\": 1}}}}"), ..Reply::status(200) };
    fake.fault(1, |_| true, Moment::BeforeEffect, Fault::Answer(odd));
    said += &format!("{:?}", held(&scim, GROUP, ANN).await);
    let plain = Scim::new("a".parse().expect("an app"), "http://scim.example.com", Secret::new(TOKEN.to_owned()));
    let broken = Scim::new("a".parse().expect("an app"), "https://scim.example.com", Secret::new(format!("{TOKEN}\n")));
    said += &format!("{plain:?} {broken:?} {}", broken.as_ref().expect_err("a line break in a header"));
    assert!(!said.contains(TOKEN), "{said}");
}

#[tokio::test]
async fn foreign_text_is_bounded_and_escaped() {
    let fake = server(Dialect::Rfc).await;
    let long = format!("\u{1b}[31m\r\n{}", "é".repeat(10_000));
    fake.fault(1, writes, Moment::BeforeEffect, Fault::Answer(Reply::error(403, "", &long)));
    let error = grant(&scim(&fake)).await.expect_err("forbidden").to_string();
    assert!(error.chars().count() < MAX_DETAIL + 200, "{} characters", error.chars().count());
    assert!(!error.chars().any(char::is_control) && error.contains("\\u{1b}"), "{error}");
    let huge = Reply { body: " ".repeat(21 << 20), ..Reply::status(200) };
    fake.fault(1, reads, Moment::BeforeEffect, Fault::Answer(huge.clone()));
    let error = held(&scim(&fake), GROUP, ANN).await.expect_err("too long").to_string();
    assert!(error.contains("20 MiB"), "{error}");
    fake.fault(1, writes, Moment::AfterEffect, Fault::Answer(huge));
    assert_eq!(grant(&scim(&fake)).await, Ok(DONE), "what a success says in its body does not matter");
    assert_eq!(held(&scim(&fake), GROUP, ANN).await, Ok(Held::Direct));
}

#[tokio::test]
async fn p13_the_base_url_keeps_the_token_out_of_plain_text() {
    let new = |url: &str| Scim::new("a".parse().expect("an app"), url, Secret::new("token".to_owned()));
    for good in ["https://scim.example.com/v2", "http://localhost:1/x", "http://127.0.0.9", "http://[::1]:8080/"] {
        assert!(new(good).is_ok(), "{good}");
    }
    for bad in [
        "http://scim.example.com/v2",
        "http://127.0.0.1.example.com",
        "http://localhost.example.com",
        "http://10.0.0.1",
        "ftp://localhost",
        "scim.example.com",
        "https://user:password@scim.example.com",
        "https://scim.example.com/?key=1",
        "https://scim.example.com/#x",
        "",
    ] {
        assert!(new(bad).is_err(), "{bad}");
    }
    assert!(Scim::new("a".parse().expect("an app"), "https://x.example", Secret::new(String::new())).is_err());
    assert_eq!(at("https://SCIM.Example.com:443/v2//").tenant(), "scim.example.com/v2");
    let fake = FakeScim::start().await;
    let token_less = Scim::new("a".parse().expect("an app"), &fake.base_url(), Secret::new("wrong".to_owned()));
    assert_eq!(failure(token_less.expect("a loopback URL").check().await), "permanent");
}
