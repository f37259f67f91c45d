use super::*;
use dutykey_tests::pagerduty::Fault;

type Expected = fn(&PlatformError) -> bool;

/// Every call of the port, and a path that it needs.
const CALLS: [(&str, &str); 7] = [
    ("check", "/users"),
    ("users", "/users"),
    ("teams", "/teams"),
    ("rotations", "/schedules"),
    ("pd:PSHIFT", "/v3/schedules/PSHIFT"),
    ("pd:PLAYER", "/schedules/PLAYER"),
    ("pd:PPOLICY@2", "/escalation_policies/PPOLICY"),
];

async fn call(pd: &PagerDuty, name: &str) -> Result<(), PlatformError> {
    match name {
        "check" => pd.check().await.map(drop),
        "users" => pd.users().await.map(drop),
        "teams" => pd.teams().await.map(drop),
        "rotations" => pd.rotations().await.map(drop),
        rotation => shifts(pd, rotation).await.map(drop),
    }
}

fn raw(status: u16, body: &str) -> Fault {
    Fault::Raw { status, headers: Vec::new(), body: body.to_owned() }
}

fn faults() -> Vec<(Fault, usize, Expected)> {
    vec![
        (Fault::outage(), 3, |e| matches!(e, PlatformError::Unavailable(_))),
        (Fault::refusal(500, "Internal Server Error"), 3, |e| matches!(e, PlatformError::Unavailable(_))),
        (Fault::refusal(408, "Request Timeout"), 3, |e| matches!(e, PlatformError::Unavailable(_))),
        (Fault::throttled(None), 3, |e| *e == PlatformError::Throttled { after: None }),
        (Fault::throttled(Some(3_600)), 1, |e| {
            *e == PlatformError::Throttled { after: Some(Duration::from_secs(3_600)) }
        }),
        (Fault::garbage(), 1, |e| matches!(e, PlatformError::Faulty(_))),
        (raw(200, ""), 1, |e| matches!(e, PlatformError::Faulty(_))),
        (raw(200, "null"), 1, |e| matches!(e, PlatformError::Faulty(_))),
        (raw(200, r#"{"error":"sorry"}"#), 1, |e| matches!(e, PlatformError::Faulty(_))),
        (raw(204, ""), 1, |e| matches!(e, PlatformError::Faulty(_))),
        (raw(302, ""), 1, |e| matches!(e, PlatformError::Faulty(_))),
        (Fault::refusal(401, "Unauthorized"), 1, |e| matches!(e, PlatformError::Unauthorized(_))),
        (Fault::refusal(402, "Payment Required"), 1, |e| matches!(e, PlatformError::Forbidden { .. })),
        (
            Fault::refusal(403, "Forbidden"),
            1,
            |e| matches!(e, PlatformError::Forbidden { what, .. } if what.starts_with("GET /")),
        ),
    ]
}

#[tokio::test]
async fn p6_no_failure_of_any_call_is_an_answer() {
    let fake = acme().await;
    for (name, path) in CALLS {
        for (fault, requests, expected) in faults() {
            let what = format!("{name} under {fault:?}");
            fake.heal();
            fake.forget();
            fake.fault(path, fault);
            let pd = client(&fake);
            let answer = call(&pd, name).await;
            assert!(answer.as_ref().is_err_and(expected), "{what}: {answer:?}");
            assert_eq!(fake.count(path), requests, "{what} was asked so often");
            let counted = pd.take_requests();
            assert!(counted >= requests as u64, "{what}: {counted} requests were counted");
            assert_eq!(pd.take_requests(), 0, "{what}: counted once");
        }
    }
}

#[tokio::test]
async fn p6_a_failure_behind_the_first_request_fails_the_whole_call() {
    let behind = [
        ("teams", "/teams/PTEAM/members"),
        ("rotations", "/v3/schedules"),
        ("rotations", "/escalation_policies"),
        ("pd:PLAYER", "/schedules/PLAYER"),
        ("pd:PPOLICY@1", "/schedules/PLAYER"),
        ("pd:PPOLICY@2", "/v3/schedules/PSHIFT"),
    ];
    for (name, path) in behind {
        for fault in [Fault::outage(), Fault::throttled(None), Fault::garbage(), Fault::refusal(403, "Forbidden")] {
            let fake = acme().await;
            let what = format!("{name} with {path} under {fault:?}");
            fake.fault(path, fault);
            let answer = call(&client(&fake), name).await;
            assert!(answer.is_err() && fake.count(path) > 0, "{what}: {answer:?}");
        }
    }
}

#[tokio::test]
async fn a_failure_that_passes_in_time_is_not_noticed() {
    let fake = acme().await;
    for fault in [Fault::outage(), Fault::throttled(None), Fault::throttled(Some(0)), Fault::refusal(408, "Timeout")] {
        fake.heal();
        fake.fault_times("/users", 2, fault);
        assert_eq!(client(&fake).users().await.unwrap().len(), 3);
    }
}

#[tokio::test]
async fn no_answer_in_time_is_a_failure() {
    let fake = acme().await;
    fake.fault("/users", Fault::Silence);
    let short = Duration::from_millis(30);
    let answer = limited(&fake, Limits { attempt: short, ..QUICK }).users().await;
    assert!(matches!(answer, Err(PlatformError::Unavailable(_))), "{answer:?}");
    assert_eq!(fake.count("/users"), 3);
    let answer = limited(&fake, Limits { call: short, ..QUICK }).users().await;
    assert!(matches!(answer, Err(PlatformError::Unavailable(_))), "{answer:?}");
    drop(fake);
    let nobody = PagerDuty::limited("pd".parse().unwrap(), "http://127.0.0.1:9", Secret::new("key".into()), QUICK);
    let answer = nobody.unwrap().users().await;
    assert!(matches!(answer, Err(PlatformError::Unavailable(_))), "{answer:?}");
}

#[tokio::test]
async fn an_answer_without_end_is_not_read_to_its_end() {
    let fake = acme().await;
    fake.fault("/users", raw(200, &" ".repeat(QUICK.body + 1)));
    let answer = client(&fake).users().await;
    assert!(matches!(&answer, Err(PlatformError::Faulty(text)) if text.contains("1 MiB")), "{answer:?}");
}

#[tokio::test]
async fn p13_the_token_is_in_no_error_and_no_debug() {
    let fake = acme().await;
    let token = fake.token();
    let pd = client(&fake);
    assert!(!format!("{pd:?}").contains(&token), "{pd:?}");
    for status in [200, 400, 401, 403, 404, 429, 500] {
        fake.heal();
        fake.fault("*", raw(status, &format!(r#"{{"error":{{"message":"no: Token token={token}"}}}}"#)));
        for (name, _) in CALLS {
            let error = call(&pd, name).await.unwrap_err();
            let text = format!("{error} {error:?}");
            assert!(!text.contains(&token), "{status} on {name}: {text}");
        }
    }
    let flood = format!("\u{1b}[31m{}{token}", "x".repeat(5_000));
    fake.heal();
    fake.fault("*", raw(403, &flood));
    let text = pd.users().await.unwrap_err().to_string();
    assert!(text.chars().count() < 700 && !text.contains('\u{1b}'), "foreign text is bounded and escaped: {text}");
}

#[tokio::test]
async fn a_key_and_an_oauth_token_each_go_in_their_own_form() {
    for token in ["fake-key", "pdus+_0XBPWQQ_fake"] {
        let fake = acme().await;
        fake.state(|acme| token.clone_into(&mut acme.token));
        assert!(client(&fake).users().await.is_ok(), "{token} was refused");
        fake.state(|acme| "replaced".clone_into(&mut acme.token));
        let pd = PagerDuty::limited("pd".parse().unwrap(), &fake.base_url(), Secret::new(token.into()), QUICK).unwrap();
        assert!(matches!(pd.users().await, Err(PlatformError::Unauthorized(_))));
    }
}

#[test]
fn an_address_is_https_or_this_machine() {
    let made = |url: &str, token: &str| PagerDuty::new("pd".parse().unwrap(), url, Secret::new(token.to_owned()));
    let good = ["https://api.pagerduty.com", "https://api.eu.pagerduty.com/", "http://127.0.0.1:80", "http://[::1]"];
    for url in good {
        assert!(made(url, "key\n").is_ok(), "{url} was refused");
    }
    let bad = [
        "http://api.pagerduty.com",
        "http://127.0.0.1.example.com",
        "ftp://127.0.0.1",
        "https://user:pass@api.pagerduty.com",
        "https://api.pagerduty.com?a=b",
        "api.pagerduty.com",
        "",
    ];
    for url in bad {
        let refused = made(url, "key");
        assert!(matches!(&refused, Err(PlatformError::Misconfigured(_))), "{url} was taken: {refused:?}");
    }
    for token in ["", "  ", "a\nb"] {
        let Err(PlatformError::Misconfigured(text)) = made(good[0], token) else { panic!("{token:?} was taken") };
        assert!(!text.contains("a\nb"), "{text}");
    }
}

#[tokio::test]
async fn requests_go_one_after_the_other() {
    let fake = acme().await;
    let pd = client(&fake);
    let (a, b, c, d) = tokio::join!(pd.users(), pd.rotations(), shifts(&pd, "pd:PPOLICY@2"), shifts(&pd, "pd:PLAYER"));
    assert!(a.is_ok() && b.is_ok() && c.is_ok() && d.is_ok());
    assert_eq!(fake.most_open(), 1);
}
