use super::*;
use dutykey_policy::installation::SecretRef;

/// Signed with `echo -n … | openssl dgst -sha256 -hmac "first secret"`, and with `second secret`.
const BODY: &[u8] = br#"{"event":{"id":"01EVENT","event_type":"incident.triggered","resource_type":"incident","occurred_at":"2026-06-02T09:00:00.123Z","data":{"id":"PINC","type":"incident","escalation_policy":{"id":"PPOLICY","type":"escalation_policy_reference"}}}}"#;
const FIRST: &str = "2cd2a806d5ff08ef1228cff7f9b4837bd077ba523adaa442bd881121555720a8";
const SECOND: &str = "9f47c4c36879d8efc27145a7ba00dd0c49fcd518d5ad2864ab12c22e9a64f162";

fn pagerduty() -> PlatformSettings {
    let token = SecretRef::Env("TOKEN".to_owned());
    PlatformSettings::Pagerduty { base_url: "https://api.pagerduty.com".to_owned(), token, webhook_secrets: Vec::new() }
}

fn secrets(texts: &[&str]) -> Vec<Secret> {
    texts.iter().map(|text| Secret::new((*text).to_owned())).collect()
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn verified(signature: Option<&str>, body: &[u8], known: &[&str]) -> Result<Hint, WebhookError> {
    let header = |name: &str| signature.filter(|_| name == "x-pagerduty-signature");
    verify(&pagerduty(), header, body, &secrets(known), at("2026-06-02T09:00:01Z"))
}

/// HMAC by its definition in RFC 2104, over the hash alone.
fn signed(secret: &str, body: &[u8]) -> String {
    use sha2::Digest;
    let mut key = [0_u8; 64];
    key[..secret.len()].copy_from_slice(secret.as_bytes());
    let inner = Sha256::new().chain_update(key.map(|b| b ^ 0x36)).chain_update(body).finalize();
    let outer = Sha256::new().chain_update(key.map(|b| b ^ 0x5c)).chain_update(inner).finalize();
    format!("v1={}", dutykey_policy::rota::hex(&outer))
}

#[test]
fn a_signed_delivery_is_a_hint_and_names_what_to_read() {
    let expected = Hint {
        id: "01EVENT".to_owned(),
        event: "incident.triggered".to_owned(),
        occurred_at: at("2026-06-02T09:00:00.123Z"),
        about: About::Policy("PPOLICY".to_owned()),
    };
    assert_eq!(verified(Some(&format!("v1={FIRST}")), BODY, &["first secret"]), Ok(expected));
}

#[test]
fn the_signature_is_that_of_rfc_4231() {
    // Test case 2. That it is no event shows that the signature was passed.
    let text = b"what do ya want for nothing?";
    let signature = "v1=5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
    assert!(matches!(verified(Some(signature), text, &["Jefe"]), Err(WebhookError::Malformed(_))));
    assert_eq!(verified(Some(signature), b"what do ya want for nothing!", &["Jefe"]), Err(WebhookError::BadSignature));
}

#[test]
fn any_secret_and_any_signature_will_do_while_one_replaces_the_other() {
    let both = format!("v1={FIRST}, v1={SECOND}");
    let upper = format!("v1={}", FIRST.to_uppercase());
    for (signature, known) in [
        (format!("v1={FIRST}"), &["second secret", "first secret"][..]),
        (format!("v1={SECOND}"), &["second secret", "first secret"]),
        (both.clone(), &["first secret"]),
        (both, &["second secret"]),
        (format!("v2=00,v1=zz,,v1={FIRST}"), &["first secret"]),
        (upper, &["first secret"]),
    ] {
        assert!(verified(Some(&signature), BODY, known).is_ok(), "{signature} with {known:?}");
    }
}

#[test]
fn nothing_else_is_a_signature() {
    let first = format!("v1={FIRST}");
    let empty = signed("", BODY);
    for (signature, known) in [
        (None, &["first secret"][..]),
        (Some(""), &["first secret"]),
        (Some(FIRST), &["first secret"]),
        (Some(&*first.replace("v1", "v2")), &["first secret"]),
        (Some(&first[..first.len() - 2]), &["first secret"]),
        (Some(&*format!("{first}00")), &["first secret"]),
        (Some("v1=é"), &["first secret"]),
        (Some(&first), &["third secret"]),
        (Some(&first), &[]),
        (Some(&empty), &[""]),
    ] {
        assert_eq!(verified(signature, BODY, known), Err(WebhookError::BadSignature), "{signature:?} with {known:?}");
    }
    let changed = BODY.to_ascii_lowercase();
    assert_eq!(verified(Some(&first), &changed, &["first secret"]), Err(WebhookError::BadSignature));
    assert_eq!(WebhookError::BadSignature.status(), 403);
}

#[test]
fn what_is_signed_and_not_understood_is_refused_for_good() {
    let long =
        format!(r#"{{"event":{{"id":"{}","event_type":"a","occurred_at":"2026-06-02T09:00:00Z"}}}}"#, "x".repeat(300));
    for body in [
        "",
        "null",
        r#"{"event":null}"#,
        r#"{"event":{"event_type":"a","occurred_at":"2026-06-02T09:00:00Z"}}"#,
        r#"{"event":{"id":"","event_type":"a","occurred_at":"2026-06-02T09:00:00Z"}}"#,
        r#"{"event":{"id":"a\n","event_type":"a","occurred_at":"2026-06-02T09:00:00Z"}}"#,
        r#"{"event":{"id":"a","event_type":"a","occurred_at":"yesterday"}}"#,
        &long,
    ] {
        let answer = verified(Some(&signed("k", body.as_bytes())), body.as_bytes(), &["k"]);
        assert!(matches!(&answer, Err(e @ WebhookError::Malformed(_)) if e.status() == 400), "{body}: {answer:?}");
    }
}

#[test]
fn an_event_without_a_policy_is_about_nothing() {
    for data in
        ["null", "{}", r#"{"type":"ping"}"#, r#"{"escalation_policy":null}"#, r#"{"escalation_policy":{"id":"../x"}}"#]
    {
        let body = format!(
            r#"{{"event":{{"id":"a","event_type":"pagey.ping","occurred_at":"2026-06-02T09:00:00Z","data":{data}}}}}"#
        );
        let hint = verified(Some(&signed("k", body.as_bytes())), body.as_bytes(), &["k"]).unwrap();
        assert_eq!(hint.about, About::Nothing, "{data}");
    }
}

#[test]
fn an_old_event_is_refused_as_a_replay() {
    let signature = format!("v1={FIRST}");
    let header = |_: &str| Some(signature.as_str());
    let judged = |now| verify(&pagerduty(), header, BODY, &secrets(&["first secret"]), at(now));
    assert!(judged("2026-06-05T09:00:00.123Z").is_ok(), "PagerDuty redelivers for 48 hours");
    assert_eq!(judged("2026-06-05T09:00:00.124Z"), Err(WebhookError::Old(at("2026-06-02T09:00:00.123Z"))));
}

#[test]
fn a_platform_without_webhooks_takes_none() {
    let sandbox = PlatformSettings::Sandbox { script: serde_json::Value::Null };
    let answer = verify(&sandbox, |_| Some("v1=00"), BODY, &secrets(&["k"]), at("2026-06-02T09:00:01Z"));
    assert_eq!(answer, Err(WebhookError::Unsupported));
    assert_eq!(WebhookError::Unsupported.status(), 404);
}
